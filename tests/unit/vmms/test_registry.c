/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/registry.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

static struct registry reg;

static struct vm *add(const char *name, uint8_t id)
{
	struct vm_config c = { .processors = 1 };
	struct guid g = { { [15] = id } };
	struct vm *vm;
	int r;

	strcpy(c.name, name);
	vm = vm_new(&g, &c);
	r = registry_add(&reg, vm);
	if (r < 0) {
		ck_assert_int_eq(r, -EEXIST);
		vm_free(vm);
		return NULL;
	}
	return vm;
}

static void check_order(const char *names)
{
	char found[64] = "";
	struct vm *vm;

	list_for_each (vm, &reg.vms, link) {
		strcat(found, vm->config.name);
		strcat(found, " ");
	}
	ck_assert_str_eq(found, names);
}

static void setup(void)
{
	registry_init(&reg);
}

static void teardown(void)
{
	registry_done(&reg);
}

START_TEST(keeps_order_and_refuses_doubles)
{
	struct vm *b = add("b", 2);

	ck_assert_ptr_nonnull(add("c", 3));
	ck_assert_ptr_nonnull(add("a", 1));
	ck_assert_ptr_null(add("b", 4));
	ck_assert_ptr_null(add("d", 2));
	check_order("a b c ");
	ck_assert_uint_eq(reg.count, 3);
	strcpy(b->config.name, "z");
	registry_renamed(&reg, b);
	check_order("a c z ");
	registry_remove(&reg, b);
	vm_free(b);
	check_order("a c ");
	ck_assert_uint_eq(reg.count, 2);
}
END_TEST

START_TEST(finds_by_name_or_id)
{
	struct vm *a = add("a", 1);
	struct rpc_error e;

	ck_assert_ptr_eq(registry_find(&reg, "a", &e), a);
	ck_assert_ptr_eq(registry_find(&reg, "00000000-0000-0000-0000-000000000001", &e),
			 a);
	ck_assert_ptr_eq(registry_find(&reg, a->id_text, &e), a);
	ck_assert_ptr_null(registry_find(&reg, "A", &e));
	ck_assert_int_eq(e.code, RPC_NOT_FOUND);
	ck_assert_ptr_null(registry_find(&reg, "", &e));
	ck_assert_ptr_null(
		registry_find(&reg, "00000000-0000-0000-0000-000000000002", &e));
	ck_assert_ptr_nonnull(strstr(e.message, "there is no VM '00000000-"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms");
	TCase *t = tcase_create("registry");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, keeps_order_and_refuses_doubles);
	tcase_add_test(t, finds_by_name_or_id);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
