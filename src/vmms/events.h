/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happened to VMs, numbered, the last EVENTS_KEPT of it kept. Numbers rise by one and go on rising over a restart
 * of vmms (they begin at the clock's microseconds), so that "after N" never means something else than it did.
 * Thread: the event loop's.
 */
#ifndef VMMS_EVENTS_H
#define VMMS_EVENTS_H

#include <jansson.h>
#include "rpc/server.h"
#include "vmms/vm/vm.h"

struct events;
struct event_base;

#define EVENTS_KEPT 1024u

/* The server whose subscribers hear of each; set with events_serve() once there is one. */
struct events *events_new(struct event_base *base);
void events_free(struct events *e);
void events_serve(struct events *e, struct rpc_server *server);

/* `type` as the table of methods lists them; message: one line; vm NULL: it is no VM's. Wakes events.next, tells subscribers. */
void events_add(struct events *e, const char *type, const struct vm *vm, const char *fmt,
		...) __printf(4, 5);

/* The methods events.next and events.subscribe; they answer the call. */
void events_next(struct events *e, struct rpc_call *call);
void events_subscribe(struct events *e, struct rpc_call *call);

#endif
