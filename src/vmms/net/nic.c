/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/net/nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/worker/confine.h"
#include "vmms/vm/registry.h"
#include "vmms/worker/spawn.h"
#include "vmms/net/switch.h"

#define TAP_HEADER_BYTES 10 /* struct virtio_net_hdr, as back/nic.h has it */

/* ---- the end of a vmnat ---- */

struct child {
	struct list link; /* of those of this vmms */
	struct process process;
	struct confine *confine; /* outlives it */
	uid_t uid;
	struct event *ev;
};

static void child_free(struct child *c)
{
	list_del(&c->link);
	if (c->ev)
		event_free(c->ev);
	if (c->process.pidfd >= 0)
		close(c->process.pidfd);
	confine_give_uid(c->confine, c->uid);
	free(c);
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	int code = 0, status = 0;

	if (process_reap(&c->process, &code, &status) == -EAGAIN)
		return;
	if (code != CLD_EXITED || status)
		log_warning("the vmnat with process id %d ended with %s %d",
			    (int)c->process.pid, code == CLD_EXITED ? "status" : "signal",
			    status);
	child_free(c);
}

static int follow(struct event_base *base, struct child *c)
{
	c->ev = event_new(base, c->process.pidfd, EV_READ | EV_PERSIST, on_exit_event, c);
	return c->ev && event_add(c->ev, NULL) == 0 ? 0 : -ENOMEM;
}

void nic_forget(struct list *children)
{
	struct child *c, *tmp;

	list_for_each_safe (c, tmp, children, link)
		child_free(c);
}

/* ---- user ---- */

/*
 * Whether the port is free, for an answer that says so: vmnat binds it a moment later. What else takes it in between is in the log, and the
 * adapter's link is down.
 */
static int check_forward(const struct nic_forward *f, struct rpc_error *e)
{
	const struct sockaddr_in a = { .sin_family = AF_INET,
				       .sin_port = htons(f->port),
				       .sin_addr.s_addr = f->address };
	cleanup_fd int fd =
		socket(AF_INET, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	char address[INET_ADDRSTRLEN];
	int one = 1;

	if (fd < 0)
		return rpc_error_set(e, -errno, "no socket: %s", strerror(errno));
	if (!f->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return 0;
	inet_ntop(AF_INET, &f->address, address, sizeof(address));
	return rpc_error_set(e, -errno, "%s port %u of %s cannot be forwarded: %s",
			     f->udp ? "UDP" : "TCP", f->port, address, strerror(errno));
}

#define ARGV_MAX (8 + 2 * CONFIG_FORWARDS_MAX + CONFINE_ARGS)
#define FORWARD_TEXT 48

static void fill_argv(const struct settings *s, const char *name,
		      const struct nic_config *nic, const struct confine_args *sandbox,
		      const char **argv, char (*texts)[FORWARD_TEXT])
{
	size_t n = 0;

	argv[n++] = s->vmnat;
	argv[n++] = "--fd";
	argv[n++] = "3";
	argv[n++] = "--name";
	argv[n++] = name;
	if (nic->host_loopback)
		argv[n++] = "--host-loopback";
	for (size_t i = 0; i < nic->forward_count; i++) {
		const struct nic_forward *f = &nic->forwards[i];
		char address[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &f->address, address, sizeof(address));
		snprintf(texts[i], FORWARD_TEXT, "%s,%s,%u,%u", f->udp ? "udp" : "tcp",
			 address, f->port, f->guest_port);
		argv[n++] = "--forward";
		argv[n++] = texts[i];
	}
	for (size_t i = 0; sandbox->argv[i]; i++)
		argv[n++] = sandbox->argv[i];
	argv[n] = NULL;
}

/* The user is the child's from here on. */
static int launch(const struct nic_env *env, uid_t uid, const struct spawn *spawn)
{
	struct child *c = calloc(1, sizeof(*c));
	cleanup_fd int gate = -1;
	int r;

	if (!c) {
		confine_give_uid(env->confine, uid);
		return -ENOMEM;
	}
	c->process.pidfd = -1;
	list_add_tail(env->children, &c->link);
	c->confine = env->confine;
	c->uid = uid;
	r = spawn_gated(spawn, &c->process, &gate);
	if (r < 0) {
		child_free(c);
		return r;
	}
	r = follow(env->base, c);
	if (r == 0)
		r = spawn_open_gate(&gate);
	if (r < 0) {
		process_kill(&c->process);
		waitpid(c->process.pid, NULL, 0);
		child_free(c);
	}
	return r;
}

static int open_user(const struct nic_env *env, const struct nic_config *nic, int *ret_fd,
		     struct rpc_error *e)
{
	char texts[CONFIG_FORWARDS_MAX][FORWARD_TEXT], name[CONFIG_NAME_SIZE + 16];
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC), near = -1, far = -1;
	const struct settings *s = env->settings;
	struct confine_args sandbox;
	const char *argv[ARGV_MAX];
	struct guid instance;
	int fds[2], r;
	uid_t uid;

	for (size_t i = 0; i < nic->forward_count; i++) {
		r = check_forward(&nic->forwards[i], e);
		if (r < 0)
			return r;
	}
	if (access(s->vmnat, X_OK) < 0)
		return rpc_error_set(e, -errno, "the program %s: %s", s->vmnat,
				     strerror(errno));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return rpc_error_set(e, -errno, "no socket: %s", strerror(errno));
	near = fds[0];
	far = fds[1];
	snprintf(name, sizeof(name), "%s/%u", env->vm->name, nic->number);
	config_nic_instance(env->vm_id, nic->number, &instance);
	r = confine_take_uid(env->confine, &instance, &uid);
	if (r < 0)
		return rpc_error_set(
			e, r,
			"all users for workers are in use; make \"worker_uids\" wider");
	confine_args(env->confine, uid, &sandbox);
	fill_argv(s, name, nic, &sandbox, argv, texts);
	r = launch(env, uid,
		   &(struct spawn){ .argv = argv,
				    .fds = { null, env->log_fd, env->log_fd, far },
				    .sandbox = env->confine->host.mode,
				    .host_network = true });
	if (r < 0)
		return rpc_error_set(e, r, "no vmnat could be started: %s", strerror(-r));
	*ret_fd = take_fd(&near);
	return 0;
}

/* ---- tap ---- */

static const char *why_not(int err)
{
	switch (err) {
	case EPERM:
		return "only root may use or make this tap; or give it to the user that "
		       "vmms runs as with 'ip tuntap add … user …'";
	case EBUSY:
		return "another program has this tap";
	case EINVAL:
		return "is an interface, but no tap";
	default:
		return strerror(err);
	}
}

/* One queue of a tap. -EINVAL also for a tap that has one queue where it is asked for several, and the reverse. */
static int open_queue(const char *name, bool multi, int *ret_fd, struct rpc_error *e)
{
	cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = TAP_HEADER_BYTES;

	if (fd < 0)
		return rpc_error_set(e, -errno,
				     "/dev/net/tun: %s; load the tun module, and let the "
				     "user that vmms runs as open it",
				     strerror(errno));
	if (multi)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return rpc_error_set(e, -errno, "%s: %s", name, why_not(errno));
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		return rpc_error_set(e, -errno, "%s: %s", name, strerror(errno));
	*ret_fd = take_fd(&fd);
	return 0;
}

int nic_open_tap(const char *name, unsigned int queues, struct nic_fds *ret,
		 struct rpc_error *e)
{
	bool multi = queues > 1;
	int r = open_queue(name, multi, &ret->v[0], e);

	/* One that was made before, for more queues or for one. */
	if (r == -EINVAL) {
		multi = !multi;
		r = open_queue(name, multi, &ret->v[0], e);
	}
	ret->n = r == 0 ? 1 : 0;
	while (r == 0 && multi && ret->n < MIN(queues, NIC_FDS_MAX)) {
		r = open_queue(name, true, &ret->v[ret->n], e);
		ret->n += r == 0;
	}
	if (r < 0)
		nic_close(ret);
	return r;
}

unsigned int nic_queues(const struct vm_config *vm)
{
	return MIN(vm->processors, NIC_FDS_MAX);
}

/* ---- all ---- */

void nic_close(struct nic_fds *fds)
{
	while (fds->n)
		close(fds->v[--fds->n]);
}

void nic_role(unsigned int number, unsigned int i, char ret[NIC_ROLE_SIZE])
{
	snprintf(ret, NIC_ROLE_SIZE, i ? "nic/%u/%u" : "nic/%u", number, i);
}

int nic_open(const struct nic_env *env, const struct nic_config *nic, struct nic_fds *ret,
	     struct rpc_error *e)
{
	struct nic_fds fds = { .n = 0 };
	struct rpc_error inner;
	int r = 0;

	if (nic->kind == NIC_USER) {
		r = open_user(env, nic, &fds.v[0], &inner);
		fds.n = r == 0;
	} else if (nic->kind == NIC_TAP) {
		r = nic_open_tap(nic->tap, nic_queues(env->vm), &fds, &inner);
	} else if (nic->kind == NIC_SWITCH) {
		r = switches_open_port(env->switches, env->vm_id, nic,
				       nic_queues(env->vm), &fds, &inner);
	}
	if (r < 0)
		return rpc_error_set(e, r, "network adapter %u: %s", nic->number,
				     inner.message);
	*ret = fds;
	return 0;
}

/* ---- addresses ---- */

static int check_mac(const struct vm *vm, const struct guid *id,
		     const struct nic_config *nic, struct rpc_error *e)
{
	uint8_t mine[CONFIG_MAC_BYTES], other[CONFIG_MAC_BYTES];

	config_nic_mac(id, nic->number, nic, mine);
	for (size_t i = 0; i < vm->config.nic_count; i++) {
		config_nic_mac(&vm->id, vm->config.nics[i].number, &vm->config.nics[i],
			       other);
		if (memcmp(mine, other, sizeof(mine)) == 0)
			return rpc_error_set(e, -EEXIST,
					     "network adapter %u: network adapter %u of "
					     "%s has the address "
					     "%02x:%02x:%02x:%02x:%02x:%02x already",
					     nic->number, vm->config.nics[i].number,
					     vm->config.name, mine[0], mine[1], mine[2],
					     mine[3], mine[4], mine[5]);
	}
	return 0;
}

/* An adapter's own address against those that were given to others of the same VM. */
static int check_own(const struct guid *id, const struct vm_config *c,
		     struct rpc_error *e)
{
	uint8_t a[CONFIG_MAC_BYTES], b[CONFIG_MAC_BYTES];

	for (size_t i = 0; i < c->nic_count; i++) {
		config_nic_mac(id, c->nics[i].number, &c->nics[i], a);
		for (size_t k = 0; k < i; k++) {
			config_nic_mac(id, c->nics[k].number, &c->nics[k], b);
			if (memcmp(a, b, sizeof(a)) == 0)
				return rpc_error_set(
					e, -EEXIST,
					"network adapters %u and %u have the "
					"same address",
					c->nics[k].number, c->nics[i].number);
		}
	}
	return 0;
}

int nic_check_macs(const struct registry *reg, const struct guid *id,
		   const struct vm_config *next, struct rpc_error *e)
{
	const struct vm *vm;
	int r = check_own(id, next, e);

	list_for_each (vm, &reg->vms, link) {
		for (size_t i = 0; r == 0 && i < next->nic_count; i++) {
			if (!guid_equal(&vm->id, id))
				r = check_mac(vm, id, &next->nics[i], e);
		}
	}
	return r;
}
