/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The empty root: a tmpfs without room for a single file, read-only, becomes the root of the mount namespace; what was there is
 * unmounted. pivot_root(2) cannot leave an initial ramfs; there the tmpfs is moved over it, as switch_root(8) does, and
 * covers it for good, because nothing here can unmount or chroot any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Any folder that each host has. */
#define PLACE "/tmp"
#define RESOLVER_MAX (32u << 10)
#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int cover(void)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return -errno;
	return 0;
}

/* A sanitizer's runtime reads /proc/self when it reports; its build gets this one, of a PID namespace with itself alone. */
static int sanitizer_proc(void)
{
	if (!SANDBOX_SANITIZER)
		return 0;
	if (mkdir(PLACE "/proc", 0555) < 0 ||
	    mount("proc", PLACE "/proc", "proc", FLAGS, NULL) < 0)
		return -errno;
	return 0;
}

/* The file's copy, in the root to be, under the same name. */
static int copy_resolver(const char *path, const char *text, size_t len)
{
	char to[sizeof(PLACE) + 64];
	int fd, r;

	if (mkdir(PLACE "/etc", 0555) < 0)
		return -errno;
	snprintf(to, sizeof(to), PLACE "%s", path);
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text, len);
	close(fd);
	return r;
}

int root_empty(const char *resolver)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	int r;

	/* A host without one has no names to look up. */
	if (resolver && io_read_file(AT_FDCWD, resolver, RESOLVER_MAX, &text, &len) < 0)
		text = NULL;

	/* First, or what follows would be seen in the host's own mount namespace. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", PLACE, "tmpfs", FLAGS,
		  SANDBOX_SANITIZER ? "mode=0555"
		  : text            ? "mode=0555,nr_inodes=3,nr_blocks=16"
				    : "mode=0555,nr_inodes=1") < 0)
		return -errno;
	r = sanitizer_proc();
	if (r == 0 && text)
		r = copy_resolver(resolver, text, len);
	if (r < 0)
		return r;
	if (chdir(PLACE) < 0)
		return -errno;
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		r = umount2(".", MNT_DETACH) < 0 ? -errno : 0;
	else
		r = errno == EINVAL ? cover() : -errno;
	if (r < 0)
		return r;
	if (chdir("/") < 0 ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | FLAGS, NULL) < 0)
		return -errno;
	return 0;
}
