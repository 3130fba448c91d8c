/* SPDX-License-Identifier: BSD-2-Clause */
/* The services against a guest that the test plays, on clocks of the test's own. */
#include "vsp/ic/ic.h"

#include "unit/test.h"
#include "unit/vsp/ic/fake_vsp.h"

#define ALL ((1u << IC_SERVICES) - 1)
#define OFF IC_SHUTDOWN_POWER_OFF

static struct ic *ic;
static unsigned int changes, removals, pauses, answers;
static int answer_r;
static uint32_t answer_status;

static void on_changed(void *opaque)
{
	changes++;
}

static void on_removed(void *opaque)
{
	removals++;
}

static void on_paused(void *opaque)
{
	pauses++;
}

static void on_answer(void *opaque, int r, uint32_t status)
{
	answers++;
	answer_r = r;
	answer_status = status;
}

static const struct ic_env env = { .clock = &fake_clock,
				   .reference_time = fake_reference,
				   .changed = on_changed };

static void setup(void)
{
	changes = removals = pauses = answers = 0;
	fake_real_ns = 1795253400ull * 1000000000;
	fake_mono_ns = 5000000000;
	fake_ref = 12345678;
	fake_slow_removal = false;
	ck_assert_int_eq(ic_new(&env, ALL, &ic), 0);
}

static void teardown(void)
{
	if (ic)
		ic_remove(ic, on_removed, NULL);
	ck_assert_uint_eq(fake_count, 0);
}

/* Opens a service's channel and negotiates. */
static struct vsp *ready(const char *title, uint16_t major, uint16_t minor)
{
	struct vsp *v = fake_find(title);

	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(fake_open(v), 0);
	ck_assert_uint_eq(v->vc.sent, 0); /* not before the guest has its open answered */
	fake_advance_ms(1);
	ck_assert_uint_eq(v->vc.sent, 1);
	ck_assert_int_eq(fake_choose(v, major, minor), 0);
	return v;
}

static void last_body(const struct vsp *v, void *body, size_t bytes)
{
	ck_assert_uint_ge(v->vc.last_len, IC_MSG_HEAD_BYTES + bytes);
	memcpy(body, v->vc.last + IC_MSG_HEAD_BYTES, bytes);
}

static int ask(enum ic_shutdown_type type, bool force)
{
	return ic_shutdown(ic, type, force, "because", on_answer, NULL);
}

START_TEST(packets_that_break_the_protocol)
{
	static const char *const titles[] = { "Heartbeat", "Shutdown",
					      "Time synchronization" };
	uint8_t junk[4096];

	memset(junk, 0xff, sizeof(junk));
	for (unsigned int i = 0; i < ARRAY_SIZE(titles); i++) {
		struct vsp *v = fake_find(titles[i]);

		ck_assert_int_eq(fake_open(v), 0);
		/* Before anything was asked. */
		ck_assert_int_eq(fake_packet(v, VM_PKT_DATA_INBAND, junk, 64), -EPROTO);
		fake_advance_ms(1);
		ck_assert_int_eq(fake_packet(v, VM_PKT_DATA_INBAND, junk, 0), -EPROTO);
		ck_assert_int_eq(fake_packet(v, VM_PKT_DATA_INBAND, junk, sizeof(junk)),
				 -EPROTO);
		ck_assert_int_eq(fake_packet(v, VM_PKT_DATA_USING_GPA_DIRECT, v->vc.last,
					     v->vc.last_len),
				 -EPROTO);
		ck_assert_int_eq(fake_packet(v, VM_PKT_COMP, junk, 8), 0);
		ck_assert_int_eq(fake_choose(v, 7, 7), -EPROTO);
		fake_close(v);
	}
}
END_TEST

START_TEST(answers_of_the_wrong_kind)
{
	struct vsp *v = ready("Heartbeat", 3, 0);
	struct ic_header h = fake_header(v);

	h.flags = IC_FLAG_RESPONSE;
	h.message_type = ICMSGTYPE_SHUTDOWN;
	ck_assert_int_eq(fake_answer_as(v, h), -EPROTO);
	fake_close(v);
	v = ready("Heartbeat", 3, 0);
	h = fake_header(v);
	h.flags = IC_FLAG_RESPONSE;
	h.message_size = 7; /* no whole sequence number */
	ck_assert_int_eq(fake_answer_as(v, h), -EPROTO);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_NO_CONTACT);
}
END_TEST

START_TEST(a_second_answer_is_one_too_many)
{
	struct vsp *v = ready("Heartbeat", 3, 0);

	ck_assert_int_eq(fake_answer(v, 0), 0);
	ck_assert_int_eq(fake_answer(v, 0), -EPROTO);
}
END_TEST

START_TEST(a_channel_opens_once)
{
	struct vsp *v = ready("Shutdown", 3, 2);
	struct vsp_channel other = { .vsp = v };
	void *state;

	ck_assert_int_eq(v->ops->open(v->dev, &other, &state), -EBUSY);
}
END_TEST

START_TEST(a_guest_that_knows_no_version_is_left_alone)
{
	struct vsp *v = ready("Heartbeat", 0, 0);
	struct ic_version version;

	fake_advance_ms(20000);
	ck_assert_uint_eq(v->vc.sent, 1);
	ck_assert(!ic_message_version(ic, IC_HEARTBEAT, &version));
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_NO_CONTACT);
}
END_TEST

START_TEST(offers_are_what_drivers_look_for)
{
	static const uint8_t shutdown_type[] = IC_SHUTDOWN_TYPE;
	struct vsp *v = fake_find("Shutdown");

	ck_assert_uint_eq(fake_count, 3);
	ck_assert_mem_eq(&v->params.type, shutdown_type, 16);
	ck_assert_uint_eq(v->params.flags, 0x11);
	ck_assert_uint_eq(v->params.user_defined[0], VMBUS_PIPE_TYPE_MESSAGE);
	ck_assert_uint_ge(v->params.max_packet_bytes,
			  16 + IC_MSG_BYTES_MAX + VMBUS_PACKET_TRAILER_BYTES);
}
END_TEST

START_TEST(heartbeat_beats)
{
	struct vsp *v = ready("Heartbeat", 3, 0);
	struct ic_version version;
	struct ic_heartbeat body;

	ck_assert(ic_message_version(ic, IC_HEARTBEAT, &version));
	ck_assert_uint_eq(version.major, 3);
	ck_assert_uint_eq(v->vc.sent, 2); /* at once */
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_NO_CONTACT);
	changes = 0;
	ck_assert_int_eq(fake_answer(v, 0), 0);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_OK);
	for (uint64_t i = 1; i < 5; i++) {
		fake_advance_ms(IC_HEARTBEAT_INTERVAL_MS);
		ck_assert_uint_eq(v->vc.sent, 2 + i);
		last_body(v, &body, sizeof(body));
		ck_assert_uint_eq(body.sequence, i);
		ck_assert_int_eq(fake_answer(v, 0), 0);
	}
	ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(heartbeat_is_lost_and_found)
{
	struct vsp *v = ready("Heartbeat", 3, 0);

	fake_answer(v, 0);
	fake_advance_ms(2000);
	ck_assert_uint_eq(v->vc.sent, 3);
	fake_advance_ms(9000);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_OK);
	fake_advance_ms(2000);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_LOST);
	ck_assert_uint_eq(v->vc.sent, 3); /* the ring does not fill up */
	ck_assert_int_eq(fake_answer(v, 0), 0);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_OK);
	fake_advance_ms(2000);
	ck_assert_uint_eq(v->vc.sent, 4);
	fake_close(v);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_NO_CONTACT);
}
END_TEST

START_TEST(a_refused_heartbeat_is_no_contact)
{
	struct vsp *v = ready("Heartbeat", 3, 0);

	ck_assert_int_eq(fake_answer(v, IC_STATUS_FAIL), 0);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_NO_CONTACT);
}
END_TEST

START_TEST(a_pause_loses_nothing)
{
	struct vsp *v = ready("Heartbeat", 3, 0);

	fake_answer(v, 0);
	fake_advance_ms(2000);
	ic_pause(ic, on_paused, NULL);
	ck_assert_uint_eq(pauses, 1);
	fake_advance_ms(60000);
	ic_resume(ic);
	fake_advance_ms(4000);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_OK);
	fake_advance_ms(8000);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_LOST);
}
END_TEST

START_TEST(shutdown_is_asked_and_answered)
{
	static const struct {
		enum ic_shutdown_type type;
		bool force;
		uint32_t flags;
	} rows[] = { { OFF, false, 0 },
		     { OFF, true, 1 },
		     { IC_SHUTDOWN_RESTART, false, 2 },
		     { IC_SHUTDOWN_RESTART, true, 3 } };
	struct vsp *v = ready("Shutdown", 3, 2);
	struct ic_shutdown body;

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_int_eq(ask(rows[i].type, rows[i].force), 0);
		ck_assert_uint_eq(v->vc.kicks, i + 1);
		ck_assert_uint_eq(v->vc.last_len, IC_MSG_HEAD_BYTES + 2060);
		ck_assert_uint_eq(fake_header(v).message_size, 2060);
		last_body(v, &body, sizeof(body));
		ck_assert_uint_eq(body.flags, rows[i].flags);
		ck_assert_uint_eq(body.display_message[0], 'b');
		ck_assert_uint_eq(answers, i);
		ck_assert_int_eq(ask(OFF, false), -EALREADY);
		ck_assert_int_eq(fake_answer(v, 0), 0);
		ck_assert_uint_eq(answers, i + 1);
		ck_assert_int_eq(answer_r, 0);
	}
}
END_TEST

START_TEST(shutdown_without_a_driver)
{
	struct vsp *v = fake_find("Shutdown");

	ck_assert_int_eq(ask(OFF, false), -ENOTCONN);
	ck_assert_int_eq(fake_open(v), 0);
	ck_assert_int_eq(ask(OFF, false), -ENOTCONN);
	fake_advance_ms(1);
	ck_assert_int_eq(ask(OFF, false), -ENOTCONN);
	ck_assert_int_eq(fake_choose(v, 3, 0), 0);
	ck_assert_int_eq(ask(OFF, false), 0);
}
END_TEST

START_TEST(shutdown_refused)
{
	struct vsp *v = ready("Shutdown", 3, 0);

	ck_assert_int_eq(ask(OFF, false), 0);
	ck_assert_int_eq(fake_answer(v, IC_STATUS_MACHINE_LOCKED), 0);
	ck_assert_int_eq(answer_r, -EREMOTEIO);
	ck_assert_uint_eq(answer_status, IC_STATUS_MACHINE_LOCKED);
}
END_TEST

START_TEST(shutdown_unanswered)
{
	struct vsp *v = ready("Shutdown", 3, 0);
	struct ic_header h;

	ck_assert_int_eq(ask(OFF, false), 0);
	fake_advance_ms(IC_SHUTDOWN_ANSWER_MS - 1);
	ck_assert_uint_eq(answers, 0);
	fake_advance_ms(1);
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(answer_r, -ETIMEDOUT);
	/* It may be asked again; the late answer to the first is not taken for the second's. */
	ck_assert_int_eq(ask(OFF, false), 0);
	h = fake_header(v);
	h.flags = IC_FLAG_RESPONSE;
	h.transaction_id--;
	ck_assert_int_eq(fake_answer_as(v, h), 0);
	ck_assert_uint_eq(answers, 1);
	h.transaction_id++;
	ck_assert_int_eq(fake_answer_as(v, h), 0);
	ck_assert_uint_eq(answers, 2);
	ck_assert_int_eq(ask(OFF, false), 0);
	fake_close(v);
	ck_assert_uint_eq(answers, 3);
	ck_assert_int_eq(answer_r, -ECONNRESET);
}
END_TEST

START_TEST(an_old_guest_is_not_restarted)
{
	ready("Shutdown", 1, 0);
	ck_assert_int_eq(ask(IC_SHUTDOWN_RESTART, false), -EOPNOTSUPP);
	ck_assert_int_eq(ask(OFF, false), 0);
}
END_TEST

static struct ic_timesync_ref last_time(const struct vsp *v)
{
	struct ic_timesync_ref t;

	last_body(v, &t, sizeof(t));
	return t;
}

START_TEST(time_is_set_once_then_sampled)
{
	struct vsp *v = ready("Time synchronization", 4, 0);
	struct ic_timesync_ref t = last_time(v);

	ck_assert_uint_eq(t.flags, IC_TIMESYNC_FLAG_SYNC);
	ck_assert_uint_eq(t.parent_time, fake_real_ns / 100 + IC_TIME_UNIX_EPOCH);
	ck_assert_uint_eq(t.vm_reference_time, fake_ref);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(fake_answer(v, 0), 0);
		fake_advance_ms(IC_TIME_SYNC_INTERVAL_MS);
		t = last_time(v);
		ck_assert_uint_eq(t.flags, IC_TIMESYNC_FLAG_SAMPLE);
		ck_assert_uint_eq(t.vm_reference_time, fake_ref);
	}
	fake_advance_ms(20000); /* unanswered: nothing more is sent */
	ck_assert_uint_eq(v->vc.sent, 5);
}
END_TEST

/* A sample goes with the heartbeat before it, so that an idle guest is woken once for both. */
START_TEST(a_sample_goes_with_a_heartbeat)
{
	struct vsp *beat = ready("Heartbeat", 3, 0);
	struct vsp *v = ready("Time synchronization", 4, 0);

	ck_assert_int_eq(fake_answer(v, 0), 0);
	for (int i = 1; i <= 2; i++) {
		ck_assert_int_eq(fake_answer(beat, 0), 0);
		fake_advance_ms(IC_HEARTBEAT_INTERVAL_MS);
		ck_assert_uint_eq(v->vc.kicks, i == 2);
	}
	fake_run_timers(); /* the turn that the kick asked for */
	ck_assert_uint_eq(v->vc.sent, 3);
	ck_assert_uint_eq(last_time(v).flags, IC_TIMESYNC_FLAG_SAMPLE);
	/* A heartbeat that is not sent hurries nothing. */
	ck_assert_int_eq(fake_answer(v, 0), 0);
	fake_advance_ms(IC_TIME_SYNC_INTERVAL_MS - 1);
	ck_assert_uint_eq(v->vc.kicks, 1);
}
END_TEST

START_TEST(older_guests_get_the_older_message)
{
	struct vsp *v = ready("Time synchronization", 3, 0);
	struct ic_timesync t;

	last_body(v, &t, sizeof(t));
	ck_assert_uint_eq(fake_header(v).message_size, sizeof(t));
	ck_assert_uint_eq(t.parent_time, fake_real_ns / 100 + IC_TIME_UNIX_EPOCH);
	ck_assert_uint_eq(t.flags, IC_TIMESYNC_FLAG_SYNC);
}
END_TEST

START_TEST(a_clock_that_was_set_is_told)
{
	static const struct {
		int64_t step_ms;
		uint8_t flags;
	} rows[] = {
		{ 0, IC_TIMESYNC_FLAG_SAMPLE },     { 19, IC_TIMESYNC_FLAG_SAMPLE },
		{ 2, IC_TIMESYNC_FLAG_SYNC }, /* together past 20 ms */
		{ -19, IC_TIMESYNC_FLAG_SAMPLE },   { -3600000, IC_TIMESYNC_FLAG_SYNC },
		{ 3600000, IC_TIMESYNC_FLAG_SYNC },
	};
	struct vsp *v = ready("Time synchronization", 4, 0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_int_eq(fake_answer(v, 0), 0);
		fake_real_ns += (uint64_t)(rows[i].step_ms * 1000000);
		fake_advance_ms(IC_TIME_SYNC_INTERVAL_MS);
		ck_assert_msg(last_time(v).flags == rows[i].flags, "row %zu", i);
	}
}
END_TEST

START_TEST(time_is_set_after_a_pause)
{
	struct vsp *v = ready("Time synchronization", 4, 0);

	fake_answer(v, 0);
	ic_pause(ic, on_paused, NULL);
	fake_advance_ms(30000);
	ck_assert_uint_eq(v->vc.sent, 2);
	ic_resume(ic);
	ck_assert_uint_eq(v->vc.sent, 3);
	ck_assert_uint_eq(v->vc.kicks, 1);
	ck_assert_uint_eq(last_time(v).flags, IC_TIMESYNC_FLAG_SYNC);
}
END_TEST

START_TEST(names)
{
	enum ic_service s;

	for (unsigned int i = 0; i < IC_SERVICES; i++) {
		ck_assert_int_eq(ic_by_name(ic_name((enum ic_service)i), &s), 0);
		ck_assert_uint_eq(s, i);
	}
	ck_assert_int_eq(ic_by_name("time_sync", &s), 0);
	ck_assert_int_eq(ic_by_name("kvp", &s), -ENOENT);
	ck_assert_str_eq(ic_heartbeat_name(IC_HEARTBEAT_LOST), "Lost communication");
}
END_TEST

START_TEST(services_come_and_go)
{
	struct vsp *v = ready("Heartbeat", 3, 0);

	fake_answer(v, 0);
	fake_slow_removal = true;
	ck_assert_int_eq(ic_enable(ic, IC_HEARTBEAT, false), 0);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_DISABLED);
	ck_assert(!ic_enabled(ic, IC_HEARTBEAT));
	/* The guest goes on for a while; it changes nothing any more. */
	fake_advance_ms(2000);
	ck_assert_int_eq(fake_answer(v, 0), 0);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_DISABLED);
	ck_assert_int_eq(ic_enable(ic, IC_HEARTBEAT, true), -EBUSY);
	ck_assert_int_eq(ic_enable(ic, IC_HEARTBEAT, false), 0);
	fake_close(v);
	fake_gone(v);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_DISABLED);
	ck_assert_int_eq(ic_enable(ic, IC_HEARTBEAT, true), 0);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_NO_CONTACT);
	ck_assert_int_eq(ic_enable(ic, IC_HEARTBEAT, true), 0);
	ck_assert_uint_eq(fake_count, 3);
	fake_slow_removal = false;
}
END_TEST

START_TEST(removal_waits_for_all)
{
	ready("Shutdown", 3, 0);
	ck_assert_int_eq(ask(OFF, false), 0);
	fake_slow_removal = true;
	ck_assert_int_eq(ic_enable(ic, IC_HEARTBEAT, false), 0);
	ic_remove(ic, on_removed, NULL);
	ic = NULL;
	while (fake_count) {
		ck_assert_uint_eq(removals, 0);
		fake_close(fake_vsps[0]);
		fake_gone(fake_vsps[0]);
	}
	ck_assert_uint_eq(removals, 1);
	ck_assert_int_eq(answer_r, -ECONNRESET);
}
END_TEST

START_TEST(an_offer_that_fails_takes_the_others_back)
{
	struct ic *other = NULL;

	ic_remove(ic, on_removed, NULL);
	ic = NULL;
	fake_offer_error = -ENOSPC;
	ck_assert_int_eq(ic_new(&env, ALL, &other), -ENOSPC);
	ck_assert_ptr_null(other);
	ck_assert_uint_eq(fake_count, 0);
	fake_offer_error = 0;
	ck_assert_int_eq(ic_new(&env, 0, &ic), 0);
	ck_assert_int_eq(ic_heartbeat(ic), IC_HEARTBEAT_DISABLED);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ic");
	TCase *t = tcase_create("ic");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, packets_that_break_the_protocol);
	tcase_add_test(t, answers_of_the_wrong_kind);
	tcase_add_test(t, a_second_answer_is_one_too_many);
	tcase_add_test(t, a_channel_opens_once);
	tcase_add_test(t, a_guest_that_knows_no_version_is_left_alone);
	tcase_add_test(t, offers_are_what_drivers_look_for);
	tcase_add_test(t, heartbeat_beats);
	tcase_add_test(t, heartbeat_is_lost_and_found);
	tcase_add_test(t, a_refused_heartbeat_is_no_contact);
	tcase_add_test(t, a_pause_loses_nothing);
	tcase_add_test(t, shutdown_is_asked_and_answered);
	tcase_add_test(t, shutdown_without_a_driver);
	tcase_add_test(t, shutdown_refused);
	tcase_add_test(t, shutdown_unanswered);
	tcase_add_test(t, an_old_guest_is_not_restarted);
	tcase_add_test(t, time_is_set_once_then_sampled);
	tcase_add_test(t, a_sample_goes_with_a_heartbeat);
	tcase_add_test(t, older_guests_get_the_older_message);
	tcase_add_test(t, a_clock_that_was_set_is_told);
	tcase_add_test(t, time_is_set_after_a_pause);
	tcase_add_test(t, names);
	tcase_add_test(t, services_come_and_go);
	tcase_add_test(t, removal_waits_for_all);
	tcase_add_test(t, an_offer_that_fails_takes_the_others_back);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
