/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine without KVM: guest memory, the fake SynIC, the real VMBus server with its loop on a thread of its own, and an
 * environment in which guest-drivers/core runs as the guest of it, on the test's threads.
 *
 * Thread: all calls on the test's main thread, which is VP 0, but where a line says otherwise.
 */
#ifndef TESTS_LOOP_MACHINE_H
#define TESTS_LOOP_MACHINE_H

#include <event2/event.h>
#include <pthread.h>
#include "core/bus.h"
#include "unit/vmbus/fake_synic.h"
#include "vid/guestmem.h"
#include "vmbus/vmbus.h"

#define MACHINE_MEMORY_BYTES (64ull << 20)

struct machine {
	/* host */
	struct guestmem *gm;
	struct synic synic;
	struct event_base *loop;
	struct vmbus *vmbus;
	pthread_t thread;
	/* guest */
	struct core_env env;
	struct hv hv;
	struct bus bus;
	unsigned int vps;
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool interrupted[FAKE_SYNIC_VPS];
	uint8_t *page_used; /* one byte a page */
	size_t pages_in_use;
	/* what the loop's thread is asked to do: under lock */
	int ask_fd;
	struct event *ask_event;
	void (*ask)(struct machine *m, void *arg);
	void *ask_arg;
	bool ask_done, stop;
};

/* Ready, with the bus' loop running; the guest has not connected. */
void machine_init(struct machine *m, unsigned int vps);
/* The guest is disconnected and the devices are gone. Checks that the guest has given all its pages back. */
void machine_done(struct machine *m);

/* Runs fn on the loop's thread and waits for its end. */
void machine_on_loop(struct machine *m, void (*fn)(struct machine *m, void *arg),
		     void *arg);

/* SynIC of all VPs, bus_init(), contact with one version (0: the newest), offers; each is checked. */
void machine_connect(struct machine *m, uint32_t version);
/* Unload, SynIC off, bus_done(). */
void machine_disconnect(struct machine *m);
/* The calling thread is this VP from now on: its waits take that VP's interrupts. */
void machine_be_vp(unsigned int vp);
/* Waits until the condition holds, polling the bus at each interrupt of VP 0; fails the test after a minute. */
void machine_until(struct machine *m, bool (*cond)(void *arg), void *arg);
/* Waits for the next interrupt of VP 0 and takes messages and event flags. */
void machine_step(struct machine *m);

#endif
