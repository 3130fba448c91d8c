/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/gpadl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vid/guestmem.h"
#include "vmbus/gpadl_priv.h"

#define PAGE 4096u

uint64_t gpadl_bytes(const struct gpadl *g)
{
	return g->bytes;
}

/* The piece of a GPADL at `off`: its address and how many of `len` bytes lie in the same page. Inside the GPADL, hence RAM. */
static uint8_t *piece(const struct gpadl *g, uint64_t off, uint64_t len, size_t *ret_n)
{
	uint64_t at = off + g->offset;
	uint64_t in_page = at % PAGE;

	*ret_n = MIN(len, PAGE - in_page);
	return guestmem_ptr(g->table->gm, g->pfns[at / PAGE] * PAGE + in_page, *ret_n);
}

int gpadl_iov(const struct gpadl *g, uint64_t off, uint64_t len, struct iovec *iov,
	      unsigned int max, unsigned int *ret_n)
{
	unsigned int count = 0;
	size_t n;

	if (!range_ok(off, len, g->bytes))
		return -ERANGE;
	for (; len; len -= n, off += n) {
		uint8_t *ptr = piece(g, off, len, &n);
		struct iovec *last = count ? &iov[count - 1] : NULL;

		if (last && (uint8_t *)last->iov_base + last->iov_len == ptr) {
			last->iov_len += n;
			continue;
		}
		if (count == max)
			return -E2BIG;
		iov[count++] = (struct iovec){ ptr, n };
	}
	*ret_n = count;
	return 0;
}

int gpadl_read(const struct gpadl *g, uint64_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t n;

	if (!range_ok(off, len, g->bytes))
		return -ERANGE;
	for (; len; len -= n, off += n, to += n) {
		const uint8_t *ptr = piece(g, off, len, &n);

		memcpy(to, ptr, n);
	}
	return 0;
}

int gpadl_write(const struct gpadl *g, uint64_t off, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	size_t n;

	if (!range_ok(off, len, g->bytes))
		return -ERANGE;
	for (; len; len -= n, off += n, from += n) {
		uint8_t *ptr = piece(g, off, len, &n);

		memcpy(ptr, from, n);
	}
	return 0;
}

int gpadl_ring_pages(const struct gpadl *g, void ***ret, unsigned int *ret_n)
{
	size_t count = g->bytes / PAGE;
	void **pages;

	if (g->range_count != 1 || g->offset || g->bytes % PAGE || !count)
		return -EINVAL;
	pages = calloc(count, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		pages[i] = guestmem_ptr(g->table->gm, g->pfns[i] * PAGE, PAGE);
	*ret = pages;
	*ret_n = (unsigned int)count;
	return 0;
}
