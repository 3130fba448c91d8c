/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each space is an array sorted by base, without overlaps; a lookup is a binary search. It changes only while no VP
 * runs (the pause barrier orders the change before the next lookup), so lookups take no lock.
 */
#include "vid/iobus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REGIONS_MAX \
	256 /* of one space; a bound for callers' mistakes, no guest adds regions */

struct region {
	uint64_t base, len;
	const char *name;
	const struct iobus_ops *ops;
	void *opaque;
};

struct space {
	size_t n;
	struct region region[REGIONS_MAX];
};

struct iobus {
	struct space space[2];
};

int iobus_new(struct iobus **ret)
{
	struct iobus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return -ENOMEM;
	*ret = bus;
	return 0;
}

void iobus_free(struct iobus *bus)
{
	free(bus);
}

/* The index of the last region whose base is at or below addr, plus one; 0 when there is none. */
static size_t upper(const struct space *s, uint64_t addr)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->region[mid].base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct region *find(const struct space *s, uint64_t addr, uint64_t len)
{
	size_t i = upper(s, addr);
	const struct region *r;

	if (!i)
		return NULL;
	r = &s->region[i - 1];
	return range_ok(addr - r->base, len, r->len) ? r : NULL;
}

int iobus_add(struct iobus *bus, enum iobus_space space, uint64_t base, uint64_t len,
	      const char *name, const struct iobus_ops *ops, void *opaque)
{
	struct space *s = &bus->space[space];
	uint64_t last;
	size_t i = upper(s, base);

	if (!len || add_overflow(base, len - 1, &last))
		return -EINVAL;
	if (space == IOBUS_PIO && last > UINT16_MAX)
		return -EINVAL;
	if (s->n == REGIONS_MAX)
		return -ENOSPC;
	if (i && s->region[i - 1].len > base - s->region[i - 1].base)
		return -EEXIST;
	if (i < s->n && s->region[i].base <= last)
		return -EEXIST;
	memmove(&s->region[i + 1], &s->region[i], (s->n - i) * sizeof(s->region[0]));
	s->region[i] = (struct region){ base, len, name, ops, opaque };
	s->n++;
	return 0;
}

void iobus_del(struct iobus *bus, enum iobus_space space, uint64_t base)
{
	struct space *s = &bus->space[space];
	size_t i = upper(s, base);

	if (!i || s->region[i - 1].base != base)
		return;
	s->n--;
	memmove(&s->region[i - 1], &s->region[i], (s->n - i + 1) * sizeof(s->region[0]));
}

static bool whole(unsigned int len)
{
	return len == 1 || len == 2 || len == 4 || len == 8;
}

static uint64_t ones(unsigned int len)
{
	return len >= 8 ? UINT64_MAX : (1ull << (8 * len)) - 1;
}

/*
 * What does not fit one region, or has an odd length (KVM splits an access at a page's end into such), goes byte by byte,
 * as a bus with byte lanes has it.
 */
uint64_t iobus_read(struct iobus *bus, enum iobus_space space, uint64_t addr,
		    unsigned int len)
{
	const struct space *s = &bus->space[space];
	const struct region *r = whole(len) ? find(s, addr, len) : NULL;
	uint64_t value = 0;

	if (r)
		return r->ops->read(r->opaque, addr - r->base, len) & ones(len);
	for (unsigned int i = 0; i < MIN(len, 8u); i++) {
		r = find(s, addr + i, 1);
		value |=
			(r ? r->ops->read(r->opaque, addr + i - r->base, 1) & 0xff : 0xff)
			<< (8 * i);
	}
	return value;
}

void iobus_write(struct iobus *bus, enum iobus_space space, uint64_t addr,
		 unsigned int len, uint64_t value)
{
	const struct space *s = &bus->space[space];
	const struct region *r = whole(len) ? find(s, addr, len) : NULL;

	if (r) {
		r->ops->write(r->opaque, addr - r->base, len, value & ones(len));
		return;
	}
	for (unsigned int i = 0; i < MIN(len, 8u); i++) {
		r = find(s, addr + i, 1);
		if (r)
			r->ops->write(r->opaque, addr + i - r->base, 1,
				      value >> (8 * i) & 0xff);
	}
}
