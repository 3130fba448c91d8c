/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/events.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "util/list.h"

#define NEXT_SECONDS 30

/* owner: the event loop */
struct events {
	struct event_base *base;
	struct rpc_server *server;
	json_t *kept[EVENTS_KEPT]; /* event n at n % EVENTS_KEPT */
	int64_t first, next;       /* kept are [first, next) */
	struct list readers;       /* calls of events.next that wait */
};

struct reader {
	struct list link;
	struct events *events;
	struct rpc_call *call;
	int64_t after;
	struct event *timeout;
};

static int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct events *events_new(struct event_base *base)
{
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->base = base;
	e->first = e->next = clock_us();
	list_init(&e->readers);
	return e;
}

void events_serve(struct events *e, struct rpc_server *server)
{
	e->server = server;
}

/* The events after a number, as both methods give them. */
static json_t *collect(const struct events *e, int64_t after)
{
	json_t *list = json_array();

	for (int64_t n = MAX(after + 1, e->first); n < e->next; n++)
		json_array_append(list, e->kept[n % EVENTS_KEPT]);
	return list;
}

/* 0 asks for all that are kept; an older number than the first kept has missed some. */
static bool lost(const struct events *e, int64_t after)
{
	return after != 0 && after + 1 < e->first;
}

static void reader_end(struct reader *r)
{
	struct events *e = r->events;
	struct rpc_call *call = r->call;
	int64_t after = r->after;

	list_del(&r->link);
	event_free(r->timeout);
	free(r);
	rpc_call_reply(call,
		       json_pack("{s:o, s:I, s:b}", "events", collect(e, after), "seq",
				 (json_int_t)(e->next - 1), "lost", lost(e, after)));
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	reader_end(arg);
}

static void on_gone(struct rpc_call *call, void *arg)
{
	reader_end(arg);
}

void events_next(struct events *e, struct rpc_call *call)
{
	const struct timeval wait = { .tv_sec = rpc_call_integer(call, "timeout_s",
								 NEXT_SECONDS) };
	struct reader *r = calloc(1, sizeof(*r));

	if (r)
		r->timeout = event_new(e->base, -1, 0, on_timeout, r);
	if (!r || !r->timeout || event_add(r->timeout, &wait) < 0) {
		if (r && r->timeout)
			event_free(r->timeout);
		free(r);
		rpc_call_fail(call, -ENOMEM, "events.next: no memory");
		return;
	}
	r->events = e;
	r->call = call;
	r->after = rpc_call_integer(call, "after", 0);
	list_add_tail(&e->readers, &r->link);
	/* A number from the future is a client's mistake or another host's: it gets what there is. */
	if (r->after >= e->next)
		r->after = e->next - 1;
	if (MAX(r->after + 1, e->first) < e->next)
		reader_end(r);
	else
		rpc_call_on_gone(call, on_gone, r);
}

void events_subscribe(struct events *e, struct rpc_call *call)
{
	int64_t since = rpc_call_integer(call, "since", e->next - 1);
	struct rpc_session *s = rpc_call_session(call);
	json_t *backlog = collect(e, since), *event;
	size_t i;

	rpc_call_reply(call, json_pack("{s:I, s:b}", "seq", (json_int_t)(e->next - 1),
				       "lost", lost(e, since)));
	/* The session outlives this turn of the loop. */
	if (s) {
		rpc_session_subscribe(s);
		json_array_foreach (backlog, i, event) {
			if (rpc_session_notify(s, "event", event) < 0)
				break; /* its connection is ending */
		}
	}
	json_decref(backlog);
}

static void keep(struct events *e, json_t *event)
{
	json_t **place = &e->kept[e->next % EVENTS_KEPT];

	json_decref(*place);
	*place = event;
	e->next++;
	if (e->next - e->first > EVENTS_KEPT)
		e->first = e->next - EVENTS_KEPT;
}

static void format_time(char *ret, size_t size)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(ret, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

void events_add(struct events *e, const char *type, const struct vm *vm, const char *fmt,
		...)
{
	char raw[VM_REASON_SIZE], message[VM_REASON_SIZE], when[40];
	struct reader *r, *next;
	json_t *event;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	vm_clean_text(message, sizeof(message), raw);
	format_time(when, sizeof(when));
	event = json_pack("{s:I, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s}", "seq",
			  (json_int_t)e->next, "time", when, "type", type, "id",
			  vm ? vm->id_text : NULL, "name", vm ? vm->config.name : NULL,
			  "state", vm ? state_name(vm->state) : NULL, "health",
			  vm ? health_name(vm->health) : NULL, "message", message);
	if (!event)
		return;
	keep(e, event);
	if (e->server)
		rpc_server_notify(e->server, "event", event);
	list_for_each_safe (r, next, &e->readers, link)
		reader_end(r);
}

void events_free(struct events *e)
{
	struct list *l;

	if (!e)
		return;
	while ((l = list_pop(&e->readers)))
		reader_end(list_entry(l, struct reader, link));
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		json_decref(e->kept[i]);
	free(e);
}
