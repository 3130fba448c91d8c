/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods of the control socket (docs/architecture.md): each unpacks, calls the machine, answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "util/cleanup.h"
#include "vmwp/counters.h"
#include "vmwp/drives.h"
#include "vmwp/status.h"
#include "vmwp/worker_priv.h"

void control_answer(struct rpc_call *call, int r, const struct machine_error *error)
{
	if (r < 0)
		rpc_call_fail(call, r, "%s", error->text);
	else
		rpc_call_reply(call, json_object());
}

/* machine_done_fn of every operation that a call waits for. */
void control_answer_done(void *opaque, int r, const struct machine_error *error)
{
	control_answer(opaque, r, error);
}

/* The machine, or NULL when there is none and the call was answered so. */
struct machine *control_machine(struct worker *w, struct rpc_call *call)
{
	if (!w->machine)
		rpc_call_fail(call, -EBUSY, "the worker was not set up yet");
	return w->machine;
}

static void hello(struct rpc_call *call, void *ctx)
{
	struct worker *w = ctx;
	char id[GUID_STR_LEN];

	guid_format(&w->options->id, id);
	rpc_call_reply(call,
		       json_pack("{s:s, s:s, s:i, s:b, s:o}", "version", VMMS_VERSION,
				 "id", id, "pid", (int)getpid(), "configured",
				 w->machine != NULL, "status",
				 w->machine ? status_json(w->machine) : json_null()));
}

static int attach_all(struct worker *w, struct rpc_call *call, struct machine *m,
		      struct machine_error *error)
{
	const json_t *parents = json_object_get(rpc_call_params(call), "parents");

	for (size_t i = 0; i < w->config->drive_count; i++) {
		const struct drive_config *d = &w->config->drives[i];
		struct drive_files files;
		char role[32];
		int r;

		snprintf(role, sizeof(role), "scsi/%u/%u", d->controller, d->lun);
		r = control_take_files(call, d->controller, d->lun, d->path,
				       json_object_get(parents, role), &files, error);
		if (r == 0 && !files.n && d->path)
			r = machine_fail(error, -EINVAL, "no descriptor came for %s (%s)",
					 role, d->path);
		if (r == 0)
			r = machine_drive_attach(m, d, &files, error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int attach_nics(struct worker *w, struct rpc_call *call, struct machine *m,
		       struct machine_error *error)
{
	for (size_t i = 0; i < w->config->nic_count; i++) {
		const struct nic_config *n = &w->config->nics[i];
		struct machine_nic_fds fds;
		int r;

		control_take_nic_fds(call, n->number, &fds);
		r = machine_nic_attach(m, n->number, n, &fds, error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int build(struct worker *w, struct rpc_call *call, struct machine **ret,
		 struct machine_error *error)
{
	const struct machine_env env = { .loop = w->loop,
					 .id = w->options->id,
					 .changed = worker_changed,
					 .ended = worker_ended,
					 .opaque = w };
	const struct machine_fds fds = {
		.kvm = rpc_call_take_fd(call, "kvm"),
		.kernel = rpc_call_take_fd(call, "kernel"),
		.initrd = rpc_call_take_fd(call, "initrd"),
		.console_pty = rpc_call_take_fd(call, "console_pty"),
		.console_pty_peer = rpc_call_take_fd(call, "console_pty_peer"),
		.console_socket = rpc_call_take_fd(call, "console_socket"),
		.console_log = rpc_call_take_fd(call, "console_log"),
	};
	struct machine *m;
	int r = machine_new(w->config, &fds, &env, &m, error);

	if (r < 0)
		return r;
	r = attach_all(w, call, m, error);
	if (r == 0)
		r = attach_nics(w, call, m, error);
	if (r < 0) {
		machine_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

static void setup(struct rpc_call *call, void *ctx)
{
	struct worker *w = ctx;
	struct machine_error error = { "" };
	struct config_error why;
	struct vm_config *config;
	int r;

	if (w->config) {
		rpc_call_fail(call, -EBUSY, "the worker is set up already");
		return;
	}
	config = calloc(1, sizeof(*config));
	r = config ? config_from_json(json_object_get(rpc_call_params(call), "config"),
				      config, &why)
		   : -ENOMEM;
	if (r < 0) {
		free(config);
		rpc_call_fail(call, r, "%s",
			      r == -ENOMEM ? "out of memory" : why.message);
		return;
	}
	w->config = config;
	r = build(w, call, &w->machine, &error);
	if (r < 0) {
		w->config = NULL;
		config_done(config);
		free(config);
	} else {
		w->report_fd = rpc_call_take_fd(call, "report");
		/* What comes from here on was made by guests: the kernel's file is the first. */
		r = sandbox_tighten();
		if (r < 0)
			machine_fail(&error, r, "the sandbox cannot be tightened: %s",
				     strerror(-r));
	}
	control_answer(call, r, &error);
}

static void start(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };

	if (m)
		control_answer(call, machine_start(m, &error), &error);
}

static void pause_(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	int r;

	if (!m)
		return;
	r = machine_pause(m, control_answer_done, call, &error);
	if (r < 0)
		control_answer(call, r, &error);
}

static void resume(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };

	if (m)
		control_answer(call, machine_resume(m, &error), &error);
}

static void reset(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	int r;

	if (!m)
		return;
	r = machine_reset(m, control_answer_done, call, &error);
	if (r < 0)
		control_answer(call, r, &error);
}

static void shutdown_(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	int r;

	if (!m)
		return;
	r = machine_shutdown(m, !strcmp(rpc_call_string(call, "type"), "restart"),
			     rpc_call_bool(call, "force"),
			     rpc_call_string(call, "reason"), control_answer_done, call,
			     &error);
	if (r == -ENOTCONN) {
		struct rpc_error e = { 0 };

		rpc_error_set_code(&e, RPC_NO_SERVICE, "%s", error.text);
		rpc_call_error(call, &e);
	} else if (r < 0) {
		control_answer(call, r, &error);
	}
}

static void turn_off(struct rpc_call *call, void *ctx)
{
	struct worker *w = ctx;
	struct machine *m = control_machine(w, call);

	if (!m)
		return;
	if (w->turn_off) {
		rpc_call_fail(call, -EALREADY, "the VM is being turned off");
		return;
	}
	w->turn_off = call;
	machine_turn_off(m, "turned off by the operator");
}

static void status(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);

	if (m)
		rpc_call_reply(call, status_json(m));
}

static void counters(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);

	if (m)
		rpc_call_reply(call, counters_json(m));
}

static void integration_set(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };

	if (m)
		control_answer(call,
			       machine_integration(m, rpc_call_string(call, "service"),
						   rpc_call_bool(call, "enabled"),
						   &error),
			       &error);
}

const struct rpc_handler control_handlers[] = {
	{ "worker.hello", hello },
	{ "worker.setup", setup },
	{ "vm.start", start },
	{ "vm.pause", pause_ },
	{ "vm.resume", resume },
	{ "vm.reset", reset },
	{ "vm.shutdown", shutdown_ },
	{ "vm.turn_off", turn_off },
	{ "vm.status", status },
	{ "vm.counters", counters },
	{ "integration.set", integration_set },
	{ "drive.attach", control_drive_attach },
	{ "drive.detach", control_drive_detach },
	{ "drive.set", control_drive_set },
	{ "drive.resize", control_drive_resize },
	{ "dvd.change", control_dvd_change },
	{ "nic.attach", control_nic_attach },
	{ "nic.detach", control_nic_detach },
	{ "nic.link", control_nic_link },
};
const size_t control_handler_count = ARRAY_SIZE(control_handlers);
