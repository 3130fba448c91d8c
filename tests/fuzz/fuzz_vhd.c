/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VHD file: check, what it says of its parent, open, reads, a write, close, repair, resize, compact, set-parent. The input is a list of changes to
 * a good image, of which both footers and the header get right checksums: else no input would come past them.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/input.h"
#include "proto/vhd.h"
#include "vhd/vhd.h"

#define MIB (1u << 20)
#define BLOCK 65536u
#define DISK_BYTES (16 * MIB)
#define CHANGES_MAX 64u
#define FILE_BYTES_MAX (64ull << 20)
#define PARENT_ID 9

/* Where changes go: the structures, each with the bytes of it that mean something. From the end: the footer there. */
static const struct {
	uint32_t at, bytes;
	bool from_end;
} targets[] = {
	{ 0, 512, false },     { 512, 1024, false },  { 512, 64, false },
	{ 1536, 1024, false }, { 2560, 1024, false }, { 4096, 8192, false },
	{ 512, 512, true },    { 512, 88, true },     { 0, 88, false },
};

/* ---- a parent that is zeros ---- */

static void no_close(struct disk *d)
{
}

static struct disk_extent map_zeros(struct disk *d, uint64_t off, uint64_t len)
{
	return (struct disk_extent){ .place = DISK_PLACE_ZEROS, .bytes = len };
}

static struct disk *parent(void)
{
	static const struct disk_ops ops = { .format = "zeros",
					     .close = no_close,
					     .map = map_zeros };
	static const struct disk_info info = { .logical_bytes = 512,
					       .physical_bytes = 512,
					       .read_only = true,
					       .content_id = { { PARENT_ID } } };
	static struct disk d;

	disk_init(&d, &ops, &info, DISK_BYTES);
	return &d;
}

/* ---- the file ---- */

static off_t size_of(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

/* One's complement of the sum of all bytes but the field's own. */
static be32_t sum_of(const uint8_t *buf, size_t len, size_t field)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i < field || i >= field + sizeof(be32_t) ? buf[i] : 0;
	return be32(~sum);
}

static void seal(int fd, off_t at, size_t len, size_t field)
{
	uint8_t buf[1024];
	be32_t sum;

	if (at < 0 || pread(fd, buf, len, at) != (ssize_t)len)
		return;
	sum = sum_of(buf, len, field);
	if (pwrite(fd, &sum, sizeof(sum), at + (off_t)field) != sizeof(sum))
		abort();
}

static void spoil(int fd, struct input *in)
{
	off_t end = size_of(fd);

	for (unsigned int n = 0; in->left && n < CHANGES_MAX; n++) {
		unsigned int t = input_u8(in) % (sizeof(targets) / sizeof(targets[0]));
		uint32_t at = input_u32(in) % targets[t].bytes;
		uint8_t bytes[8], len = input_u8(in) % 9;

		input_take(in, bytes, len);
		at += targets[t].from_end ? (uint32_t)end - targets[t].at : targets[t].at;
		if (at + len <= end && pwrite(fd, bytes, len, (off_t)at) < 0)
			abort();
	}
}

static int make(bool child)
{
	struct image_create_params p = { .format = IMAGE_VHD,
					 .kind = child ? IMAGE_DIFFERENCING
						       : IMAGE_DYNAMIC,
					 .disk_bytes = DISK_BYTES,
					 .block_bytes = BLOCK,
					 .parent = child ? parent() : NULL,
					 .parent_relative = child ? "p.vhd" : NULL };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct image_error error;

	if (fd < 0 || vhd_create(fd, &p, &error) < 0)
		abort();
	return fd;
}

/* ---- what is done with it ---- */

static void done(struct disk_req *req, int r)
{
}

static void run(struct disk *d, struct aio *aio, enum disk_op op, uint64_t off)
{
	static char buf[65536];
	struct iovec iov = { buf, sizeof(buf) };
	struct disk_req req = { .op = op,
				.off = off & ~511ull,
				.len = sizeof(buf),
				.iov = &iov,
				.iovcnt = 1,
				.done = done };

	if (op == DISK_FLUSH)
		req.off = req.len = 0;
	disk_submit(d, aio, &req);
	aio_drain(aio);
}

static void use(int fd, bool read_only, bool child)
{
	struct aio_params ap = { .engine = AIO_THREADS, .threads = 1 };
	struct image_layer layer = { .fd = dup(fd),
				     .read_only = read_only,
				     .any_parent = true,
				     .parent = child ? parent() : NULL };
	struct image_error error;
	struct disk *d;
	struct aio *aio;
	uint64_t bytes;

	if (vhd_open(&layer, &d, &error) < 0) {
		if (!memchr(error.message, 0, sizeof(error.message)))
			abort();
		close(layer.fd);
		return;
	}
	if (aio_new(&ap, &aio) < 0)
		abort();
	bytes = disk_bytes(d);
	run(d, aio, DISK_READ, 0);
	run(d, aio, DISK_READ, bytes / 2);
	run(d, aio, DISK_READ, bytes - 65536);
	run(d, aio, DISK_WRITE, BLOCK - 4096);
	run(d, aio, DISK_WRITE, bytes - 65536);
	run(d, aio, DISK_DISCARD, 0);
	run(d, aio, DISK_WRITE_ZEROES, bytes / 2);
	run(d, aio, DISK_FLUSH, 0);
	aio_free(aio);
	disk_unref(d);
}

/* After a repair nothing is left to be mended. */
static void change(int fd, bool child)
{
	const struct image_new_parent p = { .disk = parent(),
					    .relative = "new.vhd",
					    .any = true };
	struct image_check found;
	struct image_error error;

	if (vhd_repair(fd, &found, NULL, &error) < 0)
		return;
	if (found.mended != found.errors || vhd_check(fd, &found, NULL, &error) < 0 ||
	    found.errors)
		abort();
	(void)!vhd_resize(fd, DISK_BYTES + BLOCK, true, &error);
	if (child)
		(void)!vhd_set_parent(fd, &p, &error);
	if (size_of(fd) < (off_t)FILE_BYTES_MAX)
		(void)!vhd_compact(fd, NULL, &error);
	if (vhd_check(fd, &found, NULL, &error) < 0 || found.errors)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image_parent found_parent;
	struct input in = { data, size };
	struct image_error error;
	struct image_check found;
	bool child = input_u8(&in) & 1;
	int fd = make(child);

	use(fd, false, child); /* has blocks now */
	spoil(fd, &in);
	seal(fd, 0, 512, offsetof(struct vhd_footer, checksum));
	seal(fd, size_of(fd) - 512, 512, offsetof(struct vhd_footer, checksum));
	seal(fd, 512, 1024, offsetof(struct vhd_header, checksum));
	if (vhd_check(fd, &found, NULL, &error) == 0 && found.errors && !found.first[0])
		abort();
	(void)!vhd_parent_of(fd, &found_parent, &error);
	use(fd, true, child);
	use(fd, false, child);
	change(fd, child);
	close(fd);
	return 0;
}
