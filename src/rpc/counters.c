/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc/counters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Names: Windows Server's "Hyper-V …" counter sets, as Performance Monitor and Get-Counter -ListSet show them. */
#define COUNTERS (const struct counter[])
#define TOTAL(key, name, unit, column, help)                       \
	{                                                          \
		key, name, COUNTER_TOTAL, unit, column, NULL, help \
	}
#define GAUGE(key, name, unit, column, help)                       \
	{                                                          \
		key, name, COUNTER_GAUGE, unit, column, NULL, help \
	}
#define END          \
	{            \
		NULL \
	}

const struct counter_set counter_sets[] = {
	{ "hypervisor", "Hyper-V Hypervisor", NULL, .host = true,
	  .counters =
		  COUNTERS{
			  GAUGE("partitions", "Partitions", COUNTER_COUNT, "PARTITIONS",
				"VMs that have a worker."),
			  GAUGE("virtual_processors", "Virtual Processors", COUNTER_COUNT,
				"VPS", "Virtual processors of those VMs."),
			  GAUGE("logical_processors", "Logical Processors", COUNTER_COUNT,
				"LPS", "Processors of the host that are online."),
			  GAUGE("memory_bytes", "Total Pages", COUNTER_BYTES, "MEMORY",
				"Memory that those VMs were given, in bytes."),
			  END } },
	{ "health", "Hyper-V Virtual Machine Health Summary", NULL, .host = true,
	  .counters = COUNTERS{ GAUGE("ok", "Health Ok", COUNTER_COUNT, "OK",
				      "VMs that are well."),
				GAUGE("critical", "Health Critical", COUNTER_COUNT,
				      "CRITICAL", "VMs that are Critical."),
				END } },
	{ "vp", "Hyper-V Hypervisor Virtual Processor", "vp", .worker = true,
	  .counters =
		  COUNTERS{ TOTAL("run_time_us", "% Total Run Time", COUNTER_US, "RUN",
				  "Processor time of the virtual processor: guest and "
				  "host."),
			    TOTAL("intercepts", "Total Intercepts/sec", COUNTER_COUNT,
				  "EXITS/s",
				  "Times that it left guest code, those that the kernel "
				  "dealt with "
				  "included where the kernel tells."),
			    TOTAL("hlt", "HLT Instructions/sec", COUNTER_COUNT, "HLT/s",
				  "Times that it halted until an interrupt; where the "
				  "kernel "
				  "tells."),
			    TOTAL("io", "IO Instructions/sec", COUNTER_COUNT, "IO/s",
				  "Accesses to ports of emulated devices."),
			    TOTAL("mmio", "Memory Intercepts/sec", COUNTER_COUNT, NULL,
				  "Accesses to memory of emulated devices."),
			    TOTAL("msr", "MSR Accesses/sec", COUNTER_COUNT, "MSR/s",
				  "Accesses to Hyper-V's model specific registers."),
			    TOTAL("hypercalls", "Hypercalls/sec", COUNTER_COUNT,
				  "HYPERCALL/s",
				  "Hypercalls but those that ring a channel's bell, "
				  "which the "
				  "kernel "
				  "takes."),
			    TOTAL("interrupts", "Virtual Interrupts/sec", COUNTER_COUNT,
				  "INTR/s",
				  "Interrupts that it took; where the kernel tells."),
			    TOTAL("page_faults", "Page Fault Intercepts/sec",
				  COUNTER_COUNT, NULL,
				  "Accesses to guest memory that the host had to provide "
				  "first; "
				  "where "
				  "the kernel tells."),
			    TOTAL("kicks", "Other Intercepts/sec", COUNTER_COUNT, NULL,
				  "Times that it was interrupted by a signal, or left "
				  "for anything "
				  "else."),
			    END } },
	{ "vmbus", "Hyper-V Virtual Machine Bus", "channel", .worker = true,
	  .counters =
		  COUNTERS{
			  TOTAL("interrupts_received", "Interrupts Received/sec",
				COUNTER_COUNT, "BELLS/s",
				"Times that the guest rang the channel's bell."),
			  TOTAL("interrupts_sent", "Interrupts Sent/sec", COUNTER_COUNT,
				"INTR/s", "Interrupts that the guest was sent."),
			  TOTAL("packets_received", "Packets Received/sec", COUNTER_COUNT,
				"IN/s", "Packets from the guest."),
			  TOTAL("packets_sent", "Packets Sent/sec", COUNTER_COUNT,
				"OUT/s", "Packets to the guest."),
			  TOTAL("throttles", "Throttle Events", COUNTER_COUNT,
				"THROTTLED/s",
				"Times that a packet found the ring to the guest full."),
			  TOTAL("faults", "Faults", COUNTER_COUNT, NULL,
				"Times that the guest broke the channel's protocol."),
			  END } },
	{ "storage", "Hyper-V Virtual Storage Device", "drive", .worker = true,
	  .counters =
		  COUNTERS{
			  TOTAL("read_bytes", "Read Bytes/sec", COUNTER_BYTES, "READ/s",
				"Bytes read by the guest."),
			  TOTAL("write_bytes", "Write Bytes/sec", COUNTER_BYTES,
				"WRITE/s", "Bytes written by the guest."),
			  TOTAL("read_operations", "Read Operations/Sec", COUNTER_COUNT,
				"READS/s", "Reads that have ended."),
			  TOTAL("write_operations", "Write Operations/Sec", COUNTER_COUNT,
				"WRITES/s", "Writes that have ended."),
			  TOTAL("flushes", "Flush Count", COUNTER_COUNT, NULL,
				"Flushes that have ended."),
			  TOTAL("errors", "Error Count", COUNTER_COUNT, "ERRORS/s",
				"Reads, writes and flushes that ended in an error."),
			  GAUGE("queue_length", "Queue Length", COUNTER_COUNT, "QUEUE",
				"Commands of the guest under way."),
			  TOTAL("operations", "Throughput", COUNTER_COUNT, NULL,
				"Reads, writes and flushes that have ended."),
			  { "latency_us", "Latency", COUNTER_TOTAL, COUNTER_US, "LATENCY",
			    "operations",
			    "Time from the arrival of these operations to their end, "
			    "summed." },
			  TOTAL("normalized_operations", "Normalized Throughput",
				COUNTER_COUNT, NULL,
				"Operations in units of 8 KiB, as rates of disks count."),
			  END } },
	{ "network", "Hyper-V Virtual Network Adapter", "adapter", .worker = true,
	  .counters =
		  COUNTERS{ TOTAL("received_bytes", "Bytes Received/sec", COUNTER_BYTES,
				  "IN/s", "Bytes of frames to the guest."),
			    TOTAL("sent_bytes", "Bytes Sent/sec", COUNTER_BYTES, "OUT/s",
				  "Bytes of frames from the guest."),
			    TOTAL("received_packets", "Packets Received/sec",
				  COUNTER_COUNT, "FRAMES IN/s", "Frames to the guest."),
			    TOTAL("sent_packets", "Packets Sent/sec", COUNTER_COUNT,
				  "FRAMES OUT/s", "Frames from the guest."),
			    TOTAL("dropped_received", "Dropped Packets Incoming/sec",
				  COUNTER_COUNT, "DROPS IN/s",
				  "Frames that the guest had no room for."),
			    TOTAL("dropped_sent", "Dropped Packets Outgoing/sec",
				  COUNTER_COUNT, "DROPS OUT/s",
				  "Frames that could not be sent."),
			    END } },
	{ "memory", "Hyper-V Dynamic Memory VM", NULL,
	  .counters = COUNTERS{ GAUGE("guest_visible_bytes",
				      "Guest Visible Physical Memory", COUNTER_BYTES,
				      "GUEST", "Memory that the guest was given."),
				GAUGE("physical_bytes", "Physical Memory", COUNTER_BYTES,
				      "PHYSICAL",
				      "Memory of the host that the VM's worker holds, "
				      "the guest's "
				      "included."),
				END } },
};
const size_t counter_sets_count = ARRAY_SIZE(counter_sets);

const struct counter_set *counter_set_find(const char *key)
{
	for (size_t i = 0; key && i < counter_sets_count; i++) {
		if (strcmp(counter_sets[i].key, key) == 0)
			return &counter_sets[i];
	}
	return NULL;
}

int counters_add(json_t *sets, const char *set, const char *instance, json_t *values)
{
	json_t *one = json_pack("{s:s, s:s, s:o}", "set", set, "instance", instance,
				"counters", values);

	return one && json_array_append_new(sets, one) == 0 ? 0 : -ENOMEM;
}

/* Printable ASCII: it goes into tables, logs and labels. */
static void copy_instance(char ret[COUNTER_INSTANCE_MAX], const char *text)
{
	size_t n = 0;

	for (; text && text[n] && n + 1 < COUNTER_INSTANCE_MAX; n++)
		ret[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	ret[n] = '\0';
}

static json_t *copy_values(const struct counter_set *set, const json_t *foreign)
{
	json_t *values = json_object();

	for (const struct counter *c = set->counters; c->key; c++) {
		const json_t *v = json_object_get(foreign, c->key);

		if (json_is_integer(v) && json_integer_value(v) >= 0)
			json_object_set_new(values, c->key,
					    json_integer(json_integer_value(v)));
	}
	return values;
}

/* False without memory. */
static bool copy_one(json_t *sets, json_t *seen, const json_t *foreign)
{
	const struct counter_set *set =
		counter_set_find(json_string_value(json_object_get(foreign, "set")));
	char instance[COUNTER_INSTANCE_MAX], place[COUNTER_INSTANCE_MAX + 32];

	if (!set || !set->worker)
		return true;
	copy_instance(instance, json_string_value(json_object_get(foreign, "instance")));
	snprintf(place, sizeof(place), "%s/%s", set->key, instance);
	if (json_object_get(seen, place))
		return true;
	return json_object_set_new(seen, place, json_true()) == 0 &&
	       counters_add(sets, set->key, instance,
			    copy_values(set, json_object_get(foreign, "counters"))) == 0;
}

json_t *counters_copy(const json_t *foreign)
{
	json_t *sets, *seen;
	bool ok = json_is_array(foreign);
	size_t n = MIN(json_array_size(foreign), (size_t)COUNTER_INSTANCES_MAX);

	sets = json_array();
	seen = json_object();
	for (size_t i = 0; ok && i < n; i++)
		ok = copy_one(sets, seen, json_array_get(foreign, i));
	json_decref(seen);
	if (ok)
		return sets;
	json_decref(sets);
	return NULL;
}
