/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/resource.h>

#include "sandbox/sandbox_priv.h"

/* A VM of 64 VPs and 4 controllers of 64 disks with long chains stays below both. */
#define FILES_MOST 65536u
#define THREADS_MOST 4096u

static int set(int resource, rlim_t most)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)resource, &l) < 0)
		return -errno;
	if (l.rlim_max == RLIM_INFINITY || l.rlim_max > most)
		l.rlim_max = most;
	l.rlim_cur = l.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &l) < 0 ? -errno : 0;
}

int rlimits_set(const struct sandbox_params *params)
{
	static const int none[] = { RLIMIT_CORE, RLIMIT_MSGQUEUE, RLIMIT_NICE,
				    RLIMIT_RTPRIO };
	int r = set(RLIMIT_NOFILE, FILES_MOST);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(none); i++)
		r = set(none[i], 0);
	/* Counted a user: meant only where it has one of its own. */
	if (r == 0 && params->uid != SANDBOX_NO_UID)
		r = set(RLIMIT_NPROC, THREADS_MOST);
	return r;
}
