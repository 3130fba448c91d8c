/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and names for the guests of an internal switch: dnsmasq(8), a process a switch, started again when it ends. Its pid is on disk before
 * it runs (STATE/switches/<uuid>.dhcp), so that the next vmms ends it and starts its own; leases are in <uuid>.leases and stay.
 */
#include "vmms/net/switch_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "vmms/worker/spawn.h"

#define AGAIN_SECONDS 2
#define END_MS 2000
#define NAME_SIZE (GUID_STR_LEN + 8)
#define ARGS_MAX 24
#define ARG_SIZE 160

struct dhcp {
	struct vswitch *s;
	struct process process;
	struct event *ended, *again;
};

static const char *program(void)
{
	static const char *const places[] = { "/usr/sbin/dnsmasq", "/usr/bin/dnsmasq",
					      "/usr/local/sbin/dnsmasq",
					      "/sbin/dnsmasq" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (access(places[i], X_OK) == 0)
			return places[i];
	}
	return NULL;
}

static void name_of(const struct vswitch *s, const char *end, char ret[NAME_SIZE])
{
	snprintf(ret, NAME_SIZE, "%s.%s", s->id_text, end);
}

/* ---- the one of the vmms before ---- */

static void end_process(struct process *p)
{
	struct pollfd wait = { .fd = p->pidfd, .events = POLLIN };
	int code, status;

	process_kill(p);
	/* A killed process is gone at once, and its socket with it: the next one needs that. */
	if (poll(&wait, 1, END_MS) == 1 && process_reap(p, &code, &status) < 0)
		waitpid(p->pid, NULL, WNOHANG);
	close(p->pidfd);
	p->pidfd = -1;
}

static void end_stale(const struct vswitch *s)
{
	cleanup_free char *text = NULL;
	struct process p;
	char name[NAME_SIZE];
	json_t *j;

	name_of(s, "dhcp", name);
	if (io_read_file(s->all->dir, name, 256, &text, NULL) < 0)
		return;
	j = json_loads(text, 0, NULL);
	if (process_open((pid_t)json_integer_value(json_object_get(j, "pid")),
			 (uint64_t)json_integer_value(json_object_get(j, "starttime")),
			 &p) == 0)
		end_process(&p);
	json_decref(j);
	unlinkat(s->all->dir, name, 0);
}

static int write_record(const struct vswitch *s, const struct process *p)
{
	char name[NAME_SIZE], text[80];

	name_of(s, "dhcp", name);
	snprintf(text, sizeof(text), "{\"pid\": %d, \"starttime\": %llu}", (int)p->pid,
		 (unsigned long long)p->starttime);
	return io_replace_file(s->all->dir, name, text, strlen(text), 0600);
}

/* ---- arguments ---- */

struct args {
	const char *v[ARGS_MAX];
	char text[ARGS_MAX][ARG_SIZE];
	size_t n;
	char *leases;
};

static __printf(2, 3) void add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->text[a->n], ARG_SIZE, fmt, ap);
	va_end(ap);
	a->v[a->n] = a->text[a->n];
	a->n++;
}

static void add_range(struct args *a, const struct net_prefix *own)
{
	uint32_t address, mask = htonl(~0u << (32 - own->bits)), first, last;
	char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN], text[INET_ADDRSTRLEN];

	memcpy(&address, own->address, sizeof(address));
	first = htonl(ntohl(address & mask) + 1);
	last = htonl(ntohl(address | ~mask) - 1);
	inet_ntop(AF_INET, &first, from, sizeof(from));
	inet_ntop(AF_INET, &last, to, sizeof(to));
	inet_ntop(AF_INET, &mask, text, sizeof(text));
	/* It gives away none of its own addresses. */
	add(a, "--dhcp-range=%s,%s,%s,12h", from, to, text);
}

static void fill_args(const struct vswitch *s, struct args *a)
{
	const struct switch_config *c = &s->config;

	a->n = 0;
	add(a, "%s", program());
	add(a, "--keep-in-foreground");
	add(a, "--conf-file=/dev/null");
	add(a, "--pid-file=");
	add(a, "--log-facility=-");
	add(a, "--quiet-dhcp");
	add(a, "--bind-interfaces");
	add(a, "--interface=%s", s->bridge);
	add(a, "--except-interface=lo");
	add(a, "--dhcp-authoritative");
	a->v[a->n++] = a->leases;
	add_range(a, switch_config_ipv4(c));
	if (!c->nat) {
		/* There is no way to the world, and nobody to ask for its names. */
		add(a, "--port=0");
		add(a, "--dhcp-option=3");
		add(a, "--dhcp-option=6");
	}
	a->v[a->n] = NULL;
}

/* ---- the process ---- */

static int launch(struct dhcp *d)
{
	struct vswitch *s = d->s;
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC), gate = -1;
	cleanup_free char *leases = NULL;
	struct args a;
	int r;

	if (null < 0)
		return -errno;
	if (asprintf(&leases, "--dhcp-leasefile=%s/switches/%s.leases", s->all->path,
		     s->id_text) < 0) {
		leases = NULL;
		return -ENOMEM;
	}
	a.leases = leases;
	fill_args(s, &a);
	r = spawn_gated(&(struct spawn){ .argv = a.v, .fds = { null, null, 2, -1 } },
			&d->process, &gate);
	if (r < 0)
		return r;
	r = write_record(s, &d->process);
	if (r == 0)
		r = spawn_open_gate(&gate);
	if (r < 0)
		end_process(&d->process);
	return r;
}

static void watch(struct dhcp *d);

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct dhcp *d = arg;
	int r = launch(d);

	if (r < 0)
		log_err("switch %s: dnsmasq cannot be started: %s", d->s->config.name,
			strerror(-r));
	watch(d);
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct dhcp *d = arg;
	int code = 0, status = 0;

	if (process_reap(&d->process, &code, &status) == -EAGAIN)
		return;
	log_warning("switch %s: dnsmasq ended with %s %d; it is started again",
		    d->s->config.name, code == CLD_EXITED ? "status" : "signal", status);
	close(d->process.pidfd);
	d->process.pidfd = -1;
	watch(d);
}

/* Its end, or while there is none, the time to start another. */
static void watch(struct dhcp *d)
{
	const struct timeval pause = { .tv_sec = AGAIN_SECONDS };

	if (d->ended)
		event_free(d->ended);
	d->ended = NULL;
	if (d->process.pidfd < 0) {
		event_add(d->again, &pause);
		return;
	}
	d->ended = event_new(d->s->all->base, d->process.pidfd, EV_READ | EV_PERSIST,
			     on_ended, d);
	if (d->ended)
		event_add(d->ended, NULL);
}

int dhcp_start(struct vswitch *s, struct rpc_error *e)
{
	struct dhcp *d;
	int r;

	dhcp_stop(s);
	end_stale(s);
	if (!program())
		return rpc_error_set(e, -ENOENT,
				     "dnsmasq is not there, which DHCP needs; install "
				     "it (dnsmasq-base)");
	d = calloc(1, sizeof(*d));
	if (!d)
		return rpc_error_set(e, -ENOMEM, "no memory");
	d->s = s;
	d->process.pidfd = -1;
	d->again = evtimer_new(s->all->base, on_again, d);
	r = d->again ? launch(d) : -ENOMEM;
	if (r < 0) {
		if (d->again)
			event_free(d->again);
		free(d);
		return rpc_error_set(e, r, "dnsmasq cannot be started: %s", strerror(-r));
	}
	s->dhcp = d;
	watch(d);
	return 0;
}

void dhcp_forget(const struct vswitch *s)
{
	char name[NAME_SIZE];

	name_of(s, "leases", name);
	unlinkat(s->all->dir, name, 0);
}

void dhcp_stop(struct vswitch *s)
{
	struct dhcp *d = s->dhcp;
	char name[NAME_SIZE];

	if (!d) {
		end_stale(s);
		return;
	}
	s->dhcp = NULL;
	if (d->ended)
		event_free(d->ended);
	event_free(d->again);
	if (d->process.pidfd >= 0)
		end_process(&d->process);
	free(d);
	name_of(s, "dhcp", name);
	unlinkat(s->all->dir, name, 0);
}
