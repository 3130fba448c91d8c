/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods of the control socket that concern drives. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmwp/drives.h"
#include "vmwp/worker_priv.h"

struct place {
	unsigned int controller, lun;
};

/* From params that the table has bounded. */
static struct place place_of(struct rpc_call *call)
{
	return (struct place){ (unsigned int)rpc_call_integer(call, "controller", 0),
			       (unsigned int)rpc_call_integer(call, "lun", 0) };
}

int control_take_files(struct rpc_call *call, unsigned int controller, unsigned int lun,
		       const char *path, const json_t *parents, struct drive_files *ret,
		       struct machine_error *error)
{
	size_t n = json_array_size(parents);
	char role[48];

	snprintf(role, sizeof(role), "pr/%u/%u", controller, lun);
	ret->n = 0;
	ret->reservations = rpc_call_take_fd(call, role);
	if (n >= DRIVE_FILES_MAX) {
		drive_files_close(ret);
		return machine_fail(error, -ELOOP, "%s: more than %u parents",
				    path ? path : "the image", DRIVE_FILES_MAX - 1);
	}
	for (size_t i = 0; i <= n; i++) {
		const char *name =
			i ? json_string_value(json_array_get(parents, i - 1)) : path;
		int fd;

		snprintf(role, sizeof(role), i ? "scsi/%u/%u/%zu" : "scsi/%u/%u",
			 controller, lun, i);
		fd = rpc_call_take_fd(call, role);
		if (fd < 0 && !i && !n)
			return 0;
		if (fd < 0 || (i && !name)) {
			if (fd >= 0)
				close(fd);
			drive_files_close(ret);
			return machine_fail(error, -EINVAL,
					    "no descriptor or name came for %s", role);
		}
		ret->fds[i] = fd;
		ret->names[i] = name ? name : "the medium";
		ret->n++;
	}
	return 0;
}

/* The configuration that came with a call, at its place; otherwise the call is answered. */
static int take_drive(struct rpc_call *call, const struct place *at,
		      struct drive_config *ret)
{
	struct config_error why;
	int r = config_drive_from_json(json_object_get(rpc_call_params(call), "drive"),
				       at->controller, ret, &why);

	if (r < 0) {
		rpc_call_fail(call, r, "%s", why.message);
		return r;
	}
	if (ret->lun == at->lun)
		return 0;
	rpc_call_fail(call, -EINVAL, "drive: lun is %u, not %u", ret->lun, at->lun);
	config_drive_done(ret);
	return -EINVAL;
}

void control_drive_attach(struct rpc_call *call, void *ctx)
{
	struct place at = place_of(call);
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	struct drive_files files;
	struct drive_config c;
	int r;

	if (!m || take_drive(call, &at, &c) < 0)
		return;
	r = control_take_files(call, at.controller, at.lun, c.path,
			       json_object_get(rpc_call_params(call), "parents"), &files,
			       &error);
	if (r == 0)
		r = machine_drive_attach(m, &c, &files, &error);
	config_drive_done(&c);
	control_answer(call, r, &error);
}

void control_drive_detach(struct rpc_call *call, void *ctx)
{
	struct place at = place_of(call);
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	int r;

	if (!m)
		return;
	r = machine_drive_detach(m, at.controller, at.lun, control_answer_done, call,
				 &error);
	if (r < 0)
		control_answer(call, r, &error);
}

void control_drive_set(struct rpc_call *call, void *ctx)
{
	struct place at = place_of(call);
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	struct drive_config c;
	int r;

	if (!m || take_drive(call, &at, &c) < 0)
		return;
	r = machine_drive_set(m, &c, &error);
	config_drive_done(&c);
	control_answer(call, r, &error);
}

void control_drive_resize(struct rpc_call *call, void *ctx)
{
	struct place at = place_of(call);
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	uint64_t bytes = 0;
	int r;

	if (!m)
		return;
	r = machine_drive_resize(m, at.controller, at.lun,
				 (uint64_t)rpc_call_integer(call, "bytes", 0), &bytes,
				 &error);
	if (r < 0)
		control_answer(call, r, &error);
	else
		rpc_call_reply(call, json_pack("{s:I}", "bytes", (json_int_t)bytes));
}

void control_dvd_change(struct rpc_call *call, void *ctx)
{
	struct place at = place_of(call);
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	struct drive_files files;
	int r;

	if (!m)
		return;
	r = control_take_files(call, at.controller, at.lun, NULL, NULL, &files, &error);
	if (r == 0)
		r = machine_dvd_change(m, at.controller, at.lun,
				       rpc_call_bool(call, "force"), &files,
				       control_answer_done, call, &error);
	if (r < 0)
		control_answer(call, r, &error);
}
