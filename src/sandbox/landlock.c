/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Landlock domain that allows nothing: no path can be opened, made or removed, and as far as the kernel knows
 * of it, no TCP port used, no abstract socket outside reached and no process outside signalled. Descriptors that are open keep
 * what they could when they were opened. With an empty root it is the second lock; without namespaces the first.
 * Source: Linux Documentation/userspace-api/landlock.rst; the numbers of versions 3 to 6 are not in the headers of Debian 12.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"
#include "util/cleanup.h"

#define CREATE_RULESET_VERSION 1u
#define FS_READ ((UINT64_C(1) << 2) | (UINT64_C(1) << 3)) /* files, folders */

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

/* By version of the interface: how many access rights for files it knows, whether those for TCP (2) and the scopes (2). */
static struct ruleset_attr everything(long abi)
{
	static const unsigned int fs_rights[] = { 0, 13, 14, 15, 15, 16 };
	unsigned int n = fs_rights[abi < 5 ? abi : 5];
	struct ruleset_attr a = { .handled_access_fs = (UINT64_C(1) << n) - 1 };

	if (abi >= 4)
		a.handled_access_net = 3;
	if (abi >= 6)
		a.scoped = 3;
	if (SANDBOX_SANITIZER)
		a.handled_access_fs &= ~FS_READ;
	return a;
}

static size_t attr_size(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset_attr);
	return abi >= 4 ? 16 : 8;
}

/* One file that may be read; none is no error. */
static int allow_reading(int ruleset, const char *path)
{
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .allowed_access =
							   LANDLOCK_ACCESS_FS_READ_FILE,
						   .parent_fd = fd };

	if (fd < 0 || SANDBOX_SANITIZER) /* which may read all */
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
		       0u) < 0
		       ? -errno
		       : 0;
}

/* PR_SET_NO_NEW_PRIVS is set. */
int landlock_enter(const char *resolver)
{
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0ul, CREATE_RULESET_VERSION);
	struct ruleset_attr attr;
	cleanup_fd int fd = -1;

	if (abi < 1)
		return -EOPNOTSUPP;
	attr = everything(abi);
	if (resolver)
		attr.handled_access_net = 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, attr_size(abi), 0u);
	if (fd >= 0 && resolver && allow_reading(fd, resolver) < 0)
		return -errno;
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0u) < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? -EOPNOTSUPP : -errno;
	return 0;
}
