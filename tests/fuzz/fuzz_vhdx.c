/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VHDX file, with a parent or without: check, open with replay, reads, writes, close, open again; then repair, resize, compact, another parent, and
 * what was repaired is found whole. The input is a list of changes to a good image of which both headers and region tables get right checksums, as does
 * a log entry: else no input would come past them.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/input.h"
#include "proto/vhdx.h"
#include "vhd/crc32c.h"
#include "vhd/vhdx.h"

#define MIB (1u << 20)
#define LOG_AT MIB
#define CHANGES_MAX 64u

/* Where changes go: the structures, each with the bytes of it that mean something. */
static const struct {
	uint32_t at, bytes;
} targets[] = {
	{ 65536, 128 },           { 131072, 128 },          { 196608, 128 },
	{ 262144, 128 },          { LOG_AT, 4096 },         { LOG_AT + 4096, 8192 },
	{ 2 * MIB, 256 },         { 2 * MIB + 65536, 128 }, { 3 * MIB, 256 },
	{ 2 * MIB + 69632, 512 }, { 3 * MIB + 32768, 16 },  { 4 * MIB, 256 },
};

/* A parent that reads as zeros. */
static struct disk_extent parent_map(struct disk *d, uint64_t off, uint64_t len)
{
	return (struct disk_extent){ .place = DISK_PLACE_ZEROS, .bytes = len };
}

static void parent_close(struct disk *d)
{
}

static const struct disk_ops parent_ops = { .close = parent_close, .map = parent_map };

static struct disk *parent(void)
{
	static const struct disk_info info = { .logical_bytes = 512,
					       .physical_bytes = 4096,
					       .read_only = true,
					       .content_id = { { 1 } } };
	static struct disk d;

	disk_init(&d, &parent_ops, &info, 8 * MIB);
	return &d;
}

static void seal(int fd, off_t at, size_t len)
{
	static uint8_t buf[MIB];
	static const uint32_t none;
	uint32_t crc;

	if (pread(fd, buf, len, at) != (ssize_t)len)
		return;
	memcpy(buf + 4, &none, sizeof(none));
	crc = crc32c(0, buf, len);
	if (pwrite(fd, &crc, sizeof(crc), at + 4) != sizeof(crc))
		abort();
}

/* A log entry with one page of the block table, and the header that names it. */
static void add_log(int fd)
{
	static const uint8_t guid[16] = { 1 };
	struct vhdx_log_header h = { .signature = VHDX_SIGNATURE_LOGE,
				     .length = 8192,
				     .sequence = 1,
				     .descriptors = 1,
				     .last_file_offset = 4 * MIB };
	struct vhdx_log_desc d = { .signature = VHDX_SIGNATURE_DESC,
				   .file_offset = 3 * MIB,
				   .sequence = 1 };
	struct vhdx_log_data data = { .signature = VHDX_SIGNATURE_DATA,
				      .sequence_low = 1 };

	memcpy(h.log_guid, guid, sizeof(guid));
	if (pwrite(fd, &h, sizeof(h), LOG_AT) < 0 ||
	    pwrite(fd, &d, sizeof(d), LOG_AT + 64) < 0 ||
	    pwrite(fd, &data, sizeof(data), LOG_AT + 4096) < 0 ||
	    pwrite(fd, guid, sizeof(guid), 65536 + 48) < 0 ||
	    pwrite(fd, guid, sizeof(guid), 131072 + 48) < 0)
		abort();
}

static void spoil(int fd, struct input *in)
{
	for (unsigned int n = 0; in->left && n < CHANGES_MAX; n++) {
		unsigned int t = input_u8(in) % (sizeof(targets) / sizeof(targets[0]));
		uint32_t at = input_u32(in) % targets[t].bytes;
		uint8_t bytes[8], len = input_u8(in) % 9;

		input_take(in, bytes, len);
		if (pwrite(fd, bytes, len, (off_t)(targets[t].at + at)) < 0)
			abort();
	}
}

static void seal_all(int fd)
{
	uint32_t len = 0;

	seal(fd, 65536, 4096);
	seal(fd, 131072, 4096);
	seal(fd, 196608, 65536);
	seal(fd, 262144, 65536);
	if (pread(fd, &len, sizeof(len), LOG_AT + 8) == sizeof(len) && len >= 4096 &&
	    len <= MIB)
		seal(fd, LOG_AT, len);
}

static void done(struct disk_req *req, int r)
{
}

static void run(struct disk *d, struct aio *aio, enum disk_op op, uint64_t off)
{
	static char buf[65536];
	struct iovec iov = { buf, sizeof(buf) };
	struct disk_req req = { .op = op,
				.off = off & ~4095ull,
				.len = sizeof(buf),
				.iov = &iov,
				.iovcnt = 1,
				.done = done };

	if (op == DISK_FLUSH)
		req.off = req.len = 0;
	disk_submit(d, aio, &req);
	aio_drain(aio);
}

static void use(int fd, struct disk *below, bool read_only)
{
	struct aio_params ap = { .engine = AIO_THREADS, .threads = 1 };
	struct image_layer p = { .fd = fd, .read_only = read_only, .parent = below };
	struct image_error error;
	struct disk *d;
	struct aio *aio;
	uint64_t bytes;

	if (vhdx_open(&p, &d, &error) < 0) {
		if (!memchr(error.message, 0, sizeof(error.message)))
			abort();
		close(fd);
		return;
	}
	if (aio_new(&ap, &aio) < 0)
		abort();
	bytes = disk_bytes(d);
	run(d, aio, DISK_READ, 0);
	run(d, aio, DISK_READ, bytes / 2);
	run(d, aio, DISK_READ, bytes - 65536);
	run(d, aio, DISK_WRITE, MIB - 4096);
	run(d, aio, DISK_DISCARD, 0);
	run(d, aio, DISK_WRITE_ZEROES, bytes / 2);
	run(d, aio, DISK_FLUSH, 0);
	aio_free(aio);
	disk_unref(d);
}

/* Whatever the file is, each operation ends, and what is mended is found whole. */
static void operate(int fd, struct disk *below)
{
	const struct image_new_parent p = { .disk = below, .relative = "p", .any = true };
	struct image_error error;
	struct image_check found;
	struct image_info info;

	if (image_check(fd, IMAGE_VHDX, &found, NULL, &error) == 0 && found.errors &&
	    !found.first[0])
		abort();
	if (image_repair(fd, IMAGE_VHDX, &found, NULL, &error) == 0 &&
	    found.mended == found.errors &&
	    (image_check(fd, IMAGE_VHDX, &found, NULL, &error) < 0 || found.errors))
		abort();
	if (image_info(fd, IMAGE_VHDX, &info, &error) < 0 ||
	    info.disk_bytes > 64ull * MIB)
		return;
	if (image_resize(fd, IMAGE_VHDX, 24 * MIB, false, &error) < 0 ||
	    image_resize(fd, IMAGE_VHDX, 8 * MIB, true, &error) < 0 ||
	    image_compact(fd, IMAGE_VHDX, NULL, &error) < 0)
		return;
	if (below && image_set_parent(fd, IMAGE_VHDX, &p, &error) < 0)
		return;
	if (image_check(fd, IMAGE_VHDX, &found, NULL, &error) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image_parent said;
	struct input in = { data, size };
	struct image_error error;
	unsigned int flags = input_u8(&in);
	struct vhdx_create_params p = { .disk_bytes = 16 * MIB,
					.block_bytes = MIB,
					.parent = flags & 2 ? parent() : NULL,
					.parent_relative = "parent.vhdx" };
	struct disk *below = flags & 2 ? parent() : NULL;

	p.fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (p.fd < 0 || vhdx_create(&p, &error) < 0)
		abort();
	if (below)
		use(dup(p.fd), below, false); /* so that it has a bitmap */
	if (flags & 1)
		add_log(p.fd);
	spoil(p.fd, &in);
	seal_all(p.fd);
	if (vhdx_parent_of(p.fd, &said, &error) == 1 && said.path_n > IMAGE_PATHS_MAX)
		abort();
	use(dup(p.fd), below, false);
	operate(p.fd, below);
	use(p.fd, below, true);
	return 0;
}
