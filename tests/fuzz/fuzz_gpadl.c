/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of GPADLs under any headers and bodies, with users that come and go: what is ready lies in RAM with every byte, the bounds hold, and
 * at the end nothing is left.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include "fuzz/input.h"
#include "vid/guestmem.h"
#include "vmbus/gpadl_table.h"

#define USERS 4
#define RAM (2u << 20)
#define STEPS_MAX 2000

#define MUST(cond)                                           \
	do {                                                 \
		if (!(cond)) {                               \
			fprintf(stderr, "not: %s\n", #cond); \
			abort();                             \
		}                                            \
	} while (0)

static struct guestmem *gm; /* made once */

static void notify(void *opaque)
{
	++*(unsigned int *)opaque;
}

/* Words of ranges: half of them sensible. */
static size_t words(struct input *in, uint64_t *buf, size_t max)
{
	size_t n = input_u8(in) % (max + 1);

	for (size_t i = 0; i < n; i++) {
		unsigned int kind = input_u8(in);

		if (kind < 100)
			buf[i] = input_u8(in) * 2u; /* a page, or nearly */
		else if (kind < 200)
			buf[i] = input_u8(in) * 1000u; /* a range's bytes */
		else
			input_take(in, &buf[i], sizeof(buf[i]));
	}
	return n;
}

static void use(const struct gpadl *g, struct input *in)
{
	uint8_t *ram = guestmem_ptr(gm, 0, RAM);
	uint64_t off = input_u32(in), len = input_u32(in), sum = 0;
	struct iovec iov[8];
	unsigned int n;
	char c[64];

	if (input_u8(in) % 4)
		off %= gpadl_bytes(g) + 2, len %= gpadl_bytes(g) + 2;
	(void)!gpadl_read(g, off, c, len % sizeof(c));
	(void)!gpadl_write(g, off, c, len % sizeof(c));
	if (gpadl_iov(g, off, len, iov, ARRAY_SIZE(iov), &n))
		return;
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *from = iov[i].iov_base;

		MUST(from >= ram && from + iov[i].iov_len <= ram + RAM);
		sum += iov[i].iov_len;
	}
	MUST(sum == len);
}

static void step(struct gpadl_table *t, struct gpadl **users, struct input *in)
{
	unsigned int op = input_u8(in) % 8, u = op % USERS;
	uint32_t id = input_u8(in) % 4, relid = input_u8(in) % 2 + 1;
	uint64_t buf[30];
	void **pages = NULL;
	unsigned int n;
	size_t count;

	switch (op) {
	case 0:
	case 1:
		n = input_u8(in) % 3 + (input_u8(in) > 250) * 60000u;
		count = words(in, buf, 8);
		(void)!gpadl_table_begin(t, relid, id,
					 input_u8(in) % 2 ? count * 8 : input_u8(in) * 8u,
					 n, buf, count * 8);
		break;
	case 2:
		count = words(in, buf, 30);
		(void)!gpadl_table_append(t, id, buf, count * 8, &relid);
		break;
	case 3:
	case 4:
		if (users[u])
			gpadl_unref(users[u]);
		users[u] = NULL;
		if (gpadl_table_get(t, id, &relid, 1, &users[u]))
			break;
		use(users[u], in);
		if (!gpadl_ring_pages(users[u], &pages, &n))
			free(pages);
		break;
	case 5:
		(void)!gpadl_table_teardown(t, relid, id);
		break;
	case 6:
		(void)!gpadl_table_reap(t, &id);
		break;
	default:
		gpadl_table_drop(t, input_u8(in) % 3);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct gpadl *users[USERS] = { NULL };
	unsigned int notified = 0;
	struct gpadl_table t;

	if (!gm && guestmem_new(RAM, &gm))
		abort();
	gpadl_table_init(&t, gm, notify, &notified);
	for (unsigned int n = 0; in.left && n < STEPS_MAX; n++) {
		step(&t, users, &in);
		MUST(t.count <= GPADL_COUNT_MAX && t.words <= GPADL_PAGES_TOTAL_MAX);
	}
	for (unsigned int u = 0; u < USERS; u++) {
		if (users[u])
			gpadl_unref(users[u]);
	}
	gpadl_table_drop(&t, 0);
	MUST(!t.count && !t.words);
	gpadl_table_done(&t);
	return 0;
}
