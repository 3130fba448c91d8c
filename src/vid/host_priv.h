/* SPDX-License-Identifier: BSD-2-Clause */
/* host_check() with the host's root as a parameter, for its test. */
#ifndef VID_HOST_PRIV_H
#define VID_HOST_PRIV_H

#include "vid/host.h"

/* Reads proc/cpuinfo and sys/module below `root`, a descriptor of a folder. */
int host_check_below(int root, int kvm, struct host_check_item **ret,
		     size_t *ret_n) __must_check;

#endif
