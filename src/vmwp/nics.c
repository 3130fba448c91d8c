/* SPDX-License-Identifier: BSD-2-Clause */
/* Network adapters: from a descriptor to a device on the bus, and back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "back/nic.h"
#include "util/cleanup.h"
#include "vmwp/machine_priv.h"
#include "vsp/netvsp/netvsp.h"

static int back_end(const struct nic_config *config, int fd_, struct nic **ret)
{
	cleanup_fd int fd = fd_;
	int tap;

	switch (config->kind) {
	case NIC_USER:
		return nic_socket_new(take_fd(&fd), ret);
	case NIC_TAP:
	case NIC_SWITCH: /* a tap that vmms made */
		tap = take_fd(&fd);
		return nic_tap_new(&tap, 1, true, ret);
	default:
		return nic_null_new(ret);
	}
}

int machine_nic_attach(struct machine *m, unsigned int index,
		       const struct nic_config *config, int fd_,
		       struct machine_error *error)
{
	cleanup_fd int fd = fd_;
	struct netvsp_params params = {
		.bus = m->bus,
		.loop = m->env.loop,
		.max_sub_channels = m->config->processors - 1,
	};
	char place[16], name[32];
	int r;

	if (index >= CONFIG_NICS_MAX || m->nics[index])
		return machine_fail(error, -EEXIST,
				    "there is a network adapter %u already", index);
	if (config->kind != NIC_NONE && fd < 0)
		return machine_fail(error, -EINVAL,
				    "no descriptor came for network adapter %u", index);
	snprintf(place, sizeof(place), "nic/%u", index);
	snprintf(name, sizeof(name), "Network adapter %u", index);
	params.name = name;
	guid_derive(&m->env.id, place, &params.instance);
	config_nic_mac(&m->env.id, index, config, params.mac);
	r = back_end(config, take_fd(&fd), &params.nic);
	if (r < 0)
		return machine_fail(error, r, "cannot use network adapter %u: %s", index,
				    strerror(-r));
	r = netvsp_new(&params, &m->nics[index]);
	if (r < 0) {
		nic_free(params.nic);
		return machine_fail(error, r, "cannot offer network adapter %u: %s",
				    index, strerror(-r));
	}
	return 0;
}

/* The slot is free for another at once; the device goes when the guest has let go of it. */
int machine_nic_detach(struct machine *m, unsigned int index, struct machine_error *error)
{
	struct netvsp *s = index < CONFIG_NICS_MAX ? m->nics[index] : NULL;

	if (!s)
		return machine_fail(error, -ENOENT, "there is no network adapter %u",
				    index);
	m->nics[index] = NULL;
	netvsp_remove(s, NULL, NULL);
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
