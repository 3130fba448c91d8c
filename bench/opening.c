/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens an image as large as its format has it, with a table that is empty or names a place for every block, and says what that took. The file is in memory,
 * and but for its structures a hole.
 * usage: opening vhdx|vhd BLOCK_MIB empty|full READS
 * Prints: microseconds to open, KiB of memory more at the most after that, the same after READS random reads of 4 KiB, microseconds a read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "proto/vhd.h"
#include "proto/vhdx.h"
#include "vhd/image_ops.h"

#define MIB (1ull << 20)
#define BATCH 8192u

static void fail(const char *what)
{
	fprintf(stderr, "opening: %s\n", what);
	exit(EXIT_FAILURE);
}

/* ---- a full table ---- */

static uint64_t vhdx_table(int fd)
{
	static const struct guid bat = VHDX_REGION_BAT;
	struct {
		struct vhdx_region_table t;
		struct vhdx_region_entry e[2];
	} r;

	if (pread(fd, &r, sizeof(r), VHDX_REGION_OFFSET_1) != sizeof(r))
		fail("no region table");
	for (unsigned int i = 0; i < 2; i++) {
		if (memcmp(r.e[i].guid, &bat, sizeof(bat)) == 0)
			return r.e[i].offset;
	}
	fail("no block table");
	return 0;
}

/* Block after block behind the structures; every chunk is followed by its bitmap's entry, which stays empty. */
static void fill_vhdx(int fd, uint64_t disk, uint64_t block)
{
	static uint64_t entries[BATCH];
	uint64_t chunk = (VHDX_CHUNK_SECTORS * 512) / block, blocks = disk / block;
	uint64_t n = blocks + (blocks - 1) / chunk, table = vhdx_table(fd);
	uint64_t at = (uint64_t)lseek(fd, 0, SEEK_END);

	at = (at + MIB - 1) / MIB * MIB;
	for (uint64_t i = 0; i < n; i += BATCH) {
		size_t bytes = MIN(n - i, (uint64_t)BATCH) * sizeof(entries[0]);

		for (uint64_t k = 0; k < BATCH; k++) {
			bool bitmap = (i + k) % (chunk + 1) == chunk;

			entries[k] = bitmap ? 0 : at | VHDX_BLOCK_FULLY_PRESENT;
			at += bitmap || i + k >= n ? 0 : block;
		}
		if (pwrite(fd, entries, bytes, (off_t)(table + i * 8)) != (ssize_t)bytes)
			fail("no room for the table");
	}
	if (ftruncate(fd, (off_t)at) < 0)
		fail("the file cannot be so long");
}

/* Bitmaps of ones would be of no use to a test of opening; zeros are sectors that were never written. */
static void fill_vhd(int fd, uint64_t disk, uint64_t block)
{
	uint64_t need = MAX(block / 512 / 8, (uint64_t)512) + block,
		 blocks = disk / block;
	uint64_t end = (uint64_t)lseek(fd, 0, SEEK_END) - sizeof(struct vhd_footer);
	uint64_t at = (end + 4095) / 4096 * 4096;
	struct vhd_footer footer;
	struct vhd_header h;

	if (pread(fd, &footer, sizeof(footer), 0) != sizeof(footer) ||
	    pread(fd, &h, sizeof(h), sizeof(footer)) != sizeof(h))
		fail("no header");
	for (uint64_t i = 0; i < blocks; i++, at += need) {
		be32_t entry = be32((uint32_t)(at / 512));

		if (pwrite(fd, &entry, sizeof(entry),
			   (off_t)(be64_get(&h.table_offset) + i * 4)) != sizeof(entry))
			fail("no room for the table");
	}
	if (pwrite(fd, &footer, sizeof(footer), (off_t)at) != sizeof(footer))
		fail("the file cannot be so long");
}

static int make(enum image_format format, uint64_t disk, uint64_t block, bool full)
{
	const struct image_create_params p = { .format = format,
					       .kind = IMAGE_DYNAMIC,
					       .disk_bytes = disk,
					       .block_bytes = (uint32_t)block };
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct image_error error;

	if (fd < 0 || image_create(fd, &p, &error) < 0)
		fail(fd < 0 ? "no memory" : error.message);
	if (full && format == IMAGE_VHDX)
		fill_vhdx(fd, disk, block);
	else if (full)
		fill_vhd(fd, disk, block);
	return fd;
}

/* ---- what it takes ---- */

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* KiB of a row of /proc/self/status. */
static long status(const char *row)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long kib = -1;

	while (f && kib < 0 && fgets(line, sizeof(line), f)) {
		if (strncmp(line, row, strlen(row)) == 0)
			kib = strtol(line + strlen(row), NULL, 10);
	}
	if (f)
		fclose(f);
	return kib;
}

static void ended(struct disk_req *req, int r)
{
	if (r < 0)
		fail("a read failed");
}

static void read_random(struct disk *d, struct aio *aio, unsigned int n)
{
	static char buf[4096];
	uint64_t seed = 88172645463325252ull;

	while (n--) {
		struct iovec iov = { buf, sizeof(buf) };
		struct disk_req req = {
			.len = sizeof(buf), .iov = &iov, .iovcnt = 1, .done = ended
		};

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		req.off = seed % (disk_bytes(d) / sizeof(buf)) * sizeof(buf);
		disk_submit(d, aio, &req);
		aio_drain(aio);
	}
}

int main(int argc, char **argv)
{
	enum image_format format;
	unsigned int reads;
	struct image_file file;
	struct image_params params = { .files = &file, .nfiles = 1 };
	struct aio_params ap = { 0 };
	struct image_error error;
	struct disk *d;
	struct aio *aio;
	long before, opened;
	double t0, t1, t2;

	if (argc != 5)
		fail("usage: opening vhdx|vhd BLOCK_MIB empty|full READS");
	format = strcmp(argv[1], "vhd") == 0 ? IMAGE_VHD : IMAGE_VHDX;
	file.format = format;
	file.fd = make(format, format == IMAGE_VHD ? VHD_DISK_BYTES_MAX : 64ull << 40,
		       strtoull(argv[2], NULL, 10) * MIB, strcmp(argv[3], "full") == 0);
	reads = (unsigned int)strtoul(argv[4], NULL, 10);
	if (aio_new(&ap, &aio) < 0)
		fail("no aio");
	before = status("VmRSS:");
	t0 = now_us();
	if (image_open(&params, &d, &error) < 0)
		fail(error.message);
	t1 = now_us();
	opened = status("VmHWM:");
	read_random(d, aio, reads);
	t2 = now_us();
	printf("%.0f %ld %ld %.1f\n", t1 - t0, opened - before, status("VmHWM:") - before,
	       reads ? (t2 - t1) / reads : 0);
	aio_free(aio);
	disk_unref(d);
	return EXIT_SUCCESS;
}
