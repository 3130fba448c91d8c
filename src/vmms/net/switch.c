/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/net/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmms/settings.h"
#include "vmms/net/switch_priv.h"

/* The space of owners: names in it are paths of state folders. */
static const struct guid owners =
	GUID_INIT(0x2c5bb3a1, 0x4a0e, 0x4d55, 0x9d2b, 0x53e0d1f1c7a6);

void switch_alias(const struct switches *all, const char *id_text,
		  char ret[SWITCH_ALIAS_SIZE])
{
	char owner[GUID_STR_LEN];

	guid_format(&all->owner, owner);
	snprintf(ret, SWITCH_ALIAS_SIZE, "vmms/%s/%s", owner, id_text);
}

struct vswitch *switch_new(struct switches *all, const struct guid *id,
			   const struct switch_config *c)
{
	struct vswitch *s = calloc(1, sizeof(*s)), *next;

	if (!s)
		return NULL;
	s->all = all;
	s->id = *id;
	guid_format(id, s->id_text);
	snprintf(s->bridge, sizeof(s->bridge), "vs%.8s", s->id_text);
	switch_alias(all, s->id_text, s->alias);
	s->config = *c;
	list_for_each (next, &all->all, link) {
		if (strcmp(next->config.name, c->name) > 0)
			break;
	}
	list_insert_before(&next->link, &s->link); /* the head, when none is behind it */
	return s;
}

void switch_free(struct vswitch *s)
{
	dhcp_stop(s);
	snapshot_done(&s->moved);
	list_del(&s->link);
	free(s);
}

struct vswitch *switch_find(const struct switches *all, const char *name,
			    struct rpc_error *e)
{
	struct vswitch *s;

	list_for_each (s, &all->all, link) {
		if (strcmp(s->config.name, name) == 0 || strcmp(s->id_text, name) == 0)
			return s;
	}
	rpc_error_set(e, -ENOENT,
		      "there is no virtual switch called %s; 'vmctl switch list' shows "
		      "those there are",
		      name);
	return NULL;
}

/* ---- the set of all ---- */

static int open_folder(int vms, int *ret)
{
	cleanup_fd int state = openat(vms, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (state < 0 || (mkdirat(state, "switches", 0700) < 0 && errno != EEXIST))
		return -errno;
	fd = openat(state, "switches", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

static int name_owner(struct switches *all, const struct settings *s)
{
	all->path = realpath(s->state_dir, NULL);
	if (!all->path)
		return -errno;
	guid_derive(&owners, all->path, &all->owner);
	snprintf(all->table, sizeof(all->table), "vmms_%02x%02x%02x%02x", all->owner.b[0],
		 all->owner.b[1], all->owner.b[2], all->owner.b[3]);
	return 0;
}

int switches_new(struct event_base *base, const struct settings *s, int dir,
		 const struct registry *registry, struct switches **ret,
		 struct rpc_error *e)
{
	struct switches *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return rpc_error_set(e, -ENOMEM, "no memory");
	all->base = base;
	all->registry = registry;
	all->dir = -1;
	list_init(&all->all);
	list_init(&all->ports);
	r = name_owner(all, s);
	if (r == 0)
		r = open_folder(dir, &all->dir);
	if (r == 0)
		r = switch_records_load(all);
	if (r < 0) {
		switches_free(all);
		return rpc_error_set(e, r, "%s/switches cannot be read: %s", s->state_dir,
				     strerror(-r));
	}
	*ret = all;
	return 0;
}

void switches_free(struct switches *all)
{
	struct switch_port *p, *next_port;
	struct vswitch *s, *next;

	if (!all)
		return;
	list_for_each_safe (p, next_port, &all->ports, link)
		switch_port_free(p);
	list_for_each_safe (s, next, &all->all, link)
		switch_free(s);
	if (all->dir >= 0)
		close(all->dir);
	free(all->path);
	free(all);
}
