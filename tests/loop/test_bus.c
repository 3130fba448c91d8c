/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's bus driver against the real server: versions, channels, GPADLs, rescind, unload. */
#include <errno.h>
#include <string.h>
#include "loop/client.h"
#include "unit/test.h"

static struct machine m;
static struct echo echo[2];

static void setup(void)
{
	machine_init(&m, 2);
	for (unsigned int i = 0; i < 2; i++) {
		echo[i] = (struct echo){ .number = i };
		machine_on_loop(&m, echo_new, &echo[i]);
	}
}

static bool is_gone(void *arg)
{
	struct echo *e = arg;

	return e->gone;
}

static void teardown(void)
{
	machine_connect(&m, 0);
	machine_disconnect(&m);
	for (unsigned int i = 0; i < 2; i++) {
		if (!echo[i].gone)
			machine_on_loop(&m, echo_remove, &echo[i]);
		while (!echo[i].gone)
			machine_on_loop(&m, NULL, NULL);
		ck_assert_uint_eq(echo[i].open_now, 0);
	}
	machine_done(&m);
}

START_TEST(no_version_in_common)
{
	static const uint32_t unknown[] = { VMBUS_VERSION(9, 0), VMBUS_VERSION(0, 1), 0,
					    UINT32_MAX };
	static const uint32_t mixed[] = { VMBUS_VERSION(9, 0), VMBUS_VERSION_WIN10 };
	static const struct bus_hooks hooks;

	machine_connect(&m, 0);
	machine_disconnect(&m);
	ck_assert_int_eq(hv_init(&m.hv, &m.env), 0);
	ck_assert_int_eq(hv_synic_on(&m.hv, 0, VMBUS_MESSAGE_SINT, 0x40), 0);
	m.env.pages_free(&m, m.hv.vps[0].messages, 1);
	m.env.pages_free(&m, m.hv.vps[0].events, 1);
	m.hv.vps[0].messages = m.synic.vp[0].slots;
	m.hv.vps[0].events = (void *)m.synic.vp[0].flags;
	ck_assert_int_eq(bus_init(&m.bus, &m.hv, &hooks), 0);
	ck_assert_int_eq(bus_connect(&m.bus, unknown, ARRAY_SIZE(unknown)),
			 -EPROTONOSUPPORT);
	ck_assert_uint_eq(m.bus.version, 0);
	ck_assert_int_eq(bus_connect(&m.bus, mixed, ARRAY_SIZE(mixed)), 0);
	ck_assert_uint_eq(m.bus.version, VMBUS_VERSION_WIN10);
	machine_disconnect(&m);
}
END_TEST

START_TEST(every_version)
{
	machine_connect(&m, bus_versions[_i]);
	ck_assert_uint_eq(m.bus.version, bus_versions[_i]);
	client_open(&m, client_find(&m, 0), 0);
	client_echo(&m, client_find(&m, 0), 100);
	ck_assert_int_eq(chan_close(client_find(&m, 0)), 0);
	machine_disconnect(&m);
}
END_TEST

START_TEST(open_close_reopen)
{
	struct chan *ch;

	machine_connect(&m, 0);
	ch = client_find(&m, 0);
	for (unsigned int i = 0; i < 20; i++) {
		client_open(&m, ch, i % 2);
		ck_assert_int_eq(chan_open(ch, 2, 2, 0, NULL), -EBUSY);
		client_echo(&m, ch, 16 + i * 50);
		ck_assert_int_eq(chan_close(ch), 0);
		ck_assert_int_eq(chan_close(ch), -ENOTCONN);
	}
	ck_assert_uint_eq(echo[0].opens, 20);
	ck_assert_uint_eq(echo[0].closes, 20);
	machine_disconnect(&m);
}
END_TEST

static bool subs_offered(void *arg)
{
	return bus_find_sub(&m.bus, arg, 3) != NULL;
}

START_TEST(sub_channels)
{
	struct chan *primary, *sub;

	machine_connect(&m, 0);
	primary = client_find(&m, 0);
	client_open(&m, primary, 0);
	ck_assert_int_eq(client_ask(&m, primary, ECHO_SUBS, 3, 0), 3);
	machine_until(&m, subs_offered, primary);
	for (unsigned int i = 1; i <= 3; i++) {
		sub = bus_find_sub(&m.bus, primary, i);
		ck_assert_ptr_nonnull(sub);
		client_open(&m, sub, i % 2);
		client_echo(&m, sub, 1000);
	}
	ck_assert_uint_eq(echo[0].open_now, 4);
	client_echo(&m, primary, 24);
	for (unsigned int i = 1; i <= 3; i++)
		ck_assert_int_eq(chan_close(bus_find_sub(&m.bus, primary, i)), 0);
	ck_assert_int_eq(chan_close(primary), 0);
	machine_disconnect(&m);
}
END_TEST

static const size_t gpadl_pages[] = { 1, 25, 26, 27, 53, 54, 55, 56, 1000, 8190 };

START_TEST(gpadls)
{
	size_t pages = gpadl_pages[_i];
	int64_t want = 0;
	struct chan *ch;
	uint32_t gpadl;
	uint8_t *buf;

	machine_connect(&m, 0);
	ch = client_find(&m, 0);
	client_open(&m, ch, 0);
	buf = m.env.pages_alloc(&m, pages);
	ck_assert_ptr_nonnull(buf);
	for (size_t i = 0; i < pages * CORE_PAGE_SIZE; i += 509) {
		buf[i] = (uint8_t)i;
		want += buf[i];
	}
	ck_assert_int_eq(bus_gpadl_create(&m.bus, ch->offer.child_relid, buf,
					  pages * CORE_PAGE_SIZE, &gpadl),
			 0);
	ck_assert_int_eq(client_ask(&m, ch, ECHO_GPADL_SUM, gpadl, 0), want);
	ck_assert_int_eq(bus_gpadl_teardown(&m.bus, ch->offer.child_relid, gpadl), 0);
	ck_assert_int_eq(client_ask(&m, ch, ECHO_GPADL_SUM, gpadl, 0), -ENOENT);
	m.env.pages_free(&m, buf, pages);
	ck_assert_int_eq(chan_close(ch), 0);
	machine_disconnect(&m);
}
END_TEST

START_TEST(modify)
{
	struct chan *ch;

	machine_connect(&m, _i ? VMBUS_VERSION_WIN10_V4_1 : VMBUS_VERSION_WIN10_V5_3);
	ch = client_find(&m, 0);
	client_open(&m, ch, 0);
	for (unsigned int i = 1; i < 10; i++) {
		ck_assert_int_eq(chan_modify(ch, i % 2), 0);
		/* without an acknowledgement, a GPADL's tells that the message before it was served */
		if (_i) {
			uint32_t gpadl;
			void *page = m.env.pages_alloc(&m, 1);

			ck_assert_int_eq(bus_gpadl_create(&m.bus, ch->offer.child_relid,
							  page, CORE_PAGE_SIZE, &gpadl),
					 0);
			ck_assert_int_eq(
				bus_gpadl_teardown(&m.bus, ch->offer.child_relid, gpadl),
				0);
			m.env.pages_free(&m, page, 1);
		}
		client_echo(&m, ch, 200); /* waits for interrupts of the new VP only */
	}
	ck_assert_int_eq(chan_close(ch), 0);
	machine_disconnect(&m);
}
END_TEST

START_TEST(modify_is_refused_below_4_1)
{
	machine_connect(&m, VMBUS_VERSION_WIN10);
	client_open(&m, client_find(&m, 0), 0);
	ck_assert_int_eq(chan_modify(client_find(&m, 0), 1), -EOPNOTSUPP);
	machine_disconnect(&m);
}
END_TEST

static bool is_rescinded(void *arg)
{
	return ((struct chan *)arg)->rescinded;
}

START_TEST(rescind)
{
	struct chan *ch, *other;

	machine_connect(&m, 0);
	ch = client_find(&m, 0);
	other = client_find(&m, 1);
	client_open(&m, other, 0);
	if (_i)
		client_open(&m, ch, 0);
	machine_on_loop(&m, echo_remove, &echo[0]);
	machine_until(&m, is_rescinded, ch);
	ck_assert_int_eq(chan_open(ch, 4, 4, 0, NULL), _i ? -EBUSY : -ENODEV);
	if (_i)
		ck_assert_int_eq(chan_close(ch), 0);
	ck_assert_int_eq(chan_release(ch), 0);
	machine_until(&m, is_gone, &echo[0]);
	client_echo(&m, other, 500);
	ck_assert_ptr_null(client_find(&m, 0));
	machine_disconnect(&m);
}
END_TEST

static bool is_offered(void *arg)
{
	return client_find(&m, (unsigned int)(uintptr_t)arg) != NULL;
}

START_TEST(hot_add)
{
	struct echo late = { .number = 7 };

	machine_connect(&m, 0);
	ck_assert_ptr_null(client_find(&m, 7));
	machine_on_loop(&m, echo_new, &late);
	machine_until(&m, is_offered, (void *)(uintptr_t)7);
	client_open(&m, client_find(&m, 7), 1);
	client_echo(&m, client_find(&m, 7), 64);
	machine_disconnect(&m);
	machine_on_loop(&m, echo_remove, &late);
	while (!late.gone)
		machine_on_loop(&m, NULL, NULL);
}
END_TEST

START_TEST(unload_with_open_channels)
{
	for (unsigned int i = 0; i < 5; i++) {
		machine_connect(&m, bus_versions[i]);
		client_open(&m, client_find(&m, 0), 0);
		client_open(&m, client_find(&m, 1), 1);
		client_echo(&m, client_find(&m, 0), 300);
		client_echo(&m, client_find(&m, 1), 300);
		machine_disconnect(&m);
		ck_assert_uint_eq(echo[0].open_now, 0);
	}
}
END_TEST

/* A guest that breaks one channel keeps the others, and may mend the one by closing it. */
START_TEST(fault_stays_in_its_channel)
{
	const struct echo_request req = { .op = ECHO_BREAK };
	struct chan *ch, *other;

	machine_connect(&m, 0);
	ch = client_find(&m, 0);
	other = client_find(&m, 1);
	client_open(&m, ch, 0);
	client_open(&m, other, 0);
	ck_assert_int_eq(chan_send(ch, 0, 1, &req, sizeof(req)), 0);
	client_echo(&m, other, 40);
	ck_assert_int_eq(chan_close(ch), 0);
	client_open(&m, ch, 0);
	client_echo(&m, ch, 40);
	machine_disconnect(&m);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("loop/bus");
	TCase *t = tcase_create("bus");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, no_version_in_common);
	tcase_add_loop_test(t, every_version, 0, (int)bus_versions_n);
	tcase_add_test(t, open_close_reopen);
	tcase_add_test(t, sub_channels);
	tcase_add_loop_test(t, gpadls, 0, ARRAY_SIZE(gpadl_pages));
	tcase_add_loop_test(t, modify, 0, 2);
	tcase_add_test(t, modify_is_refused_below_4_1);
	tcase_add_loop_test(t, rescind, 0, 2);
	tcase_add_test(t, hot_add);
	tcase_add_test(t, unload_with_open_channels);
	tcase_add_test(t, fault_stays_in_its_channel);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
