/* SPDX-License-Identifier: BSD-2-Clause */
/* Network adapters: from descriptors to a device on the bus, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "back/nic.h"
#include "util/cleanup.h"
#include "vmwp/machine_priv.h"
#include "vsp/netvsp/netvsp.h"

static void close_fds(struct machine_nic_fds *fds)
{
	while (fds->n)
		close(fds->v[--fds->n]);
}

static int back_end(const struct nic_config *config, struct machine_nic_fds *fds,
		    struct nic **ret)
{
	unsigned int n = fds->n;

	switch (config->kind) {
	case NIC_USER:
		fds->n = 0;
		return nic_socket_new(fds->v[0], ret);
	case NIC_TAP:
	case NIC_SWITCH: /* a tap that vmms made */
		fds->n = 0;
		return nic_tap_new(fds->v, n, true, ret);
	default:
		return nic_null_new(ret);
	}
}

static int offer(struct machine *m, unsigned int index, const struct nic_config *config,
		 struct nic *nic)
{
	struct netvsp_params params = {
		.bus = m->bus,
		.loop = m->env.loop,
		.max_sub_channels = m->config->processors - 1,
		.nic = nic,
	};
	char name[32];
	int r;

	snprintf(name, sizeof(name), "Network adapter %u", index);
	params.name = name;
	config_nic_instance(&m->env.id, index, &params.instance);
	config_nic_mac(&m->env.id, index, config, params.mac);
	r = netvsp_new(&params, &m->nics[index]);
	if (r == 0 && config->unplugged)
		netvsp_set_link(m->nics[index], false);
	return r;
}

static int attach(struct machine *m, unsigned int index, const struct nic_config *config,
		  struct machine_nic_fds *fds, struct machine_error *error)
{
	struct nic *nic = NULL;
	int r;

	if (index >= CONFIG_NICS_MAX || m->nics[index])
		return machine_fail(error, -EEXIST,
				    "there is a network adapter %u already", index);
	if (config->kind == NIC_NONE
		    ? fds->n != 0
		    : !fds->n || (config->kind == NIC_USER && fds->n > 1))
		return machine_fail(error, -EINVAL,
				    "%u descriptors came for network adapter %u", fds->n,
				    index);
	r = back_end(config, fds, &nic);
	if (r < 0)
		return machine_fail(error, r, "cannot use network adapter %u: %s", index,
				    strerror(-r));
	r = offer(m, index, config, nic);
	if (r < 0)
		nic_free(nic);
	if (r == -EEXIST)
		return machine_fail(error, r,
				    "the guest has not let go of the network adapter %u "
				    "that was taken out; try again",
				    index);
	return r < 0 ? machine_fail(error, r, "cannot offer network adapter %u: %s",
				    index, strerror(-r))
		     : 0;
}

int machine_nic_attach(struct machine *m, unsigned int index,
		       const struct nic_config *config, struct machine_nic_fds *fds,
		       struct machine_error *error)
{
	int r = attach(m, index, config, fds, error);

	close_fds(fds);
	return r;
}

static void detached(void *opaque)
{
	struct machine_op *op = opaque;

	machine_finish(op, 0, NULL);
	free(op);
}

int machine_nic_detach(struct machine *m, unsigned int index, machine_done_fn done,
		       void *opaque, struct machine_error *error)
{
	struct netvsp *s = index < CONFIG_NICS_MAX ? m->nics[index] : NULL;
	struct machine_op *op;

	if (!s)
		return machine_fail(error, -ENOENT, "there is no network adapter %u",
				    index);
	op = malloc(sizeof(*op));
	if (!op)
		return machine_fail(error, -ENOMEM, "no memory");
	*op = (struct machine_op){ done, opaque };
	m->nics[index] = NULL;
	netvsp_unplug(s, detached, op);
	return 0;
}

int machine_nic_link(struct machine *m, unsigned int index, bool up,
		     struct machine_error *error)
{
	struct netvsp *s = index < CONFIG_NICS_MAX ? m->nics[index] : NULL;

	if (!s)
		return machine_fail(error, -ENOENT, "there is no network adapter %u",
				    index);
	netvsp_set_link(s, up);
	return 0;
}
