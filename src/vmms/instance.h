/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one running vmms holds of the host: its folders, the locks that keep a second vmms off them, the listening
 * socket. Locks are POSIX record locks: they end with the process, are not inherited by workers, and name their
 * holder. Thread: main. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_INSTANCE_H
#define VMMS_INSTANCE_H

#include <sys/types.h>
#include "rpc/error.h"
#include "vmms/settings.h"

#define INSTANCE_LOCKS 3

struct instance {
	int state_fd; /* STATE/vms */
	int run_fd;   /* RUN/vms */
	int listen_fd;
	int lock_fds[INSTANCE_LOCKS];
	gid_t gid;       /* of the group that may call; (gid_t)-1: none */
	bool own_socket; /* made here, not handed over by systemd: unlink at the end */
};

/* Makes folders, takes the locks, listens. After an error nothing is held. */
int instance_open(const struct settings *s, struct instance *ret,
		  struct rpc_error *e) __must_check;
void instance_close(struct instance *i, const struct settings *s);

/*
 * A listening Unix socket `name` in the folder `dir`, which replaces what has this name. group (gid_t)-1: none.
 */
int instance_listen(int dir, const char *name, mode_t mode, gid_t group,
		    int *ret_fd) __must_check;

#endif
