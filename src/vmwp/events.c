/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest did to its machine: a write to a power or reset register, a crash MSR, a triple fault. All of it is noted on
 * a VP's thread and handled here, on the loop.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/log.h"
#include "vmwp/drives.h"
#include "vmwp/machine_priv.h"

/* A guest in a boot loop must not fill the log. */
static struct ratelimit reset_limit = RATELIMIT_INIT;

static void ask(struct machine *m)
{
	eventfd_write(m->asked_fd, 1);
}

void events_power_off(void *opaque)
{
	struct machine *m = opaque;

	atomic_store(&m->asked_power_off, true);
	ask(m);
}

void events_reset(void *opaque)
{
	struct machine *m = opaque;

	atomic_store(&m->asked_reset, true);
	ask(m);
}

static void reset_ended(void *opaque, int r, const struct machine_error *error)
{
	if (r < 0)
		log_err("the guest's reset failed: %s", error->text);
}

static void guest_reset(struct machine *m, const char *how)
{
	struct machine_error error = { "" };

	if (m->state == MACHINE_PAUSING || m->state == MACHINE_PAUSED)
		m->reset_on_resume = true; /* the pause won the race by a moment */
	if (m->state != MACHINE_RUNNING)
		return; /* a reset or the end is under way, and covers it */
	log_ratelimited(&reset_limit, LOG_LVL_INFO, "reset by the guest (%s)", how);
	if (machine_reset(m, reset_ended, m, &error) < 0)
		machine_turn_off(m, error.text);
}

static void on_asked(evutil_socket_t fd, short what, void *opaque)
{
	struct machine *m = opaque;
	eventfd_t n;

	eventfd_read(fd, &n);
	drives_asked(m);
	if (atomic_exchange(&m->asked_power_off, false))
		machine_turn_off(m, "powered off by the guest");
	else if (atomic_exchange(&m->asked_reset, false))
		guest_reset(m, "reset register");
}

/* The guest's panic text, a line a log line, so that it can be read there. */
static void log_crash(const struct partition_event *e)
{
	const char *line = e->text;
	unsigned int lines = 0;

	log_warning("the guest crashed: 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx",
		    (unsigned long long)e->crash_params[0],
		    (unsigned long long)e->crash_params[1],
		    (unsigned long long)e->crash_params[2],
		    (unsigned long long)e->crash_params[3],
		    (unsigned long long)e->crash_params[4]);
	while (*line && lines++ < MACHINE_CRASH_LINES) {
		int n = (int)strcspn(line, "\n");

		if (n)
			log_warning("guest: %.*s", n, line);
		line += n + (line[n] == '\n');
	}
}

/* Critical from now on: what happened, and the first line of its text. */
static void critical(struct machine *m, const char *what, const char *text)
{
	char *reason;

	if (asprintf(&reason, "%s: %.*s", what,
		     (int)MIN(strcspn(text, "\n"), (size_t)300), text) < 0)
		reason = NULL;
	free(m->reason);
	m->reason = reason;
	m->critical = true;
}

static void crashed(struct machine *m, const struct partition_event *e)
{
	m->crash.count++;
	memcpy(m->crash.params, e->crash_params, sizeof(m->crash.params));
	snprintf(m->crash.text, sizeof(m->crash.text), "%s", e->text);
	log_crash(e);
	critical(m, "the guest crashed", e->text[0] ? e->text : "it gave no text");
	machine_changed(m);
}

static void ignore_done(void *opaque, int r, const struct machine_error *error)
{
}

/* The VPs stand for good: show the VM as Paused and Critical, for the operator to look at, reset or turn off. */
static void vp_error(struct machine *m, const struct partition_event *e)
{
	struct machine_error error = { "" };

	log_err("VP %u: %s", e->vp, e->text);
	m->dead = true;
	critical(m, "a virtual processor failed", e->text);
	machine_changed(m);
	if (m->state == MACHINE_RUNNING && machine_pause(m, ignore_done, m, &error) < 0)
		log_err("%s", error.text);
}

static void triple_fault(struct machine *m, const struct partition_event *e)
{
	log_ratelimited(&reset_limit, LOG_LVL_WARNING, "VP %u: %s", e->vp, e->text);
	if (m->config->on_triple_fault == TRIPLE_FAULT_OFF)
		machine_turn_off(m, "triple fault in the guest");
	else
		guest_reset(m, "triple fault");
}

static void on_partition(evutil_socket_t fd, short what, void *opaque)
{
	struct machine *m = opaque;
	struct partition_event e;

	while (m->part_ev && partition_event_next(m->part, &e)) {
		switch (e.type) {
		case PARTITION_CRASHED:
			crashed(m, &e);
			break;
		case PARTITION_RESET_ASKED:
			guest_reset(m, "reset MSR");
			break;
		case PARTITION_TRIPLE_FAULT:
			triple_fault(m, &e);
			break;
		case PARTITION_VP_ERROR:
			vp_error(m, &e);
			break;
		}
	}
}

static int watch(struct machine *m, int fd, event_callback_fn fn, struct event **ret)
{
	*ret = event_new(m->env.loop, fd, EV_READ | EV_PERSIST, fn, m);
	return *ret && event_add(*ret, NULL) == 0 ? 0 : -ENOMEM;
}

int events_watch(struct machine *m)
{
	int r = watch(m, partition_event_fd(m->part), on_partition, &m->part_ev);

	return r < 0 ? r : watch(m, m->asked_fd, on_asked, &m->asked_ev);
}

void events_unwatch(struct machine *m)
{
	if (m->part_ev)
		event_free(m->part_ev);
	if (m->asked_ev)
		event_free(m->asked_ev);
	m->part_ev = m->asked_ev = NULL;
}
