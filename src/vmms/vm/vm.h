/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One VM as vmms knows it: its configuration, its state, what its worker last said, and the documents that
 * clients get of it. What a worker says is foreign: copied, checked, bounded. Thread: the event loop's.
 */
#ifndef VMMS_VM_VM_H
#define VMMS_VM_VM_H

#include <jansson.h>
#include "config/config.h"
#include "util/guid.h"
#include "util/list.h"
#include "vmms/worker/cgroup.h"
#include "vmms/vm/state.h"

struct meter;
struct perf_question;
struct event;
struct worker;

#define VM_REASON_SIZE 512
#define VM_STATUS_MAX (256u << 10) /* a worker's status document, as text */

enum automatic_what { AUTOMATIC_NOTHING, AUTOMATIC_BOOT, AUTOMATIC_RESTART };

/* Of its drives, by controller, a bit a LUN: what workers tell of them. */
struct vm_drive_flags {
	uint64_t below_minimum[CONFIG_CONTROLLERS_MAX], ejected[CONFIG_CONTROLLERS_MAX];
};
_Static_assert(CONFIG_LUNS_MAX <= 64, "a bit each");

/* owner: the event loop */
struct vm {
	struct list link; /* in the registry */
	struct guid id;
	char id_text[GUID_STR_LEN];
	struct vm_config config;

	enum vm_state state;
	enum vm_state
		worker_state; /* as the worker last said; `state` may be ahead of it while it is asked to stop */
	enum vm_health health;
	char reason[VM_REASON_SIZE]; /* "" none */
	const char *heartbeat;       /* NULL while it has no worker */
	uint64_t uptime_us;          /* at uptime_at_us; runs on while Running */
	uint64_t uptime_at_us;
	int64_t resets, crashes;
	char vmbus_version[16]; /* "" none */
	json_t *status;         /* the document itself, NULL */

	json_t *at_start; /* what its worker was started with, as config_at_start(); NULL: not known */

	struct worker *worker;      /* NULL exactly while Off */
	struct list waits;          /* see wait.h */
	bool drives_busy;           /* its worker was asked to change one: disks.c */
	bool nics_busy;             /* likewise: nics.c */
	struct meter *meter;        /* what it used: meter.h; NULL: not metered */
	struct perf_question *perf; /* its worker was asked for its counters: perf.c */
	bool grouped; /* its worker is in a control group, which has `limits` */
	struct cgroup_limits limits;
	struct {
		enum automatic_what what; /* what it waits for, while it is Off */
		struct event *due, *pump_ev;
		bool ready;                        /* due, and waits for its turn */
		bool by_itself;                    /* its worker was not asked for */
		bool ran;                          /* when the host went down */
		unsigned int failures;             /* in a row */
	} automatic;                               /* automatic.c's */
	struct vm_drive_flags drives, drives_told; /* now, and as disk_news.c has told */
};

/* What changed, as vm_apply_status() says. */
enum vm_change {
	VM_CHANGED_STATE = 1,
	VM_CHANGED_HEALTH = 2,
	VM_CHANGED_HEARTBEAT = 4,
	VM_CHANGED_CRASH = 8,
	VM_CHANGED_VMBUS = 16,
	VM_CHANGED_DRIVES = 256, /* until disk_news.c has told */
};

/* Takes what *config owns. NULL without memory (the config is then still the caller's). */
struct vm *vm_new(const struct guid *id, struct vm_config *config);
void vm_free(struct vm *vm);

/*
 * Takes over a worker's status document: a mask of enum vm_change, or -EPROTO when it is none (nothing is changed).
 * "Off" counts as Stopping: a VM is Off once its worker is gone. -EFBIG beyond VM_STATUS_MAX.
 */
int vm_apply_status(struct vm *vm, const json_t *doc) __must_check;
/* Off: no worker, nothing left of the run but the reason. */
void vm_set_off(struct vm *vm, enum vm_health health, const char *reason);
/* Time since its VPs first ran, as its worker said last and time went on. */
uint64_t vm_uptime_us(const struct vm *vm);
/* The text of an untrusted string in one printable line, cut to the room there is. */
void vm_clean_text(char *ret, size_t size, const char *text);

/* What it has now: of a VM that runs, what it was started with, though its configuration may say otherwise by now. */
uint64_t vm_memory_bytes(const struct vm *vm);
unsigned int vm_processors(const struct vm *vm);

/* The members of its configuration that wait for its next start: an array of names, new. NULL without memory. */
json_t *vm_pending(const struct vm *vm);
/* The documents of the methods' table; new references, NULL without memory. */
json_t *vm_summary(const struct vm *vm);
json_t *vm_show(const struct vm *vm, const char *log_path);

#endif
