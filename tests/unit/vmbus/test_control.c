/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/control.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"
#include "unit/vmbus/control_host.h"

#define V53 VMBUS_VERSION_WIN10_V5_3
#define RING 0xe1e10u

static struct host h;
static struct host_channel *a;

static void setup(void)
{
	host_init(&h);
	a = host_offer(&h, 1);
	ck_assert_ptr_nonnull(a);
}

static void teardown(void)
{
	host_done(&h);
}

static void check_now(void)
{
	const char *wrong = host_fault(&h);

	ck_assert_msg(!wrong, "%s", wrong);
}

static void open_a(void)
{
	host_gpadl(&h, a->control.relid, RING, 4);
	ck_assert_uint_eq(host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status, 0);
	host_open(&h, a->control.relid, RING, 1);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_OPENCHANNEL_RESULT)->open_result.status, 0);
	ck_assert_int_eq(a->control.state, CONTROL_OPEN);
}

/* ---- the connection ---- */

static const struct {
	uint32_t version;
	bool ok;
	uint32_t id; /* in the answer */
	unsigned int vp;
} version_rows[] = {
	{ VMBUS_VERSION(0, 13), false, 0, 0 },
	{ VMBUS_VERSION(1, 1), false, 0, 0 },
	{ VMBUS_VERSION_WIN8, true, VMBUS_VERSION_WIN8, 0 },
	{ VMBUS_VERSION_WIN8_1, true, VMBUS_VERSION_WIN8_1, 1 },
	{ VMBUS_VERSION_WIN10, true, VMBUS_VERSION_WIN10, 1 },
	{ VMBUS_VERSION_WIN10_V4_1, true, VMBUS_VERSION_WIN10_V4_1, 1 },
	{ VMBUS_VERSION_WIN10_V5, true, 1, 1 },
	{ VMBUS_VERSION_WIN10_V5_1, true, 1, 1 },
	{ VMBUS_VERSION_WIN10_V5_2, true, 1, 1 },
	{ VMBUS_VERSION_WIN10_V5_3, true, 1, 1 },
	{ VMBUS_VERSION(5, 4), false, 0, 1 },
	{ VMBUS_VERSION(6, 0), false, 0, 1 },
	{ 0, false, 0, 0 },
	{ UINT32_MAX, false, 0, 1 },
};

START_TEST(versions)
{
	const struct host_post *p;

	host_contact(&h, version_rows[_i].version);
	p = host_expect(&h, CHANNELMSG_VERSION_RESPONSE);
	ck_assert_uint_eq(p->len, sizeof(p->version));
	ck_assert_uint_eq(p->version.version_supported, version_rows[_i].ok);
	ck_assert_uint_eq(p->version.msg_connection_id, version_rows[_i].id);
	ck_assert_uint_eq(p->vp, version_rows[_i].vp);
	ck_assert_uint_eq(p->sint, VMBUS_MESSAGE_SINT);
	ck_assert_uint_eq(h.control.version,
			  version_rows[_i].ok ? version_rows[_i].version : 0);
	host_simple(&h, CHANNELMSG_REQUESTOFFERS);
	if (version_rows[_i].ok) {
		host_expect(&h, CHANNELMSG_OFFERCHANNEL);
		host_expect(&h, CHANNELMSG_ALLOFFERS_DELIVERED);
	}
	host_expect_nothing(&h);
	check_now();
}
END_TEST

START_TEST(other_sint_or_trust_level)
{
	struct vmbus_initiate_contact m = {
		.header.message_type = CHANNELMSG_INITIATE_CONTACT,
		.version_requested = V53,
		.msg_sint = 5,
	};
	const struct host_post *p;

	host_send(&h, &m, sizeof(m));
	p = host_expect(&h, CHANNELMSG_VERSION_RESPONSE);
	ck_assert_uint_eq(p->version.version_supported, 0);
	ck_assert_uint_eq(p->sint, 5); /* where that guest listens */
	m.msg_sint = VMBUS_MESSAGE_SINT;
	m.msg_vtl = 2;
	host_send(&h, &m, sizeof(m));
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_VERSION_RESPONSE)->version.version_supported,
		0);
}
END_TEST

START_TEST(offer_is_what_was_given)
{
	const struct vmbus_offer_channel *o;

	a->control.offer.flags = VMBUS_CHANNEL_NAMED_PIPE_MODE;
	a->control.offer.mmio_megabytes = 8;
	memset(a->control.offer.user_defined, 0x5a, VMBUS_OFFER_USER_BYTES);
	host_contact(&h, V53);
	host_forget(&h);
	host_simple(&h, CHANNELMSG_REQUESTOFFERS);
	o = &host_expect(&h, CHANNELMSG_OFFERCHANNEL)->offer;
	ck_assert_mem_eq(o->interface_type, &a->control.offer.type, 16);
	ck_assert_mem_eq(o->interface_instance, &a->control.offer.instance, 16);
	ck_assert_uint_eq(o->channel_flags, VMBUS_CHANNEL_NAMED_PIPE_MODE);
	ck_assert_uint_eq(o->mmio_megabytes, 8);
	ck_assert_mem_eq(o->user_defined, a->control.offer.user_defined, 120);
	ck_assert_uint_eq(o->sub_channel_index, 0);
	ck_assert_uint_eq(o->child_relid, a->control.relid);
	ck_assert_uint_eq(o->connection_id, a->control.connection_id);
	ck_assert_uint_eq(o->is_dedicated_interrupt, 1);
	ck_assert_uint_eq(o->monitor_allocated, 0);
	host_expect(&h, CHANNELMSG_ALLOFFERS_DELIVERED);
	/* Once a connection. */
	host_simple(&h, CHANNELMSG_REQUESTOFFERS);
	host_expect_nothing(&h);
	ck_assert_uint_eq(h.control.errors, 1);
}
END_TEST

START_TEST(late_offers_come_by_themselves)
{
	struct host_channel *b;

	host_contact(&h, V53);
	host_forget(&h);
	b = host_offer(&h, 2); /* before the guest asked: with the others */
	host_expect_nothing(&h);
	host_simple(&h, CHANNELMSG_REQUESTOFFERS);
	host_expect(&h, CHANNELMSG_OFFERCHANNEL);
	host_expect(&h, CHANNELMSG_OFFERCHANNEL);
	host_expect(&h, CHANNELMSG_ALLOFFERS_DELIVERED);
	ck_assert_ptr_nonnull(host_offer(&h, 3));
	host_expect(&h, CHANNELMSG_OFFERCHANNEL);
	ck_assert_ptr_null(host_offer(&h, 3));
	ck_assert_uint_ne(a->control.relid, b->control.relid);
}
END_TEST

START_TEST(contact_resets_everything)
{
	uint32_t relid = a->control.relid;

	host_connect(&h, V53);
	open_a();
	host_gpadl(&h, relid, 7, 600);
	host_forget(&h);
	host_contact(&h, VMBUS_VERSION_WIN10);
	ck_assert_uint_eq(h.closes, 1);
	ck_assert_uint_eq(h.discards, 2);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_VERSION_RESPONSE)->version.version_supported,
		1);
	ck_assert_uint_eq(h.control.gpadls.count, 0);
	ck_assert_int_eq(a->control.state, CONTROL_HELD);
	host_simple(&h, CHANNELMSG_REQUESTOFFERS);
	ck_assert_uint_eq(host_expect(&h, CHANNELMSG_OFFERCHANNEL)->offer.child_relid,
			  relid);
	host_expect(&h, CHANNELMSG_ALLOFFERS_DELIVERED);
	open_a();
	check_now();
}
END_TEST

/* The answer says that the memory is the guest's again: it waits for the last close. The last wish counts. */
START_TEST(leaving_waits_for_closes)
{
	host_connect(&h, V53);
	open_a();
	h.defer_close = true;
	host_simple(&h, CHANNELMSG_UNLOAD);
	host_expect_nothing(&h);
	host_gpadl(&h, a->control.relid, 8, 4); /* nothing is served now */
	host_expect_nothing(&h);
	host_contact(&h, V53);
	host_expect_nothing(&h);
	host_simple(&h, CHANNELMSG_UNLOAD);
	check_now();
	host_closed(&h, a);
	host_expect(&h, CHANNELMSG_UNLOAD_RESPONSE);
	host_expect_nothing(&h);
	ck_assert_int_eq(h.control.connection, CONTROL_DISCONNECTED);
	check_now();
}
END_TEST

START_TEST(reset_goes_before_the_guests_wish)
{
	host_connect(&h, V53);
	open_a();
	h.defer_close = true;
	control_reset(&h.control);
	host_contact(&h, V53);
	ck_assert_uint_eq(h.resets, 0);
	host_closed(&h, a);
	ck_assert_uint_eq(h.resets, 1);
	host_expect_nothing(&h);
	check_now();
}
END_TEST

START_TEST(unload_goes_to_the_contacts_vp)
{
	const struct host_post *p;

	host_connect(&h, V53);
	host_simple(&h, CHANNELMSG_UNLOAD);
	p = host_expect(&h, CHANNELMSG_UNLOAD_RESPONSE);
	ck_assert_uint_eq(p->vp, 1);
	ck_assert_uint_eq(p->len, 8);
}
END_TEST

START_TEST(socket_connect_is_refused)
{
	struct vmbus_tl_connect_request m = {
		.header.message_type = CHANNELMSG_TL_CONNECT_REQUEST,
		.endpoint_id = { 1, 2 },
		.service_id = { 3, 4 },
	};
	const struct host_post *p;

	host_connect(&h, V53);
	host_send(&h, &m, sizeof(m));
	p = host_expect(&h, CHANNELMSG_TL_CONNECT_RESULT);
	ck_assert_mem_eq(p->tl.endpoint_id, m.endpoint_id, 16);
	ck_assert_mem_eq(p->tl.service_id, m.service_id, 16);
	ck_assert_uint_eq(p->tl.status, 0xc0000236);
	host_connect(&h, VMBUS_VERSION_WIN10);
	host_send(&h, &m, sizeof(m));
	host_expect_nothing(&h);
}
END_TEST

/* ---- channels ---- */

START_TEST(open_close_open)
{
	host_connect(&h, V53);
	for (unsigned int n = 1; n < 4; n++) {
		open_a();
		ck_assert_uint_eq(h.opens, n);
		host_relid(&h, CHANNELMSG_CLOSECHANNEL, a->control.relid);
		ck_assert_uint_eq(h.closes, n);
		host_expect_nothing(&h); /* a close has no answer */
		host_teardown(&h, a->control.relid, RING);
		host_expect(&h, CHANNELMSG_GPADL_TORNDOWN);
		check_now();
	}
}
END_TEST

START_TEST(refused_open)
{
	host_connect(&h, V53);
	h.open_result = -EIO;
	host_gpadl(&h, a->control.relid, RING, 4);
	host_open(&h, a->control.relid, RING, 0);
	host_expect(&h, CHANNELMSG_GPADL_CREATED);
	ck_assert_uint_ne(
		host_expect(&h, CHANNELMSG_OPENCHANNEL_RESULT)->open_result.status, 0);
	host_teardown(&h, a->control.relid, RING); /* no one holds it */
	host_expect(&h, CHANNELMSG_GPADL_TORNDOWN);
	check_now();
}
END_TEST

START_TEST(reopen_waits_for_the_close)
{
	host_connect(&h, V53);
	open_a();
	h.defer_close = true;
	host_relid(&h, CHANNELMSG_CLOSECHANNEL, a->control.relid);
	host_gpadl(&h, a->control.relid, RING + 1, 4);
	host_expect(&h, CHANNELMSG_GPADL_CREATED);
	host_open(&h, a->control.relid, RING + 1, 0);
	host_expect_nothing(&h);
	host_open(&h, a->control.relid, RING + 1, 0); /* twice is wrong */
	ck_assert_uint_ne(
		host_expect(&h, CHANNELMSG_OPENCHANNEL_RESULT)->open_result.status, 0);
	host_closed(&h, a);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_OPENCHANNEL_RESULT)->open_result.status, 0);
	ck_assert_uint_eq(h.opens, 2);
	check_now();
}
END_TEST

START_TEST(teardown_of_a_ring_waits_for_the_close)
{
	host_connect(&h, V53);
	open_a();
	host_teardown(&h, a->control.relid, RING);
	host_expect_nothing(&h);
	ck_assert_int_eq(a->control.state, CONTROL_OPEN);
	host_relid(&h, CHANNELMSG_CLOSECHANNEL, a->control.relid);
	ck_assert_uint_eq(h.notifies, 1);
	control_reap(&h.control);
	ck_assert_uint_eq(host_expect(&h, CHANNELMSG_GPADL_TORNDOWN)->torndown.gpadl,
			  RING);
	host_expect_nothing(&h);
}
END_TEST

static const struct {
	uint32_t version, vp;
	bool ok;
	bool answer;
} modify_rows[] = {
	{ V53, 0, true, true },
	{ V53, 1, true, true },
	{ V53, 2, false, true },
	{ V53, VMBUS_VP_NONE, false, true },
	{ VMBUS_VERSION_WIN10_V5_2, 0, true, false },
	{ VMBUS_VERSION_WIN10_V4_1, 0, true, false },
	{ VMBUS_VERSION_WIN10, 0, false, false },
};

START_TEST(modify)
{
	host_connect(&h, modify_rows[_i].version);
	open_a();
	host_modify(&h, a->control.relid, modify_rows[_i].vp);
	ck_assert_uint_eq(h.modifies, modify_rows[_i].ok);
	ck_assert_uint_eq(a->control.target_vp,
			  modify_rows[_i].ok ? modify_rows[_i].vp : 1);
	if (modify_rows[_i].answer)
		ck_assert_uint_eq(host_expect(&h, CHANNELMSG_MODIFYCHANNEL_RESPONSE)
						  ->modify.status == 0,
				  modify_rows[_i].ok);
	host_expect_nothing(&h);
}
END_TEST

START_TEST(rescind_keeps_the_relid)
{
	uint32_t relid = a->control.relid;

	host_connect(&h, V53);
	open_a();
	control_rescind(&a->control);
	control_rescind(&a->control);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_RESCIND_CHANNELOFFER)->relid.child_relid,
		relid);
	ck_assert_uint_eq(h.closes, 1);
	/* What the guest's driver still does on its way out is answered. */
	host_relid(&h, CHANNELMSG_CLOSECHANNEL, relid);
	host_teardown(&h, relid, RING);
	host_expect(&h, CHANNELMSG_GPADL_TORNDOWN);
	host_open(&h, relid, RING, 0);
	ck_assert_uint_ne(
		host_expect(&h, CHANNELMSG_OPENCHANNEL_RESULT)->open_result.status, 0);
	ck_assert_uint_eq(h.gones, 0);
	for (uint8_t i = 10; i < 20; i++)
		ck_assert_uint_ne(host_offer(&h, i)->control.relid, relid);
	host_relid(&h, CHANNELMSG_RELID_RELEASED, relid);
	ck_assert_uint_eq(h.gones, 1);
	check_now();
}
END_TEST

START_TEST(rescind_unknown_to_the_guest)
{
	control_rescind(&a->control);
	ck_assert_uint_eq(h.gones, 1);
	host_expect_nothing(&h);
	a = host_offer(&h, 1);
	host_connect(&h, V53);
	control_rescind(&a->control);
	host_expect(&h, CHANNELMSG_RESCIND_CHANNELOFFER);
	ck_assert_uint_eq(h.gones, 1);
	host_contact(&h, V53); /* who starts anew knows no relid */
	ck_assert_uint_eq(h.gones, 2);
	check_now();
}
END_TEST

START_TEST(rescind_during_close)
{
	host_connect(&h, V53);
	open_a();
	h.defer_close = true;
	host_relid(&h, CHANNELMSG_CLOSECHANNEL, a->control.relid);
	host_relid(&h, CHANNELMSG_RELID_RELEASED, a->control.relid);
	control_rescind(&a->control);
	host_expect_nothing(&h); /* the guest has let go of it */
	host_closed(&h, a);
	ck_assert_uint_eq(h.gones, 1);
	check_now();
}
END_TEST

START_TEST(release_without_rescind)
{
	host_connect(&h, V53);
	host_relid(&h, CHANNELMSG_RELID_RELEASED, a->control.relid);
	ck_assert_uint_eq(h.gones, 0);
	host_gpadl(&h, a->control.relid, 3, 4);
	ck_assert_uint_ne(host_expect(&h, CHANNELMSG_GPADL_CREATED)->created.status, 0);
	host_simple(&h, CHANNELMSG_UNLOAD);
	host_connect(&h, V53);
	open_a();
}
END_TEST

/* ---- sub-channels ---- */

START_TEST(sub_channels)
{
	struct host_channel *s1, *s2;
	const struct vmbus_offer_channel *o;

	ck_assert_ptr_null(host_offer_sub(&h, a, 1));
	host_connect(&h, V53);
	ck_assert_ptr_null(host_offer_sub(&h, a, 1));
	open_a();
	s1 = host_offer_sub(&h, a, 1);
	s2 = host_offer_sub(&h, a, 2);
	o = &host_expect(&h, CHANNELMSG_OFFERCHANNEL)->offer;
	ck_assert_uint_eq(o->sub_channel_index, 1);
	ck_assert_mem_eq(o->interface_instance, &a->control.offer.instance, 16);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_OFFERCHANNEL)->offer.sub_channel_index, 2);
	host_gpadl(&h, s1->control.relid, 100, 4);
	host_open(&h, s1->control.relid, RING, 0); /* the primary's ring */
	host_open(&h, s1->control.relid, 100, 0);
	host_expect(&h, CHANNELMSG_GPADL_CREATED);
	ck_assert_uint_ne(
		host_expect(&h, CHANNELMSG_OPENCHANNEL_RESULT)->open_result.status, 0);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_OPENCHANNEL_RESULT)->open_result.status, 0);
	/* Linux closes and releases them, then the primary; the other one is rescinded by us. */
	host_relid(&h, CHANNELMSG_CLOSECHANNEL, s1->control.relid);
	host_relid(&h, CHANNELMSG_RELID_RELEASED, s1->control.relid);
	ck_assert_uint_eq(h.gones, 1);
	host_relid(&h, CHANNELMSG_CLOSECHANNEL, a->control.relid);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_RESCIND_CHANNELOFFER)->relid.child_relid,
		s2->control.relid);
	check_now();
	host_relid(&h, CHANNELMSG_RELID_RELEASED, s2->control.relid);
	ck_assert_uint_eq(h.gones, 2);
	check_now();
}
END_TEST

START_TEST(rescind_takes_sub_channels_along)
{
	struct host_channel *s;

	host_connect(&h, V53);
	open_a();
	s = host_offer_sub(&h, a, 1);
	host_gpadl(&h, s->control.relid, 100, 4);
	host_open(&h, s->control.relid, 100, 0);
	host_forget(&h);
	control_rescind(&a->control);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_RESCIND_CHANNELOFFER)->relid.child_relid,
		s->control.relid);
	ck_assert_uint_eq(
		host_expect(&h, CHANNELMSG_RESCIND_CHANNELOFFER)->relid.child_relid,
		a->control.relid);
	host_relid(&h, CHANNELMSG_RELID_RELEASED, a->control.relid);
	ck_assert_uint_eq(h.gones, 0); /* the sub-channel holds it */
	check_now();
	host_relid(&h, CHANNELMSG_RELID_RELEASED, s->control.relid);
	ck_assert_uint_eq(h.gones, 2);
	check_now();
}
END_TEST

START_TEST(leaving_with_sub_channels)
{
	struct host_channel *s;

	host_connect(&h, V53);
	open_a();
	s = host_offer_sub(&h, a, 1);
	host_gpadl(&h, s->control.relid, 100, 4);
	host_open(&h, s->control.relid, 100, 0);
	host_forget(&h);
	h.defer_close = _i != 0;
	host_contact(&h, V53);
	if (_i == 1) {
		host_closed(&h, a);
		check_now();
		host_closed(&h, s);
	} else if (_i == 2) {
		host_closed(&h, s);
		check_now();
		host_closed(&h, a);
	}
	host_expect(&h, CHANNELMSG_VERSION_RESPONSE);
	ck_assert_uint_eq(h.gones, 1);
	check_now();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("control");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, versions, 0, ARRAY_SIZE(version_rows));
	tcase_add_test(t, other_sint_or_trust_level);
	tcase_add_test(t, offer_is_what_was_given);
	tcase_add_test(t, late_offers_come_by_themselves);
	tcase_add_test(t, contact_resets_everything);
	tcase_add_test(t, leaving_waits_for_closes);
	tcase_add_test(t, reset_goes_before_the_guests_wish);
	tcase_add_test(t, unload_goes_to_the_contacts_vp);
	tcase_add_test(t, socket_connect_is_refused);
	tcase_add_test(t, open_close_open);
	tcase_add_test(t, refused_open);
	tcase_add_test(t, reopen_waits_for_the_close);
	tcase_add_test(t, teardown_of_a_ring_waits_for_the_close);
	tcase_add_loop_test(t, modify, 0, ARRAY_SIZE(modify_rows));
	tcase_add_test(t, rescind_keeps_the_relid);
	tcase_add_test(t, rescind_unknown_to_the_guest);
	tcase_add_test(t, rescind_during_close);
	tcase_add_test(t, release_without_rescind);
	tcase_add_test(t, sub_channels);
	tcase_add_test(t, rescind_takes_sub_channels_along);
	tcase_add_loop_test(t, leaving_with_sub_channels, 0, 3);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
