/* SPDX-License-Identifier: BSD-2-Clause */
/* What the readers of a configuration share: parse.c (its levels, and plain values), parse_drive.c. */
#ifndef CONFIG_PARSE_PRIV_H
#define CONFIG_PARSE_PRIV_H

#include "config/config.h"

/* What readers work on, and the name of the level for messages ("boot.", "" at the top). */
struct reader {
	struct vm_config *config;
	struct drive_config *drive;
	unsigned int controller;
	unsigned int last_nic; /* number of the adapter read last */
	const char *where;
	struct config_error *e;
};

struct member {
	const char *name;
	bool required;
	int (*read)(struct reader *r, const struct member *m, const json_t *v);
	size_t offset; /* in the struct that the reader fills */
	uint64_t max;
};

/* Writes the message, after the name of the level; -EINVAL. */
int parse_bad(struct reader *r, const char *fmt, ...) __printf(2, 3);
int parse_no_memory(struct reader *r);
/* Reads every member of an object by its table. `what` names the object where it is none. */
int parse_members(struct reader *r, const struct member *table, const json_t *v,
		  const char *what);
/* The same for the object that is a member, with its name before those of its own members. */
int parse_level(struct reader *r, const struct member *table, const json_t *v,
		const char *name);

/* Readers of plain values: into the drive's member, or while there is none the configuration's. */
int parse_bool(struct reader *r, const struct member *m, const json_t *v);
int parse_path(struct reader *r, const struct member *m, const json_t *v);
/* "host_memory", "cpu", "io" */
int parse_host_memory(struct reader *r, const struct member *m, const json_t *v);
int parse_cpu(struct reader *r, const struct member *m, const json_t *v);
int parse_io(struct reader *r, const struct member *m, const json_t *v);
/* "scsi" */
int parse_scsi(struct reader *r, const struct member *m, const json_t *v);
/* parse_host.c: "automatic", "restart", "group", "tags" */
int parse_automatic(struct reader *r, const struct member *m, const json_t *v);
int parse_restart(struct reader *r, const struct member *m, const json_t *v);
int parse_group(struct reader *r, const struct member *m, const json_t *v);
int parse_tags(struct reader *r, const struct member *m, const json_t *v);

/* Applies a merge patch (RFC 7396) in place. -ENOMEM. */
int config_merge(json_t *target, const json_t *patch) __must_check;

#endif
