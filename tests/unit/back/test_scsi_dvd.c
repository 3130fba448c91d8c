/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/scsi.h"

#include <errno.h>
#include "unit/back/fake_disk.h"
#include "unit/back/scsi_run.h"
#include "unit/test.h"

#define SECTORS 512u
#define BYTES (SECTORS * 2048u + 1024u) /* the half sector at the end is not told */

static struct scsi_target target;
static struct scsi_dev *dvd;
static struct fake_disk *fake;
static struct scsi_run run;
static unsigned int closed;

static const struct guid id = { { 1, 2, 3 } };

static struct fake_disk *medium(uint64_t bytes)
{
	struct fake_disk *f = fake_disk_new(bytes, NULL);

	f->closed = &closed;
	return f;
}

static void setup(void)
{
	closed = 0;
	scsi_target_init(&target);
	fake = medium(BYTES);
	ck_assert_int_eq(scsi_dvd_new(&fake->disk, &id, &dvd), 0);
	ck_assert_int_eq(scsi_target_attach(&target, 0, dvd), 0);
}

static void teardown(void)
{
	scsi_target_done(&target);
	ck_assert_uint_ge(closed, 1);
}

#define IN SCSI_DATA_IN
#define NONE SCSI_DATA_NONE
#define FIELD SCSI_INVALID_FIELD_IN_CDB
#define RANGE SCSI_LBA_OUT_OF_RANGE
#define OPCODE SCSI_INVALID_OPCODE
#define ABSENT SCSI_MEDIUM_NOT_PRESENT

/* `sense` with a medium, `empty` without. */
static const struct {
	const char *name;
	uint8_t cdb[16];
	uint8_t cdb_bytes;
	enum scsi_data dir;
	uint32_t bytes;
	unsigned int sense, empty;
} rows[] = {
	{ "WRITE (10)", { 0x2a }, 10, SCSI_DATA_OUT, 2048, OPCODE, OPCODE },
	{ "READ (16)", { 0x88 }, 16, IN, 2048, OPCODE, OPCODE },
	{ "UNMAP",
	  { 0x42, 0, 0, 0, 0, 0, 0, 0, 8 },
	  10,
	  SCSI_DATA_OUT,
	  8,
	  OPCODE,
	  OPCODE },
	{ "BLANK", { 0xa1 }, 12, NONE, 0, OPCODE, OPCODE },
	{ "a short CDB", { 0x28 }, 9, IN, 2048, FIELD, FIELD },
	{ "read at the end",
	  { 0x28, 0, 0, 0, 2, 0, 0, 0, 1 },
	  10,
	  IN,
	  2048,
	  RANGE,
	  ABSENT },
	{ "read over the end",
	  { 0xa8, 0, 0, 0, 1, 0xff, 0, 0, 0, 2 },
	  12,
	  IN,
	  4096,
	  RANGE,
	  ABSENT },
	{ "read that wraps",
	  { 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	  12,
	  IN,
	  4096,
	  RANGE,
	  ABSENT },
	{ "read into too little",
	  { 0x28, 0, 0, 0, 0, 0, 0, 0, 2 },
	  10,
	  IN,
	  4095,
	  FIELD,
	  ABSENT },
	{ "read into nothing",
	  { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 },
	  10,
	  NONE,
	  0,
	  FIELD,
	  ABSENT },
	{ "read that writes",
	  { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 },
	  10,
	  SCSI_DATA_OUT,
	  2048,
	  FIELD,
	  ABSENT },
	{ "READ TOC of a format",
	  { 0x43, 0, 2, 0, 0, 0, 0, 1, 0 },
	  10,
	  IN,
	  256,
	  FIELD,
	  ABSENT },
	{ "READ TOC of a track",
	  { 0x43, 0, 0, 0, 0, 0, 2, 1, 0 },
	  10,
	  IN,
	  256,
	  FIELD,
	  ABSENT },
	{ "GET CONFIGURATION of a type",
	  { 0x46, 3, 0, 0, 0, 0, 0, 1, 0 },
	  10,
	  IN,
	  256,
	  FIELD,
	  FIELD },
	{ "events not polled",
	  { 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8 },
	  10,
	  IN,
	  8,
	  FIELD,
	  FIELD },
	{ "READ DISC INFORMATION of tracks",
	  { 0x51, 1, 0, 0, 0, 0, 0, 0, 34 },
	  10,
	  IN,
	  34,
	  FIELD,
	  FIELD },
	{ "MODE SENSE of a page that is none",
	  { 0x5a, 0, 8, 0, 0, 0, 0, 1, 0 },
	  10,
	  IN,
	  256,
	  FIELD,
	  FIELD },
	{ "INQUIRY of a page that is none",
	  { 0x12, 1, 0xb0, 0, 64 },
	  6,
	  IN,
	  64,
	  FIELD,
	  FIELD },
	{ "TEST UNIT READY", { 0 }, 6, NONE, 0, 0, ABSENT },
	{ "READ CAPACITY", { 0x25 }, 10, IN, 8, 0, ABSENT },
	{ "READ DISC INFORMATION",
	  { 0x51, 0, 0, 0, 0, 0, 0, 0, 34 },
	  10,
	  IN,
	  34,
	  0,
	  ABSENT },
	{ "READ TOC", { 0x43, 0, 0, 0, 0, 0, 0, 1, 0 }, 10, IN, 256, 0, ABSENT },
	{ "nothing to read", { 0x28 }, 10, NONE, 0, 0, ABSENT },
	{ "PREVENT ALLOW", { 0x1e, 0, 0, 0, 1 }, 6, NONE, 0, 0, 0 },
	{ "MECHANISM STATUS", { 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8 }, 12, IN, 8, 0, 0 },
	{ "START", { 0x1b, 0, 0, 0, 1 }, 6, NONE, 0, 0, 0 },
};

START_TEST(refuses)
{
	ck_assert_msg(scsi_run(&run, &target, 0, rows[_i].cdb, rows[_i].cdb_bytes,
			       rows[_i].dir, rows[_i].bytes) == rows[_i].sense,
		      "%s: %06x", rows[_i].name, scsi_run_sense(&run));
	ck_assert_int_eq(scsi_dvd_change(dvd, NULL), 0);
	ck_assert_msg(scsi_run(&run, &target, 0, rows[_i].cdb, rows[_i].cdb_bytes,
			       rows[_i].dir, rows[_i].bytes) == rows[_i].empty,
		      "%s, empty: %06x", rows[_i].name, scsi_run_sense(&run));
}
END_TEST

START_TEST(any_opcode_ends_once)
{
	static const uint8_t fill[] = { 0x00, 0x01, 0x02, 0x7f, 0xff };

	for (unsigned int i = 0; i < 256 * ARRAY_SIZE(fill); i++) {
		for (int dir = NONE; dir <= SCSI_DATA_OUT; dir++) {
			uint8_t cdb[16];

			memset(cdb, fill[i / 256], sizeof(cdb));
			cdb[0] = (uint8_t)i;
			scsi_run(&run, &target, 0, cdb, 16, (enum scsi_data)dir,
				 dir == NONE ? 0 : 3);
			scsi_run(&run, &target, 0, cdb, 16, (enum scsi_data)dir,
				 dir == NONE ? 0 : 3000);
		}
	}
}
END_TEST

START_TEST(refuses_media)
{
	struct fake_disk *tiny = medium(1024);
	struct scsi_dev *other;
	struct fake_disk *disk = medium(4096);

	ck_assert_int_eq(scsi_dvd_new(&tiny->disk, &id, &other), -EINVAL);
	ck_assert_int_eq(scsi_dvd_change(dvd, &tiny->disk), -EINVAL);
	ck_assert_int_eq(scsi_disk_new(&disk->disk, &other), 0);
	ck_assert_int_eq(scsi_dvd_change(other, NULL), -EINVAL);
	ck_assert(!scsi_dvd_loaded(other));
	ck_assert(scsi_dvd_loaded(dvd));
	scsi_dev_unref(other);
	disk_unref(&tiny->disk);
}
END_TEST

START_TEST(reads)
{
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0x28, 0, 0, 0, 0, 3, 0, 0, 5, 0),
				   IN, 5 * 2048 + 9),
			  0);
	ck_assert_uint_eq(run.cmd.transferred, 5 * 2048);
	ck_assert(memcmp(run.data, fake->bytes + 3 * 2048, 5 * 2048) == 0);
	ck_assert_uint_eq(scsi_run(&run, &target, 0,
				   CDB(0xa8, 0, 0, 0, 1, 0xff, 0, 0, 0, 1, 0, 0), IN,
				   2048),
			  0);
	ck_assert(memcmp(run.data, fake->bytes + (SECTORS - 1) * 2048, 2048) == 0);
	fake->fail = -EIO;
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0x28, 0, 0, 0, 0, 3, 0, 0, 1, 0),
				   IN, 2048),
			  SCSI_UNRECOVERED_READ_ERROR);
}
END_TEST

START_TEST(tells_of_drive_and_medium)
{
	static const uint8_t toc[] = { 0, 18, 1, 1,    0,    0x14, 1, 0, 0, 0,
				       0, 0,  0, 0x14, 0xaa, 0,    0, 0, 2, 0 };

	scsi_run(&run, &target, 0, CDB(0x12, 0, 0, 0, 36, 0), IN, 36);
	ck_assert_mem_eq(run.data, ((uint8_t[]){ 5, 0x80 }), 2);
	ck_assert_mem_eq(run.data + 16, "Virtual DVD-ROM ", 16);
	scsi_run(&run, &target, 0, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), IN, 8);
	ck_assert_uint_eq(be32_get(run.data), SECTORS - 1);
	ck_assert_uint_eq(be32_get(run.data + 4), 2048);
	scsi_run(&run, &target, 0, CDB(0x43, 0, 0, 0, 0, 0, 0, 1, 0, 0), IN, 256);
	ck_assert_uint_eq(run.cmd.transferred, sizeof(toc));
	ck_assert_mem_eq(run.data, toc, sizeof(toc));
	scsi_run(&run, &target, 0, CDB(0x43, 2, 1, 0, 0, 0, 0, 1, 0, 0), IN, 256);
	ck_assert_uint_eq(run.cmd.transferred, 12);
	ck_assert_mem_eq(run.data + 8, ((uint8_t[]){ 0, 0, 2, 0 }), 4);
	scsi_run(&run, &target, 0, CDB(0x43, 2, 0, 0, 0, 0, 0xaa, 1, 0, 0), IN, 256);
	ck_assert_uint_eq(run.cmd.transferred, 12);
	ck_assert_mem_eq(run.data + 8, ((uint8_t[]){ 0, 0, 8, 62 }), 4); /* 662 frames */
	scsi_run(&run, &target, 0, CDB(0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0), IN, 34);
	ck_assert_mem_eq(run.data, ((uint8_t[]){ 0, 32, 0x0e, 1, 1, 1, 1 }), 7);
	scsi_run(&run, &target, 0, CDB(0x1a, 0, 0x2a, 0, 255, 0), IN, 255);
	ck_assert_uint_eq(run.cmd.transferred, 24);
	ck_assert_uint_eq(run.data[2], 0x80);
	ck_assert_uint_eq(run.data[4], 0x2a);
}
END_TEST

static unsigned int configuration(uint8_t rt, uint8_t from)
{
	ck_assert_uint_eq(scsi_run(&run, &target, 0,
				   CDB(0x46, rt, 0, from, 0, 0, 0, 1, 0, 0), IN, 256),
			  0);
	ck_assert_uint_eq(be32_get(run.data) + 4, run.cmd.transferred);
	return be16_get(run.data + 6);
}

START_TEST(tells_its_features)
{
	unsigned int n = 0;

	ck_assert_uint_eq(configuration(0, 0), MMC_PROFILE_CD_ROM);
	for (size_t at = 8; at < run.cmd.transferred; at += 4u + run.data[at + 3]) {
		ck_assert(run.data[at + 2] & 1);
		n++;
	}
	ck_assert_uint_eq(n, 7);
	ck_assert_mem_eq(run.data + 12, ((uint8_t[]){ 0, 0x10, 0, 0, 0, 8, 1, 0 }), 8);
	configuration(2, 0x10);
	ck_assert_uint_eq(run.cmd.transferred, 8 + 12);
	configuration(2, 0x11);
	ck_assert_uint_eq(run.cmd.transferred, 8);
	ck_assert_int_eq(scsi_dvd_change(dvd, NULL), 0);
	ck_assert_uint_eq(configuration(1, 0), 0);
	ck_assert_uint_eq(run.cmd.transferred, 8 + 12 + 12 + 8 + 8);
}
END_TEST

/* The event and the status of the media class. */
static unsigned int event(void)
{
	ck_assert_uint_eq(scsi_run(&run, &target, 0,
				   CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), IN, 8),
			  0);
	ck_assert_mem_eq(run.data, ((uint8_t[]){ 0, 6, 4, 0x10 }), 4);
	return (unsigned int)run.data[4] << 8 | run.data[5];
}

START_TEST(media_come_and_go)
{
	struct fake_disk *next = medium(8192);

	ck_assert_uint_eq(event(), MMC_MEDIA_PRESENT);
	ck_assert_int_eq(scsi_dvd_change(dvd, NULL), 0);
	ck_assert_uint_eq(closed, 1);
	ck_assert_uint_eq(event(), MMC_EVENT_MEDIA_REMOVAL << 8);
	ck_assert_uint_eq(event(), 0);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0, 0, 0, 0, 0, 0), NONE, 0),
			  ABSENT);
	ck_assert_int_eq(scsi_dvd_change(dvd, &next->disk), 0);
	ck_assert_uint_eq(event(), MMC_EVENT_NEW_MEDIA << 8 | MMC_MEDIA_PRESENT);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0, 0, 0, 0, 0, 0), NONE, 0),
			  SCSI_MEDIUM_CHANGED);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0, 0, 0, 0, 0, 0), NONE, 0), 0);
	scsi_run(&run, &target, 0, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), IN, 8);
	ck_assert_uint_eq(be32_get(run.data), 3);
	scsi_run(&run, &target, 0, CDB(0x4a, 1, 0, 0, 2, 0, 0, 0, 8, 0), IN, 8);
	ck_assert_mem_eq(run.data, ((uint8_t[]){ 0, 2, 0x80, 0x10 }), 4);
}
END_TEST

START_TEST(the_guest_locks_and_ejects)
{
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 1, 0), NONE, 0);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0x1b, 0, 0, 0, 2, 0), NONE, 0),
			  SCSI_MEDIUM_REMOVAL_PREVENTED);
	ck_assert(scsi_dvd_loaded(dvd));
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 0, 0), NONE, 0);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0x1b, 0, 0, 0, 2, 0), NONE, 0),
			  0);
	ck_assert(!scsi_dvd_loaded(dvd));
	ck_assert_uint_eq(closed, 1);
	ck_assert_uint_eq(event(), MMC_EVENT_MEDIA_REMOVAL << 8 | MMC_MEDIA_TRAY_OPEN);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0, 0, 0, 0, 0, 0), NONE, 0),
			  SCSI_MEDIUM_NOT_PRESENT_TRAY_OPEN);
	scsi_run(&run, &target, 0, CDB(0x1b, 0, 0, 0, 3, 0), NONE, 0);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0, 0, 0, 0, 0, 0), NONE, 0),
			  ABSENT);
}
END_TEST

static unsigned int told;

static void on_ejected(void *opaque)
{
	ck_assert_ptr_eq(opaque, &told);
	ck_assert_uint_eq(closed, 0); /* the medium is still there */
	told++;
}

START_TEST(an_eject_is_told_once)
{
	told = 0;
	dvd->ejected = on_ejected;
	dvd->told_opaque = &told;
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 1, 0), NONE, 0);
	scsi_run(&run, &target, 0, CDB(0x1b, 0, 0, 0, 2, 0), NONE, 0); /* locked */
	scsi_run(&run, &target, 0, CDB(0x1b, 0, 0, 0, 3, 0), NONE, 0); /* load */
	scsi_run(&run, &target, 0, CDB(0x1b, 0, 0, 0, 0, 0), NONE, 0); /* stop */
	ck_assert_uint_eq(told, 0);
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 0, 0), NONE, 0);
	for (int i = 0; i < 3; i++)
		scsi_run(&run, &target, 0, CDB(0x1b, 0, 0, 0, 2, 0), NONE, 0);
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(the_operators_eject_is_a_wish_while_it_is_locked)
{
	struct scsi_dev *disk;

	ck_assert_int_eq(scsi_dvd_ask_eject(dvd), 0);
	ck_assert_uint_eq(event(), MMC_MEDIA_PRESENT);
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 1, 0), NONE, 0);
	ck_assert_int_eq(scsi_dvd_ask_eject(dvd), -EBUSY);
	ck_assert_uint_eq(event(), MMC_EVENT_EJECT_REQUEST << 8 | MMC_MEDIA_PRESENT);
	ck_assert_uint_eq(event(), MMC_MEDIA_PRESENT);
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 0, 0), NONE, 0);
	ck_assert_int_eq(scsi_dvd_ask_eject(dvd), 0);
	ck_assert_int_eq(scsi_dvd_change(dvd, NULL), 0);
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 1, 0), NONE, 0);
	ck_assert_int_eq(scsi_dvd_ask_eject(dvd), 0); /* nothing is in it */
	ck_assert_int_eq(scsi_disk_new(&medium(8192)->disk, &disk), 0);
	ck_assert_int_eq(scsi_dvd_ask_eject(disk), 0);
	scsi_dev_unref(disk);
}
END_TEST

START_TEST(a_lock_does_not_bind_the_operator)
{
	scsi_run(&run, &target, 0, CDB(0x1e, 0, 0, 0, 1, 0), NONE, 0);
	ck_assert_int_eq(scsi_dvd_change(dvd, NULL), 0);
	ck_assert(!scsi_dvd_loaded(dvd));
}
END_TEST

START_TEST(a_medium_goes_with_its_last_read)
{
	fake->hold = true;
	scsi_run_start(&run, &target, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), IN, 2048);
	ck_assert_int_eq(scsi_dvd_change(dvd, NULL), 0);
	ck_assert_uint_eq(closed, 0);
	ck_assert_uint_eq(run.done, 0);
	fake_disk_release(fake);
	ck_assert_uint_eq(run.done, 1);
	ck_assert_uint_eq(scsi_run_sense(&run), 0);
	ck_assert_uint_eq(closed, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("scsi_dvd");
	TCase *t = tcase_create("scsi_dvd");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, any_opcode_ends_once);
	tcase_add_test(t, refuses_media);
	tcase_add_test(t, reads);
	tcase_add_test(t, tells_of_drive_and_medium);
	tcase_add_test(t, tells_its_features);
	tcase_add_test(t, media_come_and_go);
	tcase_add_test(t, the_guest_locks_and_ejects);
	tcase_add_test(t, an_eject_is_told_once);
	tcase_add_test(t, the_operators_eject_is_a_wish_while_it_is_locked);
	tcase_add_test(t, a_lock_does_not_bind_the_operator);
	tcase_add_test(t, a_medium_goes_with_its_last_read);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
