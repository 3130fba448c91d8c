/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * STATE/host.json: what vmms has begun to do for a boot of the host, or for its end, so that the next vmms goes on with it.
 *
 *   { "boot_id": "…", "began_s": 12,        the boot that automatic starts were decided for, and when (CLOCK_BOOTTIME)
 *     "starting": [id…],                    VMs whose automatic start is still to come
 *     "running": [id…] }                    VMs that ran when the host was shut down
 *
 * Thread: the event loop's. Errors: 0 or -errno.
 */
#ifndef VMMS_HOST_RECORD_H
#define VMMS_HOST_RECORD_H

#include <jansson.h>
#include "util/macros.h"

#define HOST_RECORD "host.json"
#define BOOT_ID_SIZE 40

struct host_record {
	char boot_id[BOOT_ID_SIZE]; /* "" there was no record */
	uint64_t began_s;
	json_t *starting, *running; /* arrays of ids; never NULL */
};

/* `vms_dir` is STATE/vms. What is no record counts as none. -ENOMEM. */
int host_record_read(int vms_dir, struct host_record *ret) __must_check;
/* On disk when it returns 0. */
int host_record_write(int vms_dir, const struct host_record *r) __must_check;
void host_record_done(struct host_record *r);

bool host_record_has(const json_t *ids, const char *id);
/* True when it was there. */
bool host_record_drop(json_t *ids, const char *id);

/* The host's boot id, as the file has it. */
int host_record_boot_id(const char *path, char ret[BOOT_ID_SIZE]) __must_check;

#endif
