/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/vm.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static struct vm *vm;

static void setup(void)
{
	struct vm_config c = { .name = "web1", .processors = 2, .memory_bytes = 8 << 20 };
	struct guid g = { { 1 } };

	c.notes = strdup("");
	c.cmdline = strdup("");
	vm = vm_new(&g, &c);
	vm->state = vm->worker_state = VM_STARTING;
}

static void teardown(void)
{
	vm_free(vm);
}

static int apply(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
	int r;

	ck_assert_ptr_nonnull(j);
	r = vm_apply_status(vm, j);
	json_decref(j);
	return r;
}

#define RUNS \
	"{\"state\":\"Running\",\"health\":\"Ok\",\"reason\":null,\"heartbeat\":\"Ok\""

static const char *const bad[] = {
	"7",
	"[]",
	"{}",
	"{\"state\":\"Running\"}",
	"{\"health\":\"Ok\"}",
	"{\"state\":\"running\",\"health\":\"Ok\"}",
	"{\"state\":7,\"health\":\"Ok\"}",
	"{\"state\":\"Running\",\"health\":null}",
};

START_TEST(what_is_no_status_changes_nothing)
{
	ck_assert_int_eq(apply(bad[_i]), -EPROTO);
	ck_assert_int_eq(vm->state, VM_STARTING);
	ck_assert_ptr_null(vm->status);
}
END_TEST

/* Taken as far as it goes: members of a wrong type count as not there. */
static const char *const odd[] = {
	RUNS "}",
	RUNS ",\"uptime_us\":-5,\"resets\":\"x\",\"crash\":7,\"vmbus_version\":[]}",
	RUNS ",\"uptime_us\":1e300,\"crash\":{\"count\":{}},\"reason\":9}",
	RUNS ",\"vps\":null,\"channels\":\"many\",\"more\":{\"of\":\"it\"}}",
};

START_TEST(odd_members_do_no_harm)
{
	json_t *doc;

	ck_assert_int_ge(apply(odd[_i]), 0);
	ck_assert_int_eq(vm->state, VM_RUNNING);
	ck_assert_int_eq(vm->crashes, 0);
	ck_assert_str_eq(vm->reason, "");
	doc = vm_show(vm, "/log");
	ck_assert_ptr_nonnull(doc);
	json_decref(doc);
}
END_TEST

START_TEST(says_what_changed)
{
	ck_assert_int_eq(apply(RUNS ",\"vmbus_version\":\"5.3\"}"),
			 VM_CHANGED_STATE | VM_CHANGED_HEARTBEAT | VM_CHANGED_VMBUS);
	ck_assert_int_eq(apply(RUNS ",\"vmbus_version\":\"5.3\"}"), 0);
	ck_assert_int_eq(
		apply(RUNS ",\"vmbus_version\":\"5.3\",\"crash\":{\"count\":1}}"),
		VM_CHANGED_CRASH);
	ck_assert_int_eq(apply("{\"state\":\"Paused\",\"health\":\"Critical\",\"reason\":"
			       "\"a\\nb\"}"),
			 VM_CHANGED_STATE | VM_CHANGED_HEALTH | VM_CHANGED_HEARTBEAT |
				 VM_CHANGED_VMBUS);
	ck_assert_str_eq(vm->reason, "a b");
}
END_TEST

START_TEST(says_what_drives_tell)
{
	ck_assert(apply(RUNS ",\"drives\":[{\"controller\":3,\"lun\":63,"
			     "\"below_minimum\":true},{\"controller\":0,\"lun\":1,"
			     "\"ejected\":true}]}") &
		  VM_CHANGED_DRIVES);
	ck_assert_uint_eq(vm->drives.below_minimum[3], UINT64_C(1) << 63);
	ck_assert_uint_eq(vm->drives.ejected[0], 2);
	/* Until it was told. */
	vm->drives_told = vm->drives;
	ck_assert_int_eq(apply(RUNS ",\"drives\":[{\"controller\":3,\"lun\":63,"
				    "\"below_minimum\":true},{\"controller\":0,"
				    "\"lun\":1,\"ejected\":true}]}"),
			 0);
	ck_assert_int_eq(apply(RUNS ",\"drives\":7}"), VM_CHANGED_DRIVES);
	vm->drives_told = vm->drives;
	ck_assert_int_eq(apply(RUNS ",\"drives\":[7,null,{\"controller\":4,\"lun\":0,"
				    "\"ejected\":true},{\"controller\":-1,\"lun\":0,"
				    "\"ejected\":true},{\"controller\":0,\"lun\":64,"
				    "\"ejected\":true},{\"controller\":0,\"lun\":0,"
				    "\"ejected\":\"true\"}]}"),
			 0);
	apply(RUNS ",\"drives\":[{\"controller\":1,\"lun\":1,\"ejected\":true}]}");
	vm_set_off(vm, VM_OK, NULL);
	ck_assert_uint_eq(vm->drives.ejected[1], 0);
}
END_TEST

/* Off is when the worker is gone, not when it says so. */
START_TEST(off_is_stopping_until_the_worker_is_gone)
{
	apply(RUNS "}");
	ck_assert_int_eq(
		apply("{\"state\":\"Off\",\"health\":\"Ok\",\"reason\":\"bye\"}"),
		VM_CHANGED_STATE | VM_CHANGED_HEARTBEAT);
	ck_assert_int_eq(vm->state, VM_STOPPING);
	vm_set_off(vm, VM_OK, "guest shut down");
	ck_assert_int_eq(vm->state, VM_OFF);
	ck_assert_str_eq(vm->reason, "guest shut down");
	ck_assert_ptr_null(vm->status);
	ck_assert_ptr_null(vm->heartbeat);
}
END_TEST

START_TEST(running_is_no_news_while_it_is_asked_to_stop)
{
	apply(RUNS "}");
	vm->state = VM_STOPPING;
	ck_assert_int_eq(apply(RUNS "}"), 0);
	ck_assert_int_eq(vm->state, VM_STOPPING);
	ck_assert_int_eq(vm->worker_state, VM_RUNNING);
}
END_TEST

START_TEST(size_is_bounded)
{
	char *big = malloc(VM_STATUS_MAX + 100);
	json_t *j;

	memset(big, 'x', VM_STATUS_MAX + 50);
	big[VM_STATUS_MAX + 50] = 0;
	j = json_pack("{s:s, s:s, s:s}", "state", "Running", "health", "Ok", "more", big);
	ck_assert_int_eq(vm_apply_status(vm, j), -EFBIG);
	ck_assert_int_eq(vm->state, VM_STARTING);
	json_decref(j);
	free(big);
}
END_TEST

static const struct {
	const char *in, *out;
	size_t size;
} texts[] = {
	{ "", "", 8 },
	{ "plain", "plain", 8 },
	{ "a\nb\tc\x7f", "a b c ", 8 },
	{ "\x1b[2J", " [2J", 8 },
	{ "12345678", "1234567", 8 },
	{ "12345\xc3\xa9", "12345\xc3\xa9", 8 },
	{ "123456\xc3\xa9", "123456", 8 },
	{ "1234\xf0\x9f\x90\xa7", "1234", 8 },
	{ "x", "", 1 },
};

START_TEST(foreign_text_becomes_one_line)
{
	char out[8];

	vm_clean_text(out, texts[_i].size, texts[_i].in);
	ck_assert_str_eq(out, texts[_i].out);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms");
	TCase *t = tcase_create("vm");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, what_is_no_status_changes_nothing, 0, ARRAY_SIZE(bad));
	tcase_add_loop_test(t, odd_members_do_no_harm, 0, ARRAY_SIZE(odd));
	tcase_add_test(t, says_what_changed);
	tcase_add_test(t, says_what_drives_tell);
	tcase_add_test(t, off_is_stopping_until_the_worker_is_gone);
	tcase_add_test(t, running_is_no_news_while_it_is_asked_to_stop);
	tcase_add_test(t, size_is_bounded);
	tcase_add_loop_test(t, foreign_text_becomes_one_line, 0, ARRAY_SIZE(texts));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
