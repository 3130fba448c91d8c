/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmwp/status.h"

#include <stdio.h>
#include <time.h>

#include "vmwp/drives.h"
#include "vmwp/machine_priv.h"
#include "vsp/netvsp/netvsp.h"

static const char *const channel_states[] = {
	[VMBUS_OFFERED] = "Offered",
	[VMBUS_OPEN] = "Open",
	[VMBUS_RESCINDED] = "Rescinded",
};

static uint64_t uptime_us(const struct machine *m)
{
	struct timespec now;

	if (!m->started_us)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 -
	       m->started_us;
}

static json_t *version_json(unsigned int major, unsigned int minor)
{
	return json_sprintf("%u.%u", major, minor);
}

static json_t *integration_json(const struct machine *m)
{
	json_t *all = json_object();

	for (int i = 0; i < IC_SERVICES; i++) {
		enum ic_service service = (enum ic_service)i;
		struct ic_version v;
		bool known = m->ic && ic_message_version(m->ic, service, &v);
		json_t *one = json_pack(
			"{s:b, s:o}", "enabled", m->ic && ic_enabled(m->ic, service),
			"version", known ? version_json(v.major, v.minor) : json_null());

		json_object_set_new(all, ic_name((enum ic_service)i), one);
	}
	return all;
}

static json_t *crash_json(const struct machine_crash *c)
{
	json_t *params, *text;

	if (!c->count)
		return json_null();
	params = json_array();
	for (size_t i = 0; i < ARRAY_SIZE(c->params); i++)
		json_array_append_new(
			params, json_sprintf("0x%llx", (unsigned long long)c->params[i]));
	/* vid gives printable ASCII only, so this is UTF-8. */
	text = json_string(c->text);
	return json_pack("{s:i, s:o, s:o}", "count", c->count, "params", params, "text",
			 text ? text : json_string(""));
}

static void add_channel(void *opaque, const struct vmbus_channel_info *info)
{
	char type[GUID_STR_LEN], instance[GUID_STR_LEN];

	guid_format(&info->type, type);
	guid_format(&info->instance, instance);
	json_array_append_new(
		opaque, json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:I, s:I, s:I, s:I}",
				  "name", info->name, "type", type, "instance", instance,
				  "sub_channel", info->sub_index, "state",
				  channel_states[info->state], "vp", info->target_vp,
				  "packets_in", (json_int_t)info->stats.packets_in,
				  "packets_out", (json_int_t)info->stats.packets_out,
				  "interrupts", (json_int_t)info->stats.interrupts,
				  "faults", (json_int_t)info->stats.faults));
}

static json_t *channels_json(const struct machine *m)
{
	json_t *all = json_array();

	if (all)
		vmbus_each(m->bus, add_channel, all);
	return all;
}

static json_t *vps_json(const struct machine *m)
{
	json_t *all = json_array();

	for (unsigned int i = 0; i < m->config->processors; i++) {
		struct vp_stats s;

		partition_vp_stats(m->part, i, &s);
		json_array_append_new(all,
				      json_pack("{s:i, s:I, s:I}", "index", i, "exits",
						(json_int_t)s.exits, "run_time_us",
						(json_int_t)s.run_time_us));
	}
	return all;
}

static json_t *nic_json(unsigned int index, struct netvsp *nic)
{
	struct netvsp_status s;

	netvsp_status(nic, &s);
	return json_pack("{s:i, s:s, s:o, s:b, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "index", (int)index, "kind", s.kind, "mac",
			 json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", s.mac[0], s.mac[1],
				      s.mac[2], s.mac[3], s.mac[4], s.mac[5]),
			 "link", s.link_up, "ready", s.ready, "queues", (int)s.channels,
			 "sent", (json_int_t)s.stats.sent, "sent_bytes",
			 (json_int_t)s.stats.sent_bytes, "received",
			 (json_int_t)s.stats.received, "received_bytes",
			 (json_int_t)s.stats.received_bytes, "send_errors",
			 (json_int_t)s.stats.send_errors, "dropped",
			 (json_int_t)s.stats.no_buffer);
}

static json_t *nics_json(const struct machine *m)
{
	json_t *all = json_array();

	for (unsigned int i = 0; i < CONFIG_NICS_MAX; i++) {
		if (m->nics[i])
			json_array_append_new(all, nic_json(i, m->nics[i]));
	}
	return all;
}

json_t *status_json(const struct machine *m)
{
	uint32_t v = vmbus_version(m->bus);

	return json_pack(
		"{s:s, s:s, s:s?, s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:o}",
		"state", machine_state_name(m->state), "health",
		m->critical ? "Critical" : "Ok", "reason", m->reason, "uptime_us",
		(json_int_t)uptime_us(m), "vmbus_version",
		v ? version_json(v >> 16, v & 0xffff) : json_null(), "heartbeat",
		ic_heartbeat_name(m->ic ? ic_heartbeat(m->ic) : IC_HEARTBEAT_DISABLED),
		"integration", integration_json(m), "crash", crash_json(&m->crash),
		"channels", channels_json(m), "vps", vps_json(m), "drives",
		drives_json(m), "resets", m->resets, "nics", nics_json(m));
}
