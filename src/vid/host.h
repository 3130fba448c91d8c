/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a partition needs of the host, one item a requirement, for `vmctl host check` and for error messages.
 * Reads /proc/cpuinfo and /sys/module; not for a sandboxed worker. Thread: any.
 */
#ifndef VID_HOST_H
#define VID_HOST_H

#include "util/macros.h"

enum host_check_result {
	HOST_OK,
	HOST_NOTE,    /* works, but worth knowing (a software KVM) */
	HOST_MISSING, /* no VM can run */
};

struct host_check_item {
	const char *name; /* static: "x86-64", "nx", "kvm device", … */
	enum host_check_result result;
	char text
		[256]; /* one line for people: what is, or what is missing and what to do */
};

/*
 * `kvm` is an open /dev/kvm, or -errno of its open. *ret is from malloc, the caller frees it. 0 when no item is
 * HOST_MISSING, 1 when one is; -ENOMEM or what opening "/" gave.
 */
int host_check(int kvm, struct host_check_item **ret, size_t *ret_n) __must_check;

#endif
