/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/tests.h"

#include "bare/console.h"
#include "bare/guest.h"
#include "bare/net.h"
#include "bare/time.h"
#include "core/mem.h"

#define IC_WAIT_US 10000000u

static const char *device_name(const struct chan *ch)
{
	unsigned int i;

	if (!memcmp(ch->offer.interface_type, storvsc_type, 16))
		return "scsi";
	if (!memcmp(ch->offer.interface_type, netvsc_type, 16))
		return "net";
	for (i = 0; i < ICVSC_SERVICES; i++) {
		if (!memcmp(ch->offer.interface_type, icvsc_types[i], 16))
			return icvsc_name(i);
	}
	return "unknown";
}

static bool test_channels(void)
{
	struct bus *bus = &guest_get()->bus;
	struct chan *ch = NULL;
	unsigned int n = 0;

	for (; (ch = bus_find(bus, NULL, ch)); n++)
		say("channel name=%s relid=%u connection=%u flags=0x%x", device_name(ch),
		    ch->offer.child_relid, ch->offer.connection_id,
		    ch->offer.channel_flags);
	say("channels %u", n);
	return n > 0;
}

/* Waits for the service's first answered request. */
static bool test_ic(enum icvsc_service service)
{
	const struct icvsc *ic = &guest_get()->ics[service];
	uint64_t until = time_now_us() + IC_WAIT_US;

	while (ic->ch && !ic->answered && time_now_us() < until)
		guest_wait(100000);
	if (!ic->ch) {
		say("%s not offered", icvsc_name(service));
		return false;
	}
	say("%s %s version=%u.%u framework=%u.%u", icvsc_name(service),
	    ic->answered ? "up" : "silent", ic->message.major, ic->message.minor,
	    ic->framework.major, ic->framework.minor);
	return ic->answered > 0;
}

static bool test_heartbeat(void)
{
	return test_ic(ICVSC_HEARTBEAT);
}

static bool test_timesync(void)
{
	return test_ic(ICVSC_TIMESYNC);
}

static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
	{ "channels", test_channels },       { "disk", test_disk },
	{ "heartbeat", test_heartbeat },     { "net", test_net },
	{ "subchannels", test_subchannels }, { "timesync", test_timesync },
};

static bool run_one(struct arg name)
{
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (arg_is(name, tests[i].name)) {
			bool ok = tests[i].run();

			say("test %s %s", tests[i].name, ok ? "passed" : "failed");
			return ok;
		}
	}
	say("unknown test");
	return false;
}

bool tests_run(struct args args)
{
	struct arg name;
	bool ok = true;

	if (!guest_get()) {
		say("test needs the hypervisor interface");
		return false;
	}
	while (args_next(&args, &name))
		ok &= run_one(name);
	return ok;
}
