/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control groups as scopes of systemd's (org.freedesktop.systemd1(5)): StartTransientUnit is answered at once, and the process is
 * moved when the job has ended, which JobRemoved says. A scope goes with its last process by itself.
 *
 * The manager is asked on its own socket, as systemctl does, so that no message bus is needed; the connection ends when the manager is
 * executed anew, and what was asked then has failed.
 */
#include "vmms/worker/cgroup_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "util/list.h"
#include "util/log.h"

#define SECONDS 10 /* for a scope to be made */
#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_SIZE 64

/* A scope that is being made. owner: the event loop */
struct request {
	struct list link;
	char unit[UNIT_SIZE];
	cgroup_fn fn;
	void *arg;
	sd_bus_slot *slot;
	struct event *late_ev;
	struct cgroup_systemd *s;
};

/* owner: the event loop */
struct cgroup_systemd {
	struct event_base *base;
	sd_bus *bus; /* NULL: not connected */
	struct event *read_ev, *write_ev, *time_ev;
	struct event *drive_ev; /* out of the caller's way */
	struct list requests;
};

static int socket_address(char *ret, size_t size)
{
	const char *run = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	const char *path;

	if (!run || run[0] != '/')
		return -ENOENT;
	if (snprintf(ret, size, "unix:path=%s/systemd/private", run) >= (int)size)
		return -ENAMETOOLONG;
	path = strchr(ret, '/');
	return access(path, W_OK) < 0 ? -errno : 0;
}

bool cgroup_systemd_there(void)
{
	char address[256];

	return socket_address(address, sizeof(address)) == 0;
}

static void unit_name(const char *id, char ret[UNIT_SIZE])
{
	snprintf(ret, UNIT_SIZE, "vmms-%s.scope", id);
}

/* ---- requests ---- */

static void request_free(struct request *q)
{
	list_del(&q->link);
	sd_bus_slot_unref(q->slot);
	if (q->late_ev)
		event_free(q->late_ev);
	free(q);
}

static void request_end(struct request *q, int r)
{
	cgroup_fn fn = q->fn;
	void *arg = q->arg;

	request_free(q);
	fn(arg, r);
}

static struct request *request_find(struct cgroup_systemd *s, const char *unit)
{
	struct request *q;

	list_for_each (q, &s->requests, link) {
		if (strcmp(q->unit, unit) == 0)
			return q;
	}
	return NULL;
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	request_end(arg, -ETIMEDOUT);
}

static int on_answered(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	int r = sd_bus_message_get_errno(m);

	/* Else JobRemoved ends it. */
	if (r > 0)
		request_end(arg, -r);
	return 0;
}

static int on_job_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct cgroup_systemd *s = arg;
	const char *path, *unit, *result;
	struct request *q;
	uint32_t id;

	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	q = request_find(s, unit);
	if (q)
		request_end(q, strcmp(result, "done") == 0 ? 0 : -EIO);
	return 0;
}

/* ---- the connection on the loop ---- */

static void disconnect(struct cgroup_systemd *s)
{
	struct request *q, *next;
	struct list failed;

	if (s->read_ev)
		event_free(s->read_ev);
	if (s->write_ev)
		event_free(s->write_ev);
	s->read_ev = s->write_ev = NULL;
	event_del(s->time_ev);
	/* What their ends begin may connect anew. */
	list_init(&failed);
	list_for_each_safe (q, next, &s->requests, link) {
		list_del(&q->link);
		list_add_tail(&failed, &q->link);
		q->slot = sd_bus_slot_unref(q->slot);
	}
	s->bus = sd_bus_close_unref(s->bus);
	while (!list_empty(&failed))
		request_end(list_entry(failed.next, struct request, link), -ENOTCONN);
}

static void wait_more(struct cgroup_systemd *s)
{
	int events = sd_bus_get_events(s->bus);
	struct timespec now;
	uint64_t until, at;

	if (events > 0 && events & POLLOUT)
		event_add(s->write_ev, NULL);
	if (sd_bus_get_timeout(s->bus, &until) < 0 || until == UINT64_MAX)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	at = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	until = until > at ? until - at : 0;
	event_add(s->time_ev,
		  &(const struct timeval){ .tv_sec = (time_t)(until / 1000000),
					   .tv_usec = (suseconds_t)(until % 1000000) });
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct cgroup_systemd *s = arg;
	int r;

	if (!s->bus)
		return;
	do {
		r = sd_bus_process(s->bus, NULL);
	} while (r > 0);
	if (r < 0) {
		log_warning("systemd: the connection is lost: %s", strerror(-r));
		disconnect(s);
	} else {
		wait_more(s);
	}
}

static int watch(struct cgroup_systemd *s)
{
	int fd = sd_bus_get_fd(s->bus);

	if (fd < 0)
		return fd;
	s->read_ev = event_new(s->base, fd, EV_READ | EV_PERSIST, on_ready, s);
	s->write_ev = event_new(s->base, fd, EV_WRITE, on_ready, s);
	if (!s->read_ev || !s->write_ev || event_add(s->read_ev, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int start_bus(struct cgroup_systemd *s, const char *address)
{
	int r = sd_bus_new(&s->bus);

	if (r >= 0)
		r = sd_bus_set_address(s->bus, address);
	if (r >= 0)
		r = sd_bus_start(s->bus);
	if (r >= 0)
		r = sd_bus_match_signal_async(s->bus, NULL, NULL, MANAGER_PATH,
					      MANAGER_INTERFACE, "JobRemoved",
					      on_job_removed, NULL, s);
	if (r >= 0)
		r = sd_bus_call_method_async(s->bus, NULL, MANAGER, MANAGER_PATH,
					     MANAGER_INTERFACE, "Subscribe", NULL, NULL,
					     NULL);
	return r < 0 ? r : watch(s);
}

static int connect_bus(struct cgroup_systemd *s)
{
	char address[256];
	int r;

	if (s->bus)
		return 0;
	r = socket_address(address, sizeof(address));
	if (r == 0)
		r = start_bus(s, address);
	if (r < 0)
		disconnect(s);
	return r;
}

/* ---- messages ---- */

static int put_number(sd_bus_message *m, const char *name, uint64_t value)
{
	return sd_bus_message_append(m, "(sv)", name, "t", value);
}

static int put_text(sd_bus_message *m, const char *name, const char *value)
{
	return sd_bus_message_append(m, "(sv)", name, "s", value);
}

/* systemd.resource-control(5); UINT64_MAX is "infinity". */
static int put_limits(sd_bus_message *m, const struct cgroup_limits *l)
{
	uint64_t cpu_us_a_second =
		l->cpu_us ? l->cpu_us * (1000000 / CGROUP_PERIOD_US) : UINT64_MAX;
	int r = put_number(m, "CPUWeight", l->cpu_weight);

	if (r >= 0)
		r = put_number(m, "CPUQuotaPerSecUSec", cpu_us_a_second);
	if (r >= 0)
		r = put_number(m, "MemoryMax",
			       l->memory_max ? l->memory_max : UINT64_MAX);
	if (r >= 0)
		r = put_number(m, "MemoryLow", l->memory_low);
	return r < 0 ? r : put_number(m, "IOWeight", l->io_weight);
}

/*
 * Ordered so that at the host's shutdown the service that stops VMs is through before the scopes are ended: what is
 * "Before" a unit stops after it.
 */
static int put_scope(sd_bus_message *m, const char *name, pid_t pid)
{
	char text[200];
	int r;

	snprintf(text, sizeof(text), "Virtual machine %.150s", name);
	r = put_text(m, "Description", text);
	if (r >= 0)
		r = put_text(m, "Slice", "vmms.slice");
	if (r >= 0)
		r = put_text(m, "CollectMode", "inactive-or-failed");
	if (r >= 0)
		r = put_number(m, "TasksMax", UINT64_MAX);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "Before", "as", 1,
					  "vmms-guests.service");
	return r < 0 ? r
		     : sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, (uint32_t)pid);
}

static int new_message(struct cgroup_systemd *s, const char *method, sd_bus_message **ret)
{
	int r = connect_bus(s);

	return r < 0 ? r
		     : sd_bus_message_new_method_call(s->bus, ret, MANAGER, MANAGER_PATH,
						      MANAGER_INTERFACE, method);
}

static int start_message(struct cgroup_systemd *s, const char *unit, const char *name,
			 pid_t pid, const struct cgroup_limits *limits,
			 sd_bus_message **ret)
{
	int r = new_message(s, "StartTransientUnit", ret);

	if (r >= 0)
		r = sd_bus_message_append(*ret, "ss", unit, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(*ret, 'a', "(sv)");
	if (r >= 0)
		r = put_scope(*ret, name, pid);
	if (r >= 0)
		r = put_limits(*ret, limits);
	if (r >= 0)
		r = sd_bus_message_close_container(*ret);
	return r < 0 ? r : sd_bus_message_append(*ret, "a(sa(sv))", 0);
}

void cgroup_systemd_add(struct cgroup_systemd *s, const char *id, const char *name,
			pid_t pid, const struct cgroup_limits *limits, cgroup_fn fn,
			void *arg)
{
	const struct timeval patience = { .tv_sec = SECONDS };
	struct request *q = calloc(1, sizeof(*q));
	sd_bus_message *m = NULL;
	int r;

	if (!q) {
		fn(arg, -ENOMEM);
		return;
	}
	q->s = s;
	q->fn = fn;
	q->arg = arg;
	unit_name(id, q->unit);
	r = start_message(s, q->unit, name, pid, limits, &m);
	list_add_tail(&s->requests, &q->link);
	q->late_ev = event_new(s->base, -1, 0, on_late, q);
	if (r >= 0 && (!q->late_ev || event_add(q->late_ev, &patience) < 0))
		r = -ENOMEM;
	if (r >= 0)
		r = sd_bus_call_async(s->bus, &q->slot, m, on_answered, q,
				      UINT64_C(1000000) * SECONDS);
	sd_bus_message_unref(m);
	if (r < 0)
		request_end(q, r);
	else
		event_active(s->drive_ev, EV_TIMEOUT, 0);
}

static int on_set(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e)
		log_warning("systemd refuses a VM's limits: %s",
			    e->message ? e->message : e->name);
	return 0;
}

int cgroup_systemd_set(struct cgroup_systemd *s, const char *id,
		       const struct cgroup_limits *limits)
{
	sd_bus_message *m = NULL;
	char unit[UNIT_SIZE];
	int r = new_message(s, "SetUnitProperties", &m);

	unit_name(id, unit);
	if (r >= 0)
		r = sd_bus_message_append(m, "sb", unit, 1);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = put_limits(m, limits);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_call_async(s->bus, NULL, m, on_set, NULL,
				      UINT64_C(1000000) * SECONDS);
	sd_bus_message_unref(m);
	if (r >= 0)
		event_active(s->drive_ev, EV_TIMEOUT, 0);
	return r < 0 ? r : 0;
}

void cgroup_systemd_drop(struct cgroup_systemd *s, const char *id)
{
	char unit[UNIT_SIZE];
	struct request *q;

	unit_name(id, unit);
	q = request_find(s, unit);
	if (q)
		request_free(q);
}

struct cgroup_systemd *cgroup_systemd_new(struct event_base *base)
{
	struct cgroup_systemd *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->base = base;
	list_init(&s->requests);
	s->time_ev = event_new(base, -1, 0, on_ready, s);
	s->drive_ev = event_new(base, -1, 0, on_ready, s);
	if (!s->time_ev || !s->drive_ev) {
		cgroup_systemd_free(s);
		return NULL;
	}
	return s;
}

void cgroup_systemd_free(struct cgroup_systemd *s)
{
	if (!s)
		return;
	while (!list_empty(&s->requests))
		request_free(list_entry(s->requests.next, struct request, link));
	if (s->time_ev && s->drive_ev)
		disconnect(s);
	if (s->time_ev)
		event_free(s->time_ev);
	if (s->drive_ev)
		event_free(s->drive_ev);
	free(s);
}
