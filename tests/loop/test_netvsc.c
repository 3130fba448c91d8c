/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's network driver against the real adapter, whose back-end is a socket that the test has the other end of. */
#include "core/netvsc.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "loop/machine.h"
#include "unit/test.h"
#include "vsp/netvsp/netvsp.h"

#define VPS 4
#define FRAMES 600u

static const uint8_t mac[6] = { 0, 0x15, 0x5d, 1, 2, 3 };
static struct machine m;
static struct netvsp *server;
static struct netvsc nc;
static int wire; /* the test's end */
static bool gone;

/* What the guest got. */
static struct {
	unsigned int count, per_queue[NETVSC_QUEUES_MAX], wrong;
	struct netvsc_rx last;
	uint8_t bytes[2048];
} got;

static void on_frame(void *opaque, struct netvsc *n, unsigned int queue,
		     const struct netvsc_rx *rx)
{
	got.last = *rx;
	ck_assert_uint_le(rx->bytes, sizeof(got.bytes));
	memcpy(got.bytes, rx->frame, rx->bytes);
	got.count++;
	got.per_queue[queue]++;
}

static void add_server(struct machine *machine, void *arg)
{
	struct netvsp_params params = {
		.bus = m.vmbus,
		.loop = m.loop,
		.name = "Network adapter 0",
		.instance = { { 1, 2, 3 } },
		.max_sub_channels = VPS - 1,
	};
	int fds[2];

	memcpy(params.mac, mac, 6);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	wire = fds[0];
	ck_assert_int_eq(nic_socket_new(fds[1], &params.nic), 0);
	ck_assert_int_eq(netvsp_new(&params, &server), 0);
}

static void on_gone(void *opaque)
{
	gone = true;
}

static void remove_server(struct machine *machine, void *arg)
{
	netvsp_remove(server, on_gone, NULL);
}

static void set_link(struct machine *machine, void *arg)
{
	netvsp_set_link(server, arg != NULL);
}

static void no_act(struct machine *machine, void *arg)
{
}

static void setup(void)
{
	memset(&got, 0, sizeof(got));
	machine_init(&m, VPS);
	machine_on_loop(&m, add_server, NULL);
	machine_connect(&m, 0);
}

static void teardown(void)
{
	machine_disconnect(&m);
	gone = false;
	machine_on_loop(&m, remove_server, NULL);
	while (!gone)
		machine_on_loop(&m, no_act, NULL);
	machine_done(&m);
	close(wire);
}

static int start_client(uint32_t version, unsigned int subs)
{
	struct chan *ch = bus_find(&m.bus, netvsc_type, NULL);

	ck_assert_ptr_nonnull(ch);
	return netvsc_start(&nc, &m.bus, ch, version, subs, VPS, on_frame, NULL);
}

/* ---- frames ---- */

static size_t make_frame(uint8_t *f, const uint8_t *to, unsigned int number, size_t len)
{
	memcpy(f, to, 6);
	memset(f + 6, 0x22, 6);
	f[12] = 0x88;
	f[13] = 0xb5; /* IEEE 802, for experiments */
	for (size_t i = 14; i < len; i++)
		f[i] = (uint8_t)(i * 7 + number);
	return len;
}

static void poll_queues(void)
{
	for (unsigned int i = 0; i < nc.queues; i++) {
		machine_be_vp(nc.queue[i]->vp);
		bus_events(&m.bus, nc.queue[i]->vp);
		ck_assert_int_ge(netvsc_poll(&nc, i), 0);
	}
	machine_be_vp(0);
}

/* A guest that only polls needs no interrupt: the host's threads get the time. */
static void until_frames(unsigned int count)
{
	while (got.count < count) {
		poll_queues();
		sched_yield();
	}
}

static void send_one(const struct netvsc_tx *tx, unsigned int queue)
{
	int r;

	while ((r = netvsc_send(&nc, queue, tx)) == -EAGAIN)
		poll_queues();
	ck_assert_int_eq(r, 0);
}

static size_t wire_recv(uint8_t *buf, size_t max)
{
	ssize_t n = recv(wire, buf, max, 0);

	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

static const uint32_t versions[] = { 0,
				     NVSP_VERSION_61,
				     NVSP_VERSION_6,
				     NVSP_VERSION_5,
				     NVSP_VERSION_4,
				     NVSP_VERSION_2,
				     NVSP_VERSION_1 };

START_TEST(every_version)
{
	uint8_t out[200], in[2048];
	struct netvsc_tx tx = { .frame = out };

	ck_assert_int_eq(start_client(versions[_i], 0), 0);
	if (versions[_i])
		ck_assert_uint_eq(nc.version, versions[_i]);
	ck_assert_mem_eq(nc.mac, mac, 6);
	ck_assert(nc.link_up);
	for (unsigned int pages = 0; pages < 2; pages++) {
		tx.by_pages = pages;
		tx.bytes = make_frame(out, mac, pages, 100);
		send_one(&tx, 0);
		ck_assert_uint_eq(wire_recv(in, sizeof(in)), 100);
		ck_assert_mem_eq(in, out, 100);
	}
	ck_assert_int_eq(send(wire, out, make_frame(out, mac, 9, 200), 0), 200);
	until_frames(1);
	ck_assert_uint_eq(got.last.bytes, 200);
	ck_assert_mem_eq(got.bytes, out, 200);
	ck_assert_int_eq(netvsc_stop(&nc), 0);
	ck_assert_uint_eq(nc.rejected, 0);
}
END_TEST

/* More than there are sections and parts of the receive buffer, of all lengths, so that both come around. */
START_TEST(many_frames)
{
	uint8_t out[1514], in[2048], other[1514];
	struct netvsc_tx tx = { .frame = out };

	ck_assert_int_eq(start_client(0, 0), 0);
	for (unsigned int i = 0; i < FRAMES; i++) {
		size_t len = 14 + i * 37 % 1501;

		tx.bytes = make_frame(out, mac, i, len);
		tx.by_pages = i & 1;
		send_one(&tx, 0);
		ck_assert_uint_eq(wire_recv(in, sizeof(in)), len);
		ck_assert_mem_eq(in, out, len);
		make_frame(other, mac, i + 1, len);
		ck_assert_int_eq(send(wire, other, len, 0), (ssize_t)len);
		until_frames(i + 1);
		ck_assert_uint_eq(got.last.bytes, len);
		ck_assert_mem_eq(got.bytes, other, len);
	}
	ck_assert_int_eq(netvsc_stop(&nc), 0);
}
END_TEST

/* The guest takes nothing for a while: the adapter stops reading, loses nothing, and goes on. */
START_TEST(back_pressure)
{
	struct pollfd p = { .fd = 0, .events = POLLOUT };
	uint8_t out[1514];
	unsigned int sent = 0;

	ck_assert_int_eq(start_client(0, 0), 0);
	p.fd = wire;
	/* until everything between here and there is full: no room for a while */
	while (poll(&p, 1, 200) == 1) {
		make_frame(out, mac, sent, sizeof(out));
		if (send(wire, out, sizeof(out), MSG_DONTWAIT) < 0)
			continue;
		sent++;
	}
	ck_assert_uint_gt(sent, nc.sub_count / 2);
	until_frames(sent);
	make_frame(out, mac, sent - 1, sizeof(out));
	ck_assert_mem_eq(got.bytes, out, sizeof(out));
	ck_assert_int_eq(netvsc_stop(&nc), 0);
}
END_TEST

START_TEST(filters_and_mac)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 },
			     other[6] = { 2, 0, 0, 0, 0, 9 },
			     group[6] = { 1, 0, 0x5e, 1, 1, 1 };
	uint8_t out[100];
	uint32_t filter = RNDIS_FILTER_PROMISCUOUS, status;

	ck_assert_int_eq(start_client(0, 0), 0);
	ck_assert_int_eq(send(wire, out, make_frame(out, other, 1, 60), 0), 60);
	ck_assert_int_eq(send(wire, out, make_frame(out, group, 2, 60), 0), 60);
	ck_assert_int_eq(send(wire, out, make_frame(out, all, 3, 60), 0), 60);
	until_frames(1);
	ck_assert_mem_eq(got.bytes, all, 6);
	ck_assert_int_eq(netvsc_set(&nc, OID_802_3_CURRENT_ADDRESS, other, 6, &status),
			 0);
	ck_assert_int_eq(send(wire, out, make_frame(out, mac, 4, 60), 0), 60);
	ck_assert_int_eq(send(wire, out, make_frame(out, other, 5, 60), 0), 60);
	until_frames(2);
	ck_assert_mem_eq(got.bytes, other, 6);
	ck_assert_int_eq(
		netvsc_set(&nc, OID_GEN_CURRENT_PACKET_FILTER, &filter, 4, &status), 0);
	ck_assert_int_eq(send(wire, out, make_frame(out, group, 6, 60), 0), 60);
	until_frames(3);
	ck_assert_mem_eq(got.bytes, group, 6);
	ck_assert_int_eq(netvsc_stop(&nc), 0);
}
END_TEST

START_TEST(vlan_tags)
{
	uint8_t out[104], in[2048];
	struct netvsc_tx tx = { .frame = out,
				.bytes = 100,
				.has_vlan = true,
				.vlan = RNDIS_VLAN(3u, 0u, 42u) };

	ck_assert_int_eq(start_client(0, 0), 0);
	make_frame(out, mac, 0, 100);
	send_one(&tx, 0);
	ck_assert_uint_eq(wire_recv(in, sizeof(in)), 104);
	ck_assert_mem_eq(in + 12, ((uint8_t[]){ 0x81, 0, 0x60, 42 }), 4);
	ck_assert_mem_eq(in + 16, out + 12, 88);
	/* and the same one back */
	memcpy(in, mac, 6);
	ck_assert_int_eq(send(wire, in, 104, 0), 104);
	until_frames(1);
	ck_assert(got.last.has_vlan);
	ck_assert_uint_eq(got.last.vlan, tx.vlan);
	ck_assert_uint_eq(got.last.bytes, 100);
	ck_assert_mem_eq(got.bytes, out, 100);
	ck_assert_int_eq(netvsc_stop(&nc), 0);
}
END_TEST

static void until_link(unsigned int changes)
{
	while (nc.link_changes < changes) {
		poll_queues();
		sched_yield();
	}
}

START_TEST(link_changes)
{
	uint8_t out[60], in[2048];
	struct netvsc_tx tx = { .frame = out, .bytes = sizeof(out) };

	make_frame(out, mac, 1, sizeof(out));
	ck_assert_int_eq(start_client(0, 0), 0);
	machine_on_loop(&m, set_link, NULL);
	until_link(1);
	ck_assert(!nc.link_up);
	send_one(&tx, 0);
	ck_assert_int_eq(netvsc_query(&nc, OID_GEN_XMIT_OK, in, 4, &(size_t){ 0 }, NULL),
			 0);
	ck_assert_int_eq(recv(wire, in, sizeof(in), MSG_DONTWAIT), -1);
	machine_on_loop(&m, set_link, &m);
	until_link(2);
	ck_assert(nc.link_up);
	send_one(&tx, 0);
	ck_assert_uint_eq(wire_recv(in, sizeof(in)), sizeof(out));
	/* the other end of the wire goes away: as good as pulled */
	shutdown(wire, SHUT_RDWR);
	until_link(3);
	ck_assert(!nc.link_up);
	ck_assert_int_eq(netvsc_stop(&nc), 0);
}
END_TEST

/* Frames of many flows over receive side scaling: each flow on one channel, all channels in use, nothing lost. */
static void set_rss(void)
{
	struct {
		struct ndis_rss_parameters p;
		uint32_t table[NDIS_RSS_TABLE_ENTRIES];
		uint8_t key[NDIS_RSS_KEY_BYTES];
	} v = { .p = { .header = { NDIS_OBJECT_RSS_PARAMETERS, 2, sizeof(v.p) },
		       .hash = NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4,
		       .table_bytes = sizeof(v.table),
		       .table_offset = sizeof(v.p),
		       .key_bytes = sizeof(v.key),
		       .key_offset = sizeof(v.p) + sizeof(v.table) } };
	uint32_t status;

	for (uint32_t i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		v.table[i] = i % VPS;
	for (size_t i = 0; i < sizeof(v.key); i++)
		v.key[i] = (uint8_t)(i * 73 + 11);
	ck_assert_int_eq(
		netvsc_set(&nc, OID_GEN_RECEIVE_SCALE_PARAMETERS, &v, sizeof(v), &status),
		0);
}

START_TEST(scaling)
{
	uint8_t out[80], in[2048];
	struct netvsc_tx tx = { .frame = out, .bytes = 60 };
	unsigned int queue_of[64], queues = 0;

	ck_assert_int_eq(start_client(0, VPS - 1), 0);
	ck_assert_uint_eq(nc.queues, VPS);
	ck_assert_uint_eq(nc.send_table_channels, NVSP_SEND_TABLE_ENTRIES);
	set_rss();
	for (unsigned int i = 0; i < 256; i++) {
		unsigned int before[VPS], flow = i % 64;

		memcpy(before, got.per_queue, sizeof(before));
		make_frame(out, mac, i, sizeof(out));
		out[12] = 8;
		out[13] = 0;
		out[14] = 0x45;
		out[20] = out[21] = 0;
		out[23] = 6;
		memset(out + 26, 10, 8);
		out[34] = (uint8_t)flow; /* the port */
		out[35] = 1;
		out[36] = out[37] = 7;
		ck_assert_int_eq(send(wire, out, sizeof(out), 0), sizeof(out));
		until_frames(i + 1);
		ck_assert(got.last.has_hash);
		ck_assert_mem_eq(got.bytes, out, sizeof(out));
		for (unsigned int q = 0; q < VPS; q++) {
			if (got.per_queue[q] == before[q])
				continue;
			if (i >= 64)
				ck_assert_uint_eq(queue_of[flow], q);
			queue_of[flow] = q;
			queues |= 1u << q;
		}
	}
	ck_assert_uint_eq(queues, (1u << VPS) - 1);
	/* and out on each of them */
	for (unsigned int q = 0; q < VPS; q++) {
		make_frame(out, mac, q, 60);
		machine_be_vp(nc.queue[q]->vp);
		send_one(&tx, q);
		ck_assert_uint_eq(wire_recv(in, sizeof(in)), 60);
		ck_assert_mem_eq(in, out, 60);
	}
	machine_be_vp(0);
	ck_assert_int_eq(netvsc_stop(&nc), 0);
}
END_TEST

/* The host takes sub-channels back with their primary; they come anew when they are asked for. */
static void release_subs(unsigned int n)
{
	struct chan *primary = bus_find(&m.bus, netvsc_type, NULL);

	for (unsigned int i = 1; i <= n; i++) {
		struct chan *ch;

		while ((ch = bus_find_sub(&m.bus, primary, i)) && !ch->rescinded)
			machine_step(&m);
		if (ch)
			ck_assert_int_eq(chan_release(ch), 0);
	}
}

START_TEST(again_and_again)
{
	for (unsigned int i = 0; i < 10; i++) {
		ck_assert_int_eq(start_client(0, i % VPS), 0);
		ck_assert_int_eq(netvsc_stop(&nc), 0);
		release_subs(i % VPS);
	}
}
END_TEST

/* What the adapter cannot make sense of is refused, one by one, and the next frame goes out. */
START_TEST(broken_packets)
{
	uint8_t out[60], in[2048], *message;
	struct netvsc_tx tx = { .frame = out, .bytes = sizeof(out) };
	static const struct {
		size_t at;
		uint32_t value;
	} t[] = { { 0, 2 },  { 4, 0 },   { 4, UINT32_MAX },  { 8, UINT32_MAX },
		  { 12, 3 }, { 12, 61 }, { 28, UINT32_MAX }, { 32, UINT32_MAX } };
	struct rndis_header h = { RNDIS_HALT, UINT32_MAX };

	ck_assert_int_eq(start_client(0, 0), 0);
	make_frame(out, mac, 1, sizeof(out));
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		int section = netvsc_take_section(&nc);

		ck_assert_int_ge(section, 0);
		message = nc.send + (size_t)section * nc.section_bytes;
		memset(message, 0, 200);
		ck_assert_int_eq(netvsc_rndis_packet(&tx, message, 200), 104);
		memcpy(message + t[i].at, &t[i].value, 4);
		ck_assert_int_eq(netvsc_send_section(&nc, 0, (unsigned int)section,
						     NVSP_CHANNEL_DATA, 104, i & 1),
				 0);
		while (nc.rejected < i + 1) {
			poll_queues();
			sched_yield();
		}
	}
	message = nc.send + (size_t)netvsc_take_section(&nc) * nc.section_bytes;
	memcpy(message, &h, sizeof(h));
	ck_assert_int_eq(netvsc_send_section(&nc, 0, 0, NVSP_CHANNEL_CONTROL, 8, false),
			 0);
	while (nc.rejected < ARRAY_SIZE(t) + 1) {
		poll_queues();
		sched_yield();
	}
	send_one(&tx, 0);
	ck_assert_uint_eq(wire_recv(in, sizeof(in)), sizeof(out));
	ck_assert_mem_eq(in, out, sizeof(out));
	ck_assert_int_eq(netvsc_stop(&nc), 0);
}
END_TEST

/* ---- queues, unplugging ---- */

/* A back-end of several queues that says which of them are used. */
static atomic_uint used, freed;

static int queues_send(struct nic *nic, unsigned int queue, const struct nic_meta *meta,
		       const struct iovec *iov, unsigned int n)
{
	return 0;
}

static ssize_t queues_recv(struct nic *nic, unsigned int queue, struct nic_meta *meta,
			   const struct iovec *iov, unsigned int n)
{
	return -EAGAIN;
}

static int queues_use(struct nic *nic, unsigned int queue, bool on)
{
	if (on)
		atomic_fetch_or(&used, 1u << queue);
	else
		atomic_fetch_and(&used, ~(1u << queue));
	return 0;
}

static void queues_free(struct nic *nic)
{
	atomic_fetch_add(&freed, 1);
}

static const struct nic_ops queues_ops = {
	.kind = "queues",
	.send = queues_send,
	.recv = queues_recv,
	.use_queue = queues_use,
	.free = queues_free,
};
static struct nic queues_nic = { .ops = &queues_ops,
				 .queues = VPS - 1,
				 .fds = { -1, -1, -1 } };

static void add_queues(struct machine *machine, void *arg)
{
	struct netvsp_params params = { .bus = m.vmbus,
					.loop = m.loop,
					.name = "Network adapter 0",
					.instance = { { 1, 2, 3 } },
					.max_sub_channels = VPS - 1,
					.nic = &queues_nic };

	ck_assert_int_eq(netvsp_new(&params, &server), 0);
}

static void setup_queues(void)
{
	atomic_store(&used, 0);
	atomic_store(&freed, 0);
	machine_init(&m, VPS);
	machine_on_loop(&m, add_queues, NULL);
	machine_connect(&m, 0);
}

static void teardown_queues(void)
{
	machine_disconnect(&m);
	machine_done(&m);
}

/* The back-end hears which of its queues have a channel: one that nobody reads gets no frames. */
START_TEST(queues_in_use)
{
	for (unsigned int subs = 0; subs < VPS; subs++) {
		ck_assert_int_eq(start_client(0, subs), 0);
		ck_assert_uint_eq(atomic_load(&used), (2u << MIN(subs, VPS - 2u)) - 1);
		ck_assert_int_eq(netvsc_stop(&nc), 0);
		release_subs(subs);
		while (atomic_load(&used))
			machine_on_loop(&m, no_act, NULL);
	}
	gone = false;
	machine_on_loop(&m, remove_server, NULL);
	machine_disconnect(&m);
	while (!gone)
		machine_on_loop(&m, no_act, NULL);
	machine_connect(&m, 0);
	ck_assert_uint_eq(atomic_load(&freed), 1);
}
END_TEST

static atomic_bool idle;

static void count_offer(void *opaque, const struct vmbus_channel_info *info)
{
	unsigned int *n = opaque;

	*n += 1;
}

static void count_offers(struct machine *machine, void *arg)
{
	vmbus_each(m.vmbus, count_offer, arg);
}

static unsigned int offers(void)
{
	unsigned int n = 0;

	machine_on_loop(&m, count_offers, &n);
	return n;
}

static void on_idle(void *opaque)
{
	atomic_store(&idle, true);
}

static void unplug(struct machine *machine, void *arg)
{
	netvsp_unplug(server, on_idle, NULL);
}

/* The back-end is free though the guest has not answered the rescind; the number is the next one's when it has. */
START_TEST(unplugged)
{
	struct chan *ch = bus_find(&m.bus, netvsc_type, NULL);

	atomic_store(&idle, false);
	if (_i)
		ck_assert_int_eq(start_client(0, (unsigned int)_i - 1), 0);
	machine_on_loop(&m, unplug, NULL);
	while (!atomic_load(&idle))
		machine_on_loop(&m, no_act, NULL);
	ck_assert_uint_eq(atomic_load(&freed), 1);
	ck_assert_uint_eq(atomic_load(&used), 0);
	while (!ch->rescinded)
		machine_step(&m);
	if (_i)
		netvsc_stop(&nc);
	release_subs(_i ? (unsigned int)_i - 1 : 0);
	ck_assert_int_eq(chan_release(ch), 0);
	while (offers())
		;
	machine_on_loop(&m, add_queues, NULL);
	machine_on_loop(&m, unplug, NULL);
	ck_assert_uint_eq(atomic_load(&freed), 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("netvsc");
	TCase *tc = tcase_create("netvsc");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, every_version, 0, ARRAY_SIZE(versions));
	tcase_add_test(tc, many_frames);
	tcase_add_test(tc, back_pressure);
	tcase_add_test(tc, filters_and_mac);
	tcase_add_test(tc, vlan_tags);
	tcase_add_test(tc, link_changes);
	tcase_add_test(tc, scaling);
	tcase_add_test(tc, again_and_again);
	tcase_add_test(tc, broken_packets);
	suite_add_tcase(s, tc);
	tc = tcase_create("unplug");
	tcase_add_checked_fixture(tc, setup_queues, teardown_queues);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, queues_in_use);
	tcase_add_loop_test(tc, unplugged, 0, VPS + 1);
	suite_add_tcase(s, tc);
	return s;
}

TEST_MAIN(suite)
