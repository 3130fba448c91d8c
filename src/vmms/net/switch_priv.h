/* SPDX-License-Identifier: BSD-2-Clause */
/* A switch from the inside: for switch*.c only. */
#ifndef VMMS_NET_SWITCH_PRIV_H
#define VMMS_NET_SWITCH_PRIV_H

#include "util/list.h"
#include "vmms/net/switch.h"
#include "vswitch/filter.h"
#include "vswitch/move.h"

#define SWITCH_ALIAS_SIZE 96

enum switch_phase { SWITCH_CREATING, SWITCH_MOVING, SWITCH_READY, SWITCH_DELETING };

struct vswitch {
	struct list link;
	struct switches *all;
	struct guid id;
	char id_text[GUID_STR_LEN];
	char bridge[LINK_NAME_SIZE];
	char alias[SWITCH_ALIAS_SIZE];
	struct switch_config config;
	enum switch_phase phase;
	struct snapshot
		moved;  /* what went from the interface to the bridge, or is to go back */
	bool same_boot; /* ... since the host's last boot */
	bool up;
	char reason[512]; /* why it is not */
	struct dhcp *dhcp;
};

/* A port that is there: it has a worker, or is about to. */
struct switch_port {
	struct list link;
	struct vswitch *on;
	struct guid vm;
	unsigned int number;
	char tap[LINK_NAME_SIZE];
	uint8_t mac[CONFIG_MAC_BYTES];
	struct nic_port port;
};

struct switches {
	/* fixed after init */
	struct event_base *base;
	const struct registry *registry;
	int dir;           /* STATE/switches */
	char *path;        /* STATE, absolute */
	struct guid owner; /* of this state folder */
	char table[16];    /* nftables' of this vmms */

	struct list all; /* by name */
	struct list ports;
	bool unreadable; /* there is a record that could not be read */
};

/* switch.c */
struct vswitch *switch_new(struct switches *all, const struct guid *id,
			   const struct switch_config *c);
void switch_free(struct vswitch *s);
/* By name, else by id; NULL and -ENOENT's error. */
struct vswitch *switch_find(const struct switches *all, const char *name,
			    struct rpc_error *e);
/* The alias of the bridge of a switch. */
void switch_alias(const struct switches *all, const char *id_text,
		  char ret[SWITCH_ALIAS_SIZE]);

/* switch_record.c */
int switch_record_write(const struct vswitch *s, struct rpc_error *e) __must_check;
int switch_record_remove(const struct vswitch *s) __must_check;
/* Every record that can be read becomes a switch; what cannot be is named in the log and left alone. */
int switch_records_load(struct switches *all) __must_check;

/* switch_steps.c: idempotent; the record says before what they are about to do. */
int switch_put_up(struct vswitch *s, struct rpc_error *e) __must_check;
int switch_take_down(struct vswitch *s, struct rpc_error *e) __must_check;
/* Whether a switch of this kind can be made: its interface is there and free. Changes nothing. */
int switch_check_host(const struct vswitch *s, struct rpc_error *e) __must_check;
/* Takes the interface's addresses and routes into `moved`. */
int switch_take_snapshot(struct vswitch *s, const char *from,
			 struct rpc_error *e) __must_check;

/* switch_change.c */
/* After 0 it is there, and will be; else nothing of it is. */
int switch_make(struct vswitch *s, struct rpc_error *e) __must_check;
/* After 0 nothing of it is left but the struct. */
int switch_unmake(struct vswitch *s, struct rpc_error *e) __must_check;

/* switch_start.c: a ready switch that is not up is put up, by way of its record. */
int switch_ensure(struct vswitch *s, struct rpc_error *e) __must_check;

/* switch_port.c */
int switch_filters_apply(const struct switches *all, struct rpc_error *e) __must_check;
void switch_ports_adopt(struct switches *all);
void switch_port_free(struct switch_port *p);

/* switch_dhcp.c: dnsmasq(8) on the bridge, started again when it ends. */
int dhcp_start(struct vswitch *s, struct rpc_error *e) __must_check;
void dhcp_stop(struct vswitch *s);
/* The leases of one that is no more. */
void dhcp_forget(const struct vswitch *s);

/* switch_methods.c */
json_t *switch_doc(const struct vswitch *s);

#endif
