/* SPDX-License-Identifier: BSD-2-Clause */
/* vmms(8): the daemon that keeps this host's VMs. */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "vmms/notify.h"
#include "vmms/vmms.h"

#define EXIT_USAGE 2

static const char usage[] =
	"usage: vmms [OPTION]...\n"
	"Keeps the virtual machines of this host; vmctl(1) talks to it.\n"
	"\n"
	"  --config FILE     settings (default /etc/vmms/vmms.conf)\n"
	"  --state-dir DIR   where VMs are kept (default /var/lib/vmms; for a user\n"
	"                    $XDG_STATE_HOME/vmms)\n"
	"  --run-dir DIR     where sockets are (default /run/vmms; for a user\n"
	"                    $XDG_RUNTIME_DIR/vmms)\n"
	"  --socket FILE     where clients connect (default vmms.sock in the run "
	"folder)\n"
	"  --vmwp FILE       the worker's program\n"
	"  --no-sandbox      workers are not locked in: for debugging only\n"
	"  --log-level L     error, warning, info or debug (default info)\n"
	"  --help, --version\n"
	"\n"
	"It stays in the foreground. SIGTERM ends it and leaves the VMs running; the "
	"next\n"
	"vmms finds them.\n"
	"\n"
	"example: vmms --state-dir /tmp/me/state --run-dir /tmp/me/run\n";

enum {
	OPT_CONFIG = 256,
	OPT_STATE,
	OPT_RUN,
	OPT_SOCKET,
	OPT_VMWP,
	OPT_NO_SANDBOX,
	OPT_LEVEL,
	OPT_HELP,
	OPT_VERSION
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "state-dir", required_argument, NULL, OPT_STATE },
	{ "run-dir", required_argument, NULL, OPT_RUN },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "vmwp", required_argument, NULL, OPT_VMWP },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL },
};

static void set(char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
	if (!*to)
		exit(EXIT_FAILURE);
}

static void wrong_usage(const char *why)
{
	if (why)
		fprintf(stderr, "vmms: %s\n", why);
	fputs("vmms: try 'vmms --help'\n", stderr);
	exit(EXIT_USAGE);
}

static void take_options(int argc, char **argv, struct settings *s)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case OPT_CONFIG:
			set(&s->config_path, optarg);
			break;
		case OPT_STATE:
			set(&s->state_dir, optarg);
			break;
		case OPT_RUN:
			set(&s->run_dir, optarg);
			break;
		case OPT_SOCKET:
			set(&s->socket, optarg);
			break;
		case OPT_VMWP:
			set(&s->vmwp, optarg);
			break;
		case OPT_NO_SANDBOX:
			s->no_sandbox = true;
			break;
		case OPT_LEVEL:
			if (settings_parse_level(optarg, &s->log_level) < 0)
				wrong_usage("--log-level: error, warning, info or debug");
			break;
		case OPT_HELP:
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case OPT_VERSION:
			puts("vmms " VMMS_VERSION);
			exit(EXIT_SUCCESS);
		default:
			wrong_usage(NULL);
		}
	}
	if (optind < argc)
		wrong_usage("it takes options only");
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	event_base_loopbreak(arg);
}

static void on_alive(evutil_socket_t fd, short what, void *arg)
{
	notify_send("WATCHDOG=1");
}

/* From the loop itself: when that stands still, vmms is what has to be started again. NULL: nobody asks. */
static struct event *watchdog_new(struct event_base *base)
{
	uint64_t us = notify_watchdog_us();
	const struct timeval every = { .tv_sec = (time_t)(us / 1000000),
				       .tv_usec = (suseconds_t)(us % 1000000) };
	struct event *ev = us ? event_new(base, -1, EV_PERSIST, on_alive, NULL) : NULL;

	if (ev)
		event_add(ev, &every);
	return ev;
}

static int loop(struct vmms *v)
{
	struct event *watchdog = watchdog_new(v->base);
	static const int signals[] = { SIGTERM, SIGINT };
	struct event *events[ARRAY_SIZE(signals)];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		events[i] = evsignal_new(v->base, signals[i], on_signal, v->base);
		if (!events[i] || event_add(events[i], NULL) < 0)
			r = -ENOMEM;
	}
	if (r == 0) {
		notify_send("READY=1");
		log_info("version " VMMS_VERSION " serves at %s", v->settings.socket);
		r = event_base_dispatch(v->base) < 0 ? -EIO : 0;
		notify_send("STOPPING=1");
	}
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (watchdog)
		event_free(watchdog);
	return r;
}

int main(int argc, char **argv)
{
	struct vmms v = { 0 };
	struct rpc_error e;
	int r;

	take_options(argc, argv, &v.settings);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	log_init("vmms", STDERR_FILENO, LOG_LVL_INFO);
	v.base = event_base_new();
	r = v.base ? settings_complete(&v.settings, &e)
		   : rpc_error_set(&e, -ENOMEM, "no memory");
	if (r == 0) {
		log_init("vmms", STDERR_FILENO, (enum log_level)v.settings.log_level);
		r = vmms_init(&v, &e);
	}
	if (r < 0) {
		log_err("%s", e.message);
	} else {
		r = loop(&v);
		vmms_done(&v);
	}
	settings_done(&v.settings);
	if (v.base)
		event_base_free(v.base);
	libevent_global_shutdown();
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
