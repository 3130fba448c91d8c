/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk: sectors behind one asynchronous interface, whatever the image's format. Front-ends submit requests with iovecs
 * that point into guest memory; data moves between there and the file without a copy in between.
 *
 * A format implements `struct disk_ops`; every request passes disk_submit(), the one gate that validates it, so that a
 * format sees only requests inside the disk, aligned to its logical sectors, and no write to a read-only one.
 *
 * Thread: a disk may be used by several threads at once, each with its own aio; a request completes on the thread of the aio it was
 * submitted with. Formats lock what they share. Lengths and offsets are bytes.
 */
#ifndef VHD_DISK_H
#define VHD_DISK_H

#include <stdatomic.h>
#include "util/guid.h"
#include "vhd/aio.h"

struct disk;
struct disk_req;
struct disk_load;

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,   /* all completed writes are on stable storage after it */
	DISK_DISCARD, /* a hint; the content is undefined, or zeros with discard_zeroes */
	DISK_WRITE_ZEROES, /* reads as zeros after it; with DISK_MAY_UNMAP may free the room */
};

#define DISK_FUA 1u       /* DISK_WRITE, DISK_WRITE_ZEROES: on stable storage when done */
#define DISK_MAY_UNMAP 2u /* DISK_WRITE_ZEROES */

/* One request, inside the front-end's own structure. Nothing is allocated for it by the gate. */
struct disk_req {
	/* The caller's: set before disk_submit(), unchanged until `done`. */
	enum disk_op op;
	unsigned int flags;
	uint64_t off, len; /* DISK_FLUSH: 0, 0 */
	/*
	 * DISK_READ, DISK_WRITE: exactly len bytes, in at most IOV_MAX elements, none empty. The array (not what it points to) may be changed by the disk until `done`.
	 */
	struct iovec *iov;
	unsigned int iovcnt;
	/*
	 * r: 0, or -EINVAL (out of the disk, unaligned), -EROFS, -ENOSPC, -EIO … Runs on the aio's thread, perhaps before disk_submit()
	 * returns. The request is the caller's again.
	 */
	void (*done)(struct disk_req *req, int r);

	/* The disk's, from disk_submit() to `done`. */
	struct disk *disk;
	struct aio *aio;
	struct aio_req aio_req;
	uint64_t state[8];
	void *bounce;
};

/* A wait for disk_ops.load(), in the asker's own structure. */
struct disk_load {
	struct aio *aio;
	struct aio_req *aio_req;
	uint64_t off;
	struct disk_load *next; /* the disk's */
};

#define DISK_SERIAL_MAX 32

/* Fixed after open, but for `bytes`. */
struct disk_info {
	uint32_t logical_bytes;  /* power of two, 512 to 4096 */
	uint32_t physical_bytes; /* a multiple of it */
	uint32_t unmap_granularity;
	bool read_only;
	bool can_discard;    /* discard frees room, or may */
	bool discard_zeroes; /* what was discarded reads as zeros */
	struct guid
		id; /* of the disk as the guest knows it: VPD page 83h; a child's is its parent's */
	/* Of the content, by which a child knows its parent: VHDX DataWriteGuid, VHD unique id; null for raw. Of a disk that is written it is old. */
	struct guid content_id;
};

/* Where a part of a disk stands, for reading. */
enum disk_place {
	DISK_PLACE_DATA,  /* in the file `fd` from `offset` on */
	DISK_PLACE_ZEROS, /* nowhere: reads as zeros */
	DISK_PLACE_PARENT, /* as the parent has it, at the same offset of the disk; zeros behind its end */
	DISK_PLACE_UNKNOWN, /* not in memory: disk_ops.load() brings it */
	DISK_PLACE_BAD,     /* the image is damaged here: -EIO */
};
struct disk_extent {
	enum disk_place place;
	bool in_memory; /* of DISK_PLACE_DATA: file_in_memory() */
	int fd;
	uint32_t
		direct_align; /* of buffers and their lengths, as the file has O_DIRECT; 0: any */
	uint64_t offset;
	uint64_t bytes; /* from the asked offset, all of it so; more than 0 */
};

struct disk_ops {
	const char *format;
	/* A valid request of any op; ends by calling disk_done() exactly once, then or later. */
	void (*submit)(struct disk *d, struct disk_req *req);
	/* The last reference went; nothing is in flight. Frees d. Any thread. */
	void (*close)(struct disk *d);
	/*
	 * Where the range, which is inside the disk and not empty, begins to stand; never waits. What it says of a disk that is written holds until the next
	 * write, of a read-only one always. A child's reads of its parent go this way: whatever the depth, one request, no copy.
	 */
	struct disk_extent (*map)(struct disk *d, uint64_t off, uint64_t len);
	/*
	 * Brings to memory what map() needs at `off`, and ends load->aio_req (aio_expect() was done) by aio_post() with 0 or -errno. NULL where map() always knows.
	 */
	void (*load)(struct disk *d, struct disk_load *load);
	/*
	 * Makes the image so large, or with 0 looks how large it has become; sets d->bytes. One caller at a time, beside requests. Errors of
	 * disk_resize(). NULL where a format cannot.
	 */
	int (*resize)(struct disk *d, uint64_t bytes);
};

struct disk {
	/* Fixed after init. */
	const struct disk_ops *ops;
	struct disk_info info;
	/* Grows or shrinks with an online resize; read anew by every request. */
	_Atomic uint64_t bytes;
	atomic_uint refs;
	struct disk *parent; /* a reference, dropped by disk_unref(); NULL: none */
	/* Called after the disk, and the parents that went with it, are closed, when not NULL. Set before it is shared. Any thread. */
	void (*closed)(void *opaque);
	void *closed_opaque;
};

/* For formats: refs = 1. */
void disk_init(struct disk *d, const struct disk_ops *ops, const struct disk_info *info,
	       uint64_t bytes);
struct disk *disk_ref(struct disk *d);
/* NULL is fine. */
void disk_unref(struct disk *d);

static inline uint64_t disk_bytes(const struct disk *d)
{
	return atomic_load_explicit(&((struct disk *)(uintptr_t)d)->bytes,
				    memory_order_relaxed);
}

/* Queues on `aio`; the caller then calls aio_submit(), once for a batch. The caller holds a reference until `done`. */
void disk_submit(struct disk *d, struct aio *aio, struct disk_req *req);

/*
 * Online: grows the image to `bytes`, or with 0 takes the size that it was given from outside. -EINVAL when it would shrink or be no multiple of a
 * sector, -EROFS, -EOPNOTSUPP. Blocks for a system call or two. One caller at a time; beside requests.
 */
int disk_resize(struct disk *d, uint64_t bytes) __must_check;

/* For formats: ends a request. */
static inline void disk_done(struct disk_req *req, int r)
{
	req->done(req, r);
}

/* For formats: drops the first n bytes of the request's iovec. */
void disk_advance(struct disk_req *req, size_t n);

enum disk_cache {
	DISK_CACHE_WRITEBACK, /* the host's page cache; flush and FUA are honoured */
	DISK_CACHE_NONE, /* O_DIRECT, set on the descriptors where their file systems take it */
	DISK_CACHE_UNSAFE, /* flush and FUA do nothing: for disks that need not outlive the host */
};

/*
 * A raw image or a block device, by an already opened (and locked) descriptor, of which it takes ownership on success. Size and
 * sector sizes come from the file or device; `logical_bytes` 0 or a power of two up to 4096. -EINVAL when the size is
 * no multiple of the logical sector or zero, -ENOTBLK when it is neither file nor block device, or -errno.
 */
struct raw_params {
	int fd;
	bool read_only; /* also when the descriptor was opened so */
	enum disk_cache cache;
	uint32_t logical_bytes;
	struct guid id;
	/* Not 0: a fixed VHD, whose disk is the file's first so many bytes (-EINVAL when it has fewer); `id` is its content's too. */
	uint64_t vhd_bytes;
};
int raw_open(const struct raw_params *params, struct disk **ret) __must_check;
/* What raw_open() would make of it. */
int raw_describe(const struct raw_params *params, struct disk_info *ret,
		 uint64_t *ret_bytes) __must_check;

#endif
