/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The change of a drive of a running VM, for the case that vmms ends in the middle of it: RUN/vms/<uuid>/drive.json names the drive's place
 * from before the configuration is written until the worker has answered. The next vmms finds it when the worker has said hello, and brings
 * that one drive to what the configuration says, or takes it from both. Nobody was answered yet, so either is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "vmms/disk/disks_priv.h"
#include "vmms/vm/store.h"
#include "vmms/worker/worker.h"

#define RECORD "drive.json"
#define RECORD_MAX 256u
#define SETTLE_MS 60000

static int open_run_dir(const struct vmms *v, const struct vm *vm)
{
	return openat(v->instance.run_fd, vm->id_text,
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int disk_intent_write(struct vmms *v, const struct vm *vm, const struct place *at,
		      struct rpc_error *e)
{
	cleanup_fd int dir = open_run_dir(v, vm);
	char text[64];
	int n = snprintf(text, sizeof(text), "{\"controller\":%u,\"lun\":%u}",
			 at->controller, at->lun);
	int r = dir < 0 ? -errno : io_replace_file(dir, RECORD, text, (size_t)n, 0600);

	if (r < 0)
		return rpc_error_set(e, r, "%s: its folder in %s cannot be written: %s",
				     vm->config.name, v->settings.run_dir, strerror(-r));
	return 0;
}

void disk_intent_clear(struct vmms *v, const struct vm *vm)
{
	cleanup_fd int dir = open_run_dir(v, vm);

	if (dir >= 0 && unlinkat(dir, RECORD, 0) < 0 && errno != ENOENT)
		log_warning("%s: %s/vms/%s/" RECORD " cannot be removed: %s",
			    vm->config.name, v->settings.run_dir, vm->id_text,
			    strerror(errno));
}

static int read_intent(struct vmms *v, const struct vm *vm, struct place *ret)
{
	cleanup_fd int dir = open_run_dir(v, vm);
	cleanup_free char *text = NULL;
	json_auto_t *j = NULL;
	size_t len;

	if (dir < 0 || io_read_file(dir, RECORD, RECORD_MAX, &text, &len) < 0)
		return -ENOENT;
	j = json_loadb(text, len, 0, NULL);
	*ret = (struct place){
		(unsigned int)json_integer_value(json_object_get(j, "controller")),
		(unsigned int)json_integer_value(json_object_get(j, "lun"))
	};
	return json_is_object(j) ? 0 : -EPROTO;
}

/* Neither the configuration nor the worker is to have it. */
static void take_away(struct vmms *v, struct vm *vm, const struct place *at)
{
	struct disk_change what = { .verb = "take a half-attached drive from",
				    .at = *at,
				    .method = "drive.detach",
				    .timeout_ms = SETTLE_MS,
				    .is_detach = true };
	json_auto_t *nothing = json_object();
	struct config_error why;
	struct vm_config next;
	int r = config_drive_at(&vm->config, at->controller, at->lun)
			? config_drive_remove(&vm->config, at->controller, at->lun, &next,
					      &why)
			: config_patch(&vm->config, nothing, &next, &why);

	if (r == 0)
		disk_change_run(v, vm, NULL, &what, &next);
	else
		log_err("%s: %s", vm->config.name, why.message);
}

/* The worker is told once more what the configuration says of it. */
static void tell_again(struct vmms *v, struct vm *vm, const struct drive_config *d)
{
	struct disk_change what = { .verb = "change a drive of",
				    .at = { d->controller, d->lun },
				    .method = d->kind == DRIVE_DVD ? "dvd.change"
								   : "drive.set",
				    .timeout_ms = SETTLE_MS,
				    .has_drive = d->kind != DRIVE_DVD,
				    .force = d->kind == DRIVE_DVD };
	json_auto_t *nothing = json_object();
	struct config_error why;
	struct vm_config next;
	struct rpc_error e;
	int r = config_patch(&vm->config, nothing, &next, &why);

	if (r < 0) {
		log_err("%s: %s", vm->config.name, why.message);
	} else if (d->kind == DRIVE_DVD && disk_open_image(v, vm, &next, &what, &e) < 0) {
		log_warning("%s", e.message);
		config_done(&next);
		disk_change_done(&what);
	} else {
		disk_change_run(v, vm, NULL, &what, &next);
	}
}

static bool worker_has(const struct vm *vm, const struct place *at)
{
	json_t *d;
	size_t i;

	json_array_foreach (json_object_get(vm->status, "drives"), i, d) {
		if (json_integer_value(json_object_get(d, "controller")) ==
			    (json_int_t)at->controller &&
		    json_integer_value(json_object_get(d, "lun")) == (json_int_t)at->lun)
			return true;
	}
	return false;
}

void disk_intent_settle(struct vmms *v, struct vm *vm)
{
	const struct drive_config *d;
	struct place at;

	if (vm->drives_busy || read_intent(v, vm, &at) < 0)
		return;
	log_info("%s: the change of its drive %u:%u was cut short by the end of vmms",
		 vm->config.name, at.controller, at.lun);
	d = config_drive_at(&vm->config, at.controller, at.lun);
	if (d && worker_has(vm, &at))
		tell_again(v, vm, d);
	else
		take_away(v, vm, &at);
}
