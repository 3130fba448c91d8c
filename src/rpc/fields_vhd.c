/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

#define REQ .required = true

/* What vmvhd answers, and vmms passes on. */
const struct rpc_field rpc_vhd_info_fields[] = {
	{ "path", RPC_STRING, REQ, .description = "of the image" },
	{ "format", RPC_STRING, REQ, .description = "by the file's name",
	  .choices = "raw|VHD|VHDX" },
	{ "type", RPC_STRING, REQ, .description = "how its blocks are kept",
	  .choices = "fixed|dynamic|differencing" },
	{ "disk_bytes", RPC_INTEGER, REQ, .description = "size of the disk" },
	{ "file_bytes", RPC_INTEGER, REQ, .description = "length of the file" },
	{ "allocated_bytes", RPC_INTEGER, REQ,
	  .description = "what it takes of the file system" },
	{ "block_bytes", RPC_INTEGER, REQ, .description = "0: it has no blocks" },
	{ "logical_bytes", RPC_INTEGER, REQ, .description = "of a sector" },
	{ "physical_bytes", RPC_INTEGER, REQ, .description = "of a sector" },
	{ "id", RPC_STRING, REQ, .nullable = true,
	  .description = "of the disk; null: the format has none" },
	{ "needs_replay", RPC_BOOL, REQ,
	  .description = "changes wait in its log; its next use writes them" },
	{ "parents", RPC_ARRAY, REQ,
	  .description = "paths of a differencing image's chain, the nearest first" },
	{ "problem", RPC_STRING, REQ, .nullable = true,
	  .description = "why its chain cannot be used" },
	{ "warning", RPC_STRING, REQ, .nullable = true,
	  .description = "what may be wrong with its chain" },
	{ NULL },
};

const struct rpc_field rpc_vhd_check_fields[] = {
	{ "path", RPC_STRING, REQ, .description = "of the image" },
	{ "blocks", RPC_INTEGER, REQ, .description = "with data in the file" },
	{ "errors", RPC_INTEGER, REQ, .description = "that were found and are left" },
	{ "repaired", RPC_INTEGER, REQ, .description = "errors that were mended" },
	{ "lost_bytes", RPC_INTEGER, REQ,
	  .description = "of the file, used by nothing: harmless" },
	{ "first", RPC_STRING, REQ, .nullable = true, .description = "the first error" },
	{ NULL },
};
