/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of methods: what the server checks, what vmctl sends, what rpc.discover and the man page's list say.
 * To add a method: a row here, a handler in src/vmms (or src/vmwp), a verb in src/vmctl.
 * Constant data. Thread: any.
 */
#ifndef RPC_METHODS_H
#define RPC_METHODS_H

#include <jansson.h>
#include "rpc/error.h"

enum rpc_type {
	RPC_STRING,
	RPC_BOOL,
	RPC_INTEGER,
	RPC_OBJECT,
	RPC_ARRAY,
};

/* What the peer of a connection may do; each includes those before it. */
enum rpc_right { RPC_RIGHT_NONE, RPC_RIGHT_VIEW, RPC_RIGHT_ADMIN };

/* A parameter, or a member of a result. A table of fields ends with a NULL name. */
struct rpc_field {
	const char *name;
	enum rpc_type type;
	bool required; /* params: must be given; results: is always there */
	bool nullable;
	const char *description;
	const char *choices; /* strings: "off|running"; NULL: any */
	int64_t min, max;    /* integers; both 0: any */
	const struct rpc_field *
		fields; /* of the object, or of each object in the array; NULL: not described */
};

struct rpc_method {
	const char *name;
	const char *summary; /* one sentence */
	enum rpc_right right;
	const struct rpc_field
		*params; /* in the order of positional params; never NULL */
	const struct rpc_field *result; /* members of the result object; never NULL */
	const int *errors; /* beyond those of every method; ends with 0; never NULL */
};

struct rpc_methods {
	const char *title, *description;
	const struct rpc_method *table;
	size_t count;
};

/* vmms.sock: for vmctl and other programs. */
extern const struct rpc_methods rpc_vmms_methods;
/* worker.sock: between vmms and a worker (docs/architecture.md). */
extern const struct rpc_methods rpc_worker_methods;

/* Between vmms and the process of a disk job, vmvhd(8) (docs/architecture.md). */
extern const struct rpc_methods rpc_vhd_methods;

/* The results of operations on disk images: vmvhd gives them, vmms passes them on. */
extern const struct rpc_field rpc_vhd_info_fields[], rpc_vhd_check_fields[];
#define RPC_VHD_INFO rpc_vhd_info_fields
#define RPC_VHD_CHECK rpc_vhd_check_fields

/* A virtual switch, and what one is made from. */
extern const struct rpc_field rpc_switch_fields[], rpc_switch_config_fields[];

const struct rpc_method *rpc_method_find(const struct rpc_methods *m, const char *name);

/*
 * Checks a request's params (an object, an array, or NULL for none) against the table and gives them by name: 0 and
 * a new reference to an object, -EINVAL with the error set.
 */
int rpc_params_check(const struct rpc_method *m, json_t *params, json_t **ret,
		     struct rpc_error *e) __must_check;
/*
 * Whether a value holds what the fields say, members that they do not name included (those are refused): 0, or
 * -EINVAL and which one is wrong. For tests of results, too.
 */
int rpc_fields_check(const struct rpc_field *fields, const json_t *obj, const char *where,
		     struct rpc_error *e) __must_check;
/* "string", "boolean" …, as JSON Schema spells it. */
const char *rpc_type_name(enum rpc_type t);

/* The OpenRPC 1.x document of a table; a new reference, NULL without memory. Source: spec.open-rpc.org. */
json_t *rpc_discover(const struct rpc_methods *m);

#endif
