/* SPDX-License-Identifier: BSD-2-Clause */
/* Source: capabilities(7), prctl(2), credentials(7). */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"

#define CAPABILITIES_MOST 64 /* two words of capset(2) */

static int become(uid_t uid)
{
	gid_t gid = (gid_t)uid;

	if (uid == SANDBOX_NO_UID)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

/* Allowed with CAP_SETPCAP alone; without it there is nothing to take out of the set either that exec could give back. */
static void empty_bounding_set(void)
{
	for (int cap = 0; cap < CAPABILITIES_MOST; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return; /* EINVAL: beyond the last; EPERM */
	}
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

int privileges_drop(const struct sandbox_params *params)
{
	int r;

	empty_bounding_set();
	r = become(params->uid);
	if (r == 0)
		r = drop_capabilities();
	if (r < 0)
		return r;
	/* No core file either: it would hold the guest's memory. A leak check attaches to its own process. */
	if (prctl(PR_SET_DUMPABLE, SANDBOX_SANITIZER, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
