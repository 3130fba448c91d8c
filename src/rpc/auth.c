/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/server_priv.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"

#define GROUPS_MAX 65536u /* NGROUPS_MAX, limits.h of the kernel */
#define GROUP_TEXT_MAX (1u << 20)

static bool group_id(const char *name, gid_t *ret)
{
	size_t size = 4096;
	struct group g, *found = NULL;
	cleanup_free char *buf = NULL;

	for (; size <= GROUP_TEXT_MAX; size *= 4) {
		int r;

		free(buf);
		buf = malloc(size);
		if (!buf)
			return false;
		r = getgrnam_r(name, &g, buf, size, &found);
		if (r == ERANGE)
			continue;
		if (r || !found)
			return false;
		*ret = g.gr_gid;
		return true;
	}
	return false;
}

/* The groups that the peer had when it connected (SO_PEERGROUPS, socket(7)), not those that a name service has now. */
static bool peer_in_group(int fd, gid_t gid)
{
	cleanup_free gid_t *groups = NULL;
	socklen_t len = GROUPS_MAX * sizeof(gid_t);

	groups = malloc(len);
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

static bool is_member(int fd, const struct ucred *peer, const char *group)
{
	gid_t gid;

	return group && group_id(group, &gid) &&
	       (peer->gid == gid || peer_in_group(fd, gid));
}

enum rpc_right auth_right(int fd, const char *group, const char *view_group,
			  struct ucred *ret_peer)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return RPC_RIGHT_NONE;
	*ret_peer = peer;
	if (peer.uid == 0 || peer.uid == geteuid())
		return RPC_RIGHT_ADMIN;
	if (is_member(fd, &peer, group))
		return RPC_RIGHT_ADMIN;
	return is_member(fd, &peer, view_group) ? RPC_RIGHT_VIEW : RPC_RIGHT_NONE;
}
