/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One VM's configuration: the schema of vm.json(5) and its only validator. A text is taken whole or not at all; what
 * is wrong is said in one line that names the member ("memory: 3M is below the minimum of 8M").
 *
 *   { "schema": 1,                          the format's version, required
 *     "name": "web1",                       1 to 100 characters, required
 *     "notes": "",                          up to 4096 bytes
 *     "processors": { "count": 1 },         1 to 64 VPs
 *     "memory": { "bytes": 67108864 },      8 MiB to 1 TiB, a multiple of 2 MiB; required
 *     "cpu": { "weight": 100,               1 to 10000: its share against other VMs
 *              "limit": 100,                1 to 100 percent of as many host processors as it has VPs; 100: none
 *              "reserve": 0 },              0 to 100 percent of the same, which it gets whatever others do
 *     "io": { "weight": 100 },              1 to 10000: its share of the host's disks against other VMs
 *     "host_memory": { "limit": 0,          bytes: all that its worker uses and its files' cache; 0: none
 *                      "reserve": 0 },      of that, what the host takes only when nothing else is left
 *     "boot": { "kernel": "/path" | null,   bzImage or PVH ELF
 *               "initrd": "/path" | null, "cmdline": "" },
 *     "scsi": [ { "drives": [               up to 4 controllers, by their number
 *         { "lun": 0,                       0 to 63; required
 *           "kind": "disk" | "dvd",         required
 *           "path": "/path" | null,         a raw file or block device; null: a DVD drive without a medium
 *           "read_only": false,             a DVD always is
 *           "serial": "…" | null,           1 to 32 letters, digits, '-', '_', '.'; what the guest knows the disk by
 *           "cache": "writeback" | "none" | "unsafe",
 *           "min_iops": 0, "max_iops": 0,   in units of 8 KiB a second; 0: none
 *           "on_error": "report" | "pause", what an I/O error does; a full file system always pauses
 *           "shared": false } ] } ],        a raw disk that other VMs may have too, with common reservations
 *     "disk_channels": 0,                   of each controller, at most one a VP; 0: config_disk_channels() decides
 *     "nics": [ {                           up to 8 network adapters
 *         "number": 0,                      0 to 7, its own for ever; not said: one more than the one before it
 *         "kind": "user" | "tap" | "switch" | "none",  required
 *         "mac": "00:15:5d:…" | null,       null: one of the VM's own, the same at each start
 *         "tap": "tap0" | null,             for "tap", required: the host's interface
 *         "switch": "lan" | null,           for "switch", required: the virtual switch's name
 *         "port": { … },                    for "switch": see config/nic_port.h
 *         "link": true,                     false: its cable is pulled
 *         "host_loopback": false,           for "user": the gateway leads to the host's 127.0.0.1
 *         "forwards": [ { "protocol": "tcp" | "udp", "address": "127.0.0.1",
 *                         "port": 2222, "guest_port": 22 } ] } ],   for "user", up to 16
 *     "integration": { "heartbeat": true, "shutdown": true, "time_sync": true },
 *     "on_triple_fault": "reset" | "off",
 *     "group": "…" | null,                  of VMs, for people: 1 to 64 letters, digits, - _ . : / =
 *     "tags": [],                           up to 32, each as a group's name
 *     "automatic": { "start": "if_running" | "nothing" | "always",   when the host has booted
 *                    "delay_s": 0,                                   after vmms began, up to a day
 *                    "stop": "shutdown" | "turn_off",                when the host shuts down
 *                    "stop_timeout_s": 120 },                        then it is turned off
 *     "restart": "never" | "on_failure" }   when its worker dies
 *
 * What is not said has the value shown. Unknown members are refused. Later schemas add members; the version rises
 * only when an old reader would misunderstand.
 *
 * The count of VPs is bounded by what the hypervisor room supports: 64 is one bank of its VP masks (TLFS, sparse VP sets).
 *
 * Thread: any. Errors: 0 or -errno with a message.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <jansson.h>
#include "config/nic_port.h"
#include "util/guid.h"
#include "util/macros.h"

#define CONFIG_SCHEMA 1
#define CONFIG_NAME_CHARS 100
#define CONFIG_NAME_SIZE (CONFIG_NAME_CHARS * 4 + 1) /* UTF-8, final NUL */
#define CONFIG_NOTES_MAX 4096u
#define CONFIG_CMDLINE_MAX 2047u /* COMMAND_LINE_SIZE of x86 Linux, less its NUL */
#define CONFIG_PATH_MAX 4095u
#define CONFIG_TEXT_MAX (1u << 20)
#define CONFIG_PROCESSORS_MAX 64u
#define CONFIG_MEMORY_MIN (UINT64_C(8) << 20)
#define CONFIG_MEMORY_MAX (UINT64_C(1) << 40)
#define CONFIG_MEMORY_STEP (UINT64_C(2) << 20)
#define CONFIG_MEMORY_LIMIT_MAX (UINT64_C(1) << 42)
#define CONFIG_MEMORY_OVERHEAD \
	(UINT64_C(64) << 20) /* what a worker may need beside its guest's memory */
#define CONFIG_WEIGHT_DEFAULT 100u
#define CONFIG_WEIGHT_MAX 10000u
#define CONFIG_CONTROLLERS_MAX 4u
#define CONFIG_LUNS_MAX 64u

#define CONFIG_NICS_MAX 8u
#define CONFIG_FORWARDS_MAX 16u
#define CONFIG_MAC_BYTES 6u
#define CONFIG_SERIAL_MAX 32u
#define CONFIG_IOPS_MAX 1000000000u
#define CONFIG_LABEL_MAX 64u /* of a group or a tag */
#define CONFIG_TAGS_MAX 32u
#define CONFIG_SECONDS_MAX 86400u
#define CONFIG_STOP_SECONDS 120u

enum nic_kind { NIC_NONE, NIC_USER, NIC_TAP, NIC_SWITCH };

struct nic_forward {
	bool udp;
	uint32_t address; /* of the host, in network order */
	uint16_t port, guest_port;
};

struct nic_config {
	unsigned int number; /* CONFIG_NICS_MAX: not said, of one adapter alone */
	enum nic_kind kind;
	bool unplugged; /* "link": false */
	bool has_mac;
	uint8_t mac[CONFIG_MAC_BYTES];
	char tap[16]; /* IFNAMSIZ */
	char switch_name[CONFIG_NAME_SIZE];
	struct nic_port port; /* of the switch */
	bool host_loopback;
	struct nic_forward forwards[CONFIG_FORWARDS_MAX];
	size_t forward_count;
};

enum drive_kind { DRIVE_DISK, DRIVE_DVD };
enum drive_cache { DRIVE_WRITEBACK, DRIVE_UNCACHED, DRIVE_UNSAFE };
enum on_triple_fault { TRIPLE_FAULT_RESET, TRIPLE_FAULT_OFF };
enum auto_start { AUTO_START_NOTHING, AUTO_START_IF_RUNNING, AUTO_START_ALWAYS };
enum auto_stop { AUTO_STOP_SHUTDOWN, AUTO_STOP_TURN_OFF };
enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE };

struct drive_config {
	unsigned int controller, lun;
	enum drive_kind kind;
	char *path; /* absolute; NULL: no medium (DVD only) */
	bool read_only;
	char serial[CONFIG_SERIAL_MAX + 1]; /* "": by the drive's place in its VM */
	enum drive_cache cache;
	uint32_t min_iops, max_iops; /* 8 KiB each; 0: no bound */
	bool pause_on_error;
	bool shared;
};

/* What of the host a VM gets; all of it can change while it runs. Percent: of as many host processors as it has VPs. */
struct limits_config {
	unsigned int cpu_weight, cpu_limit, cpu_reserve, io_weight;
	uint64_t memory_limit, memory_reserve; /* bytes; 0: none */
};

struct vm_config {
	char name[CONFIG_NAME_SIZE];
	char *notes; /* never NULL, as cmdline */
	unsigned int processors;
	uint64_t memory_bytes;
	struct limits_config limits;
	char *kernel, *initrd; /* NULL: none */
	char *cmdline;
	unsigned int controllers;
	struct drive_config *drives; /* by controller, then lun */
	size_t drive_count;
	struct nic_config nics[CONFIG_NICS_MAX]; /* by number */
	size_t nic_count;
	unsigned int disk_channels; /* as asked; 0: automatic */
	struct {
		bool heartbeat, shutdown, time_sync;
	} integration;
	enum on_triple_fault on_triple_fault;
	char group[CONFIG_LABEL_MAX + 1]; /* "" none */
	char (*tags)[CONFIG_LABEL_MAX + 1];
	size_t tag_count;
	struct {
		enum auto_start start;
		unsigned int delay_s;
		enum auto_stop stop;
		unsigned int stop_timeout_s;
	} automatic;
	enum restart_policy restart;
};

/* From a parsed text. On an error *ret is untouched. The caller ends it with config_done(). -EINVAL, -ENOMEM. */
int config_from_json(const json_t *text, struct vm_config *ret,
		     struct config_error *e) __must_check;
/* From bytes; broken JSON is refused with line and column. Beyond CONFIG_TEXT_MAX: -EFBIG. */
int config_parse(const char *text, size_t len, struct vm_config *ret,
		 struct config_error *e) __must_check;
/* Every member, defaults too; a new reference, NULL without memory. config_from_json() of it gives an equal struct. */
json_t *config_to_json(const struct vm_config *c);
/* One drive of it, as the worker's drive.attach has it: a member of "drives". */
json_t *config_drive_to_json(const struct drive_config *d);
int config_drive_from_json(const json_t *text, unsigned int controller,
			   struct drive_config *ret, struct config_error *e) __must_check;
/* One adapter of it, a member of "nics". Needs no config_done. */
json_t *config_nic_to_json(const struct nic_config *n);
int config_nic_from_json(const json_t *text, struct nic_config *ret,
			 struct config_error *e) __must_check;
const char *config_nic_kind(enum nic_kind kind);
/* The address that adapter `index` of this VM has: the one configured, or Microsoft's block and a part of its own, the same at each start. */
void config_nic_mac(const struct guid *vm, unsigned int index, const struct nic_config *n,
		    uint8_t ret[CONFIG_MAC_BYTES]);
/* The adapter with a number, or NULL. */
const struct nic_config *config_nic_at(const struct vm_config *c, unsigned int number);
/*
 * A configuration with one adapter more (without a "number" it has the first that is free), or without it, or (`patch`, RFC 7396) changed, its
 * number apart; *ret as of config_from_json(). -EEXIST, -ENOENT, -ENOSPC, -EINVAL.
 */
int config_nic_add(const struct vm_config *c, const json_t *nic, unsigned int *ret_number,
		   struct vm_config *ret, struct config_error *e) __must_check;
int config_nic_remove(const struct vm_config *c, unsigned int number,
		      struct vm_config *ret, struct config_error *e) __must_check;
int config_nic_patch(const struct vm_config *c, unsigned int number, const json_t *patch,
		     struct vm_config *ret, struct config_error *e) __must_check;
/* The number with which the bus knows the adapter: guests name it by it. */
void config_nic_instance(const struct guid *vm, unsigned int number, struct guid *ret);
/* "00:15:5d:01:02:03". -EINVAL. */
int config_parse_mac(const char *text, uint8_t ret[CONFIG_MAC_BYTES]) __must_check;
void config_done(struct vm_config *c);
void config_drive_done(struct drive_config *d);
/* The drive at a place, or NULL. */
const struct drive_config *config_drive_at(const struct vm_config *c,
					   unsigned int controller, unsigned int lun);
/*
 * A configuration with one drive more, or without it, or (`patch`, RFC 7396) changed; *ret as of config_from_json(). `lun` and
 * the rest of a new drive are in `drive`. -EEXIST, -ENOENT, -EINVAL.
 */
int config_drive_add(const struct vm_config *c, unsigned int controller,
		     const json_t *drive, struct vm_config *ret,
		     struct config_error *e) __must_check;
int config_drive_remove(const struct vm_config *c, unsigned int controller,
			unsigned int lun, struct vm_config *ret,
			struct config_error *e) __must_check;
int config_drive_patch(const struct vm_config *c, unsigned int controller,
		       unsigned int lun, const json_t *patch, struct vm_config *ret,
		       struct config_error *e) __must_check;
/* Gives every disk that has none a new serial number. */
void config_give_serials(struct vm_config *c);

/*
 * Applies a merge patch (RFC 7396) to a configuration and checks the outcome: 0 and *ret, as config_from_json().
 * "scsi" is replaced as a whole.
 */
int config_patch(const struct vm_config *c, const json_t *patch, struct vm_config *ret,
		 struct config_error *e) __must_check;
/* When a change of a member (of the top) holds while the VM runs. */
enum config_when {
	CONFIG_NOW,        /* at once */
	CONFIG_NEXT_START, /* at the next start of a VM that is off */
	CONFIG_OWN_WAY, /* it is not changed as a whole: drives and adapters have methods of their own */
};
enum config_when config_when(const char *member);
/* The members (of the top) in which two differ: an array of names, new. NULL without memory. */
json_t *config_diff(const struct vm_config *a, const struct vm_config *b);
/* The members that a worker keeps as they were when it started; new. NULL without memory. */
json_t *config_at_start(const struct vm_config *c);
/* The names of those in which a configuration differs from what config_at_start() gave; new. */
json_t *config_waiting(const struct vm_config *c, const json_t *at_start);

bool config_has_tag(const struct vm_config *c, const char *tag);
/* As vm.json(5) spells them. */
const char *config_auto_start(enum auto_start s);
const char *config_auto_stop(enum auto_stop s);
const char *config_restart(enum restart_policy p);

/*
 * VMBus channels of each SCSI controller, the first included: as asked but at most one a VP, else one for four VPs, as Hyper-V has it.
 */
unsigned int config_disk_channels(const struct vm_config *c);

/* The rule for names: printable, no '/', no blank at either end, not the form of a UUID. */
int config_check_name(const char *name, struct config_error *e) __must_check;

/* "64M", "2G", "1T", "4096K", "67108864": binary units, a final "B" or "iB" allowed. -EINVAL, -ERANGE. */
int config_parse_size(const char *text, uint64_t *ret) __must_check;
#define CONFIG_SIZE_STR 24
/* The shortest exact form: "64M", "3G", "1025". */
void config_format_size(uint64_t bytes, char ret[CONFIG_SIZE_STR]);

#endif
