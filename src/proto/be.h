/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Big-endian fields: types that are no integers, so that forgetting to convert does not compile. Byte arrays inside, so they
 * stand at any address. No state.
 */
#ifndef PROTO_BE_H
#define PROTO_BE_H

#include <stdint.h>

typedef struct {
	uint8_t b[2];
} be16_t;
typedef struct {
	uint8_t b[4];
} be32_t;
typedef struct {
	uint8_t b[8];
} be64_t;

static inline uint16_t be16_get(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t be32_get(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint64_t be64_get(const void *p)
{
	return (uint64_t)be32_get(p) << 32 | be32_get((const uint8_t *)p + 4);
}

static inline be16_t be16(uint16_t v)
{
	return (be16_t){ { (uint8_t)(v >> 8), (uint8_t)v } };
}

static inline be32_t be32(uint32_t v)
{
	return (be32_t){ { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			   (uint8_t)v } };
}

static inline be64_t be64(uint64_t v)
{
	be32_t hi = be32((uint32_t)(v >> 32)), lo = be32((uint32_t)v);

	return (be64_t){ { hi.b[0], hi.b[1], hi.b[2], hi.b[3], lo.b[0], lo.b[1], lo.b[2],
			   lo.b[3] } };
}

#endif
