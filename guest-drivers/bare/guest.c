/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/guest.h"

#include <errno.h>
#include "bare/console.h"
#include "bare/pages.h"
#include "bare/time.h"
#include "bare/vp.h"
#include "core/mem.h"

static struct guest guest;
static bool connected;
static uint32_t privileges;

static uint64_t env_rdmsr(void *opaque, uint32_t msr)
{
	(void)opaque;
	return vp_rdmsr(msr);
}

static void env_wrmsr(void *opaque, uint32_t msr, uint64_t value)
{
	(void)opaque;
	vp_wrmsr(msr, value);
}

static uint64_t env_hypercall(void *opaque, void *page, uint64_t control, uint64_t input,
			      uint64_t output)
{
	register uint64_t r8 __asm__("r8") = output;
	uint64_t rax;

	(void)opaque;
	__asm__ volatile("call *%[page]"
			 : "=a"(rax), "+c"(control), "+d"(input), "+r"(r8)
			 : [page] "r"(page)
			 : "r9", "r10", "r11", "cc", "memory");
	return rax;
}

static void env_wait(void *opaque, uint64_t us)
{
	(void)opaque;
	vp_wait(us);
	vp_take();
}

static uint64_t env_now_us(void *opaque)
{
	(void)opaque;
	return time_now_us();
}

static uint64_t env_gpa(void *opaque, const void *p)
{
	(void)opaque;
	return (uintptr_t)p; /* identity */
}

static void *env_pages_alloc(void *opaque, size_t n)
{
	(void)opaque;
	return pages_alloc(n);
}

static void env_pages_free(void *opaque, void *p, size_t n)
{
	(void)opaque;
	if (p)
		pages_free(p, n);
}

static void __attribute__((format(printf, 2, 0)))
env_log(void *opaque, const char *fmt, va_list ap)
{
	(void)opaque;
	say_v(fmt, ap);
}

const struct core_env guest_env = {
	.rdmsr = env_rdmsr,
	.wrmsr = env_wrmsr,
	.hypercall = env_hypercall,
	.wait = env_wait,
	.now_us = env_now_us,
	.gpa = env_gpa,
	.pages_alloc = env_pages_alloc,
	.pages_free = env_pages_free,
	.log = env_log,
};

bool guest_detect(void)
{
	static const char vendor[] = "Microsoft Hv";
	uint32_t r[4];

	vp_cpuid(1, 0, r);
	if (!(r[2] & 1u << 31))
		return false;
	vp_cpuid(HV_CPUID_VENDOR_AND_MAX, 0, r);
	if (memcmp(&r[1], vendor, 12) || r[0] < HV_CPUID_LIMITS)
		return false;
	vp_cpuid(HV_CPUID_INTERFACE, 0, r);
	if (r[0] != 0x31237648) /* "Hv#1" */
		return false;
	vp_cpuid(HV_CPUID_FEATURES, 0, r);
	privileges = r[0];
	if (privileges & HV_PRIV_FREQUENCY_MSRS)
		time_init(vp_rdmsr(HV_X64_MSR_TSC_FREQUENCY),
			  vp_rdmsr(HV_X64_MSR_APIC_FREQUENCY));
	return (privileges & HV_PRIV_SYNIC_MSRS) && (privileges & HV_PRIV_HYPERCALL_MSRS);
}

struct guest *guest_get(void)
{
	return connected ? &guest : NULL;
}

static uint32_t on_shutdown(void *opaque, uint32_t flags)
{
	(void)opaque;
	guest.shutdown_asked = true;
	guest.shutdown_flags = flags;
	return IC_STATUS_OK;
}

static void on_time(void *opaque, uint64_t wall, uint64_t reference_time, uint8_t flags)
{
	(void)opaque;
	(void)reference_time;
	(void)flags;
	guest.time_samples++;
	guest.wall_clock = wall;
}

static const struct icvsc_hooks ic_hooks = { .shutdown = on_shutdown, .time = on_time };

static void start_ic(struct chan *ch)
{
	unsigned int i;

	for (i = 0; i < ICVSC_SERVICES; i++) {
		if (memcmp(ch->offer.interface_type, icvsc_types[i], 16) ||
		    guest.ics[i].ch)
			continue;
		if (icvsc_start(&guest.ics[i], ch, i, &ic_hooks)) {
			guest.ics[i].ch = NULL;
			say("%s does not open", icvsc_name(i));
		}
	}
}

/* Services that come later, by hot add, are taken in guest_poll(): an open inside the hook would nest requests. */
static void start_ics(void)
{
	struct chan *ch = NULL;

	while ((ch = bus_find(&guest.bus, NULL, ch))) {
		if (ch->state == CHAN_OFFERED && !ch->rescinded)
			start_ic(ch);
	}
}

/* Lets go of what the host took back, if it is ours; tests look after the channels that they opened. */
static void drop_rescinded(void)
{
	struct chan *ch = NULL;
	unsigned int i;

	for (i = 0; i < ICVSC_SERVICES; i++) {
		if (guest.ics[i].ch && guest.ics[i].ch->rescinded) {
			say("%s rescinded", icvsc_name(i));
			icvsc_stop(&guest.ics[i]);
			guest.ics[i].ch = NULL;
		}
	}
	while ((ch = bus_find(&guest.bus, NULL, ch))) {
		if (ch->rescinded && ch->state == CHAN_OFFERED)
			chan_release(ch);
	}
}

void guest_poll(void)
{
	unsigned int i;

	bus_poll(&guest.bus);
	bus_events(&guest.bus, 0);
	drop_rescinded();
	start_ics();
	for (i = 0; i < ICVSC_SERVICES; i++) {
		struct icvsc *ic = &guest.ics[i];

		if (!ic->ch || !chan_take_event(ic->ch) || icvsc_poll(ic) >= 0)
			continue;
		say("%s broken by the host", icvsc_name(i));
		icvsc_stop(ic);
		ic->ch = NULL;
	}
}

void guest_wait(uint64_t us)
{
	bus_wait(&guest.bus, 0, us);
	guest_poll();
}

static void synic_on_here(void *arg)
{
	*(int *)arg = hv_synic_on(&guest.hv, (unsigned int)vp_self()->index,
				  VMBUS_MESSAGE_SINT, VECTOR_SINT);
}

static int synics_on(void)
{
	unsigned int i;
	int r;

	synic_on_here(&r);
	for (i = 1; i < vp_count() && !r; i++) {
		vp_run(i, synic_on_here, &r);
		vp_join(i);
	}
	return r;
}

int guest_connect(void)
{
	static const struct bus_hooks hooks;
	int r;

	r = hv_init(&guest.hv, &guest_env);
	if (!r)
		r = synics_on();
	if (!r)
		r = bus_init(&guest.bus, &guest.hv, &hooks);
	if (!r)
		r = bus_connect(&guest.bus, bus_versions, bus_versions_n);
	if (!r)
		r = bus_request_offers(&guest.bus);
	if (r) {
		say("vmbus does not connect: error %d", -r);
		return r;
	}
	connected = true;
	say("vmbus version=%u.%u", guest.bus.version >> 16, guest.bus.version & 0xffff);
	guest_poll();
	return 0;
}

static void synic_off_here(void *arg)
{
	(void)arg;
	hv_synic_off(&guest.hv, (unsigned int)vp_self()->index, VMBUS_MESSAGE_SINT);
}

int guest_disconnect(void)
{
	unsigned int i;
	int r;

	if (!connected)
		return 0;
	r = bus_unload(&guest.bus);
	for (i = 1; i < vp_count(); i++) {
		vp_run(i, synic_off_here, NULL);
		vp_join(i);
	}
	synic_off_here(NULL);
	bus_done(&guest.bus);
	hv_done(&guest.hv);
	memset(&guest.ics, 0, sizeof(guest.ics));
	connected = false;
	return r;
}
