/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmwp/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "util/io.h"
#include "util/log.h"
#include "vmwp/counters.h"
#include "vmwp/status.h"
#include "vmwp/worker_priv.h"

/* A worker whose vmms died before it started the VM ends by itself after two of these. */
#define IDLE_CHECK_S 15

static void tell_counters(struct worker *w)
{
	json_t *counters = counters_json(w->machine);

	if (counters)
		rpc_server_notify(w->server, "vm.counters", counters);
	json_decref(counters);
}

void worker_changed(void *opaque)
{
	struct worker *w = opaque;
	json_t *status;

	if (!w->machine || !w->server)
		return; /* still being built */
	/* The last look at what the VM did, before its devices go. */
	if (machine_state(w->machine) == MACHINE_STOPPING)
		tell_counters(w);
	status = status_json(w->machine);
	if (status)
		rpc_server_notify(w->server, "vm.changed", status);
	json_decref(status);
}

/* The last word, for a vmms that is not there to hear it: one line in a file of vmms'. */
static void write_report(struct worker *w)
{
	json_t *doc;
	char *text;

	if (w->report_fd < 0)
		return;
	doc = json_pack("{s:s, s:s, s:s*}", "state",
			machine_state_name(machine_state(w->machine)), "health",
			machine_critical(w->machine) ? "Critical" : "Ok", "reason",
			machine_reason(w->machine));
	text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	if (!text)
		return;
	if (ftruncate(w->report_fd, 0) < 0 || lseek(w->report_fd, 0, SEEK_SET) < 0 ||
	    io_write_all(w->report_fd, text, strlen(text)) < 0 ||
	    io_write_all(w->report_fd, "\n", 1) < 0 || fdatasync(w->report_fd) < 0)
		log_warning("cannot write the report: %s", strerror(errno));
	free(text);
}

/*
 * The last word of a worker that did what its sandbox forbids, from SIGSYS's handler. The text is ours but for a thread's name, and needs
 * no escape; vmms reads it as it reads anything from here.
 */
static void write_forbidden(void *opaque, const char *text)
{
	static const char head[] =
		"{\"state\":\"Off\",\"health\":\"Critical\",\"reason\":\"";
	static const char tail[] = "\"}\n";
	const struct worker *w = opaque;
	size_t n = strlen(text);

	if (w->report_fd < 0 || ftruncate(w->report_fd, 0) < 0)
		return;
	if (pwrite(w->report_fd, head, sizeof(head) - 1, 0) < 0 ||
	    pwrite(w->report_fd, text, n, sizeof(head) - 1) < 0 ||
	    pwrite(w->report_fd, tail, sizeof(tail) - 1, (off_t)(sizeof(head) - 1 + n)) <
		    0)
		return; /* standard error has it as well */
}

void worker_ended(void *opaque)
{
	struct worker *w = opaque;

	write_report(w);
	if (w->turn_off)
		rpc_call_reply(w->turn_off, json_object());
	w->turn_off = NULL;
	w->over = true;
	event_base_loopbreak(w->loop);
}

static void on_terminate(evutil_socket_t sig, short what, void *opaque)
{
	struct worker *w = opaque;

	if (w->machine && machine_state(w->machine) != MACHINE_OFF) {
		machine_turn_off(w->machine, "the worker was told to end (SIGTERM)");
	} else {
		w->over = true;
		event_base_loopbreak(w->loop);
	}
}

/* Nobody is connected and nothing runs: whoever started this worker is gone. */
static void on_idle_check(evutil_socket_t fd, short what, void *opaque)
{
	static unsigned int idle;
	struct worker *w = opaque;

	if (rpc_server_connections(w->server) ||
	    (w->machine && machine_state(w->machine) != MACHINE_OFF)) {
		idle = 0;
	} else if (++idle == 2) {
		log_warning("vmms left before it started the VM");
		w->over = true;
		event_base_loopbreak(w->loop);
	}
}

static int serve(struct worker *w)
{
	const struct rpc_server_config config = {
		.methods = &rpc_worker_methods,
		.handlers = control_handlers,
		.handler_count = control_handler_count,
		.ctx = w,
		.limits = { CONN_LINE_MAX, CONN_OUT_MAX, CONN_FDS_MAX },
		.notify_all = true,
	};
	static const struct timeval interval = { .tv_sec = IDLE_CHECK_S };
	struct event *term = evsignal_new(w->loop, SIGTERM, on_terminate, w);
	struct event *idle = event_new(w->loop, -1, EV_PERSIST, on_idle_check, w);
	int r;

	if (!term || !idle || event_add(term, NULL) < 0 || event_add(idle, &interval) < 0)
		r = -ENOMEM;
	else
		r = rpc_server_new(w->loop, w->options->control_fd, &config, &w->server);
	if (r < 0)
		log_err("cannot serve on the control socket: %s", strerror(-r));
	/* loopbreak may come before the loop runs, from a call that ends the machine at once. */
	while (r == 0 && !w->over && event_base_dispatch(w->loop) == 0)
		;
	if (term)
		event_free(term);
	if (idle)
		event_free(idle);
	return r;
}

int worker_run(const struct worker_options *options)
{
	struct worker w = { .options = options, .report_fd = -1 };
	struct event_config *cfg = event_config_new();
	int r;

	signal(SIGPIPE, SIG_IGN);
	sandbox_on_forbidden(write_forbidden, &w);
	log_thread("");
	if (cfg)
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK |
						   EVENT_BASE_FLAG_PRECISE_TIMER);
	w.loop = cfg ? event_base_new_with_config(cfg) : NULL;
	if (cfg)
		event_config_free(cfg);
	if (!w.loop) {
		log_err("cannot make an event loop");
		return EXIT_FAILURE;
	}
	r = serve(&w);
	if (w.machine)
		machine_free(w.machine);
	rpc_server_free(w.server);
	if (w.config)
		config_done(w.config);
	free(w.config);
	sandbox_on_forbidden(NULL, NULL);
	if (w.report_fd >= 0)
		close(w.report_fd);
	event_base_free(w.loop);
	log_info("ended");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
