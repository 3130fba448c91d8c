/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmvhd/limits.h"

#include <errno.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/*
 * Address space: caches and buffers take less than 64 MiB; the rest is for threads' stacks, of
 * which a chain of 64 images may have as many.
 */
#define SPACE_BYTES (UINT64_C(2) << 30)
/* A chain of 64 twice (an image's descriptors are copies), descriptors on their way, aio. */
#define FDS 1024

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* shadow memory is terabytes of address space */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int limit(int what, uint64_t most)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)what, &l) < 0)
		return -errno;
	l.rlim_max = MIN(l.rlim_max, (rlim_t)most);
	l.rlim_cur = l.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &l) < 0 ? -errno : 0;
}

int limits_set(void)
{
	int r = 0;

	mallopt(M_ARENA_MAX, 2); /* each reserves as much as the whole process needs */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (!SANITIZED)
		r = limit(RLIMIT_AS, SPACE_BYTES);
	if (r == 0)
		r = limit(RLIMIT_NOFILE, FDS);
	return r == 0 ? limit(RLIMIT_CORE, 0) : r;
}
