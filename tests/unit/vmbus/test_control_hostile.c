/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every control message with bad values in every state of a connection and of a channel. A row says what comes in and what the answer
 * is; the state machine's invariants are checked after each.
 */
#include "vmbus/control.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"
#include "unit/vmbus/control_host.h"

#define V53 VMBUS_VERSION_WIN10_V5_3
#define RING 0xe1e10u
#define RELID_A 1u

enum state {
	NEW,
	CONTACT,
	OFFERED,
	BUILDING,
	OPEN,
	CLOSING,
	RESCINDED,
	RELEASED,
	LEFT,
	STATES
};

static struct host h;
static struct host_channel *a;

static void go_offered(void)
{
	host_connect(&h, V53);
}

static void go_open(void)
{
	go_offered();
	host_gpadl(&h, RELID_A, RING, 4);
	host_open(&h, RELID_A, RING, 0);
}

static void go_building(void)
{
	struct {
		struct vmbus_gpadl_header head;
		struct vmbus_gpa_range range;
	} m = { .head = { .header.message_type = CHANNELMSG_GPADL_HEADER,
			  .child_relid = RELID_A,
			  .gpadl = RING,
			  .range_buflen = 9 * 8,
			  .range_count = 1 },
		.range = { .byte_count = 8 * 4096 } };

	go_offered();
	host_send(&h, &m, sizeof(m.head) + 8); /* its pages do not come */
}

static void go_to(enum state s)
{
	switch (s) {
	case NEW:
		break;
	case CONTACT:
		host_contact(&h, V53);
		break;
	case OFFERED:
		go_offered();
		break;
	case BUILDING:
		go_building();
		break;
	case CLOSING:
		h.defer_close = true;
		go_open();
		host_relid(&h, CHANNELMSG_CLOSECHANNEL, RELID_A);
		break;
	case RESCINDED:
		go_open();
		control_rescind(&a->control);
		break;
	case RELEASED:
		go_offered();
		host_relid(&h, CHANNELMSG_RELID_RELEASED, RELID_A);
		break;
	case LEFT:
		go_open();
		host_simple(&h, CHANNELMSG_UNLOAD);
		break;
	default:
		go_open();
		break;
	}
	host_forget(&h);
	h.control.errors = 0;
}

static void setup(void)
{
	host_init(&h);
	a = host_offer(&h, 1);
	ck_assert_uint_eq(a->control.relid, RELID_A);
}

static void teardown(void)
{
	host_done(&h);
}

static void check_now(const char *what)
{
	const char *wrong = host_fault(&h);

	ck_assert_msg(!wrong, "%s: %s", what, wrong ? wrong : "");
}

/* ---- one message: `len` bytes from a template; 0 as answer is none ---- */

#define IN(s) (1u << (s))
#define ALL ((1u << STATES) - 1)
#define CONNECTED                                                            \
	(IN(CONTACT) | IN(OFFERED) | IN(BUILDING) | IN(OPEN) | IN(CLOSING) | \
	 IN(RESCINDED) | IN(RELEASED))

struct row {
	const char *what;
	unsigned int states;
	uint32_t words[12]; /* type, padding, ... */
	unsigned int len;
	uint32_t answer;
	bool no_error;
};

#define OPEN_WORDS(relid, gpadl, vp, offset)                           \
	{                                                              \
		CHANNELMSG_OPENCHANNEL, 0, relid, 5, gpadl, vp, offset \
	}
#define OPEN_LEN sizeof(struct vmbus_open_channel)
#define HEADER_WORDS(relid, id, bytes, count, ...)                               \
	{                                                                        \
		CHANNELMSG_GPADL_HEADER, 0, relid, id,                           \
			(uint32_t)(bytes) | (uint32_t)(count) << 16, __VA_ARGS__ \
	}

static const struct row rows[] = {
	{ "no bytes", ALL, { 0 }, 0 },
	{ "half a header", ALL, { CHANNELMSG_UNLOAD }, 4 },
	{ "type 0", ALL, { 0 }, 8 },
	{ "a host's message", ALL, { CHANNELMSG_OFFERCHANNEL }, 196 },
	{ "a host's answer", ALL, { CHANNELMSG_OPENCHANNEL_RESULT, 0, 1, 1, 0 }, 20 },
	{ "a type between", ALL, { 18 }, 40 },
	{ "a type beyond", ALL, { 25 }, 40 },
	{ "the largest type", ALL, { UINT32_MAX }, 240 },
	{ "short contact", ALL, { CHANNELMSG_INITIATE_CONTACT, 0, V53 }, 39 },
	{ "contact from nowhere",
	  ALL & ~IN(CLOSING),
	  { CHANNELMSG_INITIATE_CONTACT, 0, V53, 77777, 2 },
	  40,
	  CHANNELMSG_VERSION_RESPONSE,
	  true },
	{ "offers without contact", IN(NEW) | IN(LEFT), { CHANNELMSG_REQUESTOFFERS }, 8 },
	{ "offers twice", CONNECTED & ~IN(CONTACT), { CHANNELMSG_REQUESTOFFERS }, 8 },

	{ "short open", ALL, OPEN_WORDS(1, RING, 0, 2), OPEN_LEN - 1 },
	{ "open without contact", IN(NEW) | IN(LEFT), OPEN_WORDS(1, RING, 0, 2),
	  OPEN_LEN },
	{ "open relid 0", CONNECTED, OPEN_WORDS(0, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open unknown relid", CONNECTED, OPEN_WORDS(2, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open relid 2048", CONNECTED, OPEN_WORDS(2048, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open relid -1", CONNECTED, OPEN_WORDS(UINT32_MAX, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open before offers", IN(CONTACT), OPEN_WORDS(1, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open, no such gpadl", IN(OFFERED), OPEN_WORDS(1, 99, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open, half a gpadl", IN(BUILDING), OPEN_WORDS(1, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open, no such VP", IN(OFFERED), OPEN_WORDS(1, RING, 2, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open what is open", IN(OPEN), OPEN_WORDS(1, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open what is rescinded", IN(RESCINDED), OPEN_WORDS(1, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },
	{ "open what was released", IN(RELEASED), OPEN_WORDS(1, RING, 0, 2), OPEN_LEN,
	  CHANNELMSG_OPENCHANNEL_RESULT },

	{ "short close", ALL, { CHANNELMSG_CLOSECHANNEL, 0, 1 }, 11 },
	{ "close what is not open",
	  ALL & ~(IN(OPEN) | IN(RESCINDED)),
	  { CHANNELMSG_CLOSECHANNEL, 0, 1 },
	  12 },
	{ "close a rescinded",
	  IN(RESCINDED),
	  { CHANNELMSG_CLOSECHANNEL, 0, 1 },
	  12,
	  0,
	  true },
	{ "close unknown", ALL, { CHANNELMSG_CLOSECHANNEL, 0, 2 }, 12 },
	{ "close relid -1", ALL, { CHANNELMSG_CLOSECHANNEL, 0, UINT32_MAX }, 12 },

	{ "short release", ALL, { CHANNELMSG_RELID_RELEASED, 0, 1 }, 11 },
	{ "release unknown", ALL, { CHANNELMSG_RELID_RELEASED, 0, 2047 }, 12 },
	{ "release relid -1", ALL, { CHANNELMSG_RELID_RELEASED, 0, UINT32_MAX }, 12 },
	{ "release what is open", IN(OPEN), { CHANNELMSG_RELID_RELEASED, 0, 1 }, 12 },
	{ "release what was",
	  IN(RELEASED) | IN(NEW) | IN(LEFT) | IN(CONTACT),
	  { CHANNELMSG_RELID_RELEASED, 0, 1 },
	  12 },

	{ "short gpadl header", ALL, HEADER_WORDS(1, 9, 40, 1, 4096), 19 },
	{ "gpadl without contact", IN(NEW) | IN(LEFT),
	  HEADER_WORDS(1, 9, 16, 1, 4096, 0, 0), 36 },
	{ "gpadl on unknown relid", CONNECTED, HEADER_WORDS(2, 9, 16, 1, 4096, 0, 0), 36,
	  CHANNELMSG_GPADL_CREATED },
	{ "gpadl on relid -1", CONNECTED, HEADER_WORDS(UINT32_MAX, 9, 16, 1, 4096, 0, 0),
	  36, CHANNELMSG_GPADL_CREATED },
	{ "gpadl handle in use", IN(OPEN) | IN(BUILDING),
	  HEADER_WORDS(1, RING, 16, 1, 4096, 0, 0), 36, CHANNELMSG_GPADL_CREATED },
	{ "gpadl of no bytes", IN(OFFERED), HEADER_WORDS(1, 9, 0, 1, 4096, 0, 0), 36,
	  CHANNELMSG_GPADL_CREATED },
	{ "gpadl of no ranges", IN(OFFERED), HEADER_WORDS(1, 9, 16, 0, 4096, 0, 0), 36,
	  CHANNELMSG_GPADL_CREATED },
	{ "gpadl of odd bytes", IN(OFFERED), HEADER_WORDS(1, 9, 17, 1, 4096, 0, 0), 36,
	  CHANNELMSG_GPADL_CREATED },
	{ "more ranges than bytes", IN(OFFERED), HEADER_WORDS(1, 9, 16, 2, 4096, 0, 0),
	  36, CHANNELMSG_GPADL_CREATED },
	{ "65535 ranges", IN(OFFERED), HEADER_WORDS(1, 9, 65528, 65535, 4096, 0, 0), 36,
	  CHANNELMSG_GPADL_CREATED },
	{ "an empty range", IN(OFFERED), HEADER_WORDS(1, 9, 16, 1, 0, 0, 0), 36,
	  CHANNELMSG_GPADL_CREATED },
	{ "a range of 4 GiB", IN(OFFERED), HEADER_WORDS(1, 9, 16, 1, UINT32_MAX, 0, 0),
	  36, CHANNELMSG_GPADL_CREATED },
	{ "a range's offset beyond a page", IN(OFFERED),
	  HEADER_WORDS(1, 9, 16, 1, 1, 4096, 0), 36, CHANNELMSG_GPADL_CREATED },
	{ "a range's offset -1", IN(OFFERED), HEADER_WORDS(1, 9, 16, 1, 1, UINT32_MAX, 0),
	  36, CHANNELMSG_GPADL_CREATED },
	{ "a range into a second page", IN(OFFERED),
	  HEADER_WORDS(1, 9, 16, 1, 4096, 1, 0), 36, CHANNELMSG_GPADL_CREATED },
	{ "fewer pages than words", IN(OFFERED),
	  HEADER_WORDS(1, 9, 24, 1, 4096, 0, 0, 0, 1), 44, CHANNELMSG_GPADL_CREATED },
	{ "a page behind RAM", IN(OFFERED), HEADER_WORDS(1, 9, 16, 1, 4096, 0, 0x2000, 0),
	  36, CHANNELMSG_GPADL_CREATED },
	{ "page -1", IN(OFFERED),
	  HEADER_WORDS(1, 9, 16, 1, 4096, 0, UINT32_MAX, UINT32_MAX), 36,
	  CHANNELMSG_GPADL_CREATED },
	{ "a page whose address wraps to 0", IN(OFFERED),
	  HEADER_WORDS(1, 9, 16, 1, 4096, 0, 0, 0x100000), 36, CHANNELMSG_GPADL_CREATED },
	{ "a header that brings no word", IN(OFFERED), HEADER_WORDS(1, 9, 16, 1), 20,
	  CHANNELMSG_GPADL_CREATED },

	{ "short body", ALL, { CHANNELMSG_GPADL_BODY, 0, 0, RING }, 15 },
	{ "body without header",
	  CONNECTED & ~IN(BUILDING),
	  { CHANNELMSG_GPADL_BODY, 0, 0, 9, 1, 0 },
	  24 },
	{ "body of a complete gpadl",
	  IN(OPEN),
	  { CHANNELMSG_GPADL_BODY, 0, 0, RING, 1, 0 },
	  24 },
	{ "body that brings no word",
	  IN(BUILDING),
	  { CHANNELMSG_GPADL_BODY, 0, 0, RING, 1 },
	  20,
	  CHANNELMSG_GPADL_CREATED },
	{ "body of bad pages",
	  IN(BUILDING),
	  { CHANNELMSG_GPADL_BODY, 0, 0, RING, 1, 1, 1, 1, 1, 1, 1, 1 },
	  80,
	  CHANNELMSG_GPADL_CREATED },

	{ "short teardown", ALL, { CHANNELMSG_GPADL_TEARDOWN, 0, 1, RING }, 15 },
	{ "teardown of nothing", ALL, { CHANNELMSG_GPADL_TEARDOWN, 0, 1, 99 }, 16 },
	{ "teardown by another channel",
	  ALL,
	  { CHANNELMSG_GPADL_TEARDOWN, 0, 2, RING },
	  16 },
	{ "teardown of half a gpadl",
	  IN(BUILDING),
	  { CHANNELMSG_GPADL_TEARDOWN, 0, 1, RING },
	  16 },

	{ "short modify", ALL, { CHANNELMSG_MODIFYCHANNEL, 0, 1, 0 }, 15 },
	{ "modify without contact",
	  IN(NEW) | IN(LEFT),
	  { CHANNELMSG_MODIFYCHANNEL, 0, 1, 0 },
	  16 },
	{ "modify what is not open",
	  CONNECTED & ~IN(OPEN),
	  { CHANNELMSG_MODIFYCHANNEL, 0, 1, 0 },
	  16,
	  CHANNELMSG_MODIFYCHANNEL_RESPONSE },
	{ "modify unknown",
	  CONNECTED,
	  { CHANNELMSG_MODIFYCHANNEL, 0, 9, 0 },
	  16,
	  CHANNELMSG_MODIFYCHANNEL_RESPONSE },
	{ "modify to no VP",
	  CONNECTED,
	  { CHANNELMSG_MODIFYCHANNEL, 0, 1, 2 },
	  16,
	  CHANNELMSG_MODIFYCHANNEL_RESPONSE },
	{ "short socket", ALL, { CHANNELMSG_TL_CONNECT_REQUEST }, 39 },
	{ "socket without contact",
	  IN(NEW) | IN(LEFT),
	  { CHANNELMSG_TL_CONNECT_REQUEST },
	  40 },
};

/* The status of an answer that has one. */
static uint32_t status_of(const struct host_post *p)
{
	switch (p->header.message_type) {
	case CHANNELMSG_OPENCHANNEL_RESULT:
		return p->open_result.status;
	case CHANNELMSG_GPADL_CREATED:
		return p->created.status;
	case CHANNELMSG_MODIFYCHANNEL_RESPONSE:
		return p->modify.status;
	default:
		return 1;
	}
}

static void send_row(const struct row *r)
{
	uint8_t buf[VMBUS_MESSAGE_MAX] = { 0 };

	memcpy(buf, r->words, sizeof(r->words));
	host_send(&h, buf, r->len);
}

static void row_in_state(const struct row *r, enum state s)
{
	go_to(s);
	check_now("before");
	send_row(r);
	check_now(r->what);
	if (r->answer)
		ck_assert_msg(status_of(host_expect(&h, r->answer)) != 0,
			      "%s in state %d", r->what, s);
	ck_assert_msg(h.taken == h.post_count, "%s in state %d: an answer too much",
		      r->what, s);
	ck_assert_msg(r->no_error ? !h.control.errors : h.control.errors == 1,
		      "%s in state %d: %lu errors", r->what, s,
		      (unsigned long)h.control.errors);
	if (h.defer_close) {
		h.defer_close = false;
		host_closed(&h, a);
	}
	if (a->control.rescinded)
		return;
	/* It harmed nobody: the guest that starts anew is served. */
	host_connect(&h, V53);
	host_gpadl(&h, RELID_A, 5, 4);
	host_open(&h, RELID_A, 5, 0);
	ck_assert_msg(a->control.state == CONTROL_OPEN, "%s in state %d", r->what, s);
}

START_TEST(bad_message)
{
	ck_assert(rows[_i].states & ALL);
	for (enum state s = 0; s < STATES; s++) {
		if (!(rows[_i].states & IN(s)))
			continue;
		teardown();
		setup();
		row_in_state(&rows[_i], s);
	}
}
END_TEST

/* ---- many ---- */

START_TEST(too_many_gpadls)
{
	unsigned int made = 0;

	go_offered();
	for (uint32_t id = 1; id <= GPADL_COUNT_MAX + 10; id++) {
		host_gpadl(&h, RELID_A, id, 1);
		made += host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status == 0;
		host_forget(&h);
		h.post_count = h.taken = 0;
	}
	ck_assert_uint_eq(made, GPADL_COUNT_MAX);
	check_now("many");
	host_teardown(&h, RELID_A, 1);
	host_expect(&h, CHANNELMSG_GPADL_TORNDOWN);
	host_gpadl(&h, RELID_A, 1, 1);
	ck_assert_uint_eq(host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status, 0);
}
END_TEST

START_TEST(too_many_pages)
{
	unsigned int made = 0;

	go_offered();
	for (uint32_t id = 1; id <= 64; id++) {
		host_gpadl(&h, RELID_A, id, 8000);
		made += host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status == 0;
		h.post_count = h.taken = 0;
	}
	ck_assert_uint_eq(made, GPADL_PAGES_TOTAL_MAX / 8001);
	check_now("pages");
}
END_TEST

START_TEST(headers_without_bodies_are_charged)
{
	struct {
		struct vmbus_gpadl_header head;
		uint64_t word;
	} m = { .head = { .header.message_type = CHANNELMSG_GPADL_HEADER,
			  .child_relid = RELID_A,
			  .range_buflen = 65528,
			  .range_count = 1 } };

	go_offered();
	for (uint32_t id = 1; id <= 5000; id++) {
		m.head.gpadl = id;
		host_send(&h, &m, sizeof(m.head) + 8);
		h.post_count = h.taken = 0;
	}
	ck_assert_uint_le(h.control.gpadls.words, GPADL_PAGES_TOTAL_MAX);
	check_now("headers");
	host_contact(&h, V53);
	ck_assert_uint_eq(h.control.gpadls.count, 0);
}
END_TEST

START_TEST(the_largest_gpadl)
{
	go_offered();
	host_gpadl(&h, RELID_A, 1, 8190);
	ck_assert_uint_eq(host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status, 0);
	/* Interleaved bodies of two. */
	host_gpadl(&h, RELID_A, 2, 1000);
	ck_assert_uint_eq(host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status, 0);
}
END_TEST

/* UEFI posts whole message buffers, whatever they hold. */
START_TEST(messages_longer_than_needed)
{
	uint8_t buf[VMBUS_MESSAGE_MAX];
	struct vmbus_gpadl_header head = { .header.message_type = CHANNELMSG_GPADL_HEADER,
					   .child_relid = RELID_A,
					   .gpadl = 3,
					   .range_buflen = 16,
					   .range_count = 1 };
	struct vmbus_gpa_range range = { .byte_count = 4096 };
	uint64_t pfn = 5;

	go_offered();
	memset(buf, 0xee, sizeof(buf));
	memcpy(buf, &head, sizeof(head));
	memcpy(buf + 20, &range, sizeof(range));
	memcpy(buf + 28, &pfn, sizeof(pfn));
	host_send(&h, buf, sizeof(buf));
	ck_assert_uint_eq(host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status, 0);
}
END_TEST

START_TEST(relids_run_out)
{
	static struct control_channel many[CONTROL_RELID_MAX + 1];
	int r = 0;

	for (uint32_t i = 0; i < CONTROL_RELID_MAX; i++) {
		memcpy(&many[i].offer.instance.b[4], &i, sizeof(i));
		r = control_offer(&h.control, &many[i], NULL);
		if (r)
			break;
	}
	ck_assert_int_eq(r, -ENOSPC); /* one is the fixture's */
	list_init(&h.control.channels);
	list_add_tail(&h.control.channels, &a->control.link);
	for (uint32_t i = 2; i <= CONTROL_RELID_MAX; i++)
		h.control.by_relid[i] = NULL;
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("control_hostile");
	TCase *t = tcase_create("hostile");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, bad_message, 0, ARRAY_SIZE(rows));
	tcase_add_test(t, too_many_gpadls);
	tcase_add_test(t, too_many_pages);
	tcase_add_test(t, headers_without_bodies_are_charged);
	tcase_add_test(t, the_largest_gpadl);
	tcase_add_test(t, messages_longer_than_needed);
	tcase_add_test(t, relids_run_out);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
