/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of persistent reservations, by tables: who may do what under which type; what each service action answers and leaves behind. */
#include "back/scsi_pr.h"

#include <string.h>
#include "unit/test.h"

#define A 0
#define B 1
#define C 2
static const struct guid who[] = { { { 1 } }, { { 2 } }, { { 3 } } };
static const uint64_t keys[] = { 0xa, 0xb, 0xc };

static struct scsi_pr pr;
static struct scsi_pr_result result;

enum outcome { GOOD, CONFLICT, CDB_, LIST, RELEASE_ };

static enum outcome act(unsigned int by, unsigned int action, uint64_t key,
			uint64_t action_key, unsigned int type)
{
	const struct scsi_pr_out out = { .action = (uint8_t)action,
					 .type = (uint8_t)type,
					 .key = key,
					 .action_key = action_key };
	struct scsi_pr before = pr;

	scsi_pr_out(&pr, &who[by], &out, true, &result);
	ck_assert(scsi_pr_is_sane(&pr));
	if (result.conflict || result.sense)
		ck_assert_mem_eq(&before, &pr, sizeof(pr));
	else
		ck_assert_uint_eq(pr.changes, before.changes + 1);
	if (result.conflict)
		return CONFLICT;
	switch (result.sense) {
	case SCSI_NO_SENSE:
		return GOOD;
	case SCSI_INVALID_FIELD_IN_CDB:
		return CDB_;
	case SCSI_INVALID_FIELD_IN_PARAMETERS:
		return LIST;
	default:
		ck_assert_uint_eq(result.sense, SCSI_INVALID_RELEASE);
		return RELEASE_;
	}
}

static void join(unsigned int by)
{
	ck_assert_int_eq(act(by, SCSI_PR_REGISTER, 0, keys[by], 0), GOOD);
}

static void setup(void)
{
	scsi_pr_init(&pr);
	join(A);
	join(B);
}

/* A holds, B is registered, C is not: what each may do. A letter a column: a allowed, c conflict. */
static const struct {
	const char *name;
	uint8_t cdb[6];
	const char *we, *ea, *wero, *earo; /* of B, then C */
} access_rows[] = {
	{ "INQUIRY", { 0x12 }, "aa", "aa", "aa", "aa" },
	{ "TEST UNIT READY", { 0x00 }, "aa", "aa", "aa", "aa" },
	{ "REQUEST SENSE", { 0x03 }, "aa", "aa", "aa", "aa" },
	{ "REPORT LUNS", { 0xa0 }, "aa", "aa", "aa", "aa" },
	{ "READ CAPACITY (10)", { 0x25 }, "aa", "aa", "aa", "aa" },
	{ "READ CAPACITY (16)", { 0x9e, 0x10 }, "aa", "aa", "aa", "aa" },
	{ "GET LBA STATUS", { 0x9e, 0x12 }, "aa", "cc", "aa", "ac" },
	{ "PERSISTENT RESERVE IN", { 0x5e }, "aa", "aa", "aa", "aa" },
	{ "PERSISTENT RESERVE OUT", { 0x5f }, "aa", "aa", "aa", "aa" },
	{ "READ (6)", { 0x08 }, "aa", "cc", "aa", "ac" },
	{ "READ (10)", { 0x28 }, "aa", "cc", "aa", "ac" },
	{ "READ (12)", { 0xa8 }, "aa", "cc", "aa", "ac" },
	{ "READ (16)", { 0x88 }, "aa", "cc", "aa", "ac" },
	{ "VERIFY (10)", { 0x2f }, "aa", "cc", "aa", "ac" },
	{ "WRITE (10)", { 0x2a }, "cc", "cc", "ac", "ac" },
	{ "WRITE (16)", { 0x8a }, "cc", "cc", "ac", "ac" },
	{ "WRITE AND VERIFY (10)", { 0x2e }, "cc", "cc", "ac", "ac" },
	{ "WRITE SAME (16)", { 0x93 }, "cc", "cc", "ac", "ac" },
	{ "UNMAP", { 0x42 }, "cc", "cc", "ac", "ac" },
	{ "SYNCHRONIZE CACHE (10)", { 0x35 }, "cc", "cc", "ac", "ac" },
	{ "MODE SENSE (6)", { 0x1a }, "cc", "cc", "ac", "ac" },
	{ "START STOP UNIT, start", { 0x1b, 0, 0, 0, 1 }, "aa", "aa", "aa", "aa" },
	{ "START STOP UNIT, stop", { 0x1b, 0, 0, 0, 0 }, "cc", "cc", "ac", "ac" },
	{ "PREVENT", { 0x1e, 0, 0, 0, 1 }, "cc", "cc", "ac", "ac" },
	{ "ALLOW", { 0x1e, 0, 0, 0, 0 }, "aa", "aa", "aa", "aa" },
	{ "an opcode that is none", { 0xff }, "cc", "cc", "ac", "ac" },
};

START_TEST(who_may_what)
{
	const char *columns[] = { access_rows[_i].we,   access_rows[_i].ea,
				  access_rows[_i].wero, access_rows[_i].earo,
				  access_rows[_i].wero, access_rows[_i].earo };
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

	for (unsigned int n = 0; n < ARRAY_SIZE(types); n++) {
		setup();
		for (unsigned int by = A; by <= C; by++)
			ck_assert(!scsi_pr_conflicts(&pr, &who[by], access_rows[_i].cdb));
		ck_assert_int_eq(act(A, SCSI_PR_RESERVE, keys[A], 0, types[n]), GOOD);
		ck_assert(!scsi_pr_conflicts(&pr, &who[A], access_rows[_i].cdb));
		for (unsigned int by = B; by <= C; by++)
			ck_assert_msg(
				scsi_pr_conflicts(&pr, &who[by], access_rows[_i].cdb) ==
					(columns[n][by - B] == 'c'),
				"%s, type %u, %c", access_rows[_i].name, types[n],
				'A' + by);
	}
}
END_TEST

/* A (key a) and B (key b) are registered, C is not; A holds WRITE EXCLUSIVE, registrants only, where there is a type. */
static const struct {
	const char *name;
	uint8_t held; /* type that A holds; 0: nobody */
	unsigned int by, action;
	uint64_t key, action_key;
	uint8_t type;
	enum outcome outcome;
	const char *registered; /* after it */
	uint8_t type_after;
	char holder;
} rows[] = {
	{ "a register of who is new, with a key", 0, C, 0, 0xc, 1, 0, CONFLICT, "AB", 0,
	  '-' },
	{ "a register of nothing", 0, C, 0, 0, 0, 0, GOOD, "AB", 0, '-' },
	{ "a register", 0, C, 0, 0, 0xc, 0, GOOD, "ABC", 0, '-' },
	{ "another key", 0, A, 0, 0xa, 0xaa, 0, GOOD, "AB", 0, '-' },
	{ "another key, wrong one", 0, A, 0, 0xb, 0xaa, 0, CONFLICT, "AB", 0, '-' },
	{ "a register without the key it has", 0, A, 0, 0, 0xaa, 0, CONFLICT, "AB", 0,
	  '-' },
	{ "unregister", 0, B, 0, 0xb, 0, 0, GOOD, "A", 0, '-' },
	{ "unregister of the holder", 5, A, 0, 0xa, 0, 0, GOOD, "B", 0, '-' },
	{ "unregister of another", 5, B, 0, 0xb, 0, 0, GOOD, "A", 5, 'A' },
	{ "unregister of one of all holders", 7, A, 0, 0xa, 0, 0, GOOD, "B", 7, '*' },
	{ "register and ignore, new", 0, C, 6, 77, 0xc, 0, GOOD, "ABC", 0, '-' },
	{ "register and ignore, known", 5, A, 6, 77, 0xaa, 0, GOOD, "AB", 5, 'A' },
	{ "register and ignore, gone", 5, A, 6, 77, 0, 0, GOOD, "B", 0, '-' },
	{ "reserve unregistered", 0, C, 1, 0, 0, 1, CONFLICT, "AB", 0, '-' },
	{ "reserve with a wrong key", 0, A, 1, 0xb, 0, 1, CONFLICT, "AB", 0, '-' },
	{ "reserve", 0, A, 1, 0xa, 0, 1, GOOD, "AB", 1, 'A' },
	{ "reserve of type 0", 0, A, 1, 0xa, 0, 0, CDB_, "AB", 0, '-' },
	{ "reserve of type 2", 0, A, 1, 0xa, 0, 2, CDB_, "AB", 0, '-' },
	{ "reserve of type 4", 0, A, 1, 0xa, 0, 4, CDB_, "AB", 0, '-' },
	{ "reserve of type 9", 0, A, 1, 0xa, 0, 9, CDB_, "AB", 0, '-' },
	{ "reserve of type 15", 0, A, 1, 0xa, 0, 15, CDB_, "AB", 0, '-' },
	{ "reserve again", 5, A, 1, 0xa, 0, 5, GOOD, "AB", 5, 'A' },
	{ "reserve again, another type", 5, A, 1, 0xa, 0, 1, CONFLICT, "AB", 5, 'A' },
	{ "reserve of what another holds", 5, B, 1, 0xb, 0, 5, CONFLICT, "AB", 5, 'A' },
	{ "reserve of what all hold", 7, B, 1, 0xb, 0, 7, GOOD, "AB", 7, '*' },
	{ "release unregistered", 5, C, 2, 0, 0, 5, CONFLICT, "AB", 5, 'A' },
	{ "release of nothing", 0, A, 2, 0xa, 0, 5, GOOD, "AB", 0, '-' },
	{ "release by another", 5, B, 2, 0xb, 0, 5, GOOD, "AB", 5, 'A' },
	{ "release of another type", 5, A, 2, 0xa, 0, 6, RELEASE_, "AB", 5, 'A' },
	{ "release", 5, A, 2, 0xa, 0, 5, GOOD, "AB", 0, '-' },
	{ "release by one of all", 8, B, 2, 0xb, 0, 8, GOOD, "AB", 0, '-' },
	{ "clear unregistered", 5, C, 3, 0, 0, 0, CONFLICT, "AB", 5, 'A' },
	{ "clear", 5, B, 3, 0xb, 0, 0, GOOD, "", 0, '-' },
	{ "preempt unregistered", 5, C, 4, 0, 0xa, 1, CONFLICT, "AB", 5, 'A' },
	{ "preempt of the holder", 5, B, 4, 0xb, 0xa, 1, GOOD, "B", 1, 'B' },
	{ "preempt to a type that is none", 5, B, 4, 0xb, 0xa, 2, CDB_, "AB", 5, 'A' },
	{ "preempt of a key that nobody has", 5, B, 4, 0xb, 0xdd, 1, CONFLICT, "AB", 5,
	  'A' },
	{ "preempt of key 0", 5, B, 4, 0xb, 0, 1, LIST, "AB", 5, 'A' },
	{ "preempt of a registrant", 5, A, 4, 0xa, 0xb, 1, GOOD, "A", 5, 'A' },
	{ "preempt without reservation", 0, A, 4, 0xa, 0xb, 1, GOOD, "A", 0, '-' },
	{ "preempt of all", 7, B, 4, 0xb, 0, 3, GOOD, "B", 3, 'B' },
	{ "preempt of one of all", 7, B, 4, 0xb, 0xa, 3, GOOD, "B", 7, '*' },
	{ "preempt of oneself, who holds", 5, A, 4, 0xa, 0xa, 1, GOOD, "AB", 1, 'A' },
	{ "preempt and abort", 5, B, 5, 0xb, 0xa, 6, GOOD, "B", 6, 'B' },
};

START_TEST(service_actions)
{
	char registered[4] = "", *end = registered;

	setup();
	if (rows[_i].held)
		ck_assert_int_eq(act(A, SCSI_PR_RESERVE, keys[A], 0, rows[_i].held),
				 GOOD);
	ck_assert_msg(act(rows[_i].by, rows[_i].action, rows[_i].key, rows[_i].action_key,
			  rows[_i].type) == rows[_i].outcome,
		      "%s", rows[_i].name);
	for (unsigned int n = 0; n < 3; n++)
		for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++)
			if (pr.slots[i].key &&
			    guid_equal(&pr.slots[i].initiator, &who[n]))
				*end++ = (char)('A' + n);
	ck_assert_msg(strcmp(registered, rows[_i].registered) == 0, "%s: %s",
		      rows[_i].name, registered);
	ck_assert_msg(pr.type == rows[_i].type_after, "%s", rows[_i].name);
	if (rows[_i].holder >= 'A')
		ck_assert_msg(guid_equal(&pr.slots[pr.holder].initiator,
					 &who[rows[_i].holder - 'A']),
			      "%s", rows[_i].name);
}
END_TEST

START_TEST(others_are_told)
{
	setup();
	join(C);
	act(A, SCSI_PR_RESERVE, keys[A], 0, SCSI_PR_WRITE_EXCLUSIVE_REGISTRANTS);
	act(A, SCSI_PR_RELEASE, keys[A], 0, SCSI_PR_WRITE_EXCLUSIVE_REGISTRANTS);
	ck_assert_uint_eq(scsi_pr_take_ua(&pr, &who[A]), 0);
	ck_assert_uint_eq(scsi_pr_take_ua(&pr, &who[B]), SCSI_UA_RESERVATIONS_RELEASED);
	ck_assert_uint_eq(scsi_pr_take_ua(&pr, &who[B]), 0);
	act(A, SCSI_PR_RESERVE, keys[A], 0, SCSI_PR_WRITE_EXCLUSIVE);
	act(B, SCSI_PR_PREEMPT, keys[B], keys[A], SCSI_PR_WRITE_EXCLUSIVE);
	ck_assert_uint_eq(result.victim_count, 1);
	ck_assert(guid_equal(&result.victims[0], &who[A]));
	ck_assert(scsi_pr_has_ua(&pr, &who[A]));
	ck_assert_uint_eq(scsi_pr_take_ua(&pr, &who[A]), SCSI_UA_REGISTRATIONS_PREEMPTED);
	ck_assert(!scsi_pr_has_ua(&pr, &who[A]));
	act(C, SCSI_PR_CLEAR, keys[C], 0, 0);
	ck_assert(scsi_pr_take_ua(&pr, &who[B]) & SCSI_UA_RESERVATIONS_PREEMPTED);
	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++)
		ck_assert(!pr.slots[i].key);
}
END_TEST

START_TEST(has_bounds)
{
	struct scsi_pr_out out = { .action = SCSI_PR_REGISTER, .action_key = 5 };
	struct guid id = { { 0 } };

	scsi_pr_init(&pr);
	for (unsigned int i = 1; i <= SCSI_PR_SLOTS + 1; i++) {
		id.b[3] = (uint8_t)i;
		scsi_pr_out(&pr, &id, &out, true, &result);
		ck_assert_uint_eq(result.sense,
				  i <= SCSI_PR_SLOTS
					  ? SCSI_NO_SENSE
					  : SCSI_INSUFFICIENT_REGISTRATION_RESOURCES);
	}
	/* Who was told nothing yet makes room for who comes. */
	id.b[3] = 1;
	out = (struct scsi_pr_out){ .action = SCSI_PR_PREEMPT,
				    .key = 5,
				    .action_key = 5 };
	scsi_pr_out(&pr, &id, &out, true, &result);
	ck_assert_uint_eq(result.victim_count, SCSI_PR_SLOTS - 1);
	id.b[3] = 200;
	out = (struct scsi_pr_out){ .action = SCSI_PR_REGISTER, .action_key = 5 };
	scsi_pr_out(&pr, &id, &out, true, &result);
	ck_assert_uint_eq(result.sense, SCSI_NO_SENSE);
	out.aptpl = true;
	out.key = 5;
	scsi_pr_out(&pr, &id, &out, false, &result);
	ck_assert_uint_eq(result.sense, SCSI_INVALID_FIELD_IN_PARAMETERS);
}
END_TEST

START_TEST(tells_all)
{
	uint8_t buf[SCSI_PR_IN_MAX];

	setup();
	act(A, SCSI_PR_RESERVE, keys[A], 0, SCSI_PR_EXCLUSIVE_ACCESS);
	ck_assert_uint_eq(scsi_pr_in(&pr, 0, true, buf), 24);
	ck_assert_uint_eq(be32_get(buf), 2); /* generation */
	ck_assert_uint_eq(be32_get(buf + 4), 16);
	ck_assert_uint_eq(be64_get(buf + 8), 0xa);
	ck_assert_uint_eq(be64_get(buf + 16), 0xb);
	ck_assert_uint_eq(scsi_pr_in(&pr, 1, true, buf), 24);
	ck_assert_uint_eq(be32_get(buf + 4), 16);
	ck_assert_uint_eq(be64_get(buf + 8), 0xa);
	ck_assert_uint_eq(buf[21], SCSI_PR_EXCLUSIVE_ACCESS);
	ck_assert_uint_eq(scsi_pr_in(&pr, 2, true, buf), 8);
	ck_assert_mem_eq(buf, ((uint8_t[]){ 0, 8, 1, 0x80, 0xea, 1, 0, 0 }), 8);
	ck_assert_uint_eq(scsi_pr_in(&pr, 2, false, buf), 8);
	ck_assert_uint_eq(buf[2], 0);
	ck_assert_uint_eq(scsi_pr_in(&pr, 3, true, buf), 8 + 2 * 48);
	ck_assert_uint_eq(buf[8 + 12], 1);
	ck_assert_uint_eq(buf[8 + 13], SCSI_PR_EXCLUSIVE_ACCESS);
	ck_assert_uint_eq(buf[8 + 48 + 12], 0);
	for (unsigned int action = 4; action < 32; action++)
		ck_assert_uint_eq(scsi_pr_in(&pr, action, true, buf), 0);
	act(A, SCSI_PR_RELEASE, keys[A], 0, SCSI_PR_EXCLUSIVE_ACCESS);
	ck_assert_uint_eq(scsi_pr_in(&pr, 1, true, buf), 8);
	ck_assert_uint_eq(be32_get(buf + 4), 0);
}
END_TEST

/* What a file may hold that no worker wrote. */
START_TEST(insane)
{
	setup();
	act(A, SCSI_PR_RESERVE, keys[A], 0, SCSI_PR_EXCLUSIVE_ACCESS);
	for (unsigned int type = 0; type < 256; type++) {
		pr.type = (uint8_t)type;
		ck_assert(scsi_pr_is_sane(&pr) ==
			  (!type || type == 1 || type == 3 || (type >= 5 && type <= 8)));
	}
	pr.type = 1;
	pr.holder = SCSI_PR_SLOTS;
	ck_assert(!scsi_pr_is_sane(&pr));
	pr.holder = 7; /* nobody */
	ck_assert(!scsi_pr_is_sane(&pr));
	setup();
	pr.magic++;
	ck_assert(!scsi_pr_is_sane(&pr));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("scsi_pr");
	TCase *t = tcase_create("rules");

	tcase_add_loop_test(t, who_may_what, 0, ARRAY_SIZE(access_rows));
	tcase_add_loop_test(t, service_actions, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, others_are_told);
	tcase_add_test(t, has_bounds);
	tcase_add_test(t, tells_all);
	tcase_add_test(t, insane);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
