/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmwp/counters.h"

#include <stdio.h>
#include <time.h>

#include "rpc/counters.h"
#include "vmwp/drives_priv.h"
#include "vmwp/machine_priv.h"
#include "vsp/netvsp/netvsp.h"
#include "vsp/storvsp/storvsp.h"

struct value {
	const char *key;
	uint64_t n;
};

static void add(json_t *sets, const char *set, const char *instance,
		const struct value *values, size_t n)
{
	json_t *o = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(
			o, values[i].key,
			json_integer((json_int_t)MIN(values[i].n, (uint64_t)INT64_MAX)));
	/* Without memory it is missing, as one that is not there. */
	if (counters_add(sets, set, instance, o) < 0)
		return;
}

static void add_vp(json_t *sets, const struct machine *m, unsigned int index)
{
	struct vp_kernel_stats k = { 0 };
	struct vp_stats s;
	bool kernel = partition_vp_kernel_stats(m->part, index, &k);
	char instance[16];

	partition_vp_stats(m->part, index, &s);
	snprintf(instance, sizeof(instance), "%u", index);
	const struct value values[] = {
		{ "run_time_us", s.run_time_us },
		{ "intercepts", kernel ? k.exits : s.exits },
		{ "io", s.pio },
		{ "mmio", s.mmio },
		{ "msr", s.msr },
		{ "hypercalls", s.hypercall },
		{ "kicks", s.interrupted + s.other },
		{ "hlt", k.hlt },
		{ "interrupts", k.interrupts },
		{ "page_faults", k.page_faults },
	};

	/* What the kernel does not tell is left out rather than 0. */
	add(sets, "vp", instance, values, ARRAY_SIZE(values) - (kernel ? 0 : 3));
}

static void add_channel(void *opaque, const struct vmbus_channel_info *info)
{
	const struct channel_stats *s = &info->stats;
	char instance[COUNTER_INSTANCE_MAX];
	const struct value values[] = {
		{ "interrupts_received", s->bells },
		{ "interrupts_sent", s->interrupts },
		{ "packets_received", s->packets_in },
		{ "packets_sent", s->packets_out },
		{ "throttles", s->throttles },
		{ "faults", s->faults },
	};

	if (info->sub_index)
		snprintf(instance, sizeof(instance), "%s, channel %u", info->name,
			 info->sub_index);
	else
		snprintf(instance, sizeof(instance), "%s", info->name);
	add(opaque, "vmbus", instance, values, ARRAY_SIZE(values));
}

static void add_drive(json_t *sets, const struct drive *d, const struct storvsp *s,
		      struct scsi_dev *dev)
{
	uint64_t n[STORVSP_COUNTS];
	char instance[16];

	storvsp_counts(s, d->lun, n);
	const struct value values[] = {
		{ "read_bytes", n[STORVSP_READ_BYTES] },
		{ "write_bytes", n[STORVSP_WRITE_BYTES] },
		{ "read_operations", n[STORVSP_READS] },
		{ "write_operations", n[STORVSP_WRITES] },
		{ "flushes", n[STORVSP_FLUSHES] },
		{ "errors", n[STORVSP_ERRORS] },
		{ "operations",
		  n[STORVSP_READS] + n[STORVSP_WRITES] + n[STORVSP_FLUSHES] },
		{ "latency_us", n[STORVSP_LATENCY_NS] / 1000 },
		{ "queue_length", atomic_load(&dev->active) },
		{ "normalized_operations", atomic_load(&dev->limit.units) },
	};

	snprintf(instance, sizeof(instance), "%u:%u", d->controller, d->lun);
	add(sets, "storage", instance, values, ARRAY_SIZE(values));
}

static void add_drives(json_t *sets, const struct machine *m)
{
	struct drive *d;

	list_for_each (d, &m->drives, link) {
		struct storvsp *s = m->scsi[d->controller];
		struct scsi_dev *dev = s ? storvsp_unit(s, d->lun) : NULL;

		if (dev)
			add_drive(sets, d, s, dev);
		scsi_dev_unref(dev);
	}
}

static void add_nic(json_t *sets, unsigned int index, struct netvsp *nic)
{
	struct netvsp_status s;
	char instance[16];

	netvsp_status(nic, &s);
	const struct value values[] = {
		{ "received_bytes", s.stats.received_bytes },
		{ "sent_bytes", s.stats.sent_bytes },
		{ "received_packets", s.stats.received },
		{ "sent_packets", s.stats.sent },
		{ "dropped_received", s.stats.no_buffer },
		{ "dropped_sent", s.stats.send_errors },
	};

	snprintf(instance, sizeof(instance), "%u", index);
	add(sets, "network", instance, values, ARRAY_SIZE(values));
}

json_t *counters_json(const struct machine *m)
{
	json_t *sets = json_array();
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	for (unsigned int i = 0; i < m->config->processors; i++)
		add_vp(sets, m, i);
	vmbus_each(m->bus, add_channel, sets);
	add_drives(sets, m);
	for (unsigned int i = 0; i < CONFIG_NICS_MAX; i++) {
		if (m->nics[i])
			add_nic(sets, i, m->nics[i]);
	}
	return json_pack("{s:I, s:o}", "time_us",
			 (json_int_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, "sets",
			 sets);
}
