/* SPDX-License-Identifier: BSD-2-Clause */
/* The members that say how much of the host a VM may have: "host_memory", "cpu", "io". */
#include "config/config.h"

#include <inttypes.h>

#include "config/parse_priv.h"

/* A number of a vm_config's limits, between 0 or 1 (as the member's offset says) and its maximum. */
static int read_number(struct reader *r, const struct member *m, const json_t *v,
		       json_int_t min)
{
	unsigned int *ret = (unsigned int *)(void *)((char *)r->config + m->offset);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < min || (uint64_t)n > m->max)
		return parse_bad(r, "%s: must be an integer from %lld to %" PRIu64,
				 m->name, (long long)min, m->max);
	*ret = (unsigned int)n;
	return 0;
}

static int read_from_one(struct reader *r, const struct member *m, const json_t *v)
{
	return read_number(r, m, v, 1);
}

static int read_from_zero(struct reader *r, const struct member *m, const json_t *v)
{
	return read_number(r, m, v, 0);
}

static int read_bytes(struct reader *r, const struct member *m, const json_t *v)
{
	uint64_t *ret = (uint64_t *)(void *)((char *)r->config + m->offset);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > m->max)
		return parse_bad(r, "%s: must be an integer from 0 to %" PRIu64, m->name,
				 m->max);
	*ret = (uint64_t)n;
	return 0;
}

/* ---- memory ---- */

static int check_memory_limits(struct reader *r)
{
	const struct vm_config *c = r->config;
	const uint64_t least = c->memory_bytes + CONFIG_MEMORY_OVERHEAD;
	char text[CONFIG_SIZE_STR];

	config_format_size(least, text);
	if (c->limits.memory_limit && c->limits.memory_limit < least)
		return parse_bad(
			r,
			"host_memory.limit: must be at least %s, the VM's memory and "
			"what its worker needs, or 0 for none",
			text);
	if (c->limits.memory_limit && c->limits.memory_reserve > c->limits.memory_limit)
		return parse_bad(r,
				 "host_memory.reserve: is more than host_memory.limit");
	return 0;
}

/* Read behind "memory", against which it is checked. */
int parse_host_memory(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = {
		{ "limit", false, read_bytes,
		  offsetof(struct vm_config, limits.memory_limit),
		  CONFIG_MEMORY_LIMIT_MAX },
		{ "reserve", false, read_bytes,
		  offsetof(struct vm_config, limits.memory_reserve),
		  CONFIG_MEMORY_LIMIT_MAX },
		{ NULL },
	};
	int ret = parse_level(r, table, v, m->name);

	return ret < 0 ? ret : check_memory_limits(r);
}

/* ---- processors and I/O ---- */

int parse_cpu(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = {
		{ "weight", false, read_from_one,
		  offsetof(struct vm_config, limits.cpu_weight), CONFIG_WEIGHT_MAX },
		{ "limit", false, read_from_one,
		  offsetof(struct vm_config, limits.cpu_limit), 100 },
		{ "reserve", false, read_from_zero,
		  offsetof(struct vm_config, limits.cpu_reserve), 100 },
		{ NULL },
	};
	int ret = parse_level(r, table, v, m->name);

	if (ret < 0)
		return ret;
	if (r->config->limits.cpu_reserve > r->config->limits.cpu_limit)
		return parse_bad(r, "cpu.reserve: is more than cpu.limit");
	return 0;
}

int parse_io(struct reader *r, const struct member *m, const json_t *v)
{
	static const struct member table[] = {
		{ "weight", false, read_from_one,
		  offsetof(struct vm_config, limits.io_weight), CONFIG_WEIGHT_MAX },
		{ NULL },
	};

	return parse_level(r, table, v, m->name);
}
