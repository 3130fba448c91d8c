/* SPDX-License-Identifier: BSD-2-Clause */
/* Two initiators on one shared disk, each with a target and a descriptor of its own, as two workers are. */
#include "back/scsi_reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "unit/back/fake_disk.h"
#include "unit/back/scsi_run.h"
#include "unit/test.h"

#define BYTES (1u << 20)
#define CONFLICT 0x1000u /* beside senses */

struct side {
	struct scsi_target target;
	struct fake_disk *disk;
	struct scsi_dev *dev;
	struct guid id;
	uint64_t key;
};

static struct side a, b;
static struct scsi_run run, slow;
static int file;

/* A description of its own on the same file: what another process has. */
static int open_again(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void side_begin(struct side *s, uint8_t number)
{
	scsi_target_init(&s->target);
	s->id = (struct guid){ { number, number } };
	s->key = number * 0x11ull;
	s->disk = fake_disk_new(BYTES, NULL);
	ck_assert_int_eq(scsi_disk_new(&s->disk->disk, &s->dev), 0);
	ck_assert_int_eq(scsi_disk_share(s->dev, &s->id, open_again()), 0);
	ck_assert_int_eq(scsi_target_attach(&s->target, 0, s->dev), 0);
}

static void side_end(struct side *s)
{
	scsi_target_done(&s->target);
}

static void setup(void)
{
	file = memfd_create("reservations", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	side_begin(&a, 1);
	side_begin(&b, 2);
}

static void teardown(void)
{
	side_end(&a);
	side_end(&b);
	close(file);
}

static unsigned int outcome(const struct scsi_run *r)
{
	if (r->cmd.status == SCSI_RESERVATION_CONFLICT) {
		ck_assert(!r->cmd.has_sense);
		return CONFLICT;
	}
	ck_assert_uint_ne(r->cmd.status, SCSI_BUSY);
	return scsi_run_sense(r);
}

static void put(uint8_t *p, uint64_t v)
{
	be64_t x = be64(v);

	memcpy(p, &x, sizeof(x));
}

static void start_out(struct scsi_run *r, struct side *s, unsigned int action,
		      uint64_t key, uint64_t action_key, unsigned int type, bool aptpl)
{
	memset(r->data, 0, 24);
	put(r->data, key);
	put(r->data + 8, action_key);
	r->data[20] = aptpl;
	scsi_run_start(r, &s->target, 0,
		       CDB(0x5f, (uint8_t)action, (uint8_t)type, 0, 0, 0, 0, 0, 24, 0),
		       SCSI_DATA_OUT, 24);
}

static unsigned int out(struct side *s, unsigned int action, uint64_t key,
			uint64_t action_key, unsigned int type)
{
	start_out(&run, s, action, key, action_key, type, false);
	ck_assert_uint_eq(run.done, 1);
	return outcome(&run);
}

static unsigned int rw(struct side *s, bool write)
{
	scsi_run_start(&run, &s->target, 0,
		       CDB((uint8_t)(write ? 0x2a : 0x28), 0, 0, 0, 0, 1, 0, 0, 1, 0),
		       write ? SCSI_DATA_OUT : SCSI_DATA_IN, 512);
	ck_assert_uint_eq(run.done, 1);
	return outcome(&run);
}

static void both_register(void)
{
	ck_assert_uint_eq(out(&a, SCSI_PR_REGISTER, 0, a.key, 0), 0);
	ck_assert_uint_eq(out(&b, SCSI_PR_REGISTER, 0, b.key, 0), 0);
}

START_TEST(one_excludes_the_other)
{
	both_register();
	ck_assert_uint_eq(rw(&b, true), 0);
	ck_assert_uint_eq(out(&a, SCSI_PR_RESERVE, a.key, 0, SCSI_PR_WRITE_EXCLUSIVE), 0);
	ck_assert_uint_eq(rw(&a, true), 0);
	ck_assert_uint_eq(rw(&b, true), CONFLICT);
	ck_assert_uint_eq(rw(&b, false), 0);
	ck_assert_uint_eq(out(&b, SCSI_PR_RESERVE, b.key, 0, SCSI_PR_WRITE_EXCLUSIVE),
			  CONFLICT);
	/* As a cluster does that has given up on the other. */
	ck_assert_uint_eq(out(&b, SCSI_PR_PREEMPT, b.key, a.key, SCSI_PR_WRITE_EXCLUSIVE),
			  0);
	ck_assert_uint_eq(rw(&a, true), SCSI_REGISTRATIONS_PREEMPTED);
	ck_assert_uint_eq(rw(&a, true), CONFLICT);
	ck_assert_uint_eq(out(&a, SCSI_PR_RELEASE, a.key, 0, SCSI_PR_WRITE_EXCLUSIVE),
			  CONFLICT);
	ck_assert_uint_eq(rw(&b, true), 0);
	ck_assert_uint_eq(out(&b, SCSI_PR_RELEASE, b.key, 0, SCSI_PR_WRITE_EXCLUSIVE), 0);
	ck_assert_uint_eq(rw(&a, true), 0);
}
END_TEST

START_TEST(both_read_the_same)
{
	both_register();
	for (int i = 0; i < 2; i++) {
		scsi_run_start(&run, i ? &a.target : &b.target, 0,
			       CDB(0x5e, 0, 0, 0, 0, 0, 0, 0, 255, 0), SCSI_DATA_IN, 255);
		ck_assert_uint_eq(outcome(&run), 0);
		ck_assert_uint_eq(run.cmd.transferred, 24);
		ck_assert_uint_eq(be64_get(run.data + 8), a.key);
		ck_assert_uint_eq(be64_get(run.data + 16), b.key);
	}
}
END_TEST

static unsigned int holds;

static void on_hold(struct scsi_cmd *cmd, uint64_t until_ns)
{
	ck_assert_uint_gt(until_ns, 0);
	holds++;
}

/* PREEMPT AND ABORT is done when no command of the preempted one is under way. */
START_TEST(waits_for_the_preempted)
{
	static struct iovec spare[2];
	uint8_t *list = run.data;

	both_register();
	a.disk->hold = true;
	scsi_run_start(&slow, &a.target, 0, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0),
		       SCSI_DATA_OUT, 512);
	ck_assert_uint_eq(slow.done, 0);
	memset(list, 0, 24);
	put(list, b.key);
	put(list + 8, a.key);
	memset(&run.cmd, 0, sizeof(run.cmd));
	memcpy(run.cmd.cdb, ((uint8_t[]){ 0x5f, 5, 1, 0, 0, 0, 0, 0, 24, 0 }), 10);
	run.cmd.cdb_bytes = 10;
	run.cmd.data = SCSI_DATA_OUT;
	run.cmd.data_bytes = 24;
	run.iov[0] = (struct iovec){ run.data, 24 };
	run.cmd.iov = run.iov;
	run.cmd.iovcnt = 1;
	run.cmd.done = scsi_run_done;
	run.cmd.hold = on_hold;
	run.cmd.spare = spare;
	run.done = 0;
	scsi_target_execute(&b.target, &run.cmd);
	ck_assert_uint_eq(holds, 1);
	scsi_target_execute(&b.target, &run.cmd);
	ck_assert_uint_eq(holds, 2);
	ck_assert_uint_eq(run.done, 0);
	fake_disk_release(a.disk);
	ck_assert_uint_eq(slow.done, 1);
	scsi_target_execute(&b.target, &run.cmd);
	ck_assert_uint_eq(run.done, 1);
	ck_assert_uint_eq(run.cmd.status, SCSI_GOOD);
	ck_assert_uint_eq(rw(&a, true), SCSI_REGISTRATIONS_PREEMPTED);
}
END_TEST

/* What outlives the last VM that has the disk, and what does not. */
START_TEST(outlives)
{
	start_out(&run, &a, SCSI_PR_REGISTER, 0, a.key, 0, _i);
	ck_assert_uint_eq(outcome(&run), 0);
	ck_assert_uint_eq(out(&a, SCSI_PR_RESERVE, a.key, 0, SCSI_PR_WRITE_EXCLUSIVE), 0);
	side_end(&a);
	side_begin(&a, 1);
	ck_assert_uint_eq(rw(&b, true), CONFLICT); /* b had it all the time */
	side_end(&a);
	side_end(&b);
	side_begin(&b, 2);
	side_begin(&a, 1);
	ck_assert_uint_eq(rw(&b, true), _i ? CONFLICT : 0);
}
END_TEST

/* A file that is none, or is broken while it is in use: no disk, or an error. */
START_TEST(broken_file)
{
	struct scsi_reserve *r;
	int fd = memfd_create("broken", MFD_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, _i), 0);
	ck_assert_int_eq(scsi_reserve_new(&a.id, fd, &r), -EIO);
	close(fd);
	both_register();
	ck_assert_int_eq(ftruncate(file, _i), 0);
	scsi_run_start(&run, &a.target, 0, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0),
		       SCSI_DATA_IN, 512);
	ck_assert_uint_eq(scsi_run_sense(&run), SCSI_INTERNAL_TARGET_FAILURE);
	start_out(&run, &a, SCSI_PR_REGISTER, a.key, 5, 0, false);
	ck_assert_uint_eq(scsi_run_sense(&run), SCSI_INTERNAL_TARGET_FAILURE);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("scsi_reserve");
	TCase *t = tcase_create("shared");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_excludes_the_other);
	tcase_add_test(t, both_read_the_same);
	tcase_add_test(t, waits_for_the_preempted);
	tcase_add_loop_test(t, outlives, 0, 2);
	tcase_add_loop_test(t, broken_file, 1, 5);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
