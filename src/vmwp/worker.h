/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's process: the loop, the control socket, the end.
 */
#ifndef VMWP_WORKER_H
#define VMWP_WORKER_H

#include "util/guid.h"

struct worker_options {
	int control_fd; /* listening; becomes the worker's */
	const char *name;
	struct guid id;
};

/* Serves until the VM is off or nobody comes to set it up. Returns main's exit status. Thread: main. */
int worker_run(const struct worker_options *options);

#endif
