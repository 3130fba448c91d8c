/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/disk/disk_news.h"

#include <stdio.h>

#include "util/log.h"
#include "vmms/disk/disks_priv.h"

static bool has(const uint64_t *flags, const struct drive_config *d)
{
	return flags[d->controller] >> d->lun & 1;
}

static void tell(struct vmms *v, struct vm *vm, const char *text)
{
	events_add(v->events, "disk", vm, "%s: %s", vm->config.name, text);
	log_warning("%s: %s", vm->config.name, text);
}

static void tell_minimum(struct vmms *v, struct vm *vm, const struct drive_config *d)
{
	char text[CONFIG_PATH_MAX + 160];

	if (has(vm->drives.below_minimum, d))
		snprintf(text, sizeof(text),
			 "the disk %u:%u, %s, gets less than its minimum of %u IOPS; its "
			 "storage has more to do than it can",
			 d->controller, d->lun, d->path, d->min_iops);
	else
		snprintf(text, sizeof(text),
			 "the disk %u:%u, %s, is not below its minimum any more",
			 d->controller, d->lun, d->path);
	tell(v, vm, text);
}

/* A guest that ejected a medium finds the drive empty at its next start, too. */
static int take_out(struct vmms *v, struct vm *vm, unsigned int controller,
		    unsigned int lun, struct rpc_error *e)
{
	json_auto_t *patch = json_pack("{s:n}", "path");
	struct config_error why;
	struct vm_config next;
	int r = config_drive_patch(&vm->config, controller, lun, patch, &next, &why);

	return r < 0 ? rpc_error_set(e, r, "%s", why.message)
		     : disk_adopt(v, vm, &next, e);
}

static bool ejected(struct vmms *v, struct vm *vm, const struct drive_config *d)
{
	unsigned int controller = d->controller, lun = d->lun;
	char text[CONFIG_PATH_MAX + 80];
	struct rpc_error e;

	if (d->kind != DRIVE_DVD || !d->path)
		return true;
	snprintf(text, sizeof(text), "the guest ejected %s from the DVD drive %u:%u",
		 d->path, controller, lun);
	if (take_out(v, vm, controller, lun, &e) < 0) {
		log_err("%s: %s, which cannot be kept: %s", vm->config.name, text,
			e.message);
		return false;
	}
	tell(v, vm, text);
	return true;
}

void disk_news(struct vmms *v, struct vm *vm)
{
	struct vm_drive_flags told = vm->drives;

	if (vm->drives_busy)
		return;
	for (size_t i = 0; i < vm->config.drive_count; i++) {
		const struct drive_config *d = &vm->config.drives[i];
		unsigned int controller = d->controller, lun = d->lun;

		if (has(vm->drives.below_minimum, d) !=
			    has(vm->drives_told.below_minimum, d) &&
		    d->path)
			tell_minimum(v, vm, d);
		/* It changes the configuration, in which `d` is then another. */
		if (has(vm->drives.ejected, d) && !has(vm->drives_told.ejected, d) &&
		    !ejected(v, vm, d))
			told.ejected[controller] &= ~(UINT64_C(1) << lun);
	}
	vm->drives_told = told;
}
