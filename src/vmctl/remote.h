/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection to a socket on another host, through ssh(1). Thread: the one there is. Errors: 0 or -errno.
 */
#ifndef VMCTL_REMOTE_H
#define VMCTL_REMOTE_H

#include <sys/types.h>
#include "util/macros.h"

/* "" where nothing is said. */
struct remote_address {
	char user[64], host[256], port[8], socket[256];
};

struct remote; /* ssh, while it runs */

/* "ssh://[USER@]HOST[:PORT][/SOCKET]". -EINVAL for any other text, and for what ssh could take for an option. */
int remote_parse(const char *url, struct remote_address *ret) __must_check;
/* One word for a POSIX shell. -ENAMETOOLONG. */
int remote_quote(const char *text, char *ret, size_t size) __must_check;
/*
 * Starts ssh. *ret_fd is the connection to `socket` there (NULL: where vmms of that host is), the caller's. That it cannot be made is
 * seen by its end only. Without `ask` ssh asks nothing and gives up soon.
 */
int remote_open(const struct remote_address *a, const char *socket, bool ask, int *ret_fd,
		struct remote **ret) __must_check;
/* After the connection has ended: why, in one line. Waits for ssh's end. */
void remote_why(struct remote *remote, const char *host, char *ret, size_t size);
/* NULL is ok. */
void remote_close(struct remote *remote);

#endif
