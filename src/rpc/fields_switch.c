/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/methods.h"

/* A virtual switch, as the methods give it. Shorthand for the rows only. */
#define REQ .required = true
#define END          \
	{            \
		NULL \
	}

const struct rpc_field rpc_switch_config_fields[] = {
	{ "name", RPC_STRING, REQ, .description = "what adapters name it by" },
	{ "type", RPC_STRING, REQ, .choices = "private|internal|external",
	  .description = "who is on it: guests; and the host; and the host's network" },
	{ "interface", RPC_STRING, .nullable = true,
	  .description = "external: the host's, whose addresses become the switch's" },
	{ "addresses", RPC_ARRAY,
	  .description = "internal: of the host, as 10.9.0.1/24" },
	{ "nat", RPC_BOOL, .description = "internal: guests reach the world (IPv4)" },
	{ "dhcp", RPC_BOOL, .description = "internal: guests are given addresses" },
	{ "mtu", RPC_INTEGER, .description = "of the host's side", .min = 576,
	  .max = 9000 },
	END
};

static const struct rpc_field port_fields[] = {
	{ "vm", RPC_STRING, REQ, .description = "name of the VM" },
	{ "number", RPC_INTEGER, REQ, .description = "of its network adapter" },
	{ "tap", RPC_STRING, REQ, .description = "the host's interface of the port" },
	{ "mac", RPC_STRING, REQ, .description = "address of the adapter" },
	{ "port", RPC_OBJECT, REQ, .description = "its settings, as vm.json(5)" },
	END
};

const struct rpc_field rpc_switch_fields[] = {
	{ "id", RPC_STRING, REQ, .description = "UUID of the switch" },
	{ "name", RPC_STRING, REQ, .description = "what adapters name it by" },
	{ "type", RPC_STRING, REQ, .choices = "private|internal|external",
	  .description = "who is on it: guests; and the host; and the host's network" },
	{ "state", RPC_STRING, REQ, .choices = "Up|Down",
	  .description = "Down: see reason" },
	{ "reason", RPC_STRING, REQ, .nullable = true,
	  .description = "why it is Down, for people" },
	{ "bridge", RPC_STRING, REQ, .description = "the host's interface that it is" },
	{ "vlans", RPC_BOOL, REQ, .description = "whether ports may have VLANs" },
	{ "interface", RPC_STRING, REQ, .nullable = true,
	  .description = "external: the host's that it is bound to" },
	{ "addresses", RPC_ARRAY, REQ, .description = "internal: of the host" },
	{ "nat", RPC_BOOL, REQ, .description = "whether guests reach the world" },
	{ "dhcp", RPC_BOOL, REQ, .description = "whether guests are given addresses" },
	{ "mtu", RPC_INTEGER, REQ, .description = "of the host's side" },
	{ "ports", RPC_ARRAY, REQ, .fields = port_fields,
	  .description = "adapters of running VMs" },
	END
};
