/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where vmms keeps and finds things: defaults by who runs it, then vmms.conf(5), then the command line.
 * Fixed after the start. Errors: 0 or -errno and a line.
 */
#ifndef VMMS_SETTINGS_H
#define VMMS_SETTINGS_H

#include "rpc/error.h"
#include "util/log.h"

struct settings {
	char *config_path;  /* NULL: the default, which need not exist */
	char *state_dir;    /* root: /var/lib/vmms; else $XDG_STATE_HOME/vmms */
	char *run_dir;      /* root: /run/vmms; else $XDG_RUNTIME_DIR/vmms */
	char *socket;       /* run_dir/vmms.sock */
	char *vmwp;         /* the worker's program */
	char *vmvhd;        /* the program of disk jobs */
	char *vmnat;        /* that of a network behind address translation */
	char **vhd_folders; /* where parents of disk images may lie, beside the image's own folder; ends with NULL; NULL: none */
	char *kvm_device;   /* /dev/kvm */
	char *group;        /* whose members may call; "" none. root: vmms; else none */
	char *view_group;   /* whose members may look; root: vmms-view; else none */
	char *cgroups;      /* "auto", "off", or the path of a control group to divide */
	char *metrics;      /* where Prometheus finds them: prometheus.h; NULL: nowhere */
	char *boot_id_file; /* what says which boot of the host it is */
	uint32_t restart_delay_ms; /* before the first new start of a VM; 0: not said */
	int log_level;             /* enum log_level; 0: not said */
	bool no_sandbox;           /* for debugging */
	struct uid_range {         /* of workers' own users; root only */
		uint32_t first, count; /* count 0: not said */
	} worker_uids;
};

/* Fills what is not set yet from the file, then from the defaults. */
int settings_complete(struct settings *s, struct rpc_error *e) __must_check;
void settings_done(struct settings *s);
/* "error", "warning", "info", "debug"; -EINVAL. */
int settings_parse_level(const char *name, int *ret) __must_check;

#endif
