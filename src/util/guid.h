/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUIDs in the byte order that Windows and Hyper-V put on the wire: the first three fields
 * little-endian ([MS-DTYP] 2.3.4.2). Thread: any.
 */
#ifndef UTIL_GUID_H
#define UTIL_GUID_H

#include "util/macros.h"

struct guid {
	uint8_t b[16];
};

/* GUID_INIT(0xf8615163, 0xdf3e, 0x46c5, 0x913f, 0xf2d2f965ed0e): the groups as they are printed. */
#define GUID_INIT(a, b_, c, d, e)                                                        \
	{                                                                                \
		{                                                                        \
			(uint8_t)(a), (uint8_t)((a) >> 8), (uint8_t)((a) >> 16),         \
				(uint8_t)((a) >> 24), (uint8_t)(b_),                     \
				(uint8_t)((b_) >> 8), (uint8_t)(c), (uint8_t)((c) >> 8), \
				(uint8_t)((d) >> 8), (uint8_t)(d), (uint8_t)((e) >> 40), \
				(uint8_t)((e) >> 32), (uint8_t)((e) >> 24),              \
				(uint8_t)((e) >> 16), (uint8_t)((e) >> 8), (uint8_t)(e), \
		}                                                                        \
	}

#define GUID_STR_LEN 37 /* with the final NUL */

bool guid_equal(const struct guid *a, const struct guid *b);
bool guid_is_null(const struct guid *g);
/* Lower case, no braces. `str` has room for GUID_STR_LEN bytes. */
void guid_format(const struct guid *g, char str[GUID_STR_LEN]);
/* 36 characters, either case, nothing before or behind; -EINVAL else, *ret untouched. */
int guid_parse(const char *str, struct guid *ret) __must_check;
/* A random (version 4) GUID. */
void guid_new(struct guid *ret);
/* The same for the same space and name, always (version 5, RFC 4122 4.3). */
void guid_derive(const struct guid *space, const char *name, struct guid *ret);

#endif
