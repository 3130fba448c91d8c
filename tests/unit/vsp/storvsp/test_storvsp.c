/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller from the guest's side of the bus: hostile commands, answers, resets, hot plug, closing under load. */
#include "vsp/storvsp/storvsp.h"

#include <errno.h>
#include <string.h>
#include "unit/back/fake_disk.h"
#include "unit/test.h"
#include "unit/vsp/storvsp/stor_guest.h"

#define BYTES (1u << 20)

static struct stor_guest sg;
static struct fake_disk *fake;
static unsigned int closed;

static void attach_disk(unsigned int lun, struct disk *disk)
{
	struct scsi_dev *dev;

	ck_assert_int_eq(scsi_disk_new(disk, &dev), 0);
	ck_assert_int_eq(storvsp_attach(sg.s, lun, dev), 0);
}

static void begin(void)
{
	closed = 0;
	stor_guest_init(&sg, AIO_AUTO);
	fake = fake_disk_new(BYTES, NULL);
	fake->closed = &closed;
	attach_disk(0, &fake->disk);
}

static void begin_ready(void)
{
	begin();
	stor_guest_start(&sg, VSTOR_VERSION_WIN10);
}

static void end(void)
{
	stor_guest_done(&sg);
	ck_assert_uint_ge(closed, 1);
}

/* Proof of life: the first block comes as it is on the disk. */
static void still_serves(unsigned int ch)
{
	struct vstor_packet p;

	memset(sg.g.ram + STOR_DATA_GPA, 0xee, 512);
	stor_guest_command(&sg, ch, 0, (uint8_t[10]){ 0x28, [8] = 1 }, 10, VSTOR_DATA_IN,
			   512, &p);
	ck_assert_uint_eq(p.status, VSTOR_STATUS_SUCCESS);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	ck_assert_uint_eq(p.srb.data_transfer_length, 512);
	ck_assert(memcmp(sg.g.ram + STOR_DATA_GPA, fake->bytes, 512) == 0);
}

#define NO_RAM 0xd0000000ull
#define REFUSED VSTOR_SRB_INVALID_REQUEST
#define SENSE (VSTOR_SRB_ERROR | VSTOR_SRB_AUTOSENSE_VALID)

/* A READ (10) of one block at unit 0 with one thing wrong. */
static const struct {
	const char *name;
	struct stor_range range;
	uint8_t lun, path, target, cdb_length, data_in, sense_room;
	uint32_t length;
	uint8_t srb_status, sense_length;
	uint32_t moved;
} hostile[] = {
	{ "no CDB", { 512, 0, STOR_DATA_GPA, 0 }, 0, 0, 0, 0, 1, 20, 512, REFUSED, 0, 0 },
	{ "a CDB of 17",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  17,
	  1,
	  20,
	  512,
	  REFUSED,
	  0,
	  0 },
	{ "a CDB of 255",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  255,
	  1,
	  20,
	  512,
	  REFUSED,
	  0,
	  0 },
	{ "a CDB cut short",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  9,
	  1,
	  20,
	  512,
	  SENSE,
	  18,
	  0 },
	{ "pages that are not RAM",
	  { 512, 0, NO_RAM, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  REFUSED,
	  0,
	  0 },
	{ "pages at the end of the world",
	  { 512, 0, ~4095ull, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  REFUSED,
	  0,
	  0 },
	{ "pages that leave RAM",
	  { 8192, 0, BUS_GUEST_BYTES - 4096, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  8192,
	  REFUSED,
	  0,
	  0 },
	{ "more than the largest transfer",
	  { STORVSP_TRANSFER_MAX + 1, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  REFUSED,
	  0,
	  0 },
	{ "data of no direction",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  2,
	  20,
	  512,
	  REFUSED,
	  0,
	  0 },
	{ "data of direction 255",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  255,
	  20,
	  512,
	  REFUSED,
	  0,
	  0 },
	{ "a read that writes",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  0,
	  20,
	  512,
	  SENSE,
	  18,
	  0 },
	{ "less data than a block",
	  { 511, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  SENSE,
	  18,
	  0 },
	{ "a length less than a block",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  511,
	  SENSE,
	  18,
	  0 },
	{ "no length",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  0,
	  SENSE,
	  18,
	  0 },
	{ "a length beyond the data",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  UINT32_MAX,
	  VSTOR_SRB_SUCCESS,
	  0,
	  512 },
	{ "an offset inside the page",
	  { 512, 4095, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  VSTOR_SRB_SUCCESS,
	  0,
	  512 },
	{ "room for no sense",
	  { 511, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  0,
	  512,
	  VSTOR_SRB_ERROR,
	  0,
	  0 },
	{ "room for a little sense",
	  { 511, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  3,
	  512,
	  SENSE,
	  3,
	  0 },
	{ "room for sense without end",
	  { 511, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  0,
	  10,
	  1,
	  255,
	  512,
	  SENSE,
	  18,
	  0 },
	{ "a unit that is not there",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  1,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  VSTOR_SRB_INVALID_LUN,
	  0,
	  0 },
	{ "unit 64",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  64,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  VSTOR_SRB_INVALID_LUN,
	  0,
	  0 },
	{ "unit 255",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  255,
	  0,
	  0,
	  10,
	  1,
	  20,
	  512,
	  VSTOR_SRB_INVALID_LUN,
	  0,
	  0 },
	{ "path 1",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  1,
	  0,
	  10,
	  1,
	  20,
	  512,
	  VSTOR_SRB_INVALID_LUN,
	  0,
	  0 },
	{ "target 255",
	  { 512, 0, STOR_DATA_GPA, 0 },
	  0,
	  0,
	  255,
	  10,
	  1,
	  20,
	  512,
	  VSTOR_SRB_INVALID_LUN,
	  0,
	  0 },
};

START_TEST(hostile_commands)
{
	struct vstor_packet p = stor_guest_rw(hostile[_i].lun, false, 0, 1);
	uint64_t id;

	begin_ready();
	p.srb.path_id = hostile[_i].path;
	p.srb.target_id = hostile[_i].target;
	p.srb.cdb_length = hostile[_i].cdb_length;
	p.srb.data_in = hostile[_i].data_in;
	p.srb.sense_info_length = hostile[_i].sense_room;
	p.srb.data_transfer_length = hostile[_i].length;
	id = stor_guest_send(&sg, 0, &p, &hostile[_i].range, 1);
	ck_assert_uint_eq(stor_guest_recv(&sg, 0, &p), id);
	ck_assert_msg(p.srb.srb_status == hostile[_i].srb_status, "%s: srb %02x",
		      hostile[_i].name, p.srb.srb_status);
	ck_assert_uint_eq(p.status == 0, hostile[_i].srb_status == VSTOR_SRB_SUCCESS);
	ck_assert_uint_eq(p.srb.sense_info_length, hostile[_i].sense_length);
	ck_assert_uint_eq(p.srb.data_transfer_length, hostile[_i].moved);
	still_serves(0);
	end();
}
END_TEST

/* Payloads and types that are no request: the channel is out of service until it is opened again. */
static const struct {
	uint16_t type;
	size_t len;
} breaches[] = {
	{ VM_PKT_DATA_INBAND, 0 },
	{ VM_PKT_DATA_INBAND, 8 },
	{ VM_PKT_DATA_INBAND, 40 },
	{ VM_PKT_DATA_USING_XFER_PAGES, 64 },
	{ VM_PKT_DATA_USING_GPADL, 64 },
	{ VM_PKT_CANCEL_REQUEST, 64 },
	{ 0, 64 },
	{ UINT16_MAX, 64 },
};

START_TEST(breaches_stop_the_channel)
{
	struct vstor_packet p = { .operation = VSTOR_EXECUTE_SRB };
	struct channel_stats st;
	bool doorbell;

	begin_ready();
	ck_assert(guest_ring_send(&sg.ch[0].ring, breaches[_i].type, 1, 5, &p,
				  breaches[_i].len, &doorbell));
	fake_synic_signal(&sg.g.synic, bus_guest_connection(&sg.g, sg.ch[0].relid));
	do {
		bus_guest_poll(&sg.g);
		channel_stats(vsp_primary(storvsp_vsp(sg.s)), &st);
	} while (!st.faults);
	stor_guest_close(&sg, 0);
	stor_guest_start(&sg, VSTOR_VERSION_WIN8_1);
	still_serves(0);
	end();
}
END_TEST

START_TEST(nothing_before_the_end_of_negotiation)
{
	struct vstor_packet p = stor_guest_rw(0, false, 0, 1);

	begin();
	stor_guest_open(&sg, 0);
	stor_guest_exchange(&sg, 0, &p, sizeof(p));
	ck_assert_uint_eq(p.status, VSTOR_STATUS_INVALID_DEVICE_STATE);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_RESET_BUS, 0, NULL),
			  VSTOR_STATUS_INVALID_DEVICE_STATE);
	ck_assert_uint_eq(fake->count[DISK_READ], 0);
	end();
}
END_TEST

START_TEST(no_completion_where_none_is_asked_for)
{
	struct vstor_packet p = { .operation = VSTOR_EXECUTE_SRB,
				  .srb = { .cdb_length = 6,
					   .data_in = VSTOR_DATA_NONE } };

	begin_ready();
	bus_guest_send(&sg.g, &sg.ch[0].ring, sg.ch[0].relid, 0, 99, &p, sizeof(p));
	p.operation = VSTOR_RESET_BUS;
	bus_guest_send(&sg.g, &sg.ch[0].ring, sg.ch[0].relid, 0, 98, &p, sizeof(p));
	stor_guest_command(&sg, 0, 0, (uint8_t[6]){ 0 }, 6, VSTOR_DATA_NONE, 0, &p);
	ck_assert_uint_eq(p.srb.scsi_status, SCSI_CHECK_CONDITION); /* of the reset */
	still_serves(0);
	end();
}
END_TEST

/* Before Windows 8, packets are shorter; answers too. */
START_TEST(old_guests)
{
	struct vstor_packet p = { .operation = VSTOR_BEGIN_INITIALIZATION };

	begin();
	stor_guest_open(&sg, 0);
	ck_assert_uint_eq(stor_guest_exchange(&sg, 0, &p, VSTOR_PACKET_BYTES_WIN7),
			  VSTOR_PACKET_BYTES_WIN7);
	ck_assert_uint_eq(p.status, 0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_QUERY_PROTOCOL_VERSION,
					 VSTOR_VERSION_WIN7, NULL),
			  0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_QUERY_PROPERTIES, 0, &p), 0);
	ck_assert_uint_eq(p.properties.max_channel_count, 0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_END_INITIALIZATION, 0, NULL), 0);
	p = (struct vstor_packet){ .operation = VSTOR_EXECUTE_SRB,
				   .srb = { .cdb_length = 6, .data_in = 2 } };
	ck_assert_uint_eq(stor_guest_exchange(&sg, 0, &p, VSTOR_PACKET_BYTES_WIN7),
			  VSTOR_PACKET_BYTES_WIN7);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	end();
}
END_TEST

/* What Linux' scan does, and what it must find. */
START_TEST(a_scan_finds_what_is_there)
{
	struct vstor_packet p;
	struct scsi_dev *dvd;
	const uint8_t *data;

	begin_ready();
	data = sg.g.ram + STOR_DATA_GPA;
	ck_assert_int_eq(scsi_dvd_new(NULL, &fake->disk.info.id, &dvd), 0);
	ck_assert_int_eq(storvsp_attach(sg.s, 63, dvd), 0);
	ck_assert_int_eq(storvsp_attach(sg.s, 63, dvd), -EEXIST);
	ck_assert_int_eq(storvsp_attach(sg.s, 64, dvd), -EINVAL);
	bus_guest_recv(&sg.g, &sg.ch[0].ring, sg.ch[0].relid, &(struct vmbus_packet){ 0 },
		       &p, sizeof(p), &(size_t){ 0 });
	ck_assert_uint_eq(p.operation, VSTOR_ENUMERATE_BUS);
	for (unsigned int lun = 0; lun < 3; lun++) {
		stor_guest_command(&sg, 0, lun, (uint8_t[6]){ 0x12, 0, 0, 0, 36 }, 6,
				   VSTOR_DATA_IN, 36, &p);
		ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
		ck_assert_uint_eq(data[0], lun ? 0x7f : 0);
	}
	stor_guest_command(&sg, 0, 0, (uint8_t[12]){ 0xa0, [8] = 2 }, 12, VSTOR_DATA_IN,
			   512, &p);
	ck_assert_uint_eq(p.srb.data_transfer_length, 24);
	ck_assert_uint_eq(be32_get(data), 16);
	ck_assert_uint_eq(data[17], 63);
	stor_guest_command(&sg, 0, 63, (uint8_t[6]){ 0 }, 6, VSTOR_DATA_NONE, 0, &p);
	ck_assert_uint_eq(p.srb.srb_status, SENSE);
	ck_assert_uint_eq(p.srb.scsi_status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(p.srb.sense_data[12], 0x3a);
	end();
}
END_TEST

START_TEST(other_targets_have_no_units)
{
	struct vstor_packet p = { .operation = VSTOR_EXECUTE_SRB,
				  .srb = { .target_id = 1,
					   .cdb_length = 12,
					   .data_in = VSTOR_DATA_IN,
					   .data_transfer_length = 512,
					   .cdb = { 0xa0, [8] = 2 } } };
	struct stor_range range = { .bytes = 512, .gpa = STOR_DATA_GPA };

	begin_ready();
	stor_guest_send(&sg, 0, &p, &range, 1);
	stor_guest_recv(&sg, 0, &p);
	ck_assert_uint_eq(p.srb.data_transfer_length, 8);
	ck_assert_uint_eq(be32_get(sg.g.ram + STOR_DATA_GPA), 0);
	end();
}
END_TEST

START_TEST(units_come_and_go)
{
	struct vmbus_packet d;
	struct vstor_packet p;
	struct fake_disk *second = fake_disk_new(BYTES, NULL);
	size_t len;

	begin_ready();
	attach_disk(5, &second->disk);
	bus_guest_recv(&sg.g, &sg.ch[0].ring, sg.ch[0].relid, &d, &p, sizeof(p), &len);
	ck_assert_uint_eq(d.type, VM_PKT_DATA_INBAND);
	ck_assert_uint_eq(d.transaction_id, 0);
	ck_assert_uint_eq(p.operation, VSTOR_ENUMERATE_BUS);
	stor_guest_command(&sg, 0, 5, (uint8_t[6]){ 0 }, 6, VSTOR_DATA_NONE, 0, &p);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	ck_assert_int_eq(storvsp_detach(sg.s, 5), 0);
	ck_assert_int_eq(storvsp_detach(sg.s, 5), -ENOENT);
	bus_guest_recv(&sg.g, &sg.ch[0].ring, sg.ch[0].relid, &d, &p, sizeof(p), &len);
	ck_assert_uint_eq(p.operation, VSTOR_ENUMERATE_BUS);
	stor_guest_command(&sg, 0, 5, (uint8_t[6]){ 0 }, 6, VSTOR_DATA_NONE, 0, &p);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_INVALID_LUN);
	ck_assert_uint_eq(p.status, VSTOR_STATUS_DEVICE_DOES_NOT_EXIST);
	ck_assert_int_eq(storvsp_change_medium(sg.s, 5, NULL), -ENOENT);
	ck_assert_int_eq(storvsp_change_medium(sg.s, 0, NULL), -EINVAL);
	end();
}
END_TEST

START_TEST(sub_channels_serve)
{
	begin_ready();
	stor_guest_start_subs(&sg);
	still_serves(1);
	still_serves(2);
	still_serves(0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 1, VSTOR_BEGIN_INITIALIZATION, 0, NULL),
			  VSTOR_STATUS_INVALID_DEVICE_STATE);
	ck_assert_uint_eq(stor_guest_ask(&sg, 1, VSTOR_CREATE_SUB_CHANNELS, 1, NULL),
			  VSTOR_STATUS_INVALID_DEVICE_STATE);
	end();
}
END_TEST

/* In Windows' order the channels may be there before the controller is up. */
START_TEST(sub_channels_before_the_end)
{
	struct vstor_packet p = stor_guest_rw(0, false, 0, 1);

	begin();
	stor_guest_open(&sg, 0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_BEGIN_INITIALIZATION, 0, NULL), 0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_QUERY_PROTOCOL_VERSION,
					 VSTOR_VERSION_WIN10, NULL),
			  0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_QUERY_PROPERTIES, 0, NULL), 0);
	stor_guest_start_subs(&sg);
	stor_guest_exchange(&sg, 1, &p, sizeof(p));
	ck_assert_uint_eq(p.status, VSTOR_STATUS_INVALID_DEVICE_STATE);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_END_INITIALIZATION, 0, NULL), 0);
	still_serves(1);
	still_serves(0);
	end();
}
END_TEST

static struct gate_disk *gate(unsigned int lun)
{
	struct gate_disk *d = gate_disk_new(BYTES);
	struct vmbus_packet v;
	struct vstor_packet p;
	size_t len;

	d->closed = &closed;
	attach_disk(lun, &d->disk);
	bus_guest_recv(&sg.g, &sg.ch[0].ring, sg.ch[0].relid, &v, &p, sizeof(p), &len);
	ck_assert_uint_eq(p.operation, VSTOR_ENUMERATE_BUS);
	return d;
}

static uint64_t send_read(unsigned int ch, unsigned int lun)
{
	struct vstor_packet p = stor_guest_rw(lun, false, 0, 1);
	struct stor_range range = { .bytes = 512, .gpa = STOR_DATA_GPA };

	return stor_guest_send(&sg, ch, &p, &range, 1);
}

static void wait_waiting(struct gate_disk *d, unsigned int n)
{
	while (atomic_load(&d->waiting) != n)
		bus_guest_poll(&sg.g);
}

/* A reset on one channel waits for a command on another, and for nothing of other units. */
START_TEST(reset_waits)
{
	struct gate_disk *slow, *other;
	struct vstor_packet p = { .operation = VSTOR_RESET_LUN, .srb.lun = 3 };
	uint64_t reset, read;

	begin_ready();
	stor_guest_start_subs(&sg);
	slow = gate(3);
	other = gate(4);
	send_read(1, 4);
	wait_waiting(other, 1);
	reset = stor_guest_send(&sg, 0, &p, NULL, 0); /* nothing runs there: at once */
	ck_assert_uint_eq(stor_guest_recv(&sg, 0, &p), reset);
	ck_assert_uint_eq(p.status, 0);
	stor_guest_command(&sg, 2, 3, (uint8_t[6]){ 0 }, 6, VSTOR_DATA_NONE, 0, &p);
	ck_assert_uint_eq(p.srb.sense_data[2], SCSI_KEY_UNIT_ATTENTION);
	ck_assert_uint_eq(p.srb.sense_data[12], 0x29);
	read = send_read(1, 3);
	wait_waiting(slow, 1);
	p = (struct vstor_packet){ .operation = VSTOR_RESET_LUN, .srb.lun = 3 };
	reset = stor_guest_send(&sg, 0, &p, NULL, 0);
	bus_guest_quiet(&sg.g);
	ck_assert_uint_eq(sg.ch[0].ring.rx->read_index, sg.ch[0].ring.rx->write_index);
	gate_disk_let(slow, 1, 0);
	ck_assert_uint_eq(stor_guest_recv(&sg, 1, &p), read);
	ck_assert_uint_eq(stor_guest_recv(&sg, 0, &p), reset);
	gate_disk_let(other, 1, 0);
	stor_guest_recv(&sg, 1, &p);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_RESET_BUS, 0, NULL), 0);
	ck_assert_uint_eq(stor_guest_ask(&sg, 0, VSTOR_RESET_ADAPTER, 0, NULL), 0);
	p = (struct vstor_packet){ .operation = VSTOR_RESET_LUN, .srb.lun = 64 };
	stor_guest_exchange(&sg, 0, &p, sizeof(p));
	ck_assert_uint_eq(p.status, VSTOR_STATUS_DEVICE_DOES_NOT_EXIST);
	end();
}
END_TEST

/* More commands than a channel holds: the rest waits in the ring, every one is answered once. */
START_TEST(more_than_the_depth)
{
	enum { HALF = 300, N = 2 * HALF, DEPTH = 512 };
	static bool seen[N];
	struct gate_disk *d[2];
	struct vstor_packet p;
	uint64_t first = 0, id = 0;

	memset(seen, 0, sizeof(seen));
	begin_ready();
	d[0] = gate(1);
	d[1] = gate(2);
	for (unsigned int i = 0; i < N; i++) {
		id = send_read(0, 1 + i / HALF);
		if (!i)
			first = id;
		if (i == HALF - 1)
			wait_waiting(d[0], HALF);
	}
	wait_waiting(d[1], DEPTH - HALF);
	bus_guest_quiet(&sg.g);
	ck_assert_uint_eq(atomic_load(&d[1]->waiting), DEPTH - HALF);
	gate_disk_let(d[0], HALF, 0);
	gate_disk_let(d[1], HALF, 0);
	for (unsigned int i = 0; i < N; i++) {
		id = stor_guest_recv(&sg, 0, &p) - first;
		ck_assert_uint_lt(id, N);
		ck_assert(!seen[id]);
		seen[id] = true;
		ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	}
	still_serves(0);
	end();
}
END_TEST

START_TEST(errors_of_the_host)
{
	struct gate_disk *d;
	struct vstor_packet p;

	begin_ready();
	d = gate(1);
	send_read(0, 1);
	gate_disk_let(d, 1, EIO);
	stor_guest_recv(&sg, 0, &p);
	ck_assert_uint_eq(p.srb.srb_status, SENSE);
	ck_assert_uint_eq(p.srb.sense_data[2], SCSI_KEY_MEDIUM_ERROR);
	ck_assert_uint_eq(p.srb.sense_data[12], 0x11);
	send_read(0, 1);
	gate_disk_let(d, 1, ENOMEM);
	stor_guest_recv(&sg, 0, &p);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_BUSY);
	ck_assert_uint_eq(p.srb.scsi_status, SCSI_BUSY);
	ck_assert_uint_eq(p.status, VSTOR_STATUS_DEVICE_BUSY);
	end();
}
END_TEST

/* The guest closes with commands under way: its pages stay lent until they have ended, and the disk goes at the end. */
START_TEST(close_and_detach_under_way)
{
	struct gate_disk *d;

	begin_ready();
	d = gate(1);
	for (unsigned int i = 0; i < 5; i++)
		send_read(0, 1);
	wait_waiting(d, 5);
	bus_guest_close(&sg.g, sg.ch[0].relid);
	ck_assert_int_eq(storvsp_detach(sg.s, 1), 0);
	bus_guest_quiet(&sg.g);
	ck_assert_uint_eq(closed, 0);
	gate_disk_let(d, 5, 0);
	bus_guest_teardown(&sg.g, sg.ch[0].relid, sg.ch[0].gpadl);
	ck_assert_uint_eq(closed, 1);
	stor_guest_start(&sg, VSTOR_VERSION_WIN10);
	still_serves(0);
	end();
}
END_TEST

/* The offer says what Linux binds to. */
START_TEST(offers_itself)
{
	static const uint8_t type[] = VSTOR_SCSI_TYPE;

	begin();
	ck_assert_mem_eq(sg.g.offers[0].interface_type, type, sizeof(type));
	ck_assert_str_eq(channel_name(vsp_primary(storvsp_vsp(sg.s))),
			 "SCSI controller 2");
	end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("storvsp");
	TCase *t = tcase_create("storvsp");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, hostile_commands, 0, ARRAY_SIZE(hostile));
	tcase_add_loop_test(t, breaches_stop_the_channel, 0, ARRAY_SIZE(breaches));
	tcase_add_test(t, nothing_before_the_end_of_negotiation);
	tcase_add_test(t, no_completion_where_none_is_asked_for);
	tcase_add_test(t, old_guests);
	tcase_add_test(t, a_scan_finds_what_is_there);
	tcase_add_test(t, other_targets_have_no_units);
	tcase_add_test(t, units_come_and_go);
	tcase_add_test(t, sub_channels_serve);
	tcase_add_test(t, sub_channels_before_the_end);
	tcase_add_test(t, reset_waits);
	tcase_add_test(t, more_than_the_depth);
	tcase_add_test(t, errors_of_the_host);
	tcase_add_test(t, close_and_detach_under_way);
	tcase_add_test(t, offers_itself);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
