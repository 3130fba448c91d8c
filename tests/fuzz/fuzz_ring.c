/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring pair whose guest writes anything anywhere in it, between all that the host does: no access outside of the pages, indices in their bounds,
 * and what is received is a packet that takes apart into ranges inside RAM or is refused.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include "fuzz/input.h"
#include "vid/guestmem.h"
#include "vmbus/packet.h"
#include "vmbus/ring.h"

#define PAGES 3u
#define PACKET_MAX 2048u
#define STEPS_MAX 2000

#define MUST(cond)                                           \
	do {                                                 \
		if (!(cond)) {                               \
			fprintf(stderr, "not: %s\n", #cond); \
			abort();                             \
		}                                            \
	} while (0)

static struct guestmem *gm; /* two MiB, made once */

static void take_apart(const void *buf, size_t len)
{
	struct iovec iov[8];
	struct packet p;
	unsigned int n;
	uint64_t sum = 0;

	if (packet_parse(buf, len, &p))
		return;
	MUST((const uint8_t *)p.payload + p.payload_bytes <= (const uint8_t *)buf + len);
	if (packet_iov(&p, gm, iov, ARRAY_SIZE(iov), &n))
		return;
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *from = iov[i].iov_base, *ram = guestmem_ptr(gm, 0, 2u << 20);

		MUST(from >= ram && from + iov[i].iov_len <= ram + (2u << 20));
		sum += iov[i].iov_len;
	}
	MUST(sum == packet_range_bytes(&p));
}

static void receive(struct ring *r)
{
	_Alignas(8) static uint8_t buf[PACKET_MAX];
	size_t len = 0;

	if (ring_recv(r, buf, sizeof(buf), &len))
		return;
	MUST(len >= 16 && len <= sizeof(buf));
	take_apart(buf, len);
}

static void send_some(struct ring *r, struct input *in)
{
	static uint8_t bytes[3 * 4096];
	size_t len = input_u32(in) % sizeof(bytes), half = len / 2;
	struct iovec iov[2] = { { bytes, half }, { bytes + half, len - half } };

	if (ring_send(r, iov, 2))
		(void)!ring_send_wait(r, len);
}

/* The guest: a word of a header, or bytes of the data. */
static void scribble(uint8_t *mem, struct input *in, unsigned int op)
{
	uint32_t at = input_u32(in);

	if (op % 2) {
		uint32_t word = input_u8(in) % 2 ? input_u32(in) : input_u8(in) * 8u;

		at = (at % 2 ? PAGES * 4096 : 0) + at / 2 % 20 * 4;
		memcpy(mem + at, &word, sizeof(word));
	} else {
		at = (at % 2 ? PAGES * 4096 : 0) + 4096 + at / 2 % 8000;
		input_take(in, mem + at, input_u8(in) % 64);
	}
}

static void host_step(struct ring *r, struct input *in, unsigned int op)
{
	switch (op % 8) {
	case 0:
	case 1:
		receive(r);
		break;
	case 2:
		(void)!ring_recv_commit(r);
		break;
	case 3:
		send_some(r, in);
		break;
	case 4:
		(void)!ring_send_commit(r);
		break;
	case 5:
		ring_recv_mask(r);
		break;
	case 6:
		(void)!ring_recv_unmask(r);
		break;
	default:
		(void)ring_recv_ready(r);
		(void)ring_send_unread(r);
		break;
	}
}

static void check(const struct ring_half *h)
{
	MUST(h->index < h->size && h->index % 8 == 0);
	MUST(h->published < h->size && h->published % 8 == 0);
	MUST(h->peer < h->size && h->peer % 8 == 0);
}

static void run(struct ring *r, uint8_t *mem, struct input *in)
{
	for (unsigned int n = 0; in->left && n < STEPS_MAX; n++) {
		unsigned int op = input_u8(in);

		if (op < 128)
			scribble(mem, in, op);
		else
			host_step(r, in, op);
		check(&r->in);
		check(&r->out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t *mem = aligned_alloc(4096, 2 * PAGES * 4096);
	void *pages[2 * PAGES];
	struct ring r;
	unsigned int order;

	if (!gm && guestmem_new(2u << 20, &gm))
		abort();
	MUST(mem);
	memset(mem, 0, 2 * PAGES * 4096);
	order = input_u8(&in) % 2; /* data pages as neighbours, or not */
	for (unsigned int i = 0; i < 2 * PAGES; i++)
		pages[i] =
			mem +
			(i % PAGES ? (i / PAGES * PAGES + 1 + ((i % PAGES - 1) ^ order))
				   : i) *
				4096ul;
	if (input_u8(&in) < 16) /* a guest whose indices are wrong from the start */
		input_take(&in, mem, 20);
	if (!ring_init(&r, pages, PAGES, PAGES)) {
		run(&r, mem, &in);
		ring_done(&r);
	}
	free(mem);
	return 0;
}
