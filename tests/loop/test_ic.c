/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's integration clients against the real services. */
#include "core/icvsc.h"

#include <errno.h>
#include <string.h>
#include "loop/machine.h"
#include "unit/test.h"
#include "vsp/ic/ic.h"

static struct machine m;
static struct ic *server;
static struct icvsc clients[ICVSC_SERVICES];
static bool gone;
/* what the guest was told */
static unsigned int shutdowns, times;
static uint32_t shutdown_flags, shutdown_answer;
static uint64_t wall_clock, reference;
/* what the host was answered: under m.lock */
static bool answered;
static int answer_r;
static uint32_t answer_status;

static uint64_t reference_time(void *opaque)
{
	return 123456789;
}

static void changed(void *opaque)
{
}

static void add_server(struct machine *machine, void *arg)
{
	struct ic_env env = {
		.bus = m.vmbus,
		.loop = m.loop,
		.reference_time = reference_time,
		.changed = changed,
	};

	ck_assert_int_eq(ic_new(&env, 7, &server), 0);
}

static void on_gone(void *opaque)
{
	gone = true;
}

static void remove_server(struct machine *machine, void *arg)
{
	ic_remove(server, on_gone, NULL);
}

static void no_act(struct machine *machine, void *arg)
{
}

static void setup(void)
{
	machine_init(&m, 1);
	machine_on_loop(&m, add_server, NULL);
	machine_connect(&m, 0);
	shutdown_answer = IC_STATUS_OK;
	shutdowns = times = 0;
	answered = gone = false;
}

static void teardown(void)
{
	machine_disconnect(&m);
	machine_on_loop(&m, remove_server, NULL);
	while (!gone)
		machine_on_loop(&m, no_act, NULL);
	machine_done(&m);
}

static uint32_t on_shutdown(void *opaque, uint32_t flags)
{
	shutdowns++;
	shutdown_flags = flags;
	return shutdown_answer;
}

static void on_time(void *opaque, uint64_t wall, uint64_t reference_now, uint8_t flags)
{
	times++;
	wall_clock = wall;
	reference = reference_now;
}

static struct icvsc *open_client(enum icvsc_service service)
{
	static const struct icvsc_hooks hooks = { .shutdown = on_shutdown,
						  .time = on_time };
	struct chan *ch = bus_find(&m.bus, icvsc_types[service], NULL);

	ck_assert_ptr_nonnull(ch);
	ck_assert_int_eq(icvsc_start(&clients[service], ch, service, &hooks), 0);
	return &clients[service];
}

static bool has_answered(void *arg)
{
	struct icvsc *ic = arg;

	ck_assert_int_ge(icvsc_poll(ic), 0);
	return ic->answered > 0;
}

static bool has_negotiated(void *arg)
{
	struct icvsc *ic = arg;

	ck_assert_int_ge(icvsc_poll(ic), 0);
	return ic->message.major > 0;
}

struct look {
	enum ic_service service;
	struct ic_version version;
	bool known;
	enum ic_heartbeat_state heartbeat;
};

static void look(struct machine *machine, void *arg)
{
	struct look *l = arg;

	l->known = ic_message_version(server, l->service, &l->version);
	l->heartbeat = ic_heartbeat(server);
}

static bool host_has_heartbeat(void *arg)
{
	struct look l = { .service = IC_HEARTBEAT };

	machine_on_loop(&m, look, &l);
	return l.known && l.heartbeat == IC_HEARTBEAT_OK;
}

START_TEST(heartbeat)
{
	struct look l = { .service = IC_HEARTBEAT };
	struct icvsc *ic;

	machine_on_loop(&m, look, &l);
	ck_assert(!l.known);
	ck_assert_int_eq(l.heartbeat, IC_HEARTBEAT_NO_CONTACT);
	ic = open_client(ICVSC_HEARTBEAT);
	machine_until(&m, has_answered, ic);
	ck_assert_uint_eq(ic->framework.major, 3);
	ck_assert_uint_eq(ic->message.major, 3);
	ck_assert_uint_gt(ic->sequence, 0);
	machine_until(&m, host_has_heartbeat, NULL);
	ck_assert_int_eq(icvsc_stop(ic), 0);
}
END_TEST

/* A driver that is reloaded negotiates anew. */
START_TEST(reopen)
{
	struct icvsc *ic;

	for (int i = 0; i < 5; i++) {
		ic = open_client(ICVSC_HEARTBEAT);
		machine_until(&m, has_answered, ic);
		ck_assert_int_eq(icvsc_stop(ic), 0);
	}
}
END_TEST

START_TEST(timesync)
{
	struct icvsc *ic = open_client(ICVSC_TIMESYNC);
	uint64_t now;

	machine_until(&m, has_answered, ic);
	ck_assert_uint_eq(ic->message.major, 4);
	ck_assert_uint_gt(times, 0);
	ck_assert_uint_eq(reference, 123456789);
	now = (uint64_t)time(NULL) * 10000000 + IC_TIME_UNIX_EPOCH;
	/* the same day: it is the wall clock in the right unit and epoch */
	ck_assert_uint_gt(wall_clock, now - 864000000000ull);
	ck_assert_uint_lt(wall_clock, now + 864000000000ull);
	ck_assert_int_eq(icvsc_stop(ic), 0);
}
END_TEST

static void on_answer(void *opaque, int r, uint32_t status)
{
	pthread_mutex_lock(&m.lock);
	answered = true;
	answer_r = r;
	answer_status = status;
	pthread_mutex_unlock(&m.lock);
}

static bool host_is_answered(void *arg)
{
	bool yes;

	if (arg)
		ck_assert_int_ge(icvsc_poll(arg), 0);
	pthread_mutex_lock(&m.lock);
	yes = answered;
	pthread_mutex_unlock(&m.lock);
	return yes;
}

struct ask {
	enum ic_shutdown_type type;
	bool force;
	int r;
};

static void ask_shutdown(struct machine *machine, void *arg)
{
	struct ask *a = arg;

	a->r = ic_shutdown(server, a->type, a->force, "a reason", on_answer, NULL);
}

static const struct {
	struct ask ask;
	uint32_t answer, flags;
	int r;
} shutdown_rows[] = {
	{ { IC_SHUTDOWN_POWER_OFF, false, 0 }, IC_STATUS_OK, 0, 0 },
	{ { IC_SHUTDOWN_POWER_OFF, true, 0 }, IC_STATUS_OK, IC_SHUTDOWN_FLAG_FORCE, 0 },
	{ { IC_SHUTDOWN_RESTART, false, 0 }, IC_STATUS_OK, IC_SHUTDOWN_FLAG_RESTART, 0 },
	{ { IC_SHUTDOWN_POWER_OFF, false, 0 }, IC_STATUS_FAIL, 0, -EREMOTEIO },
};

START_TEST(shutdown_asked)
{
	struct ask a = shutdown_rows[_i].ask;
	struct icvsc *ic;

	machine_on_loop(&m, ask_shutdown, &a);
	ck_assert_int_eq(a.r, -ENOTCONN);
	ic = open_client(ICVSC_SHUTDOWN);
	shutdown_answer = shutdown_rows[_i].answer;
	machine_until(&m, has_negotiated, ic);
	/* the host takes the answer to the negotiation a moment later */
	do {
		machine_step(&m);
		a = shutdown_rows[_i].ask;
		machine_on_loop(&m, ask_shutdown, &a);
	} while (a.r == -ENOTCONN);
	ck_assert_int_eq(a.r, 0);
	machine_on_loop(&m, ask_shutdown, &a);
	ck_assert_int_eq(a.r, -EALREADY);
	machine_until(&m, host_is_answered, ic);
	ck_assert_uint_eq(shutdowns, 1);
	ck_assert_uint_eq(shutdown_flags, shutdown_rows[_i].flags);
	ck_assert_int_eq(answer_r, shutdown_rows[_i].r);
	ck_assert_uint_eq(answer_status, shutdown_rows[_i].answer);
	ck_assert_int_eq(icvsc_stop(ic), 0);
}
END_TEST

/* The driver leaves instead of answering. */
START_TEST(shutdown_unanswered)
{
	struct icvsc *ic = open_client(ICVSC_SHUTDOWN);
	struct ask a;

	machine_until(&m, has_negotiated, ic);
	do {
		machine_step(&m);
		a = shutdown_rows[0].ask;
		machine_on_loop(&m, ask_shutdown, &a);
	} while (a.r == -ENOTCONN);
	ck_assert_int_eq(a.r, 0);
	ck_assert_int_eq(icvsc_stop(ic), 0);
	machine_until(&m, host_is_answered, NULL);
	ck_assert_int_eq(answer_r, -ECONNRESET);
}
END_TEST

/* What a driver may send unasked or wrong. Its own service suffers; the heartbeat goes on. */
static const struct {
	const char *what;
	uint32_t pipe_bytes; /* ic_pipe.msgsize */
	uint16_t message_type, message_size;
	uint8_t flags;
	size_t len;
} hostile[] = {
	{ "empty", 0, 0, 0, 0, 0 },
	{ "half a header", 4, 0, 0, 0, 12 },
	{ "an answer to nothing", 60, ICMSGTYPE_SHUTDOWN, 40, IC_FLAG_RESPONSE, 68 },
	{ "a request", 60, ICMSGTYPE_SHUTDOWN, 40, IC_FLAG_REQUEST, 68 },
	{ "a type that is none", 60, 999, 40, IC_FLAG_RESPONSE, 68 },
	{ "longer than it is", 60, ICMSGTYPE_NEGOTIATE, 0xffff, IC_FLAG_RESPONSE, 68 },
	{ "a pipe of 4 GiB", UINT32_MAX, ICMSGTYPE_NEGOTIATE, 40, IC_FLAG_RESPONSE, 68 },
	{ "versions that it does not list", 28, ICMSGTYPE_NEGOTIATE, 8, IC_FLAG_RESPONSE,
	  36 },
	{ "4 KiB", 4088, ICMSGTYPE_NEGOTIATE, 4068, IC_FLAG_RESPONSE, 4096 },
};

START_TEST(hostile_messages)
{
	static uint8_t msg[4096];
	struct ic_pipe pipe = { IC_PIPE_TYPE_DATA, hostile[_i].pipe_bytes };
	struct ic_header h = {
		.message_type = hostile[_i].message_type,
		.message_size = hostile[_i].message_size,
		.flags = hostile[_i].flags,
	};
	struct icvsc *ic = open_client(ICVSC_HEARTBEAT);
	struct icvsc *bad = open_client(ICVSC_SHUTDOWN);

	memset(msg, 0xff, sizeof(msg));
	memcpy(msg, &pipe, sizeof(pipe));
	memcpy(msg + sizeof(pipe), &h, sizeof(h));
	ck_assert_int_eq(chan_send(bad->ch, 0, 1, msg, hostile[_i].len), 0);
	machine_until(&m, has_answered, ic);
	machine_until(&m, host_has_heartbeat, NULL);
	ck_assert_int_eq(icvsc_stop(bad), 0);
	ck_assert_int_eq(icvsc_stop(ic), 0);
	/* and a reload mends it */
	bad = open_client(ICVSC_SHUTDOWN);
	machine_until(&m, has_negotiated, bad);
	ck_assert_int_eq(icvsc_stop(bad), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("loop/ic");
	TCase *t = tcase_create("ic");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, heartbeat);
	tcase_add_test(t, reopen);
	tcase_add_test(t, timesync);
	tcase_add_loop_test(t, shutdown_asked, 0, ARRAY_SIZE(shutdown_rows));
	tcase_add_test(t, shutdown_unanswered);
	tcase_add_loop_test(t, hostile_messages, 0, ARRAY_SIZE(hostile));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
