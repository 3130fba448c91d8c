/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/guid.h"
#include "vmms/notify.h"

#define NO_GROUP ((gid_t)-1)

/* ---- folders ---- */

/* mkdir -p; existing folders keep their mode. */
static int make_folders(const char *path, mode_t mode)
{
	cleanup_free char *p = strdup(path);

	if (!p)
		return -ENOMEM;
	for (char *s = p + 1;; s++) {
		char c = *s;

		if (c && c != '/')
			continue;
		*s = 0;
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return -errno;
		*s = c;
		if (!c)
			return 0;
	}
}

/* Opens DIR/vms, made where it is missing. */
static int open_vms(const char *dir, mode_t mode, mode_t vms_mode, gid_t gid, int *ret,
		    struct rpc_error *e)
{
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;
	int r = make_folders(dir, mode);

	if (r < 0)
		return rpc_error_set(e, r, "cannot make the folder %s: %s", dir,
				     strerror(-r));
	if (asprintf(&path, "%s/vms", dir) < 0) {
		path = NULL;
		return rpc_error_set(e, -ENOMEM, "no memory");
	}
	if (mkdir(path, vms_mode) < 0 && errno != EEXIST)
		return rpc_error_set(e, -errno, "cannot make the folder %s: %s", path,
				     strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return rpc_error_set(e, -errno, "cannot open the folder %s: %s", path,
				     strerror(errno));
	if (gid != NO_GROUP && fchown(fd, (uid_t)-1, gid) < 0)
		return rpc_error_set(e, -errno, "cannot give %s to its group: %s", path,
				     strerror(errno));
	*ret = take_fd(&fd);
	return 0;
}

/* ---- locks ---- */

static int lock_file(const char *path, const char *what, int *ret, struct rpc_error *e)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return rpc_error_set(e, -errno, "cannot open the lock %s: %s", path,
				     strerror(errno));
	if (fcntl(fd, F_SETLK, &l) == 0) {
		*ret = take_fd(&fd);
		return 0;
	}
	if (errno != EAGAIN && errno != EACCES)
		return rpc_error_set(e, -errno, "cannot lock %s: %s", path,
				     strerror(errno));
	l.l_type = F_WRLCK;
	if (fcntl(fd, F_GETLK, &l) < 0 || l.l_type == F_UNLCK)
		l.l_pid = 0;
	return rpc_error_set(
		e, -EBUSY,
		"another vmms (pid %d) uses the %s; stop it, or give this one "
		"another",
		(int)l.l_pid, what);
}

static int take_locks(const struct settings *s, struct instance *i, struct rpc_error *e)
{
	const struct {
		const char *base, *suffix, *what;
	} locks[INSTANCE_LOCKS] = {
		{ s->socket, ".lock", "socket" },
		{ s->state_dir, "/vmms.lock", "state folder" },
		{ s->run_dir, "/vmms.lock", "run folder" },
	};

	for (size_t n = 0; n < INSTANCE_LOCKS; n++) {
		cleanup_free char *path = NULL;
		char what[160];
		int r;

		if (asprintf(&path, "%s%s", locks[n].base, locks[n].suffix) < 0) {
			path = NULL;
			return rpc_error_set(e, -ENOMEM, "no memory");
		}
		snprintf(what, sizeof(what), "%s %.120s", locks[n].what, locks[n].base);
		r = lock_file(path, what, &i->lock_fds[n], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- sockets ---- */

int instance_listen(int dir, const char *name, mode_t mode, gid_t group, int *ret_fd)
{
	cleanup_fd int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t before;
	int r;

	if (fd < 0)
		return -errno;
	/* Through the folder's descriptor, so that its path may be longer than a socket's. */
	if (snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir, name) >=
	    (int)sizeof(a.sun_path))
		return -ENAMETOOLONG;
	unlinkat(dir, name, 0);
	before = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(before);
	if (r < 0)
		return r;
	if ((group != NO_GROUP &&
	     fchownat(dir, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) < 0) ||
	    listen(fd, 128) < 0) {
		r = -errno;
		unlinkat(dir, name, 0);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

static gid_t group_id(const char *name)
{
	const struct group *g = name[0] ? getgrnam(name) : NULL;

	return g ? g->gr_gid : NO_GROUP;
}

/*
 * A socket has one group. Where two may connect everybody may, and hears there that it may not call: rights come from the
 * peer's credentials, not from the file's mode.
 */
static mode_t socket_mode(const struct settings *s, gid_t gid)
{
	if (group_id(s->view_group) != NO_GROUP)
		return 0666;
	return gid == NO_GROUP ? 0600 : 0660;
}

static int listen_main(const struct settings *s, struct instance *i, struct rpc_error *e)
{
	cleanup_free char *dir = strdup(s->socket);
	const char *slash = strrchr(s->socket, '/');
	cleanup_fd int dirfd = -1;
	int r;

	i->listen_fd = notify_listen_fd();
	if (i->listen_fd >= 0)
		return 0;
	if (!dir)
		return rpc_error_set(e, -ENOMEM, "no memory");
	dir[slash - s->socket] = 0;
	dirfd = open(dir[0] ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return rpc_error_set(e, -errno, "cannot open the folder of %s: %s",
				     s->socket, strerror(errno));
	r = instance_listen(dirfd, slash + 1, socket_mode(s, i->gid), i->gid,
			    &i->listen_fd);
	if (r < 0)
		return rpc_error_set(e, r, "cannot listen at %s: %s", s->socket,
				     strerror(-r));
	i->own_socket = true;
	return 0;
}

/* Paths that clients connect to must fit an address (unix(7)). */
static int check_lengths(const struct settings *s, struct rpc_error *e)
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	const size_t below = strlen("/vms//console.sock") + GUID_STR_LEN - 1;

	if (strlen(s->run_dir) + below > room)
		return rpc_error_set(
			e, -ENAMETOOLONG,
			"the run folder %s is too long for sockets in it; use "
			"one of at most %zu bytes",
			s->run_dir, room - below);
	if (strlen(s->socket) > room)
		return rpc_error_set(e, -ENAMETOOLONG,
				     "the socket's path %s is longer than %zu bytes",
				     s->socket, room);
	return 0;
}

static int open_all(const struct settings *s, struct instance *i, struct rpc_error *e)
{
	bool shared = i->gid != NO_GROUP;
	bool reached = shared || group_id(s->view_group) != NO_GROUP;
	int r = check_lengths(s, e);

	if (r == 0)
		r = open_vms(s->state_dir, 0755, 0700, NO_GROUP, &i->state_fd, e);
	if (r == 0)
		r = open_vms(s->run_dir, reached ? 0755 : 0700, shared ? 0750 : 0700,
			     i->gid, &i->run_fd, e);
	if (r == 0)
		r = take_locks(s, i, e);
	return r == 0 ? listen_main(s, i, e) : r;
}

int instance_open(const struct settings *s, struct instance *ret, struct rpc_error *e)
{
	struct instance i = { .state_fd = -1, .run_fd = -1, .listen_fd = -1 };
	int r;

	for (size_t n = 0; n < INSTANCE_LOCKS; n++)
		i.lock_fds[n] = -1;
	i.gid = group_id(s->group);
	r = open_all(s, &i, e);
	if (r < 0) {
		instance_close(&i, s);
		return r;
	}
	*ret = i;
	return 0;
}

void instance_close(struct instance *i, const struct settings *s)
{
	int *fds[] = { &i->state_fd, &i->run_fd, &i->listen_fd };

	if (i->own_socket)
		unlink(s->socket);
	for (size_t n = 0; n < ARRAY_SIZE(fds); n++) {
		if (*fds[n] >= 0)
			close(*fds[n]);
		*fds[n] = -1;
	}
	for (size_t n = 0; n < INSTANCE_LOCKS; n++) {
		if (i->lock_fds[n] >= 0)
			close(i->lock_fds[n]);
		i->lock_fds[n] = -1;
	}
}
