/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A GPADL is described by one range: byte count, offset, page frame numbers. What does not fit the first message follows in bodies, each
 * with its number; the host answers when it has all.
 */
#include <errno.h>
#include "core/bus.h"
#include "core/mem.h"

#define HEADER_PFNS                                               \
	((VMBUS_MESSAGE_MAX - sizeof(struct vmbus_gpadl_header) - \
	  sizeof(struct vmbus_gpa_range)) /                       \
	 sizeof(uint64_t))
#define BODY_PFNS \
	((VMBUS_MESSAGE_MAX - sizeof(struct vmbus_gpadl_body)) / sizeof(uint64_t))
/* range_buflen has 16 bits */
#define PFNS_MAX ((UINT16_MAX - sizeof(struct vmbus_gpa_range)) / sizeof(uint64_t))

static size_t put_pfns(const struct core_env *env, uint8_t *to, const uint8_t *p,
		       size_t first, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t pfn = env->gpa(env->opaque, p + (first + i) * CORE_PAGE_SIZE) /
			       CORE_PAGE_SIZE;

		memcpy(to + i * sizeof(pfn), &pfn, sizeof(pfn));
	}
	return n * sizeof(uint64_t);
}

static size_t make_header(struct bus *bus, uint8_t *buf, uint32_t relid, uint32_t gpadl,
			  const void *p, size_t bytes)
{
	size_t pages = bytes / CORE_PAGE_SIZE;
	size_t first = pages < HEADER_PFNS ? pages : HEADER_PFNS;
	struct vmbus_gpa_range range = { .byte_count = (uint32_t)bytes };
	struct vmbus_gpadl_header h = {
		.header.message_type = CHANNELMSG_GPADL_HEADER,
		.child_relid = relid,
		.gpadl = gpadl,
		.range_buflen = (uint16_t)(sizeof(range) + pages * sizeof(uint64_t)),
		.range_count = 1,
	};

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &range, sizeof(range));
	return sizeof(h) + sizeof(range) +
	       put_pfns(bus->hv->env, buf + sizeof(h) + sizeof(range), p, 0, first);
}

static int post_body(struct bus *bus, uint32_t gpadl, uint32_t number, const void *p,
		     size_t first, size_t n)
{
	uint8_t buf[VMBUS_MESSAGE_MAX];
	struct vmbus_gpadl_body b = {
		.header.message_type = CHANNELMSG_GPADL_BODY,
		.message_number = number,
		.gpadl = gpadl,
	};

	memcpy(buf, &b, sizeof(b));
	return bus_post(bus, buf,
			sizeof(b) + put_pfns(bus->hv->env, buf + sizeof(b), p, first, n));
}

int bus_gpadl_create(struct bus *bus, uint32_t relid, const void *p, size_t bytes,
		     uint32_t *ret_gpadl)
{
	size_t pages = bytes / CORE_PAGE_SIZE, done = HEADER_PFNS, n;
	uint32_t gpadl = bus->next_gpadl, number = 1;
	struct vmbus_gpadl_created reply;
	uint8_t buf[VMBUS_MESSAGE_MAX];
	int r;

	if (!pages || bytes % CORE_PAGE_SIZE || pages > PFNS_MAX)
		return -EINVAL;
	if (!++bus->next_gpadl)
		bus->next_gpadl = 1;
	bus_expect(bus, CHANNELMSG_GPADL_CREATED,
		   offsetof(struct vmbus_gpadl_created, gpadl), gpadl);
	r = bus_post(bus, buf, make_header(bus, buf, relid, gpadl, p, bytes));
	for (; !r && done < pages; done += n) {
		n = pages - done < BODY_PFNS ? pages - done : BODY_PFNS;
		r = post_body(bus, gpadl, number++, p, done, n);
	}
	if (!r)
		r = bus_await(bus, &reply, sizeof(reply));
	if (r)
		return r;
	if (reply.status)
		return -EIO;
	*ret_gpadl = gpadl;
	return 0;
}

int bus_gpadl_teardown(struct bus *bus, uint32_t relid, uint32_t gpadl)
{
	const struct vmbus_gpadl_teardown m = {
		.header.message_type = CHANNELMSG_GPADL_TEARDOWN,
		.child_relid = relid,
		.gpadl = gpadl,
	};
	struct vmbus_gpadl_torndown reply;

	return bus_request(bus, &m, sizeof(m), CHANNELMSG_GPADL_TORNDOWN,
			   offsetof(struct vmbus_gpadl_torndown, gpadl), gpadl, &reply,
			   sizeof(reply));
}
