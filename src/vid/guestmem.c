/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One memfd holds all banks, one behind the other: bank 0 from GPA 0 to the hole, bank 1 from 4 GiB on. Nothing is touched
 * ahead: a page costs memory from the guest's (or a loader's) first access on. Between the banks lies the hole, so a
 * range that leaves a bank has left RAM.
 */
#include "vid/guestmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "util/cleanup.h"

#define GUESTMEM_UNIT (2ull << 20)
#define GUESTMEM_MAX (1ull << 44) /* 16 TiB: what four-level guests and memslots hold */

struct guestmem {
	int fd;
	size_t n;
	uint64_t bytes;
	struct guestmem_bank bank[GUESTMEM_BANKS_MAX];
};

static int bank_map(struct guestmem *gm, uint64_t gpa, uint64_t bytes, uint64_t offset)
{
	struct guestmem_bank *b = &gm->bank[gm->n];
	void *host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			  gm->fd, (off_t)offset);

	if (host == MAP_FAILED)
		return -errno;
	/* A core dump of the worker must not carry the guest's secrets. */
	(void)madvise(host, bytes, MADV_DONTDUMP);
	*b = (struct guestmem_bank){
		.gpa = gpa, .bytes = bytes, .fd_offset = offset, .host = host
	};
	gm->n++;
	return 0;
}

static int banks_map(struct guestmem *gm)
{
	uint64_t low = MIN(gm->bytes, GUESTMEM_HOLE_BASE);
	int r;

	gm->fd = memfd_create("guest", MFD_CLOEXEC);
	if (gm->fd < 0)
		return -errno;
	if (ftruncate(gm->fd, (off_t)gm->bytes) < 0)
		return -errno;
	r = bank_map(gm, 0, low, 0);
	if (!r && gm->bytes > low)
		r = bank_map(gm, GUESTMEM_HIGH_BASE, gm->bytes - low, low);
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
	gm->fd = -1;
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
	if (gm->fd >= 0)
		close(gm->fd);
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

int guestmem_fd(const struct guestmem *gm)
{
	return gm->fd;
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
	/* Takes the pages out of every mapping of the file too. */
	if (fallocate(gm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      (off_t)gm->bytes) < 0)
		return -errno;
	return 0;
}
