/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods of the control socket that concern network adapters. */
#include <errno.h>
#include <stdio.h>

#include "vmwp/worker_priv.h"

void control_take_nic_fds(struct rpc_call *call, unsigned int number,
			  struct machine_nic_fds *ret)
{
	char role[32];

	for (ret->n = 0; ret->n < ARRAY_SIZE(ret->v); ret->n++) {
		snprintf(role, sizeof(role), ret->n ? "nic/%u/%u" : "nic/%u", number,
			 ret->n);
		ret->v[ret->n] = rpc_call_take_fd(call, role);
		if (ret->v[ret->n] < 0)
			return;
	}
}

static unsigned int number_of(struct rpc_call *call)
{
	return (unsigned int)rpc_call_integer(call, "index", 0);
}

void control_nic_attach(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	struct machine_nic_fds fds;
	struct nic_config config;
	struct config_error why;
	int r;

	if (!m)
		return;
	r = config_nic_from_json(json_object_get(rpc_call_params(call), "nic"), &config,
				 &why);
	if (r < 0) {
		rpc_call_fail(call, r, "%s", why.message);
		return;
	}
	control_take_nic_fds(call, number_of(call), &fds);
	control_answer(call,
		       machine_nic_attach(m, number_of(call), &config, &fds, &error),
		       &error);
}

void control_nic_detach(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };
	int r;

	if (!m)
		return;
	r = machine_nic_detach(m, number_of(call), control_answer_done, call, &error);
	if (r < 0)
		control_answer(call, r, &error);
}

void control_nic_link(struct rpc_call *call, void *ctx)
{
	struct machine *m = control_machine(ctx, call);
	struct machine_error error = { "" };

	if (m)
		control_answer(call,
			       machine_nic_link(m, number_of(call),
						rpc_call_bool(call, "up"), &error),
			       &error);
}
