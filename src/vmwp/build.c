/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a machine out of descriptors and a configuration, and takes it apart again. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/log.h"
#include "vmwp/drives.h"
#include "vmwp/machine_priv.h"

static void bus_changed(void *opaque)
{
	machine_changed(opaque);
}

static int build_partition(struct machine *m, struct machine_error *error)
{
	const struct partition_config config = {
		.kvm_fd = m->kvm,
		.vps = m->config->processors,
		.memory_bytes = m->config->memory_bytes,
	};
	int r = partition_new(&config, &m->part);

	if (r == -EOPNOTSUPP)
		return machine_fail(
			error, r,
			"this host's KVM lacks something that a VM needs; 'vmctl host "
			"check' says what");
	if (r < 0)
		return machine_fail(
			error, r, "cannot make a partition with %u VPs and %llu MiB: %s",
			config.vps, (unsigned long long)config.memory_bytes / 1048576,
			strerror(-r));
	return 0;
}

static int build_board(struct machine *m, const struct machine_fds *fds,
		       struct machine_error *error)
{
	const struct chardev_config console = {
		.pty = fds->console_pty,
		.pty_peer = fds->console_pty_peer,
		.socket = fds->console_socket,
		.log = fds->console_log,
	};
	struct board_env env = {
		.bus = partition_bus(m->part),
		.irq = partition_irq(m->part),
		.mem = partition_mem(m->part),
		.vps = m->config->processors,
		.power_off = events_power_off,
		.reset = events_reset,
		.opaque = m,
	};
	int r = chardev_new(m->env.loop, &console, &m->console);

	if (r < 0)
		return machine_fail(error, r, "cannot make the console: %s",
				    strerror(-r));
	env.console = m->console;
	r = board_new(&env, &m->board);
	if (r < 0)
		return machine_fail(error, r, "cannot make the board: %s", strerror(-r));
	return 0;
}

static int build_bus(struct machine *m, struct machine_error *error)
{
	const struct vmbus_env env = {
		.synic_ops = &synic_ops,
		.synic = partition_synic(m->part),
		.gm = partition_mem(m->part),
		.loop = m->env.loop,
		.changed = bus_changed,
		.opaque = m,
	};
	int r = vmbus_new(&env, &m->bus);

	if (r < 0)
		return machine_fail(error, r, "cannot make the VMBus: %s", strerror(-r));
	return devices_offer(m, error);
}

static int build(struct machine *m, const struct machine_fds *fds,
		 struct machine_error *error)
{
	int r = build_partition(m, error);

	if (r == 0)
		r = build_board(m, fds, error);
	if (r == 0)
		r = build_bus(m, error);
	if (r < 0)
		return r;
	r = events_watch(m);
	return r < 0 ? machine_fail(error, r, "cannot watch the partition: %s",
				    strerror(-r))
		     : 0;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Nothing runs and no channel is open. */
static void dismantle(struct machine *m)
{
	events_unwatch(m);
	if (m->bus)
		vmbus_free(m->bus);
	if (m->board)
		board_free(m->board);
	chardev_free(m->console);
	if (m->part)
		partition_free(m->part);
	close_if(m->asked_fd);
	close_if(m->kvm);
	close_if(m->kernel);
	close_if(m->initrd);
	free(m->reason);
	free(m);
}

static void nothing(struct machine *m)
{
}

void machine_free(struct machine *m)
{
	/* Never started: no channel is open, and so the devices go before this returns. */
	if (m->bus && !m->devices_gone)
		devices_remove(m, nothing);
	drives_free(m);
	dismantle(m);
}

int machine_new(const struct vm_config *config, const struct machine_fds *fds,
		const struct machine_env *env, struct machine **ret,
		struct machine_error *error)
{
	struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m) {
		close_if(fds->kvm);
		close_if(fds->kernel);
		close_if(fds->initrd);
		close_if(fds->console_pty);
		close_if(fds->console_pty_peer);
		close_if(fds->console_socket);
		close_if(fds->console_log);
		return machine_fail(error, -ENOMEM, "out of memory");
	}
	list_init(&m->drives);
	list_init(&m->media);
	m->config = config;
	m->env = *env;
	m->kvm = fds->kvm;
	m->kernel = fds->kernel;
	m->initrd = fds->initrd;
	m->asked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->asked_fd < 0)
		r = machine_fail(error, -errno, "cannot make an eventfd: %s",
				 strerror(errno));
	else if (m->kvm < 0 || m->kernel < 0)
		r = machine_fail(error, -EINVAL, "no descriptor came for %s",
				 m->kvm < 0 ? "/dev/kvm" : "the kernel");
	else
		r = build(m, fds, error);
	if (r < 0) {
		if (!m->console) {
			close_if(fds->console_pty);
			close_if(fds->console_pty_peer);
			close_if(fds->console_socket);
			close_if(fds->console_log);
		}
		machine_free(m);
		return r;
	}
	*ret = m;
	return 0;
}
