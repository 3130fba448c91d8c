/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that are given back: by a disk's error until the VM is resumed, by its rate until their time; and what a pause, a close, a reset make of them. */
#include <errno.h>
#include <string.h>
#include "unit/back/fake_disk.h"
#include "unit/test.h"
#include "unit/vsp/storvsp/stor_guest.h"

#define BYTES (1u << 20)

static struct stor_guest sg;
static struct gate_disk *disk;
static struct scsi_dev *dev;
static unsigned int closed;
static atomic_int stalled;

static void on_stalled(void *opaque, int r)
{
	atomic_store((atomic_int *)opaque, r);
}

static void setup(void)
{
	closed = 0;
	atomic_store(&stalled, 0);
	stor_guest_init(&sg, AIO_AUTO);
	disk = gate_disk_new(BYTES);
	disk->closed = &closed;
	ck_assert_int_eq(scsi_disk_new(&disk->disk, &dev), 0);
	dev->stalled = on_stalled;
	dev->told_opaque = &stalled;
	ck_assert_int_eq(storvsp_attach(sg.s, 0, dev), 0);
	stor_guest_start(&sg, VSTOR_VERSION_WIN10);
}

static void teardown(void)
{
	stor_guest_done(&sg);
	ck_assert_uint_eq(closed, 1);
}

static uint64_t send_rw(bool write, uint16_t blocks)
{
	struct vstor_packet p = stor_guest_rw(0, write, 8, blocks);
	const struct stor_range range = { .bytes = blocks * 512u,
					  .offset = 512,
					  .gpa = STOR_DATA_GPA };

	return stor_guest_send(&sg, 0, &p, &range, 1);
}

static void wait_waiting(unsigned int n)
{
	while (atomic_load(&disk->waiting) != n)
		bus_guest_poll(&sg.g);
}

static void wait_stalled(int r)
{
	while (atomic_load(&stalled) != r)
		bus_guest_poll(&sg.g);
}

static bool paused;

static void on_paused(void *opaque)
{
	paused = true;
}

static void pause_channel(void)
{
	paused = false;
	vsp_pause(storvsp_vsp(sg.s), on_paused, NULL);
	while (!paused)
		bus_guest_poll(&sg.g);
}

static void expect(uint64_t id, uint8_t srb_status)
{
	struct vstor_packet p;

	ck_assert_uint_eq(stor_guest_recv(&sg, 0, &p), id);
	ck_assert_uint_eq(p.srb.srb_status, srb_status);
}

static bool is_silent(void)
{
	const struct guest_ring *r = &sg.ch[0].ring;

	bus_guest_quiet(&sg.g);
	return r->rx->read_index == r->rx->write_index;
}

/* Which errors stall, by policy; the others the guest sees. */
static const struct {
	int error;
	bool policy, stalls;
} errors[] = {
	{ ENOSPC, false, true }, { EDQUOT, false, true }, { EIO, false, false },
	{ ENOSPC, true, true },  { EIO, true, true },     { ETIMEDOUT, true, true },
	{ ENOMEM, true, false }, { EROFS, true, false },  { EINVAL, true, false },
};

START_TEST(stalls_or_reports)
{
	uint64_t id;
	struct vstor_packet p;

	atomic_store(&dev->stalls_on_io_error, errors[_i].policy);
	id = send_rw(true, 16);
	gate_disk_let(disk, 1, errors[_i].error);
	if (!errors[_i].stalls) {
		ck_assert_uint_eq(stor_guest_recv(&sg, 0, &p), id);
		ck_assert_uint_ne(p.srb.srb_status, VSTOR_SRB_SUCCESS);
		ck_assert_int_eq(atomic_load(&stalled), 0);
		return;
	}
	wait_stalled(-errors[_i].error);
	ck_assert(is_silent());
	pause_channel(); /* with nothing outstanding, although the guest waits */
	storvsp_resume(sg.s);
	wait_waiting(1); /* the same command once more */
	gate_disk_let(disk, 1, 0);
	expect(id, VSTOR_SRB_SUCCESS);
}
END_TEST

/* Every command that can fail for want of room comes back whole, however often. */
START_TEST(tries_again_and_again)
{
	static const uint8_t cdbs[][16] = {
		{ 0x8a, [9] = 8, [13] = 8 },       /* WRITE (16) */
		{ 0x93, 0x08, [9] = 8, [13] = 8 }, /* WRITE SAME (16), UNMAP */
		{ 0x42, [8] = 24 },                /* UNMAP */
		{ 0x91 },                          /* SYNCHRONIZE CACHE (16) */
	};
	static const uint8_t lengths[] = { 16, 16, 10, 16 };
	static const uint32_t bytes[] = { 4096, 512, 24, 0 };
	struct vstor_packet p = { .operation = VSTOR_EXECUTE_SRB };
	const struct stor_range range = { .bytes = bytes[_i], .gpa = STOR_DATA_GPA };
	uint64_t id;

	memset(sg.g.ram + STOR_DATA_GPA, 0, 4096);
	if (cdbs[_i][0] == 0x42)
		memcpy(sg.g.ram + STOR_DATA_GPA,
		       (uint8_t[24]){ 0, 22, 0, 16, [15] = 8, [19] = 8 }, 24);
	p.srb.cdb_length = lengths[_i];
	p.srb.sense_info_length = VSTOR_SENSE_BYTES;
	p.srb.data_in = bytes[_i] ? VSTOR_DATA_OUT : VSTOR_DATA_NONE;
	p.srb.data_transfer_length = bytes[_i];
	memcpy(p.srb.cdb, cdbs[_i], 16);
	id = stor_guest_send(&sg, 0, &p, &range, bytes[_i] ? 1 : 0);
	for (int i = 0; i < 3; i++) {
		atomic_store(&stalled, 0);
		gate_disk_let(disk, 1, ENOSPC);
		wait_stalled(-ENOSPC);
		pause_channel();
		storvsp_resume(sg.s);
	}
	gate_disk_let(disk, 1, 0);
	expect(id, VSTOR_SRB_SUCCESS);
}
END_TEST

START_TEST(close_with_stalled)
{
	send_rw(true, 8);
	gate_disk_let(disk, 1, ENOSPC);
	wait_stalled(-ENOSPC);
	pause_channel();
	stor_guest_close(&sg, 0);
	storvsp_resume(sg.s);
	ck_assert_uint_eq(atomic_load(&disk->waiting), 0);
}
END_TEST

/* A detached disk does not wait for what it refused; the guest then hears that there is none. */
START_TEST(detach_with_stalled)
{
	struct vstor_packet p;
	uint64_t id = send_rw(true, 8);

	gate_disk_let(disk, 1, ENOSPC);
	wait_stalled(-ENOSPC);
	pause_channel();
	ck_assert_int_eq(storvsp_detach(sg.s, 0), 0);
	ck_assert_uint_eq(closed, 1);
	storvsp_resume(sg.s);
	while (stor_guest_recv_any(&sg, 0, &p) != id)
		ck_assert_uint_eq(p.operation, VSTOR_ENUMERATE_BUS);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_INVALID_LUN);
}
END_TEST

/* A command that is executed after a reset would surprise the guest. */
START_TEST(reset_waits_for_stalled)
{
	struct vstor_packet p = { .operation = VSTOR_RESET_LUN };
	uint64_t id = send_rw(true, 8), reset;

	gate_disk_let(disk, 1, ENOSPC);
	wait_stalled(-ENOSPC);
	reset = stor_guest_send(&sg, 0, &p, NULL, 0);
	ck_assert(is_silent());
	pause_channel();
	storvsp_resume(sg.s);
	gate_disk_let(disk, 1, 0);
	expect(id, VSTOR_SRB_SUCCESS);
	ck_assert_uint_eq(stor_guest_recv(&sg, 0, &p), reset);
}
END_TEST

/* At one unit in a thousand seconds nothing comes for a while, until there is another rate. */
START_TEST(waits_for_its_time)
{
	uint64_t first, second;

	atomic_store(&dev->limit.unit_ns, 1000000000000ull);
	gate_disk_let(disk, 100, 0);
	first = send_rw(false, 8);
	expect(first, VSTOR_SRB_SUCCESS);
	second = send_rw(false, 8);
	ck_assert(is_silent());
	pause_channel();
	storvsp_resume(sg.s);
	ck_assert(is_silent());
	throttle_set(&dev->limit, 0);
	storvsp_rates_changed(sg.s);
	expect(second, VSTOR_SRB_SUCCESS);
}
END_TEST

/* All come in the end, in their order, with nobody to wake the thread but its timer. */
START_TEST(keeps_a_rate)
{
	enum { N = 30 };
	uint64_t ids[N];

	throttle_set(&dev->limit, 100);
	gate_disk_let(disk, N, 0);
	for (unsigned int i = 0; i < N; i++)
		ids[i] = send_rw(false, 8);
	for (unsigned int i = 0; i < N; i++)
		expect(ids[i], VSTOR_SRB_SUCCESS);
	ck_assert_uint_eq(atomic_load(&dev->limit.units), N);
}
END_TEST

/* Linux looks behind "aborted" for it, old and new. */
START_TEST(tells_of_another_size)
{
	struct vstor_packet p;
	uint64_t id;

	scsi_dev_attention(dev, SCSI_UA_CAPACITY_CHANGED);
	id = send_rw(false, 1);
	ck_assert_uint_eq(stor_guest_recv(&sg, 0, &p), id);
	ck_assert_uint_eq(p.srb.srb_status,
			  VSTOR_SRB_ABORTED | VSTOR_SRB_AUTOSENSE_VALID);
	ck_assert_uint_eq(p.srb.sense_data[2], SCSI_KEY_UNIT_ATTENTION);
	ck_assert_uint_eq(p.srb.sense_data[12], 0x2a);
	ck_assert_uint_eq(p.srb.sense_data[13], 0x09);
}
END_TEST

/* A disk that does not answer takes no more than its share of the channel: others go on as if it were not there. */
START_TEST(slow_disk_holds_back_no_other)
{
	enum { QUOTA = 384, MORE = 116 };
	struct scsi_dev *other;
	struct vstor_packet p;

	ck_assert_int_eq(scsi_disk_new(&fake_disk_new(BYTES, NULL)->disk, &other), 0);
	ck_assert_int_eq(storvsp_attach(sg.s, 1, other), 0);
	ck_assert_uint_eq(stor_guest_recv_any(&sg, 0, &p), 0);
	for (unsigned int i = 0; i < QUOTA + MORE; i++)
		send_rw(false, 1);
	for (unsigned int i = 0; i < MORE; i++) {
		stor_guest_recv(&sg, 0, &p);
		ck_assert_uint_eq(p.srb.scsi_status, SCSI_BUSY);
		ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_BUSY);
	}
	for (unsigned int i = 0; i < 20; i++) {
		stor_guest_command(&sg, 0, 1, (uint8_t[10]){ 0x28, [8] = 1 }, 10,
				   VSTOR_DATA_IN, 512, &p);
		ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	}
	wait_waiting(QUOTA);
	gate_disk_let(disk, QUOTA, 0);
	for (unsigned int i = 0; i < QUOTA; i++) {
		stor_guest_recv(&sg, 0, &p);
		ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("storvsp");
	TCase *t = tcase_create("hold");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, stalls_or_reports, 0, ARRAY_SIZE(errors));
	tcase_add_loop_test(t, tries_again_and_again, 0, 4);
	tcase_add_test(t, close_with_stalled);
	tcase_add_test(t, detach_with_stalled);
	tcase_add_test(t, reset_waits_for_stalled);
	tcase_add_test(t, waits_for_its_time);
	tcase_add_test(t, keeps_a_rate);
	tcase_add_test(t, tells_of_another_size);
	tcase_add_test(t, slow_disk_holds_back_no_other);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
