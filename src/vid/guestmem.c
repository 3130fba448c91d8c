/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Anonymous memory in two banks: bank 0 from GPA 0 to the hole, bank 1 from 4 GiB on. Nothing is touched ahead: memory is used from
 * the guest's (or a loader's) first access on. Between the banks lies the hole, so a range that leaves a bank has left RAM.
 *
 * It is anonymous and not a memfd's because the host backs the former with huge pages when asked (MADV_HUGEPAGE), and
 * the latter only where an administrator has allowed it for shared memory, which no distribution does (docs/architecture.md).
 */
#include "vid/guestmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include "util/cleanup.h"

#define GUESTMEM_UNIT (2ull << 20) /* of sizes, and a huge page of the host */
#define GUESTMEM_MAX (1ull << 44)  /* 16 TiB: what four-level guests and memslots hold */

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

struct guestmem {
	size_t n;
	uint64_t bytes;
	struct guestmem_bank bank[GUESTMEM_BANKS_MAX];
};

/* Address space that begins where a huge page can: one unit more is taken, and both ends given back. */
static void *map_aligned(uint64_t bytes)
{
	char *all = mmap(NULL, bytes + GUESTMEM_UNIT, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t head;

	if (all == MAP_FAILED)
		return NULL;
	head = align_up((uintptr_t)all, GUESTMEM_UNIT) - (uintptr_t)all;
	if (head)
		munmap(all, head);
	if (head < GUESTMEM_UNIT)
		munmap(all + head + bytes, GUESTMEM_UNIT - head);
	return all + head;
}

static int bank_map(struct guestmem *gm, uint64_t gpa, uint64_t bytes)
{
	struct guestmem_bank *b = &gm->bank[gm->n];
	void *host = map_aligned(bytes);

	if (!host)
		return -errno;
	/* Each a wish: small pages and a nameless mapping work, too. */
	(void)madvise(host, bytes, MADV_HUGEPAGE);
	(void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, host, bytes, "guest memory");
	/* A core dump of the worker must not carry the guest's secrets. */
	(void)madvise(host, bytes, MADV_DONTDUMP);
	*b = (struct guestmem_bank){ .gpa = gpa, .bytes = bytes, .host = host };
	gm->n++;
	return 0;
}

static int banks_map(struct guestmem *gm)
{
	uint64_t low = MIN(gm->bytes, GUESTMEM_HOLE_BASE);
	int r = bank_map(gm, 0, low);

	if (!r && gm->bytes > low)
		r = bank_map(gm, GUESTMEM_HIGH_BASE, gm->bytes - low);
	return r;
}

int guestmem_new(uint64_t bytes, struct guestmem **ret)
{
	struct guestmem *gm;
	int r;

	if (!bytes || bytes > GUESTMEM_MAX || !is_aligned(bytes, GUESTMEM_UNIT))
		return -EINVAL;
	gm = calloc(1, sizeof(*gm));
	if (!gm)
		return -ENOMEM;
	gm->bytes = bytes;
	r = banks_map(gm);
	if (r) {
		guestmem_free(gm);
		return r;
	}
	*ret = gm;
	return 0;
}

void guestmem_free(struct guestmem *gm)
{
	if (!gm)
		return;
	for (size_t i = 0; i < gm->n; i++)
		munmap(gm->bank[i].host, gm->bank[i].bytes);
	free(gm);
}

size_t guestmem_banks(const struct guestmem *gm, const struct guestmem_bank **ret)
{
	*ret = gm->bank;
	return gm->n;
}

uint64_t guestmem_bytes(const struct guestmem *gm)
{
	return gm->bytes;
}

void *guestmem_ptr(const struct guestmem *gm, uint64_t gpa, uint64_t len)
{
	for (size_t i = 0; i < gm->n; i++) {
		const struct guestmem_bank *b = &gm->bank[i];

		if (gpa >= b->gpa && range_ok(gpa - b->gpa, len, b->bytes))
			return (char *)b->host + (gpa - b->gpa);
	}
	return NULL;
}

int guestmem_read(const struct guestmem *gm, uint64_t gpa, void *buf, size_t len)
{
	const void *p = guestmem_ptr(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

int guestmem_write(const struct guestmem *gm, uint64_t gpa, const void *buf, size_t len)
{
	void *p = guestmem_ptr(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}

int guestmem_zero(const struct guestmem *gm, uint64_t gpa, size_t len)
{
	void *p = guestmem_ptr(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memset(p, 0, len);
	return 0;
}

int guestmem_discard(struct guestmem *gm)
{
	for (size_t i = 0; i < gm->n; i++) {
		if (madvise(gm->bank[i].host, gm->bank[i].bytes, MADV_DONTNEED) < 0)
			return -errno;
	}
	return 0;
}
