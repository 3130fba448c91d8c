/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/meter_sum.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA 1

static const char *const keys[METER_NUMBERS] = {
	[METER_RUNNING_US] = "running_us",
	[METER_CPU_US] = "cpu_us",
	[METER_MEMORY_MIN] = "memory_min_bytes",
	[METER_MEMORY_MAX] = "memory_max_bytes",
	[METER_MEMORY_KIB_S] = "memory_kib_s",
	[METER_READ_BYTES] = "read_bytes",
	[METER_WRITE_BYTES] = "write_bytes",
	[METER_OPERATIONS] = "operations",
	[METER_NORMALIZED] = "normalized_operations",
	[METER_LATENCY_US] = "latency_us",
	[METER_RECEIVED_BYTES] = "received_bytes",
	[METER_SENT_BYTES] = "sent_bytes",
};

/* What is summed, over all instances of a set. */
static const struct source {
	enum meter_number number;
	const char *set, *key;
} sources[] = {
	{ METER_CPU_US, "vp", "run_time_us" },
	{ METER_READ_BYTES, "storage", "read_bytes" },
	{ METER_WRITE_BYTES, "storage", "write_bytes" },
	{ METER_OPERATIONS, "storage", "operations" },
	{ METER_NORMALIZED, "storage", "normalized_operations" },
	{ METER_LATENCY_US, "storage", "latency_us" },
	{ METER_RECEIVED_BYTES, "network", "received_bytes" },
	{ METER_SENT_BYTES, "network", "sent_bytes" },
};

static void add(struct meter_sum *s, enum meter_number which, uint64_t n)
{
	uint64_t most = INT64_MAX; /* JSON's integers */

	s->n[which] = n > most - s->n[which] ? most : s->n[which] + n;
}

void meter_sum_begin(struct meter_sum *s, const char *now)
{
	*s = (struct meter_sum){ 0 };
	snprintf(s->since, sizeof(s->since), "%s", now);
}

void meter_sum_done(struct meter_sum *s)
{
	json_decref(s->last);
	s->last = NULL;
}

static uint64_t number(const json_t *obj, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(obj, key));

	return n > 0 ? (uint64_t)n : 0;
}

static const char *text(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}

/* ---- readings ---- */

static bool is_summed(const char *set)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		if (strcmp(sources[i].set, set) == 0)
			return true;
	}
	return false;
}

/* The reading that the next one is compared with: what is summed, and no more, for it goes to a file. */
static json_t *keep(const struct meter_reading *r)
{
	json_t *sets = json_array(), *one;
	size_t i;

	json_array_foreach (r->sets, i, one) {
		json_t *few, *n;

		if (!is_summed(text(one, "set")))
			continue;
		few = json_object();
		for (size_t k = 0; k < ARRAY_SIZE(sources); k++) {
			n = json_object_get(json_object_get(one, "counters"),
					    sources[k].key);
			if (n && strcmp(sources[k].set, text(one, "set")) == 0)
				json_object_set(few, sources[k].key, n);
		}
		json_array_append_new(sets,
				      json_pack("{s:s, s:s, s:o}", "set",
						text(one, "set"), "instance",
						text(one, "instance"), "counters", few));
	}
	return json_pack("{s:s, s:I, s:o}", "worker", r->worker, "time_us",
			 (json_int_t)r->time_us, "sets", sets);
}

int meter_sum_base(struct meter_sum *s, const struct meter_reading *r)
{
	json_t *last = keep(r);

	if (!last)
		return -ENOMEM;
	json_decref(s->last);
	s->last = last;
	return 0;
}

static const json_t *find(const json_t *sets, const char *set, const char *instance)
{
	const json_t *one;
	size_t i;

	json_array_foreach (sets, i, one) {
		if (strcmp(text(one, "set"), set) == 0 &&
		    strcmp(text(one, "instance"), instance) == 0)
			return json_object_get(one, "counters");
	}
	return NULL;
}

static void add_instance(struct meter_sum *s, const json_t *one, const json_t *before)
{
	const json_t *after = json_object_get(one, "counters");

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		const struct source *from = &sources[i];
		uint64_t then, now;

		if (strcmp(from->set, text(one, "set")) != 0)
			continue;
		then = number(before, from->key);
		now = number(after, from->key);
		add(s, from->number, now >= then ? now - then : now);
	}
}

static void add_memory(struct meter_sum *s, const json_t *sets, uint64_t interval_us)
{
	uint64_t bytes = number(find(sets, "memory", ""), "physical_bytes"), kib_us;

	if (!bytes)
		return; /* the worker is ending */
	if (!s->n[METER_MEMORY_MIN] || bytes < s->n[METER_MEMORY_MIN])
		s->n[METER_MEMORY_MIN] = bytes;
	s->n[METER_MEMORY_MAX] = MAX(s->n[METER_MEMORY_MAX], bytes);
	if (mul_overflow(bytes / 1024, interval_us, &kib_us))
		kib_us = UINT64_MAX;
	add(s, METER_MEMORY_KIB_S, kib_us / 1000000);
}

int meter_sum_add(struct meter_sum *s, const struct meter_reading *r)
{
	bool same = strcmp(text(s->last, "worker"), r->worker) == 0 &&
		    number(s->last, "time_us") <= r->time_us;
	const json_t *before = same ? json_object_get(s->last, "sets") : NULL, *one;
	uint64_t interval = same ? r->time_us - number(s->last, "time_us") : r->uptime_us;
	size_t i;

	add(s, METER_RUNNING_US, interval);
	json_array_foreach (r->sets, i, one)
		add_instance(s, one,
			     find(before, text(one, "set"), text(one, "instance")));
	add_memory(s, r->sets, interval);
	return meter_sum_base(s, r);
}

/* ---- documents ---- */

json_t *meter_sum_to_json(const struct meter_sum *s)
{
	json_t *j = json_pack("{s:i, s:s, s:O?}", "schema", SCHEMA, "since", s->since,
			      "last", s->last);

	for (size_t i = 0; i < METER_NUMBERS; i++)
		json_object_set_new(j, keys[i], json_integer((json_int_t)s->n[i]));
	return j;
}

int meter_sum_from_json(const json_t *j, struct meter_sum *ret)
{
	const json_t *last = json_object_get(j, "last");
	const char *since = text(j, "since");
	struct meter_sum s;

	if (number(j, "schema") != SCHEMA || !since[0] ||
	    strlen(since) >= sizeof(s.since) ||
	    (!json_is_null(last) && !json_is_object(last)))
		return -EINVAL;
	meter_sum_begin(&s, since);
	for (size_t i = 0; i < METER_NUMBERS; i++)
		s.n[i] = number(j, keys[i]);
	s.last = json_is_object(last) ? json_deep_copy(last) : NULL;
	if (json_is_object(last) && !s.last)
		return -ENOMEM;
	*ret = s;
	return 0;
}

int meter_sum_report(const struct meter_sum *s, json_t *to)
{
	uint64_t seconds = s->n[METER_RUNNING_US] / 1000000;
	uint64_t average = seconds ? s->n[METER_MEMORY_KIB_S] / seconds * 1024 : 0;
	int r = json_object_set_new(to, "since", json_string(s->since));

	for (size_t i = 0; i < METER_NUMBERS; i++) {
		if (i != METER_MEMORY_KIB_S)
			r |= json_object_set_new(to, keys[i],
						 json_integer((json_int_t)s->n[i]));
	}
	/* Before the first second is over the last look is as good. */
	if (average < s->n[METER_MEMORY_MIN])
		average = s->n[METER_MEMORY_MIN];
	average = MIN(average, s->n[METER_MEMORY_MAX]);
	r |= json_object_set_new(to, "memory_average_bytes",
				 json_integer((json_int_t)average));
	return r ? -ENOMEM : 0;
}
