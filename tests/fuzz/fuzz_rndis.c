/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RNDIS from the guest: a byte says control or data, two bytes the length, then the message, which lies at the end of memory of its
 * own. A packet is taken apart, made into a frame, and its headers looked at as those of a frame to the guest are.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>

#include "fuzz/input.h"
#include "vsp/netvsp/frame.h"
#include "vsp/netvsp/rndis.h"

static void control(struct rndis *r, const uint8_t *message, size_t len)
{
	static uint8_t reply[RNDIS_CONTROL_MAX];
	size_t bytes = 0;

	if (rndis_control(r, message, len, reply, &bytes) == 0 && bytes > 1024)
		abort(); /* netvsp's parts of the receive buffer are to hold it */
	if (r->multicast_count > RNDIS_MULTICAST_MAX ||
	    r->rss.entries > NDIS_RSS_TABLE_ENTRIES)
		abort();
	for (unsigned int i = 0; i < r->rss.entries; i++) {
		if (r->rss.table[i] >= r->queues)
			abort();
	}
}

static void look(const struct rndis *r, const struct frame *f)
{
	uint8_t peek[64];
	uint32_t hash;

	for (size_t len = 0; len <= sizeof(peek); len += 16) {
		if (rndis_copy(f->iov, f->n, 0, peek, len) && len >= 14 &&
		    rndis_wants(r, peek))
			rss_frame_hash(&r->rss, peek, len, &hash);
	}
}

static void data_messages(const struct rndis *r, uint8_t *bytes, size_t len, size_t cut)
{
	const struct iovec iov[] = { { bytes, cut }, { bytes + cut, len - cut } };
	struct rndis_tx tx;
	struct frame f;
	size_t at = 0;

	for (unsigned int i = 0; i < RNDIS_PACKETS_MAX && at < len; i++) {
		size_t total = 0;

		if (rndis_packet_parse(iov, 2, at, len, &tx) < 0)
			return;
		if (frame_build(&f, iov, 2, &tx, i & 3) == 0) {
			for (unsigned int k = 0; k < f.n; k++)
				total += f.iov[k].iov_len;
			if (total != tx.frame_bytes + (tx.has_vlan ? 4 : 0) ||
			    f.meta.header_bytes > total)
				abort();
			look(r, &f);
		}
		at += tx.message_bytes;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rndis r = { .permanent = { 2 },
			   .frame_bytes = 1514,
			   .queues = 4,
			   .can_csum = true,
			   .can_lso = true };

	rndis_reset(&r);
	for (int i = 0; i < 64 && in.left; i++) {
		uint8_t what = input_u8(&in);
		size_t len = input_u8(&in) | (input_u8(&in) & 15u) << 8;
		uint8_t *message = malloc(len ? len : 1);

		if (!message)
			return 0;
		input_take(&in, message, len);
		if (what & 1)
			data_messages(&r, message, len, len ? what % len : 0);
		else
			control(&r, message, len);
		free(message);
	}
	return 0;
}
