/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive side scaling: which channel a flow's frames go to, by the Toeplitz hash of its addresses and the guest's table. Source: "RSS
 * hashing functions" and "RSS hashing types" of the Windows driver documentation, with its verification suite. Pure.
 */
#ifndef VSP_NETVSP_RSS_H
#define VSP_NETVSP_RSS_H

#include "proto/rndis.h"
#include "util/macros.h"

struct rss {
	bool enabled;
	uint32_t hash; /* NDIS_HASH_* types */
	uint8_t key[NDIS_RSS_KEY_BYTES];
	unsigned int entries;                  /* a power of two */
	uint8_t table[NDIS_RSS_TABLE_ENTRIES]; /* channels */
};

/* OID_GEN_RECEIVE_SCALE_PARAMETERS: an RNDIS_STATUS_*; nothing is changed by a failure. */
uint32_t rss_set(struct rss *rss, unsigned int channels, const uint8_t *value,
		 size_t len);
/* Toeplitz over `len` bytes, at most NDIS_RSS_KEY_BYTES - 4. */
uint32_t rss_hash(const uint8_t key[NDIS_RSS_KEY_BYTES], const uint8_t *data, size_t len);
/* The hash of a frame whose first `len` bytes are here. False: it is of no type that is hashed. */
bool rss_frame_hash(const struct rss *rss, const uint8_t *frame, size_t len,
		    uint32_t *ret);
/* The channel of a hash. */
static inline unsigned int rss_channel(const struct rss *rss, uint32_t hash)
{
	return rss->entries ? rss->table[hash & (rss->entries - 1)] : 0;
}

#endif
