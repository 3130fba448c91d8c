/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's SCSI driver against the real controller over a raw file in memory. */
#include "core/storvsc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "loop/machine.h"
#include "unit/test.h"
#include "vsp/storvsp/storvsp.h"

#define BLOCK 512u
#define DISK_BYTES (8u << 20)
#define VPS 4
#define SENSE_KEY(req) ((req)->sense[2] & 15)
#define SENSE_ASC(req) ((req)->sense[12])

static struct machine m;
static struct storvsp *server;
static struct storvsc sc;
static int disk_fd;
static bool gone;

static void add_unit(struct machine *machine, void *arg)
{
	struct raw_params params = { .fd = dup(disk_fd) };
	unsigned int lun = (unsigned int)(uintptr_t)arg;
	struct scsi_dev *dev;
	struct disk *d;

	ck_assert_int_eq(raw_open(&params, &d), 0);
	ck_assert_int_eq(scsi_disk_new(d, &dev), 0);
	ck_assert_int_eq(storvsp_attach(server, lun, dev), 0);
}

static void remove_unit(struct machine *machine, void *arg)
{
	ck_assert_int_eq(storvsp_detach(server, (unsigned int)(uintptr_t)arg), 0);
}

static void add_server(struct machine *machine, void *arg)
{
	struct storvsp_params params = {
		.bus = m.vmbus,
		.loop = m.loop,
		.instance = { { 1, 2, 3 } },
		.max_sub_channels = VPS - 1,
		.engine = *(enum aio_engine *)arg,
	};

	ck_assert_int_eq(storvsp_new(&params, &server), 0);
	add_unit(machine, (void *)0);
}

static void on_gone(void *opaque)
{
	gone = true;
}

static void remove_server(struct machine *machine, void *arg)
{
	storvsp_remove(server, on_gone, NULL);
}

static void no_act(struct machine *machine, void *arg)
{
}

static void start(enum aio_engine engine)
{
	disk_fd = memfd_create("disk", MFD_CLOEXEC);
	ck_assert_int_ge(disk_fd, 0);
	ck_assert_int_eq(ftruncate(disk_fd, DISK_BYTES), 0);
	machine_init(&m, VPS);
	machine_on_loop(&m, add_server, &engine);
	machine_connect(&m, 0);
}

static void setup(void)
{
	start(AIO_AUTO);
}

static void teardown(void)
{
	machine_disconnect(&m);
	gone = false;
	machine_on_loop(&m, remove_server, NULL);
	while (!gone)
		machine_on_loop(&m, no_act, NULL);
	machine_done(&m);
	close(disk_fd);
}

static int start_client(uint16_t version, unsigned int subs)
{
	struct chan *ch = bus_find(&m.bus, storvsc_type, NULL);

	ck_assert_ptr_nonnull(ch);
	return storvsc_start(&sc, &m.bus, ch, version, subs, VPS);
}

static void rw(unsigned int queue, bool write, uint64_t off, void *buf, uint32_t len)
{
	struct storvsc_request req;

	storvsc_prepare_rw(&req, 0, write, off / BLOCK, len / BLOCK, buf, len);
	ck_assert_int_eq(storvsc_exec(&sc, queue, &req), 0);
	ck_assert_uint_eq(req.status, 0);
	ck_assert_uint_eq(req.srb_status, VSTOR_SRB_SUCCESS);
	ck_assert_uint_eq(req.transferred, len);
}

static const uint16_t versions[] = { 0,
				     VSTOR_VERSION_WIN10,
				     VSTOR_VERSION_WIN8_1,
				     VSTOR_VERSION_WIN8,
				     VSTOR_VERSION_WIN7,
				     VSTOR_VERSION_WIN6 };

START_TEST(every_version)
{
	uint8_t inquiry[36], *buf = m.env.pages_alloc(&m, 1);
	uint64_t blocks;
	uint32_t block;

	ck_assert_int_eq(start_client(versions[_i], 0), 0);
	if (versions[_i])
		ck_assert_uint_eq(sc.version, versions[_i]);
	ck_assert_int_eq(storvsc_inquiry(&sc, 0, inquiry, sizeof(inquiry)), 0);
	ck_assert_uint_eq(inquiry[0], 0);
	ck_assert_int_eq(storvsc_read_capacity(&sc, 0, &blocks, &block), 0);
	ck_assert_uint_eq(blocks, DISK_BYTES / BLOCK);
	ck_assert_uint_eq(block, BLOCK);
	memset(buf, 0x5a, CORE_PAGE_SIZE);
	rw(0, true, BLOCK * 7, buf, BLOCK);
	memset(buf, 0, CORE_PAGE_SIZE);
	rw(0, false, BLOCK * 7, buf, BLOCK);
	ck_assert_uint_eq(buf[0], 0x5a);
	ck_assert_uint_eq(buf[BLOCK - 1], 0x5a);
	ck_assert_int_eq(storvsc_flush(&sc, 0, 0), 0);
	m.env.pages_free(&m, buf, 1);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
}
END_TEST

/* Pieces of any size, from buffers that begin anywhere, over all queues, against a copy of the disk. */
static void random_io(enum aio_engine engine)
{
	const uint32_t max = 300 << 10;
	uint8_t *model = calloc(1, DISK_BYTES), *buf, *at;
	unsigned int seed = 7;

	start(engine);
	ck_assert_int_eq(start_client(0, VPS - 1), 0);
	ck_assert_uint_eq(sc.queues, VPS);
	buf = m.env.pages_alloc(&m, 80);
	for (int i = 0; i < 600; i++) {
		uint32_t len = BLOCK * (1 + (uint32_t)rand_r(&seed) % (max / BLOCK));
		uint64_t off = (uint64_t)BLOCK * ((uint32_t)rand_r(&seed) %
						  ((DISK_BYTES - len) / BLOCK + 1));
		unsigned int queue = (unsigned int)rand_r(&seed) % VPS;

		at = buf + (uint32_t)rand_r(&seed) % 4096;
		machine_be_vp(queue);
		if (i % 2) {
			memset(at, i, len);
			memcpy(at, &i, sizeof(i));
			memcpy(model + off, at, len);
			rw(queue, true, off, at, len);
		} else {
			rw(queue, false, off, at, len);
			ck_assert_mem_eq(at, model + off, len);
		}
		machine_be_vp(0);
	}
	for (uint32_t off = 0; off < DISK_BYTES; off += CORE_PAGE_SIZE) {
		ck_assert_int_eq(pread(disk_fd, buf, CORE_PAGE_SIZE, off),
				 CORE_PAGE_SIZE);
		ck_assert_mem_eq(buf, model + off, CORE_PAGE_SIZE);
	}
	m.env.pages_free(&m, buf, 80);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
	teardown();
	free(model);
}

START_TEST(random_pieces_auto)
{
	random_io(AIO_AUTO);
}
END_TEST

START_TEST(random_pieces_threads)
{
	random_io(AIO_THREADS);
}
END_TEST

/* One thread a VP and queue, each with its own quarter of the disk and several requests under way. */
static void *worker(void *arg)
{
	unsigned int queue = (unsigned int)(uintptr_t)arg, n = 0;
	const uint32_t part = DISK_BYTES / VPS, len = 64 << 10;
	struct storvsc_request reqs[8];
	uint8_t *buf = m.env.pages_alloc(&m, 8 * 16);

	machine_be_vp(queue);
	for (unsigned int pass = 0; pass < 2; pass++) {
		for (uint32_t off = 0; off < part; off += 8 * len) {
			for (unsigned int i = 0; i < 8; i++) {
				uint32_t at = part * queue + off + i * len;

				if (!pass)
					memset(buf + i * len, (int)(at >> 16), len);
				storvsc_prepare_rw(&reqs[i], 0, !pass, at / BLOCK,
						   len / BLOCK, buf + i * len, len);
				ck_assert_int_eq(storvsc_submit(&sc, queue, &reqs[i]), 0);
			}
			for (n = 0; n < 8;) {
				int r = storvsc_poll(&sc, queue);

				ck_assert_int_ge(r, 0);
				n += (unsigned int)r;
				if (!r)
					bus_wait(&m.bus, queue, 0);
			}
			for (unsigned int i = 0; i < 8; i++) {
				uint32_t at = part * queue + off + i * len;

				ck_assert_uint_eq(reqs[i].srb_status, VSTOR_SRB_SUCCESS);
				ck_assert_uint_eq(buf[i * len], at >> 16 & 0xff);
				ck_assert_uint_eq(buf[i * len + len - 1],
						  at >> 16 & 0xff);
			}
		}
	}
	m.env.pages_free(&m, buf, 8 * 16);
	return NULL;
}

/* One line of what storvsp_counts() says of LUN 0, which the bus thread reads. */
static uint64_t counted[STORVSP_COUNTS];

static void count_server(struct machine *machine, void *arg)
{
	storvsp_counts(server, 0, counted);
}

START_TEST(commands_are_counted)
{
	uint8_t *buf = m.env.pages_alloc(&m, 2);
	struct storvsc_request req;

	ck_assert_int_eq(start_client(0, VPS - 1), 0);
	for (unsigned int queue = 0; queue < VPS; queue++) {
		machine_be_vp(queue);
		rw(queue, true, 0, buf, 2 * BLOCK);
		rw(queue, false, 0, buf, BLOCK);
	}
	machine_be_vp(0);
	ck_assert_int_eq(storvsc_flush(&sc, 0, 0), 0);
	storvsc_prepare_rw(&req, 0, false, DISK_BYTES / BLOCK, 1, buf, BLOCK);
	ck_assert_int_eq(storvsc_exec(&sc, 0, &req), 0);
	ck_assert_uint_ne(req.srb_status, VSTOR_SRB_SUCCESS);
	for (int i = 0; i < 2; i++) { /* while the channels are open, and after */
		machine_on_loop(&m, count_server, NULL);
		ck_assert_uint_eq(counted[STORVSP_WRITES], VPS);
		ck_assert_uint_eq(counted[STORVSP_WRITE_BYTES], VPS * 2 * BLOCK);
		ck_assert_uint_eq(counted[STORVSP_READS], VPS + 1);
		ck_assert_uint_eq(counted[STORVSP_READ_BYTES], VPS * BLOCK);
		ck_assert_uint_eq(counted[STORVSP_FLUSHES], 1);
		ck_assert_uint_eq(counted[STORVSP_ERRORS], 1);
		ck_assert_uint_gt(counted[STORVSP_LATENCY_NS], 0);
		if (i == 0)
			ck_assert_int_eq(storvsc_stop(&sc), 0);
	}
	m.env.pages_free(&m, buf, 2);
}
END_TEST

START_TEST(all_queues_at_once)
{
	pthread_t threads[VPS];

	ck_assert_int_eq(start_client(0, VPS - 1), 0);
	for (uintptr_t i = 1; i < VPS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	worker(NULL);
	for (uintptr_t i = 1; i < VPS; i++)
		pthread_join(threads[i], NULL);
	machine_be_vp(0);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
}
END_TEST

START_TEST(what_a_device_refuses)
{
	static const struct {
		uint8_t lun, key, asc;
		uint8_t cdb[16];
	} rows[] = {
		{ 0, 5, 0x20, { 0xc1 } },                       /* no such command */
		{ 0, 5, 0x21, { 0x88, 0, 0xff } },              /* far beyond the end */
		{ 0, 5, 0x21, { 0x88, [8] = 0x40, [13] = 1 } }, /* just beyond it */
		{ 0, 5, 0x24, { 0x12, 0, 0x83, 0, 36 } },       /* a page without EVPD */
	};
	struct storvsc_request req = { .cdb_length = 16, .data_in = VSTOR_DATA_IN };
	uint8_t *buf = m.env.pages_alloc(&m, 1);

	ck_assert_int_eq(start_client(0, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		memcpy(req.cdb, rows[i].cdb, sizeof(req.cdb));
		req.cdb_length = rows[i].cdb[0] == 0x12 ? 6 : 16;
		req.data = buf;
		req.data_len = BLOCK;
		ck_assert_int_eq(storvsc_exec(&sc, 0, &req), 0);
		ck_assert_uint_eq(req.scsi_status, 2);
		ck_assert_uint_gt(req.sense_len, 12);
		ck_assert_uint_eq(SENSE_KEY(&req), rows[i].key);
		ck_assert_uint_eq(SENSE_ASC(&req), rows[i].asc);
	}
	req = (struct storvsc_request){ .cdb_length = 6, .lun = 9 };
	req.data_in = VSTOR_DATA_NONE;
	ck_assert_int_eq(storvsc_exec(&sc, 0, &req), 0);
	ck_assert_uint_ne(req.srb_status, VSTOR_SRB_SUCCESS);
	m.env.pages_free(&m, buf, 1);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
}
END_TEST

START_TEST(unmapped_blocks_are_zeros)
{
	uint8_t *buf = m.env.pages_alloc(&m, 16);

	ck_assert_int_eq(start_client(0, 0), 0);
	memset(buf, 0xaa, 16 * CORE_PAGE_SIZE);
	rw(0, true, 1 << 20, buf, 16 * CORE_PAGE_SIZE);
	ck_assert_int_eq(storvsc_unmap(&sc, 0, (1 << 20) / BLOCK, 64), 0);
	rw(0, false, 1 << 20, buf, 16 * CORE_PAGE_SIZE);
	for (uint32_t i = 0; i < 16 * CORE_PAGE_SIZE; i++)
		ck_assert_uint_eq(buf[i], i < 64 * BLOCK ? 0 : 0xaa);
	m.env.pages_free(&m, buf, 16);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
}
END_TEST

static bool told(void *arg)
{
	ck_assert_int_ge(storvsc_poll(&sc, 0), 0);
	return sc.bus_changes > *(unsigned int *)arg;
}

START_TEST(units_come_and_go)
{
	unsigned int before = 0;
	uint64_t luns;

	ck_assert_int_eq(start_client(0, 0), 0);
	ck_assert_int_eq(storvsc_report_luns(&sc, &luns), 0);
	ck_assert_uint_eq(luns, 1);
	machine_on_loop(&m, add_unit, (void *)63);
	machine_until(&m, told, &before);
	ck_assert_int_eq(storvsc_report_luns(&sc, &luns), 0);
	ck_assert_uint_eq(luns, 1 | 1ull << 63);
	before = sc.bus_changes;
	machine_on_loop(&m, remove_unit, (void *)63);
	machine_until(&m, told, &before);
	ck_assert_int_eq(storvsc_report_luns(&sc, &luns), 0);
	ck_assert_uint_eq(luns, 1);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
}
END_TEST

static void grow(struct machine *machine, void *arg)
{
	struct scsi_dev *dev = storvsp_unit(server, 0);

	ck_assert_int_eq(disk_resize(scsi_disk_disk(dev), 2 * DISK_BYTES), 0);
	scsi_dev_attention(dev, SCSI_UA_CAPACITY_CHANGED);
	storvsp_rescan(server);
	scsi_dev_unref(dev);
}

/* The guest is told to look, hears why with its next command, and finds the new size, to its last block. */
START_TEST(disk_grows)
{
	struct storvsc_request req = { .cdb_length = 6, .data_in = VSTOR_DATA_NONE };
	uint8_t *buf = m.env.pages_alloc(&m, 1);
	unsigned int before = 0;
	uint64_t blocks;
	uint32_t block;

	ck_assert_int_eq(start_client(0, 0), 0);
	machine_on_loop(&m, grow, NULL);
	machine_until(&m, told, &before);
	ck_assert_int_eq(storvsc_exec(&sc, 0, &req), 0);
	ck_assert_uint_eq(req.srb_status, VSTOR_SRB_ABORTED);
	ck_assert_uint_eq(SENSE_KEY(&req), 6);
	ck_assert_uint_eq(SENSE_ASC(&req), 0x2a);
	ck_assert_uint_eq(req.sense[13], 9);
	ck_assert_int_eq(storvsc_read_capacity(&sc, 0, &blocks, &block), 0);
	ck_assert_uint_eq(blocks, 2 * DISK_BYTES / BLOCK);
	memset(buf, 0x77, BLOCK);
	rw(0, true, 2 * DISK_BYTES - BLOCK, buf, BLOCK);
	ck_assert_int_eq(pread(disk_fd, buf + BLOCK, BLOCK, 2 * DISK_BYTES - BLOCK),
			 BLOCK);
	ck_assert_mem_eq(buf, buf + BLOCK, BLOCK);
	m.env.pages_free(&m, buf, 1);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
}
END_TEST

static struct storvsp *peer;

/* Another VM's controller with the same disk: for its reservations it is another initiator. */
static void share_with_peer(struct machine *machine, void *arg)
{
	struct scsi_dev *dev[2];
	int fds[2] = { memfd_create("reservations", MFD_CLOEXEC) };
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	fds[1] = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fds[1], 0);
	for (uint8_t i = 0; i < 2; i++) {
		const struct raw_params params = { .fd = dup(disk_fd) };
		const struct guid id = { { 9, i } };
		struct disk *d;

		ck_assert_int_eq(raw_open(&params, &d), 0);
		ck_assert_int_eq(scsi_disk_new(d, &dev[i]), 0);
		ck_assert_int_eq(scsi_disk_share(dev[i], &id, fds[i]), 0);
	}
	ck_assert_int_eq(storvsp_attach(server, 1, dev[0]), 0);
	ck_assert_int_eq(storvsp_attach(peer, 1, dev[1]), 0);
}

static void add_peer(struct machine *machine, void *arg)
{
	const struct storvsp_params params = { .bus = m.vmbus,
					       .loop = m.loop,
					       .controller = 1,
					       .instance = { { 1, 2, 4 } } };

	ck_assert_int_eq(storvsp_new(&params, &peer), 0);
	share_with_peer(machine, arg);
}

static void remove_peer(struct machine *machine, void *arg)
{
	storvsp_remove(peer, on_gone, NULL);
}

/* One service action of PERSISTENT RESERVE OUT: the SCSI status. */
static uint8_t reserve_out(struct storvsc *c, uint8_t action, uint8_t type, uint8_t key,
			   uint8_t action_key, uint8_t *buf)
{
	struct storvsc_request req = { .lun = 1,
				       .cdb = { 0x5f, action, type, [8] = 24 },
				       .cdb_length = 10,
				       .data_in = VSTOR_DATA_OUT,
				       .data = buf,
				       .data_len = 24 };

	memset(buf, 0, 24);
	buf[7] = key;
	buf[15] = action_key;
	ck_assert_int_eq(storvsc_exec(c, 0, &req), 0);
	return req.scsi_status;
}

static struct storvsc_request write_block(struct storvsc *c, uint8_t *buf)
{
	struct storvsc_request req;

	storvsc_prepare_rw(&req, 1, true, 0, 1, buf, BLOCK);
	ck_assert_int_eq(storvsc_exec(c, 0, &req), 0);
	return req;
}

START_TEST(two_initiators)
{
	uint8_t *buf = m.env.pages_alloc(&m, 1);
	struct storvsc_request req;
	struct storvsc other;
	struct chan *ch;

	machine_on_loop(&m, add_peer, NULL);
	ck_assert_int_eq(start_client(0, 0), 0);
	ch = bus_find(&m.bus, storvsc_type, sc.queue[0].ch);
	ck_assert_ptr_nonnull(ch);
	ck_assert_int_eq(storvsc_start(&other, &m.bus, ch, 0, 0, VPS), 0);
	ck_assert_uint_eq(reserve_out(&sc, 0, 0, 0, 1, buf), SCSI_GOOD);
	ck_assert_uint_eq(reserve_out(&other, 0, 0, 0, 2, buf), SCSI_GOOD);
	ck_assert_uint_eq(reserve_out(&sc, 1, 1, 1, 0, buf), SCSI_GOOD);
	req = write_block(&other, buf);
	ck_assert_uint_eq(req.scsi_status, SCSI_RESERVATION_CONFLICT);
	ck_assert_uint_eq(req.srb_status, VSTOR_SRB_ERROR);
	ck_assert_uint_eq(write_block(&sc, buf).scsi_status, SCSI_GOOD);
	ck_assert_uint_eq(reserve_out(&other, 5, 1, 2, 1, buf), SCSI_GOOD);
	ck_assert_uint_eq(write_block(&sc, buf).scsi_status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(write_block(&sc, buf).scsi_status, SCSI_RESERVATION_CONFLICT);
	ck_assert_uint_eq(write_block(&other, buf).scsi_status, SCSI_GOOD);
	m.env.pages_free(&m, buf, 1);
	ck_assert_int_eq(storvsc_stop(&other), 0);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
	machine_disconnect(&m);
	gone = false;
	machine_on_loop(&m, remove_peer, NULL);
	while (!gone)
		machine_on_loop(&m, no_act, NULL);
	machine_connect(&m, 0);
}
END_TEST

/* The guest leaves in the midst of it: nothing hangs, and it can come back. */
START_TEST(close_with_requests_under_way)
{
	static struct storvsc_request reqs[32];
	uint8_t *buf = m.env.pages_alloc(&m, 32 * 16);

	for (int round = 0; round < 10; round++) {
		ck_assert_int_eq(start_client(0, 0), 0);
		for (uint32_t i = 0; i < 32; i++) {
			storvsc_prepare_rw(&reqs[i], 0, i & 1, i * 128, 128,
					   buf + (size_t)i * (64 << 10), 64 << 10);
			ck_assert_int_eq(storvsc_submit(&sc, 0, &reqs[i]), 0);
		}
		ck_assert_int_eq(storvsc_stop(&sc), 0);
	}
	m.env.pages_free(&m, buf, 32 * 16);
}
END_TEST

/* Packets that no driver sends; whatever the answer, the controller works after a reopen. */
static const struct {
	const char *what;
	struct vstor_packet p;
	size_t len;
} hostile[] = {
	{ "empty", { .operation = VSTOR_EXECUTE_SRB }, 0 },
	{ "8 bytes", { .operation = VSTOR_EXECUTE_SRB }, 8 },
	{ "47 bytes", { .operation = VSTOR_EXECUTE_SRB }, 47 },
	{ "operation 0", { .operation = 0 }, 64 },
	{ "operation huge", { .operation = UINT32_MAX }, 64 },
	{ "a completion", { .operation = VSTOR_COMPLETE_IO }, 64 },
	{ "begin again", { .operation = VSTOR_BEGIN_INITIALIZATION }, 64 },
	{ "version late", { .operation = VSTOR_QUERY_PROTOCOL_VERSION }, 64 },
	{ "65535 sub-channels",
	  { .operation = VSTOR_CREATE_SUB_CHANNELS, .sub_channel_count = UINT16_MAX },
	  64 },
	{ "CDB of 255 bytes",
	  { .operation = VSTOR_EXECUTE_SRB, .srb = { .cdb_length = 255 } },
	  64 },
	{ "CDB of 0 bytes", { .operation = VSTOR_EXECUTE_SRB }, 64 },
	{ "LUN 255",
	  { .operation = VSTOR_EXECUTE_SRB, .srb = { .lun = 255, .cdb_length = 6 } },
	  64 },
	{ "path and target 255",
	  { .operation = VSTOR_EXECUTE_SRB,
	    .srb = { .path_id = 255, .target_id = 255, .cdb_length = 6 } },
	  64 },
	{ "data without ranges",
	  { .operation = VSTOR_EXECUTE_SRB,
	    .srb = { .cdb_length = 6,
		     .data_in = VSTOR_DATA_IN,
		     .data_transfer_length = 36,
		     .cdb = { 0x12, 0, 0, 0, 36 } } },
	  64 },
	{ "4 GiB without ranges",
	  { .operation = VSTOR_EXECUTE_SRB,
	    .srb = { .cdb_length = 16,
		     .data_in = VSTOR_DATA_OUT,
		     .data_transfer_length = UINT32_MAX,
		     .cdb = { 0x8a, [10] = 0xff } } },
	  64 },
	{ "direction 7",
	  { .operation = VSTOR_EXECUTE_SRB, .srb = { .cdb_length = 6, .data_in = 7 } },
	  64 },
	{ "reset of LUN 255",
	  { .operation = VSTOR_RESET_LUN, .srb = { .lun = 255 } },
	  64 },
	{ "Fibre Channel", { .operation = VSTOR_FCHBA_DATA }, 64 },
};

/* The server has taken all that was sent, or has stopped listening. */
static bool is_taken(void *arg)
{
	const struct cring *ring = &sc.queue[0].ch->ring;
	struct channel_stats stats;

	channel_stats(vsp_primary(storvsp_vsp(server)), &stats);
	return stats.faults || cring_out_free(ring) == ring->out.size;
}

START_TEST(hostile_packets)
{
	uint8_t inquiry[36];

	ck_assert_int_eq(start_client(0, 0), 0);
	for (int flags = 0; flags < 2; flags++)
		ck_assert_int_eq(chan_send(sc.queue[0].ch, (uint16_t)flags, 1,
					   &hostile[_i].p, hostile[_i].len),
				 0);
	machine_until(&m, is_taken, NULL);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
	ck_assert_int_eq(start_client(0, 1), 0);
	ck_assert_int_eq(storvsc_inquiry(&sc, 0, inquiry, sizeof(inquiry)), 0);
	ck_assert_int_eq(storvsc_stop(&sc), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("loop/storvsc");
	TCase *t = tcase_create("storvsc"), *engines = tcase_create("engines");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_version, 0, ARRAY_SIZE(versions));
	tcase_add_test(t, commands_are_counted);
	tcase_add_test(t, all_queues_at_once);
	tcase_add_test(t, what_a_device_refuses);
	tcase_add_test(t, unmapped_blocks_are_zeros);
	tcase_add_test(t, units_come_and_go);
	tcase_add_test(t, disk_grows);
	tcase_add_test(t, two_initiators);
	tcase_add_test(t, close_with_requests_under_way);
	tcase_add_loop_test(t, hostile_packets, 0, ARRAY_SIZE(hostile));
	suite_add_tcase(s, t);
	tcase_set_timeout(engines, 120);
	tcase_add_test(engines, random_pieces_auto);
	tcase_add_test(engines, random_pieces_threads);
	suite_add_tcase(s, engines);
	return s;
}

TEST_MAIN(suite)
