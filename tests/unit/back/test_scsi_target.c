/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/scsi_target.h"

#include <errno.h>
#include "unit/back/fake_disk.h"
#include "unit/back/scsi_run.h"
#include "unit/test.h"

static struct scsi_target target;
static struct scsi_run run;
static unsigned int closed;

static struct fake_disk *attach(unsigned int lun, int want)
{
	struct fake_disk *f = fake_disk_new(1 << 20, NULL);
	struct scsi_dev *dev;

	f->closed = &closed;
	ck_assert_int_eq(scsi_disk_new(&f->disk, &dev), 0);
	ck_assert_int_eq(scsi_target_attach(&target, lun, dev), want);
	if (want)
		scsi_dev_unref(dev);
	return f;
}

static void setup(void)
{
	closed = 0;
	scsi_target_init(&target);
}

static void teardown(void)
{
	scsi_target_done(&target);
}

START_TEST(numbers_are_checked)
{
	attach(64, -EINVAL);
	attach(UINT32_MAX, -EINVAL);
	attach(63, 0);
	attach(63, -EEXIST);
	ck_assert_uint_eq(closed, 3);
	ck_assert_int_eq(scsi_target_detach(&target, 64), -ENOENT);
	ck_assert_int_eq(scsi_target_detach(&target, 0), -ENOENT);
	ck_assert_int_eq(scsi_target_detach(&target, 63), 0);
	ck_assert_uint_eq(closed, 4);
}
END_TEST

static const uint8_t luns[] = { 0, 1, 63, 64, 255 };

START_TEST(what_is_not_there)
{
	unsigned int lun = luns[_i];

	ck_assert_uint_eq(
		scsi_run(&run, &target, lun, CDB(0x12, 0, 0, 0, 36, 0), SCSI_DATA_IN, 36),
		0);
	ck_assert_uint_eq(run.cmd.transferred, 36);
	ck_assert_uint_eq(run.data[0], 0x7f);
	ck_assert(!run.cmd.no_lun);
	ck_assert_uint_eq(
		scsi_run(&run, &target, lun, CDB(0, 0, 0, 0, 0, 0), SCSI_DATA_NONE, 0),
		SCSI_LUN_NOT_SUPPORTED);
	ck_assert(run.cmd.no_lun);
	scsi_run(&run, &target, lun, CDB(0x12, 1, 0, 0, 36, 0), SCSI_DATA_IN, 36);
	ck_assert(run.cmd.no_lun);
	scsi_run(&run, &target, lun, CDB(0x12), SCSI_DATA_IN, 36);
	ck_assert(run.cmd.no_lun);
	ck_assert_uint_eq(
		scsi_run(&run, &target, lun, CDB(0x03, 0, 0, 0, 18, 0), SCSI_DATA_IN, 18),
		0);
	ck_assert_uint_eq(run.data[2], 5);
	ck_assert_uint_eq(run.data[12], 0x25);
}
END_TEST

static void report(unsigned int lun, uint8_t kind, unsigned int want)
{
	ck_assert_uint_eq(scsi_run(&run, &target, lun,
				   CDB(0xa0, 0, kind, 0, 0, 0, 0, 0, 4, 0, 0, 0),
				   SCSI_DATA_IN, 1024),
			  0);
	ck_assert_uint_eq(be32_get(run.data), 8 * want);
	ck_assert_uint_eq(run.cmd.transferred, 8 + 8 * want);
}

START_TEST(reports_its_luns)
{
	report(0, 0, 0);
	attach(1, 0);
	attach(63, 0);
	report(0, 0, 2); /* unit 0 is not there, and answers */
	ck_assert_uint_eq(be64_get(run.data + 8), 1ull << 48);
	ck_assert_uint_eq(be64_get(run.data + 16), 63ull << 48);
	report(1, 2, 2);
	report(1, 1, 0);
	for (unsigned int i = 0; i < 64; i++) {
		if (i != 1 && i != 63)
			attach(i, 0);
	}
	report(0, 0, 64);
}
END_TEST

START_TEST(a_unit_goes_with_its_last_command)
{
	struct fake_disk *f = attach(2, 0);

	f->hold = true;
	scsi_run_start(&run, &target, 2, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
		       SCSI_DATA_IN, 512);
	ck_assert_int_eq(scsi_target_detach(&target, 2), 0);
	ck_assert_uint_eq(closed, 0);
	fake_disk_release(f);
	ck_assert_uint_eq(run.done, 1);
	ck_assert_uint_eq(run.cmd.status, SCSI_GOOD);
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(reset_waits_for_commands)
{
	struct fake_disk *f = attach(2, 0);
	static struct scsi_run other;

	attach(3, 0);
	f->hold = true;
	scsi_run_start(&run, &target, 2, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
		       SCSI_DATA_IN, 512);
	ck_assert(!scsi_target_reset(&target, 2));
	ck_assert(!scsi_target_reset(&target, SCSI_LUNS));
	ck_assert(scsi_target_reset(&target, 3));
	ck_assert(scsi_target_reset(&target, 4));
	ck_assert_uint_eq(
		scsi_run(&other, &target, 3, CDB(0, 0, 0, 0, 0, 0), SCSI_DATA_NONE, 0),
		SCSI_DEVICE_RESET);
	fake_disk_release(f);
	ck_assert(scsi_target_reset(&target, SCSI_LUNS));
	ck_assert_uint_eq(
		scsi_run(&other, &target, 2, CDB(0, 0, 0, 0, 0, 0), SCSI_DATA_NONE, 0),
		SCSI_DEVICE_RESET);
	ck_assert_uint_eq(
		scsi_run(&other, &target, 2, CDB(0, 0, 0, 0, 0, 0), SCSI_DATA_NONE, 0),
		0);
}
END_TEST

#define ROUNDS 20000

static void *hammer(void *arg)
{
	struct scsi_run *mine = arg;

	for (unsigned int i = 0; i < ROUNDS; i++)
		scsi_run_start(mine, &target, 5, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
			       SCSI_DATA_IN, 512);
	return NULL;
}

/* Units come and go under commands of two threads: under TSan and ASan this is the test of the references. */
START_TEST(attach_and_detach_under_load)
{
	static struct scsi_run mine[2];
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, hammer, &mine[i]), 0);
	for (unsigned int i = 0; i < 300; i++) {
		attach(5, 0);
		scsi_target_reset(&target, SCSI_LUNS);
		ck_assert_int_eq(scsi_target_detach(&target, 5), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(closed, 300);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("scsi_target");
	TCase *t = tcase_create("scsi_target");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, numbers_are_checked);
	tcase_add_loop_test(t, what_is_not_there, 0, ARRAY_SIZE(luns));
	tcase_add_test(t, reports_its_luns);
	tcase_add_test(t, a_unit_goes_with_its_last_command);
	tcase_add_test(t, reset_waits_for_commands);
	tcase_add_test(t, attach_and_detach_under_load);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
