/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "vmms/disk/images.h"
#include "vmms/disk/reservations.h"
#include "vmms/net/nic.h"
#include "vmms/vm/store.h"

#define LOG_BYTES_MAX (1 << 20) /* of a log from earlier runs; then it becomes <name>.1 */

int resources_add_fd(struct resources *r, const char *role, int fd, struct rpc_error *e)
{
	if (r->fd_count >= ARRAY_SIZE(r->fds) ||
	    json_array_append_new(r->roles, json_string(role)) < 0) {
		close(fd);
		return rpc_error_set(e, -ENOMEM, "no memory");
	}
	r->fds[r->fd_count++] = fd;
	return 0;
}

/* ---- /dev/kvm ---- */

static int open_kvm(const char *path, struct resources *r, struct rpc_error *e)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), n = -errno;

	if (fd >= 0)
		return resources_add_fd(r, "kvm", fd, e);
	switch (n) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return rpc_error_set(
			e, n,
			"%s: %s; load the kvm_intel or kvm_amd module, or "
			"switch virtualization on in the firmware ('vmctl host "
			"check' says more)",
			path, strerror(-n));
	case -EACCES:
	case -EPERM:
		return rpc_error_set(
			e, n,
			"%s: permission denied; add the user that vmms runs as "
			"to the group that owns it (kvm)",
			path);
	default:
		return rpc_error_set(e, n, "%s: %s", path, strerror(-n));
	}
}

/* ---- console and logs ---- */

static int open_pty(struct resources *r, struct rpc_error *e)
{
	cleanup_fd int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), peer = -1;
	struct termios t;
	int n;

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 ||
	    ptsname_r(fd, r->console_pty, sizeof(r->console_pty)) != 0)
		return rpc_error_set(e, -errno, "no terminal for the console: %s",
				     strerror(errno));
	/* The worker holds the line open, or its last user's leaving would end it; it can open nothing itself. */
	peer = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return rpc_error_set(e, -errno, "no terminal for the console: %s",
				     strerror(errno));
	/* A serial line, not a login: what the guest sends is not edited or echoed. */
	if (tcgetattr(fd, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(fd, TCSANOW, &t);
	}
	n = resources_add_fd(r, "console_pty_peer", take_fd(&peer), e);
	return n == 0 ? resources_add_fd(r, "console_pty", take_fd(&fd), e) : n;
}

/* access: O_WRONLY, or O_RDWR for the console's, which its worker trims (back/chardev.h). */
static int open_log(int dir, const char *name, int access, int *ret)
{
	char older[64];
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_size > LOG_BYTES_MAX) {
		snprintf(older, sizeof(older), "%s.1", name);
		renameat(dir, name, dir, older);
	}
	fd = openat(dir, name, access | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		    0640);
	*ret = fd;
	return fd < 0 ? -errno : 0;
}

static int open_files(struct resources *r, struct rpc_error *e)
{
	int fd, n = open_log(r->vm_dir, STORE_LOG, O_WRONLY, &r->log_fd);

	if (n < 0)
		return rpc_error_set(e, n, "its log cannot be opened: %s", strerror(-n));
	n = open_log(r->vm_dir, STORE_CONSOLE_LOG, O_RDWR, &fd);
	if (n < 0)
		return rpc_error_set(e, n, "its console's log cannot be opened: %s",
				     strerror(-n));
	return resources_add_fd(r, "console_log", fd, e);
}

/* Last, and durable: an empty report says that it runs. */
static int open_report(struct resources *r, struct rpc_error *e)
{
	int fd, n = io_replace_file(r->vm_dir, STORE_REPORT, "", 0, 0640);

	if (n < 0)
		return rpc_error_set(e, n, "its report cannot be written: %s",
				     strerror(-n));
	fd = openat(r->vm_dir, STORE_REPORT, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return rpc_error_set(e, -errno, "its report cannot be opened: %s",
				     strerror(errno));
	return resources_add_fd(r, "report", fd, e);
}

static int open_sockets(struct resources *r, gid_t gid, struct rpc_error *e)
{
	int fd, n = instance_listen(r->run_dir, RESOURCES_WORKER_SOCKET, 0600, (gid_t)-1,
				    &r->control_fd);

	if (n == 0)
		n = instance_listen(r->run_dir, RESOURCES_CONSOLE_SOCKET,
				    gid == (gid_t)-1 ? 0600 : 0660, gid, &fd);
	if (n < 0)
		return rpc_error_set(e, n, "its sockets cannot be made: %s",
				     strerror(-n));
	return resources_add_fd(r, "console_socket", fd, e);
}

/* ---- what the configuration names ---- */

static int open_boot(const struct vm_config *c, struct resources *r, struct rpc_error *e)
{
	int fd, n;

	if (!c->kernel)
		return rpc_error_set(
			e, -EINVAL,
			"it has nothing to boot; give it a kernel with 'vmctl "
			"set %s --kernel FILE'",
			c->name);
	n = image_open_file(c->kernel, "kernel", &fd, e);
	if (n == 0)
		n = resources_add_fd(r, "kernel", fd, e);
	if (n < 0 || !c->initrd)
		return n;
	n = image_open_file(c->initrd, "initrd", &fd, e);
	return n == 0 ? resources_add_fd(r, "initrd", fd, e) : n;
}

static int add_reservations(int state_fd, const struct drive_config *d, int image_fd,
			    struct resources *r, struct rpc_error *e)
{
	char role[32];
	int fd, n = reservations_open(state_fd, d, image_fd, &fd, e);

	if (n < 0)
		return n;
	snprintf(role, sizeof(role), "pr/%u/%u", d->controller, d->lun);
	return resources_add_fd(r, role, fd, e);
}

static int open_drives(const struct registry *reg, int state_fd, const struct vm *vm,
		       struct resources *r, struct rpc_error *e)
{
	for (size_t i = 0; i < vm->config.drive_count; i++) {
		const struct drive_config *d = &vm->config.drives[i];
		char role[32];
		int fd, n;

		if (!d->path)
			continue;
		n = image_open(reg, vm, d, &fd, e);
		if (n < 0)
			return n;
		snprintf(role, sizeof(role), "scsi/%u/%u", d->controller, d->lun);
		n = resources_add_fd(r, role, fd, e);
		if (n == 0 && d->shared)
			n = add_reservations(state_fd, d, fd, r, e);
		if (n < 0)
			return n;
	}
	return 0;
}

static int add_nic(const struct nic_config *nic, struct nic_fds *fds, struct resources *r,
		   struct rpc_error *e)
{
	char role[NIC_ROLE_SIZE];
	int n = 0;

	for (unsigned int i = 0; n == 0 && i < fds->n; i++) {
		nic_role(nic->number, i, role);
		n = resources_add_fd(r, role, take_fd(&fds->v[i]), e);
	}
	for (unsigned int i = 0; i < fds->n; i++) {
		if (fds->v[i] >= 0)
			close(fds->v[i]);
	}
	return n;
}

/* After the log is open: what serves an adapter writes there. */
static int open_nics(const struct resources_env *env, const struct vm *vm,
		     struct resources *r, struct rpc_error *e)
{
	const struct nic_env nic_env = { env->base,   env->settings, env->confine,
					 env->nats,   env->switches, &vm->id,
					 &vm->config, r->log_fd };

	for (size_t i = 0; i < vm->config.nic_count; i++) {
		const struct nic_config *nic = &vm->config.nics[i];
		struct nic_fds fds;
		int n = nic_open(&nic_env, nic, &fds, e);

		if (n == 0)
			n = add_nic(nic, &fds, r, e);
		if (n < 0)
			return n;
	}
	return 0;
}

static int make_run_dir(const struct resources_env *env, const struct vm *vm,
			struct resources *r, struct rpc_error *e)
{
	gid_t gid = env->instance->gid;
	int dir = env->instance->run_fd;

	if (mkdirat(dir, vm->id_text, gid == (gid_t)-1 ? 0700 : 0750) < 0 &&
	    errno != EEXIST)
		return rpc_error_set(e, -errno, "its folder in %s cannot be made: %s",
				     env->settings->run_dir, strerror(errno));
	r->run_dir =
		openat(dir, vm->id_text, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (r->run_dir < 0)
		return rpc_error_set(e, -errno, "its folder in %s: %s",
				     env->settings->run_dir, strerror(errno));
	if (gid != (gid_t)-1 && fchown(r->run_dir, (uid_t)-1, gid) < 0)
		return rpc_error_set(e, -errno, "its folder in %s: %s",
				     env->settings->run_dir, strerror(errno));
	return 0;
}

static int open_all(const struct resources_env *env, const struct vm *vm,
		    struct resources *r, struct rpc_error *e)
{
	int n = store_open(env->instance->state_fd, &vm->id, &r->vm_dir);

	if (n < 0)
		return rpc_error_set(e, n, "its folder in %s: %s",
				     env->settings->state_dir, strerror(-n));
	/* What a person can mend comes first; the report of the last run is kept until all of that is there. */
	n = open_boot(&vm->config, r, e);
	if (n == 0)
		n = open_drives(env->registry, env->instance->state_fd, vm, r, e);
	if (n == 0)
		n = open_kvm(env->settings->kvm_device, r, e);
	if (n == 0)
		n = open_pty(r, e);
	if (n == 0)
		n = make_run_dir(env, vm, r, e);
	if (n == 0)
		n = open_sockets(r, env->instance->gid, e);
	if (n == 0)
		n = open_files(r, e);
	if (n == 0)
		n = open_nics(env, vm, r, e);
	return n == 0 ? open_report(r, e) : n;
}

int resources_open(const struct resources_env *env, const struct vm *vm,
		   struct resources *ret, struct rpc_error *e)
{
	struct resources r = {
		.run_dir = -1, .vm_dir = -1, .control_fd = -1, .log_fd = -1
	};
	struct rpc_error inner;
	int n;

	r.roles = json_array();
	n = r.roles ? open_all(env, vm, &r, &inner)
		    : rpc_error_set(&inner, -ENOMEM, "no memory");
	if (n < 0) {
		rpc_error_set(e, n, "cannot start %s: %s", vm->config.name,
			      inner.message);
		resources_done(&r);
		resources_remove(env, vm);
		return n;
	}
	*ret = r;
	return 0;
}

void resources_done(struct resources *r)
{
	int *fds[] = { &r->run_dir, &r->vm_dir, &r->control_fd, &r->log_fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	for (size_t i = 0; i < r->fd_count; i++)
		close(r->fds[i]);
	r->fd_count = 0;
	json_decref(r->roles);
	json_decref(r->parents);
	r->roles = r->parents = NULL;
}

void resources_remove(const struct resources_env *env, const struct vm *vm)
{
	int r = store_remove_tree(env->instance->run_fd, vm->id_text);

	switches_close_port(env->switches, &vm->id, CONFIG_NICS_MAX);

	if (r < 0)
		log_warning("%s: %s/vms/%s cannot be removed: %s", vm->config.name,
			    env->settings->run_dir, vm->id_text, strerror(-r));
}
