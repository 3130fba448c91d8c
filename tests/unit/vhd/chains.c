/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vhd/chains.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "unit/test.h"

static struct aio *aio;
struct image_error error;
struct image_file files[IMAGE_CHAIN_MAX + 1];
struct disk *disk;
uint8_t *model, *buf;
static uint64_t seed;
static int result;

uint64_t random_to(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

void chains_setup(void)
{
	struct aio_params ap = { 0 };

	ck_assert_int_eq(aio_new(&ap, &aio), 0);
	model = calloc(1, DISK_MAX);
	buf = malloc(DISK_MAX);
	seed = 0x9e3779b97f4a7c15;
}

void chains_teardown(void)
{
	aio_free(aio);
	free(model);
	free(buf);
}

static void done(struct disk_req *req, int r)
{
	result = r;
}

int run(struct disk *d, enum disk_op op, unsigned int flags, uint64_t off, uint64_t len,
	uint8_t *data)
{
	/* Several elements, so that they are cut. What moves no data has none. */
	uint8_t *p = data ? data : buf;
	struct iovec iov[3] = { { p, len / 4 },
				{ p + len / 4, len / 2 },
				{ p + len / 4 + len / 2, len - len / 4 - len / 2 } };
	struct disk_req req = { .op = op,
				.flags = flags,
				.off = off,
				.len = len,
				.iov = iov,
				.iovcnt = 3,
				.done = done };

	disk_submit(d, aio, &req);
	aio_drain(aio);
	return result;
}

int new_file(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Opens files[from..from + n) of which the descriptors stay the test's. */
int try_chain(unsigned int from, unsigned int n, bool read_only, struct disk **ret)
{
	struct image_file dups[IMAGE_CHAIN_MAX + 1];
	struct image_params params;
	int r;

	for (unsigned int i = 0; i < n; i++)
		dups[i] = (struct image_file){ dup(files[from + i].fd),
					       files[from + i].format };
	params = (struct image_params){ .files = dups,
					.nfiles = n,
					.read_only = read_only };
	r = image_open(&params, ret, &error);
	for (unsigned int i = 0; r < 0 && i < n; i++)
		close(dups[i].fd);
	return r;
}

struct disk *open_chain(unsigned int from, unsigned int n, bool read_only)
{
	struct disk *d;
	int r = try_chain(from, n, read_only, &d);

	ck_assert_msg(r == 0, "%s", error.message);
	return d;
}

/* files[at], over files[at + 1..at + below]. */
void make(unsigned int at, unsigned int below, uint64_t bytes, uint32_t logical,
	  uint32_t block)
{
	struct image_create_params p = {
		.format = IMAGE_VHDX,
		.kind = below ? IMAGE_DIFFERENCING : IMAGE_DYNAMIC,
		.disk_bytes = bytes,
		.block_bytes = block,
		.logical_bytes = logical,
		.parent = below ? open_chain(at + 1, below, true) : NULL,
		.parent_relative = "base.vhdx",
		.parent_absolute = "/vm/base.vhdx",
	};

	files[at] = (struct image_file){ new_file(), IMAGE_VHDX };
	ck_assert_msg(image_create(files[at].fd, &p, &error) == 0, "%s", error.message);
	disk_unref(p.parent);
}

void close_files(unsigned int n)
{
	while (n)
		close(files[--n].fd);
}

void fill(uint8_t *p, uint64_t n)
{
	uint8_t value = (uint8_t)(1 + random_to(255));

	for (uint64_t i = 0; i < n; i++)
		p[i] = (uint8_t)(value + i / 512);
}

void random_step(uint32_t sector)
{
	uint64_t sectors = disk_bytes(disk) / sector, at = random_to(sectors);
	uint64_t n = 1 + random_to(random_to(4) ? 16 : MIN(sectors, 2 * MIB / sector));
	uint64_t off = at * sector, len = MIN(n, sectors - at) * sector;
	int kind = (int)random_to(12);

	if (kind == 0 && disk->info.can_discard) {
		ck_assert_int_eq(run(disk, DISK_DISCARD, 0, off, len, NULL), 0);
		memset(model + off, 0, len);
	} else if (kind <= 1) {
		ck_assert_int_eq(run(disk, DISK_WRITE_ZEROES, (unsigned int)random_to(4),
				     off, len, NULL),
				 0);
		memset(model + off, 0, len);
	} else if (kind < 9) {
		fill(model + off, len);
		ck_assert_int_eq(run(disk, DISK_WRITE, (unsigned int)random_to(2), off,
				     len, model + off),
				 0);
	} else {
		ck_assert_int_eq(run(disk, DISK_READ, 0, off, len, buf), 0);
		ck_assert_int_eq(memcmp(buf, model + off, len), 0);
	}
}

void read_all(void)
{
	uint64_t bytes = disk_bytes(disk);

	memset(buf, 0xee, bytes);
	ck_assert_int_eq(run(disk, DISK_READ, 0, 0, bytes, buf), 0);
	for (uint64_t i = 0; i < bytes; i += 512)
		ck_assert_msg(memcmp(buf + i, model + i, 512) == 0, "sector %llu",
			      (unsigned long long)i / 512);
}

void check(unsigned int at)
{
	struct image_check found;

	ck_assert_msg(image_check(files[at].fd, IMAGE_VHDX, &found, NULL, &error) == 0,
		      "%s", error.message);
	ck_assert_msg(!found.errors, "%s", found.first);
}
