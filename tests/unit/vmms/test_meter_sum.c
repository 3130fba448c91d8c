/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/meter_sum.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static struct meter_sum sum;

static void setup(void)
{
	meter_sum_begin(&sum, "2026-11-21T16:00:00Z");
}

static void teardown(void)
{
	meter_sum_done(&sum);
}

/* One reading of a VM with a VP, a drive "0:0" or another, and an adapter. */
static json_t *sets_of(const char *drive, json_int_t n, json_int_t memory)
{
	json_t *sets = json_pack(
		"[{s:s, s:s, s:{s:I, s:I}}, {s:s, s:s, s:{s:I, s:I, s:I, s:I, s:I}},"
		" {s:s, s:s, s:{s:I, s:I}}, {s:s, s:s, s:{s:I}}, {s:s, s:s, s:{s:I}}]",
		"set", "vp", "instance", "0", "counters", "run_time_us", n, "io", n,
		"set", "storage", "instance", drive, "counters", "read_bytes", n * 2,
		"write_bytes", n * 3, "operations", n, "normalized_operations", n,
		"latency_us", n * 4, "set", "network", "instance", "0", "counters",
		"received_bytes", n * 5, "sent_bytes", n * 6, "set", "vmbus", "instance",
		"Heartbeat", "counters", "faults", n, "set", "memory", "instance", "",
		"counters", "physical_bytes", memory);

	ck_assert_ptr_nonnull(sets);
	return sets;
}

static void add(const char *worker, uint64_t seconds, json_t *sets)
{
	const struct meter_reading r = { worker, seconds * 1000000, 7000000, sets };

	ck_assert_int_eq(meter_sum_add(&sum, &r), 0);
	json_decref(sets);
}

START_TEST(readings_of_one_worker_add_their_rise)
{
	add("1/1", 10, sets_of("0:0", 100, 8 << 20));
	ck_assert_uint_eq(sum.n[METER_RUNNING_US], 7000000);
	add("1/1", 20, sets_of("0:0", 150, 16 << 20));
	add("1/1", 20, sets_of("0:0", 150, 4 << 20));
	ck_assert_uint_eq(sum.n[METER_RUNNING_US], 17000000);
	ck_assert_uint_eq(sum.n[METER_CPU_US], 150);
	ck_assert_uint_eq(sum.n[METER_READ_BYTES], 300);
	ck_assert_uint_eq(sum.n[METER_WRITE_BYTES], 450);
	ck_assert_uint_eq(sum.n[METER_LATENCY_US], 600);
	ck_assert_uint_eq(sum.n[METER_SENT_BYTES], 900);
	ck_assert_uint_eq(sum.n[METER_MEMORY_MIN], 4 << 20);
	ck_assert_uint_eq(sum.n[METER_MEMORY_MAX], 16 << 20);
	ck_assert_uint_eq(sum.n[METER_MEMORY_KIB_S], (8 * 7 + 16 * 10) << 10);
}
END_TEST

START_TEST(another_worker_begins_at_zero)
{
	add("1/1", 10, sets_of("0:0", 100, 8 << 20));
	add("2/2", 20, sets_of("0:0", 30, 8 << 20));
	ck_assert_uint_eq(sum.n[METER_CPU_US], 130);
	ck_assert_uint_eq(sum.n[METER_RUNNING_US], 14000000);
	/* the same name after a boot of the host: time went back */
	add("2/2", 5, sets_of("0:0", 40, 8 << 20));
	ck_assert_uint_eq(sum.n[METER_CPU_US], 170);
	ck_assert_uint_eq(sum.n[METER_RUNNING_US], 21000000);
}
END_TEST

START_TEST(what_was_before_does_not_count)
{
	json_t *sets = sets_of("0:0", 1000, 8 << 20);
	const struct meter_reading r = { "1/1", 10000000, 7000000, sets };

	ck_assert_int_eq(meter_sum_base(&sum, &r), 0);
	json_decref(sets);
	ck_assert_uint_eq(sum.n[METER_CPU_US] + sum.n[METER_MEMORY_MAX], 0);
	add("1/1", 20, sets_of("0:0", 1001, 8 << 20));
	ck_assert_uint_eq(sum.n[METER_CPU_US], 1);
	ck_assert_uint_eq(sum.n[METER_RUNNING_US], 10000000);
}
END_TEST

/* A drive that comes, or goes and comes again with less, takes nothing away. */
START_TEST(instances_come_and_go)
{
	add("1/1", 10, sets_of("0:0", 100, 8 << 20));
	add("1/1", 20, sets_of("0:1", 100, 8 << 20));
	ck_assert_uint_eq(sum.n[METER_OPERATIONS], 200);
	add("1/1", 30, sets_of("0:1", 40, 8 << 20));
	ck_assert_uint_eq(sum.n[METER_OPERATIONS], 240);
}
END_TEST

START_TEST(foreign_numbers_saturate)
{
	for (uint64_t i = 0; i < 6; i++)
		add(i % 2 ? "1/1" : "2/2", i, sets_of("0:0", INT64_MAX / 8, INT64_MAX));
	ck_assert_uint_eq(sum.n[METER_SENT_BYTES], INT64_MAX);
	ck_assert_uint_le(sum.n[METER_MEMORY_KIB_S], INT64_MAX);
	add("3/3", 7, json_object());
	add("3/3", 8, json_pack("[n, i, {}, {s:i}]", 7, "set", 1));
	ck_assert_uint_eq(sum.n[METER_SENT_BYTES], INT64_MAX);
}
END_TEST

START_TEST(a_file_and_back)
{
	struct meter_sum back;
	json_t *j;

	add("1/1", 10, sets_of("0:0", 100, 8 << 20));
	j = meter_sum_to_json(&sum);
	ck_assert_int_eq(meter_sum_from_json(j, &back), 0);
	json_decref(j);
	ck_assert_str_eq(back.since, sum.since);
	ck_assert_mem_eq(back.n, sum.n, sizeof(sum.n));
	ck_assert(json_equal(back.last, sum.last));
	meter_sum_done(&sum);
	sum = back;
	add("1/1", 20, sets_of("0:0", 101, 8 << 20));
	ck_assert_uint_eq(sum.n[METER_CPU_US], 101);
}
END_TEST

#define LONG_SINCE                                                              \
	"{\"schema\":1,\"since\":\"0123456789012345678901234567890123456789\"," \
	"\"last\":null}"
static const char *const no_files[] = {
	"{}",
	"[]",
	"{\"schema\":2,\"since\":\"x\",\"last\":null}",
	"{\"schema\":1,\"last\":null}",
	"{\"schema\":1,\"since\":7,\"last\":null}",
	"{\"schema\":1,\"since\":\"\",\"last\":null}",
	"{\"schema\":1,\"since\":\"x\"}",
	"{\"schema\":1,\"since\":\"x\",\"last\":7}",
	LONG_SINCE,
};

START_TEST(files_that_are_none)
{
	json_t *j = json_loads(no_files[_i], 0, NULL);
	struct meter_sum back;

	ck_assert_ptr_nonnull(j);
	ck_assert_int_eq(meter_sum_from_json(j, &back), -EINVAL);
	json_decref(j);
}
END_TEST

START_TEST(the_report)
{
	json_t *j = json_object();

	ck_assert_int_eq(meter_sum_report(&sum, j), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "memory_average_bytes")),
			 0);
	add("1/1", 10, sets_of("0:0", 100, 8 << 20));
	add("1/1", 17, sets_of("0:0", 100, 16 << 20));
	ck_assert_int_eq(meter_sum_report(&sum, j), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "memory_average_bytes")),
			 12 << 20);
	ck_assert_ptr_null(json_object_get(j, "memory_kib_s"));
	json_decref(j);
}
END_TEST

static Suite *meter_sum_suite(void)
{
	Suite *s = suite_create("vmms/meter_sum");
	TCase *t = tcase_create("sums");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, readings_of_one_worker_add_their_rise);
	tcase_add_test(t, another_worker_begins_at_zero);
	tcase_add_test(t, what_was_before_does_not_count);
	tcase_add_test(t, instances_come_and_go);
	tcase_add_test(t, foreign_numbers_saturate);
	tcase_add_test(t, a_file_and_back);
	tcase_add_loop_test(t, files_that_are_none, 0, ARRAY_SIZE(no_files));
	tcase_add_test(t, the_report);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(meter_sum_suite)
