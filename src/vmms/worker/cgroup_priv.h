/* SPDX-License-Identifier: BSD-2-Clause */
/* The two ways to a control group: cgroup_folder.c, cgroup_systemd.c. As cgroup.h has them. */
#ifndef VMMS_WORKER_CGROUP_PRIV_H
#define VMMS_WORKER_CGROUP_PRIV_H

#include "vmms/worker/cgroup.h"

/*
 * A folder for vmms below the group at `path`, with the controllers that it can pass on. *ret_missing: of
 * those wanted ("cpu memory io"), the ones that are not there.
 */
int cgroup_folder_open(const char *path, int *ret_root, char *ret_missing,
		       size_t size) __must_check;
int cgroup_folder_add(int root, const char *id, pid_t pid,
		      const struct cgroup_limits *limits) __must_check;
int cgroup_folder_set(int root, const char *id,
		      const struct cgroup_limits *limits) __must_check;
void cgroup_folder_drop(int root, const char *id);

/* Connects when it is first needed, and again after the connection was lost. */
struct cgroup_systemd *cgroup_systemd_new(struct event_base *base);
void cgroup_systemd_free(struct cgroup_systemd *s);
/* Whether a systemd runs that this user may ask. */
bool cgroup_systemd_there(void);
void cgroup_systemd_add(struct cgroup_systemd *s, const char *id, const char *name,
			pid_t pid, const struct cgroup_limits *limits, cgroup_fn fn,
			void *arg);
int cgroup_systemd_set(struct cgroup_systemd *s, const char *id,
		       const struct cgroup_limits *limits) __must_check;
void cgroup_systemd_drop(struct cgroup_systemd *s, const char *id);

#endif
