/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd/file.h"
#include "vhd/raw_priv.h"

#define FILE_PHYSICAL_BYTES 4096u
#define LOGICAL_BYTES_MAX 4096u

/* What a descriptor is, by its own word. */
struct raw_file {
	uint64_t bytes;
	uint32_t logical_bytes, physical_bytes, unmap_granularity;
	bool is_block, read_only;
};

static int ask_block(int fd, struct raw_file *f)
{
	unsigned int physical = 0;
	int logical = 0, read_only = 0;

	if (ioctl(fd, BLKGETSIZE64, &f->bytes) < 0 ||
	    ioctl(fd, BLKSSZGET, &logical) < 0 || ioctl(fd, BLKPBSZGET, &physical) < 0 ||
	    ioctl(fd, BLKROGET, &read_only) < 0)
		return -errno;
	f->logical_bytes = (uint32_t)logical;
	f->physical_bytes = physical;
	f->unmap_granularity = physical;
	f->read_only = read_only;
	return 0;
}

static int ask(int fd, struct raw_file *f)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode)) {
		f->is_block = true;
		r = ask_block(fd, f);
		if (r < 0)
			return r;
	} else if (S_ISREG(st.st_mode)) {
		f->bytes = (uint64_t)st.st_size;
		f->logical_bytes = 512;
		f->physical_bytes = FILE_PHYSICAL_BYTES;
		f->unmap_granularity = MAX((uint32_t)st.st_blksize, FILE_PHYSICAL_BYTES);
	} else {
		return -ENOTBLK;
	}
	if ((flags & O_ACCMODE) == O_RDONLY)
		f->read_only = true;
	return 0;
}

/* Punching behind the end of a file changes nothing, and tells whether the file system can. */
static bool can_punch(int fd, const struct raw_file *f)
{
	if (f->read_only)
		return false;
	if (f->is_block)
		return true;
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)align_up(f->bytes, 4096), 4096) == 0;
}

static void flushed(struct aio_req *areq, ssize_t res)
{
	disk_done(container_of(areq, struct disk_req, aio_req), (int)res);
}

static void flush(struct raw *raw, struct disk_req *req)
{
	if (raw->cache == DISK_CACHE_UNSAFE || raw->disk.info.read_only) {
		disk_done(req, 0);
		return;
	}
	req->aio_req.done = flushed;
	aio_fsync(req->aio, &req->aio_req, raw->fd, true);
}

static void raw_submit(struct disk *d, struct disk_req *req)
{
	struct raw *raw = container_of(d, struct raw, disk);

	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		raw_read_write(raw, req);
		break;
	case DISK_FLUSH:
		flush(raw, req);
		break;
	case DISK_DISCARD:
		raw_discard(raw, req);
		break;
	case DISK_WRITE_ZEROES:
		raw_write_zeroes(raw, req);
		break;
	}
}

static void raw_close(struct disk *d)
{
	struct raw *raw = container_of(d, struct raw, disk);

	close(raw->fd);
	free(raw);
}

static struct disk_extent raw_map(struct disk *d, uint64_t off, uint64_t len)
{
	struct raw *raw = container_of(d, struct raw, disk);

	return (struct disk_extent){ .place = DISK_PLACE_DATA,
				     .in_memory = raw->in_memory,
				     .fd = raw->fd,
				     .direct_align = raw->direct_align,
				     .offset = off,
				     .bytes = len };
}

/* A device has the size that it has; a file is made longer, which takes no room. */
static int raw_resize(struct disk *d, uint64_t bytes)
{
	struct raw *raw = container_of(d, struct raw, disk);
	struct raw_file f = { 0 };
	int r = ask(raw->fd, &f);

	if (r < 0)
		return r;
	if (bytes && f.is_block)
		return bytes == f.bytes ? 0 : -EOPNOTSUPP;
	if (bytes > f.bytes && ftruncate(raw->fd, (off_t)bytes) < 0)
		return -errno;
	bytes = MAX(bytes, f.bytes);
	if (!bytes || !is_aligned(bytes, d->info.logical_bytes))
		return -EINVAL;
	atomic_store(&d->bytes, bytes);
	return 0;
}

static const struct disk_ops raw_ops = {
	.format = "raw",
	.submit = raw_submit,
	.close = raw_close,
	.map = raw_map,
	.resize = raw_resize,
};

/* A fixed VHD's: the same in all but name. */
static const struct disk_ops raw_vhd_ops = {
	.format = "vhd",
	.submit = raw_submit,
	.close = raw_close,
	.map = raw_map,
};

/* The sector sizes that the guest will see, from the file's and the caller's. */
static int choose_sectors(const struct raw_params *params, const struct raw_file *f,
			  struct disk_info *info)
{
	uint32_t logical =
		params->logical_bytes ? params->logical_bytes : f->logical_bytes;

	/* A sector smaller than the device's could not be written alone. */
	if (logical < f->logical_bytes || logical > LOGICAL_BYTES_MAX ||
	    (logical & (logical - 1)))
		return -EINVAL;
	if (!f->bytes || !is_aligned(f->bytes, logical))
		return -EINVAL;
	info->logical_bytes = logical;
	info->physical_bytes = MAX(f->physical_bytes, logical);
	info->unmap_granularity = MAX(f->unmap_granularity, logical);
	return 0;
}

int raw_describe(const struct raw_params *params, struct disk_info *ret,
		 uint64_t *ret_bytes)
{
	struct disk_info info = { .id = params->id };
	struct raw_file f = { .read_only = params->read_only };
	int r = ask(params->fd, &f);
	bool punch;

	if (r < 0)
		return r;
	info.read_only = f.read_only || params->read_only;
	/* Of a VHD behind the footer too: with the file's own size. */
	punch = !info.read_only && can_punch(params->fd, &f);
	if (params->vhd_bytes) {
		if (params->vhd_bytes > f.bytes)
			return -EINVAL;
		f.bytes = params->vhd_bytes;
		info.content_id = params->id;
	}
	r = choose_sectors(params, &f, &info);
	if (r < 0)
		return r;
	info.can_discard = punch;
	info.discard_zeroes = info.can_discard && !f.is_block;
	*ret = info;
	*ret_bytes = f.bytes;
	return 0;
}

int raw_open(const struct raw_params *params, struct disk **ret)
{
	struct disk_info info;
	struct raw *raw;
	uint64_t bytes;
	int r = raw_describe(params, &info, &bytes);

	if (r < 0)
		return r;
	raw = calloc(1, sizeof(*raw));
	if (!raw)
		return -ENOMEM;
	raw->fd = params->fd;
	raw->cache = params->cache;
	raw->in_memory = file_in_memory(params->fd);
	if (params->cache == DISK_CACHE_NONE)
		raw->direct_align = file_set_direct(params->fd, info.logical_bytes);
	disk_init(&raw->disk, params->vhd_bytes ? &raw_vhd_ops : &raw_ops, &info, bytes);
	*ret = &raw->disk;
	return 0;
}
