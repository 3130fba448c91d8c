/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/create.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vmms/job/vhd.h"

struct made {
	dev_t dev;
	ino_t ino;
};

/* owner: the event loop */
struct creating {
	struct vmms *v;
	struct rpc_call *call;
	json_t *config, *disks; /* the call's */
	struct made *made;
	size_t n; /* of them made */
};

static const char *path_of(const json_t *disk)
{
	return json_string_value(json_object_get(disk, "path"));
}

static void creating_free(struct creating *c)
{
	json_decref(c->config);
	json_decref(c->disks);
	free(c->made);
	free(c);
}

/* Only the very files that were made. */
static void undo(const struct creating *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const char *path = path_of(json_array_get(c->disks, i));
		struct stat st;

		if (lstat(path, &st) < 0 || st.st_dev != c->made[i].dev ||
		    st.st_ino != c->made[i].ino)
			continue;
		if (unlink(path) < 0)
			log_warning("%s cannot be deleted again: %s", path,
				    strerror(errno));
	}
}

static void fail(struct creating *c, const struct rpc_error *e)
{
	undo(c);
	rpc_call_error(c->call, e);
	creating_free(c);
}

static void step(struct creating *c);

static void on_made(void *arg, const struct rpc_error *e)
{
	struct creating *c = arg;
	struct rpc_error why;
	struct stat st;

	if (e) {
		fail(c, e);
		return;
	}
	if (lstat(path_of(json_array_get(c->disks, c->n)), &st) < 0) {
		rpc_error_set(&why, -errno, "%s was made, and is gone again",
			      path_of(json_array_get(c->disks, c->n)));
		fail(c, &why);
		return;
	}
	c->made[c->n++] = (struct made){ st.st_dev, st.st_ino };
	step(c);
}

/* The next image; after the last the VM. */
static void step(struct creating *c)
{
	const json_t *disk = json_array_get(c->disks, c->n);
	json_t *summary;
	struct rpc_error e;
	int r;

	if (disk)
		r = vhd_make(
			c->v, path_of(disk),
			(uint64_t)json_integer_value(json_object_get(disk, "size_bytes")),
			on_made, c, &e);
	else
		r = manage_create_now(c->v, c->config, &summary, &e);
	if (r < 0) {
		fail(c, &e);
	} else if (!disk) {
		rpc_call_reply(c->call, summary);
		creating_free(c);
	}
}

/* An image that is made is for the VM: nothing else is left behind. */
static int check_disks(const struct vm_config *c, const json_t *disks,
		       struct rpc_error *e)
{
	const json_t *disk;
	size_t i, n;

	json_array_foreach (disks, i, disk) {
		const char *path = path_of(disk);

		for (n = 0; n < c->drive_count; n++) {
			if (c->drives[n].kind == DRIVE_DISK &&
			    strcmp(c->drives[n].path, path) == 0)
				break;
		}
		if (n == c->drive_count)
			return rpc_error_set(
				e, -EINVAL,
				"%s: %s is to be made, but is none of its disks", c->name,
				path);
	}
	return 0;
}

static int check(struct vmms *v, const json_t *config, const json_t *disks,
		 struct rpc_error *e)
{
	struct vm_config c;
	int r = manage_check_new(v, config, &c, e);

	if (r < 0)
		return r;
	r = check_disks(&c, disks, e);
	config_done(&c);
	return r;
}

void create_with_disks(struct vmms *v, struct rpc_call *call)
{
	json_t *config = json_object_get(rpc_call_params(call), "config"),
	       *disks = json_object_get(rpc_call_params(call), "new_disks");
	struct creating *c;
	struct rpc_error e;

	if (check(v, config, disks, &e) < 0) {
		rpc_call_error(call, &e);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c)
		c->made = calloc(json_array_size(disks) + 1, sizeof(*c->made));
	if (!c || !c->made) {
		free(c);
		rpc_call_fail(call, -ENOMEM, "no memory");
		return;
	}
	c->v = v;
	c->call = call;
	c->config = json_incref(config);
	c->disks = json_incref(disks);
	step(c);
}
