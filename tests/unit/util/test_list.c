/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/list.h"

#include "unit/test.h"

struct item {
	int v;
	struct list link;
};

START_TEST(order_and_removal)
{
	struct list head;
	struct item a = { .v = 1 }, b = { .v = 2 }, c = { .v = 3 }, *i, *tmp;
	int sum = 0;

	list_init(&head);
	ck_assert_ptr_null(list_pop(&head));
	list_add_tail(&head, &b.link);
	list_add_tail(&head, &c.link);
	list_add_head(&head, &a.link);
	list_for_each (i, &head, link)
		sum = sum * 10 + i->v;
	ck_assert_int_eq(sum, 123);
	list_for_each_safe (i, tmp, &head, link) {
		if (i->v == 2)
			list_del(&i->link);
	}
	list_del(&b.link); /* twice is harmless */
	ck_assert_ptr_eq(list_pop(&head), &a.link);
	ck_assert_ptr_eq(list_pop(&head), &c.link);
	ck_assert(list_empty(&head));
}
END_TEST

START_TEST(ranges_do_not_wrap)
{
	ck_assert(range_ok(0, 10, 10));
	ck_assert(range_ok(10, 0, 10));
	ck_assert(!range_ok(1, 10, 10));
	ck_assert(!range_ok(UINT64_MAX, 1, 10));
	ck_assert(!range_ok(1, UINT64_MAX, 10));
	ck_assert(!range_ok(UINT64_MAX, UINT64_MAX, UINT64_MAX));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("list");
	TCase *t = tcase_create("list");

	tcase_add_test(t, order_and_removal);
	tcase_add_test(t, ranges_do_not_wrap);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
