/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power states. An operation that touches every device runs in steps, because a device answers only when its
 * outstanding I/O has ended: stop the VPs (a barrier, so that the guest sends nothing more), ask each device, and in
 * all_answered go on. One such operation runs at a time; turning off takes over from any other.
 */
#include "vmwp/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/log.h"
#include "vmwp/drives.h"
#include "vmwp/loader.h"
#include "vmwp/machine_priv.h"

static const char *const state_names[] = {
	[MACHINE_OFF] = "Off",
	[MACHINE_STARTING] = "Starting",
	[MACHINE_RUNNING] = "Running",
	[MACHINE_PAUSING] = "Pausing",
	[MACHINE_PAUSED] = "Paused",
	[MACHINE_STOPPING] = "Stopping",
	[MACHINE_RESETTING] = "Resetting",
};

const char *machine_state_name(enum machine_state state)
{
	return state_names[state];
}

enum machine_state machine_state(const struct machine *m)
{
	return m->state;
}

bool machine_critical(const struct machine *m)
{
	return m->critical;
}

const char *machine_reason(const struct machine *m)
{
	return m->reason;
}

int machine_fail(struct machine_error *error, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	return err;
}

void machine_changed(struct machine *m)
{
	m->env.changed(m->env.opaque);
}

static void set_state(struct machine *m, enum machine_state state)
{
	/* A guest in a reset loop must not fill the log. */
	static struct ratelimit limit = RATELIMIT_INIT;

	if (m->state == state)
		return;
	m->state = state;
	log_ratelimited(&limit, LOG_LVL_INFO, "%s", state_names[state]);
	machine_changed(m);
}

static void set_reason(struct machine *m, const char *reason)
{
	free(m->reason);
	m->reason = reason ? strdup(reason) : NULL;
}

void machine_finish(struct machine_op *op, int r, const struct machine_error *error)
{
	static const struct machine_error none;
	machine_done_fn done = op->done;

	op->done = NULL;
	if (done)
		done(op->opaque, r, error ? error : &none);
}

/* The guest's memory is empty, its VPs are at power-on: load and go. */
static int load_and_start(struct machine *m, struct machine_error *error)
{
	struct loader_input in = {
		.mem = partition_mem(m->part),
		.kernel = m->kernel,
		.kernel_name = m->config->kernel,
		.initrd = m->initrd,
		.initrd_name = m->config->initrd,
		.cmdline = m->config->cmdline,
	};
	struct loader_error why;
	struct vp_start start;
	struct timespec now;
	int r;

	r = board_write_tables(m->board, &in.rsdp_gpa);
	if (r < 0)
		return machine_fail(error, r, "cannot write the ACPI tables: %s",
				    strerror(-r));
	r = loader_load(&in, &start, &why);
	if (r < 0)
		return machine_fail(error, r, "%s", why.text);
	r = partition_prepare(m->part, 0, &start);
	if (r == 0)
		r = partition_start(m->part);
	if (r < 0)
		return machine_fail(error, r, "cannot start the virtual processors: %s",
				    strerror(-r));
	clock_gettime(CLOCK_MONOTONIC, &now);
	m->started_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	return 0;
}

int machine_start(struct machine *m, struct machine_error *error)
{
	int r;

	if (m->state != MACHINE_OFF || m->reason)
		return machine_fail(error, -EBUSY, "the VM is %s", state_names[m->state]);
	m->state = MACHINE_STARTING;
	r = load_and_start(m, error);
	if (r < 0) {
		/* What the loader left in memory goes, so that another try begins clean. */
		if (partition_reset(m->part) < 0)
			log_err("cannot reset the partition after a failed start");
		m->state = MACHINE_OFF;
		return r;
	}
	set_state(m, MACHINE_RUNNING);
	return 0;
}

/* Whoever waited for the operation before learns that this one came in its place. */
static void begin(struct machine_op *op, machine_done_fn done, void *opaque)
{
	static const struct machine_error superseded = {
		"another operation of this VM came first"
	};

	machine_finish(op, -ECANCELED, &superseded);
	op->done = done;
	op->opaque = opaque;
}

static void off_begin(struct machine *m);

static void paused(struct machine *m)
{
	m->stepping = false;
	if (m->state == MACHINE_STOPPING) {
		off_begin(m);
		return;
	}
	set_state(m, MACHINE_PAUSED);
	machine_finish(&m->power, 0, NULL);
}

int machine_pause(struct machine *m, machine_done_fn done, void *opaque,
		  struct machine_error *error)
{
	int r;

	if (m->state != MACHINE_RUNNING)
		return machine_fail(error, -EBUSY, "a VM that is %s cannot be paused",
				    state_names[m->state]);
	r = partition_pause(m->part);
	if (r < 0)
		return machine_fail(error, r, "cannot pause the virtual processors: %s",
				    strerror(-r));
	begin(&m->power, done, opaque);
	set_state(m, MACHINE_PAUSING);
	m->stepping = true;
	devices_pause(m, paused);
	return 0;
}

static void stall_paused(void *opaque, int r, const struct machine_error *error)
{
}

void machine_stall(struct machine *m, const char *why)
{
	struct machine_error error = { "" };

	if (m->state != MACHINE_RUNNING && m->state != MACHINE_PAUSING &&
	    m->state != MACHINE_PAUSED)
		return; /* what is held ends with the reset or the VM */
	if (!m->dead)
		set_reason(m, why);
	m->critical = m->stalled = true;
	machine_changed(m);
	if (m->state == MACHINE_RUNNING && machine_pause(m, stall_paused, m, &error) < 0)
		log_err("%s", error.text);
}

/* The operator has seen to it, or else it comes again. */
static void unstall(struct machine *m)
{
	drives_resume(m);
	if (!m->stalled)
		return;
	m->stalled = false;
	m->critical = m->crash.count > 0;
	set_reason(m, m->critical ? "the guest crashed" : NULL);
}

int machine_resume(struct machine *m, struct machine_error *error)
{
	int r;

	if (m->state != MACHINE_PAUSED)
		return machine_fail(error, -EBUSY, "a VM that is %s cannot be resumed",
				    state_names[m->state]);
	if (m->dead)
		return machine_fail(
			error, -EBUSY,
			"its virtual processors cannot go on (%s); reset it or turn "
			"it off",
			m->reason ? m->reason : "see its log");
	if (m->reset_on_resume)
		return machine_reset(m, NULL, NULL, error);
	unstall(m);
	devices_resume(m);
	r = partition_resume(m->part);
	if (r < 0)
		return machine_fail(error, r, "cannot resume the virtual processors: %s",
				    strerror(-r));
	set_state(m, MACHINE_RUNNING);
	return 0;
}

/* Every channel is closed: nothing touches guest memory. */
static void reset_closed(void *opaque)
{
	struct machine *m = opaque;
	struct machine_error error = { "" };
	int r;

	m->stepping = false;
	if (m->state == MACHINE_STOPPING) {
		off_begin(m);
		return;
	}
	atomic_store(&m->asked_reset, false);
	atomic_store(&m->asked_power_off, false);
	r = partition_reset(m->part);
	if (r < 0) {
		machine_fail(&error, r, "cannot reset the partition: %s", strerror(-r));
	} else {
		board_reset(m->board);
		devices_resume(m);
		r = load_and_start(m, &error);
	}
	if (r < 0) {
		log_err("reset failed: %s", error.text);
		machine_finish(&m->power, r, &error);
		machine_turn_off(m, error.text);
		return;
	}
	m->resets++;
	m->critical = m->dead = m->stalled = m->reset_on_resume = false;
	set_reason(m, NULL);
	set_state(m, MACHINE_RUNNING);
	machine_finish(&m->power, 0, NULL);
}

/* Devices stand still, as a pause has them; from there the bus closes what is open. */
static void reset_quiet(struct machine *m)
{
	vmbus_reset(m->bus, reset_closed, m);
}

int machine_reset(struct machine *m, machine_done_fn done, void *opaque,
		  struct machine_error *error)
{
	int r;

	if (m->state != MACHINE_RUNNING && m->state != MACHINE_PAUSED)
		return machine_fail(error, -EBUSY, "a VM that is %s cannot be reset",
				    state_names[m->state]);
	r = partition_pause(m->part);
	if (r < 0)
		return machine_fail(error, r, "cannot stop the virtual processors: %s",
				    strerror(-r));
	begin(&m->power, done, opaque);
	m->stepping = true;
	if (m->state == MACHINE_PAUSED) {
		set_state(m, MACHINE_RESETTING);
		reset_quiet(m);
	} else {
		set_state(m, MACHINE_RESETTING);
		devices_pause(m, reset_quiet);
	}
	return 0;
}

static void removed(struct machine *m)
{
	m->started_us = 0;
	set_state(m, MACHINE_OFF);
	m->env.ended(m->env.opaque);
}

static void off_closed(void *opaque)
{
	devices_remove(opaque, removed);
}

static void off_begin(struct machine *m)
{
	vmbus_reset(m->bus, off_closed, m);
}

void machine_turn_off(struct machine *m, const char *reason)
{
	static const struct machine_error aborted = { "the VM was turned off meanwhile" };

	if (m->state == MACHINE_STOPPING || (m->state == MACHINE_OFF && m->reason))
		return;
	set_reason(m, reason);
	log_info("turning off: %s", reason);
	set_state(m, MACHINE_STOPPING);
	machine_finish(&m->power, -ECANCELED, &aborted);
	events_unwatch(m);
	partition_stop(m->part);
	/* A pause or reset that goes on is let end: devices answer it first. */
	if (!m->stepping)
		off_begin(m);
}

static void shutdown_answered(void *opaque, int r, uint32_t status)
{
	struct machine *m = opaque;
	struct machine_error error = { "" };

	switch (r) {
	case 0:
		break;
	case -EREMOTEIO:
		machine_fail(&error, r, "the guest refused to shut down (status 0x%08x)",
			     status);
		break;
	case -ETIMEDOUT:
		machine_fail(&error, r,
			     "the guest did not answer the shutdown request; --force "
			     "turns it off");
		break;
	default:
		machine_fail(&error, r,
			     "the guest left before it answered the shutdown request");
	}
	machine_finish(&m->ask, r, &error);
}

int machine_shutdown(struct machine *m, bool restart, bool force, const char *reason,
		     machine_done_fn done, void *opaque, struct machine_error *error)
{
	int r;

	if (m->state != MACHINE_RUNNING || m->dead)
		return machine_fail(error, -EBUSY,
				    "a VM that is %s cannot be asked to shut down",
				    state_names[m->state]);
	r = ic_shutdown(m->ic, restart ? IC_SHUTDOWN_RESTART : IC_SHUTDOWN_POWER_OFF,
			force, reason, shutdown_answered, m);
	if (r == -ENOTCONN)
		return machine_fail(
			error, r,
			"the guest has no shutdown integration service (yet); --force "
			"turns it off");
	if (r < 0)
		return machine_fail(error, r, "the guest is already asked to shut down");
	begin(&m->ask, done, opaque);
	return 0;
}

int machine_integration(struct machine *m, const char *service, bool enabled,
			struct machine_error *error)
{
	enum ic_service which;
	int r = ic_by_name(service, &which);

	if (r < 0)
		return machine_fail(error, -EINVAL, "'%s' is no integration service",
				    service);
	if (m->state == MACHINE_STOPPING || m->state == MACHINE_RESETTING)
		return machine_fail(error, -EBUSY, "the VM is %s", state_names[m->state]);
	r = ic_enable(m->ic, which, enabled);
	if (r == -EBUSY)
		return machine_fail(error, r, "%s is still being taken back; try again",
				    service);
	if (r < 0)
		return machine_fail(error, r, "cannot change %s: %s", service,
				    strerror(-r));
	machine_changed(m);
	return 0;
}
