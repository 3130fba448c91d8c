/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bare guest on Hyper-V's interface: the driver library set up on all VPs, its channels, its integration services.
 *
 * Thread: VP 0, but where a line says otherwise.
 */
#ifndef BARE_GUEST_H
#define BARE_GUEST_H

#include "core/bus.h"
#include "core/icvsc.h"
#include "core/storvsc.h"

#define GUEST_CONTROLLERS_MAX 4u

struct guest {
	struct hv hv;
	struct bus bus;
	struct icvsc ics[ICVSC_SERVICES];
	/* The host asked through the shutdown service; IC_SHUTDOWN_FLAG_*. */
	bool shutdown_asked;
	uint32_t shutdown_flags;
	/* The last sample of the time service: the host's clock less our reference time; 100 ns. */
	uint64_t time_samples;
	uint64_t wall_clock;
};

/* The library's environment. Thread: any. */
extern const struct core_env guest_env;

/* False where there is no Hyper-V interface. Reads frequencies for time.h too. */
bool guest_detect(void);
/* SynIC on all VPs, the newest VMBus version, offers, integration services. 0 or -errno; says what it found. */
int guest_connect(void);
/* The one there is; NULL while not connected. */
struct guest *guest_get(void);
/* Takes messages and event flags of VP 0 and serves the integration services. */
void guest_poll(void);
/* Waits at most us for an interrupt, then polls. */
void guest_wait(uint64_t us);
/* Closes the services, leaves the bus, turns SynICs off. */
int guest_disconnect(void);

#endif
