/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/state.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

/* Which operations each state allows, as the letters below. */
static const char letters[] = "sotRrpuCDNcd"; /* in the order of enum vm_op */
static const struct {
	enum vm_state state;
	const char *name, *allows;
} rows[] = {
	{ VM_OFF, "Off", "sDNcd" },
	{ VM_STARTING, "Starting", "tC" },
	{ VM_RUNNING, "Running", "otRrpCDN" },
	{ VM_PAUSING, "Pausing", "tC" },
	{ VM_PAUSED, "Paused", "truCDN" },
	{ VM_STOPPING, "Stopping", "otC" },
	{ VM_RESETTING, "Resetting", "tC" },
};

START_TEST(allows_exactly)
{
	struct rpc_error e;

	for (enum vm_op op = VM_OP_START; op <= VM_OP_DELETE; op++) {
		bool may = strchr(rows[_i].allows, letters[op]);
		int r = state_check(op, rows[_i].state, "web1", &e);

		ck_assert_msg(r == (may ? 0 : -EBUSY), "%s: '%c': %d", rows[_i].name,
			      letters[op], r);
		if (may)
			continue;
		/* What it wanted, what it is, what to do. */
		ck_assert_int_eq(e.code, RPC_WRONG_STATE);
		ck_assert_ptr_eq(strstr(e.message, "cannot "), e.message);
		ck_assert_ptr_nonnull(strstr(e.message, "web1: it is "));
		ck_assert_ptr_nonnull(strstr(e.message, rows[_i].name));
		ck_assert_msg(strlen(strrchr(e.message, ';')) > 5, "%s", e.message);
	}
}
END_TEST

START_TEST(names)
{
	enum vm_state s = VM_RUNNING;

	ck_assert_str_eq(state_name(rows[_i].state), rows[_i].name);
	ck_assert_int_eq(state_parse(rows[_i].name, &s), 0);
	ck_assert_int_eq(s, rows[_i].state);
	ck_assert_int_eq(state_parse("off", &s), -EINVAL);
	ck_assert_int_eq(state_parse("", &s), -EINVAL);
	ck_assert_int_eq(s, rows[_i].state);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms");
	TCase *t = tcase_create("state");

	tcase_add_loop_test(t, allows_exactly, 0, ARRAY_SIZE(rows));
	tcase_add_loop_test(t, names, 0, ARRAY_SIZE(rows));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
