/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/guid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uuid/uuid.h>

bool guid_equal(const struct guid *a, const struct guid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool guid_is_null(const struct guid *g)
{
	static const struct guid zero;

	return guid_equal(g, &zero);
}

/* libuuid keeps every field big-endian; swapping the first three converts either way. */
static void guid_swap(uint8_t out[16], const uint8_t in[16])
{
	static const uint8_t order[16] = { 3, 2, 1,  0,  5,  4,  7,  6,
					   8, 9, 10, 11, 12, 13, 14, 15 };

	for (size_t i = 0; i < 16; i++)
		out[i] = in[order[i]];
}

void guid_format(const struct guid *g, char str[GUID_STR_LEN])
{
	uuid_t u;

	guid_swap(u, g->b);
	uuid_unparse_lower(u, str);
}

int guid_parse(const char *str, struct guid *ret)
{
	uuid_t u;

	if (strlen(str) != GUID_STR_LEN - 1 || uuid_parse(str, u) < 0)
		return -EINVAL;
	guid_swap(ret->b, u);
	return 0;
}

void guid_new(struct guid *ret)
{
	uint8_t u[16];

	/* Not libuuid's: that asks for more than a worker in its sandbox may. So few bytes come whole, or not at all (getrandom(2)). */
	while (getrandom(u, sizeof(u), 0) != sizeof(u))
		;
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40); /* RFC 4122 4.4 */
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	guid_swap(ret->b, u);
}

void guid_derive(const struct guid *space, const char *name, struct guid *ret)
{
	uuid_t ns, u;

	guid_swap(ns, space->b);
	uuid_generate_sha1(u, ns, name, strlen(name));
	guid_swap(ret->b, u);
}
