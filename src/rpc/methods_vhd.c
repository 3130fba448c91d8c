/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

/* The methods of vmvhd, as docs/architecture.md has them. Shorthand for the rows only. */
#define REQ .required = true
#define FIELDS (const struct rpc_field[])
#define END          \
	{            \
		NULL \
	}
#define NO_ERRORS     \
	(const int[]) \
	{             \
		0     \
	}
#define FILES                                                                         \
	{ "files", RPC_ARRAY, REQ,                                                    \
	  .description = "paths, for their ends and for errors" },                    \
	{                                                                             \
		"fds", RPC_ARRAY, REQ,                                                \
			.description = "as many, \"0\", \"1\" …: their descriptors" \
	}
#define ONLY_FILES         \
	FIELDS             \
	{                  \
		FILES, END \
	}
#define NOTHING     \
	FIELDS      \
	{           \
		END \
	}
#define SIZE(name, what)                                                           \
	{                                                                          \
		name, RPC_INTEGER, .min = 0, .max = INT64_MAX, .description = what \
	}
#define SHAPE                                                                            \
	{ "type", RPC_STRING, .nullable = true, .choices = "fixed|dynamic|differencing", \
	  .description = "dynamic if not given" },                                       \
		SIZE("block_bytes", "0: the format's"),                                  \
		SIZE("logical_bytes", "of a sector; 0: 512, or as the source's"),        \
		SIZE("physical_bytes", "of a sector; 0: 4096, or as the source's")

static const struct rpc_method table[] = {
	{ "chain", "Finds the parents of all files.", RPC_RIGHT_ADMIN, ONLY_FILES,
	  NOTHING, NO_ERRORS },
	{ "create",
	  "Makes an image in the last file, which is empty; the first is its parent.",
	  RPC_RIGHT_ADMIN, FIELDS{ FILES, SHAPE, SIZE("disk_bytes", "of the disk"), END },
	  RPC_VHD_INFO, NO_ERRORS },
	{ "info", "What an image is.", RPC_RIGHT_ADMIN, ONLY_FILES, RPC_VHD_INFO,
	  NO_ERRORS },
	{ "check", "Looks for damage.", RPC_RIGHT_ADMIN, ONLY_FILES, RPC_VHD_CHECK,
	  NO_ERRORS },
	{ "repair", "Mends what can be mended.", RPC_RIGHT_ADMIN, ONLY_FILES,
	  RPC_VHD_CHECK, NO_ERRORS },
	{ "convert", "Copies the disk of the first file to the second, an empty one.",
	  RPC_RIGHT_ADMIN, FIELDS{ FILES, SHAPE, END }, RPC_VHD_INFO, NO_ERRORS },
	{ "resize", "Changes the size of a disk.", RPC_RIGHT_ADMIN,
	  FIELDS{ FILES,
		  SIZE("disk_bytes", "of the disk"),
		  { "shrink", RPC_BOOL, .description = "it may become smaller" },
		  END },
	  RPC_VHD_INFO, NO_ERRORS },
	{ "compact", "Makes the file smaller.", RPC_RIGHT_ADMIN, ONLY_FILES, RPC_VHD_INFO,
	  NO_ERRORS },
	{ "merge", "Puts what a child holds into its parent.", RPC_RIGHT_ADMIN,
	  ONLY_FILES, NOTHING, NO_ERRORS },
	{ "set_parent", "Writes where the parent, the second file, is.", RPC_RIGHT_ADMIN,
	  FIELDS{ FILES,
		  { "ignore_id", RPC_BOOL,
		    .description = "take it though it has changed" },
		  END },
	  RPC_VHD_INFO, NO_ERRORS },
	{ "parent", "The answer to a notification `parent`: a descriptor, or a line.",
	  RPC_RIGHT_ADMIN,
	  FIELDS{ { "fds", RPC_ARRAY, REQ, .description = "\"parent\", or none" },
		  { "path", RPC_STRING, .description = "where it was found" },
		  { "error", RPC_STRING, .description = "why there is none" },
		  END },
	  NOTHING, NO_ERRORS },
	{ "cancel", "Stop as soon as nothing is lost by it.", RPC_RIGHT_ADMIN, NOTHING,
	  NOTHING, NO_ERRORS },
};

const struct rpc_methods rpc_vhd_methods = {
	.title = "vmvhd",
	.description = "The socket between vmms and the process of a disk job.",
	.table = table,
	.count = ARRAY_SIZE(table),
};
