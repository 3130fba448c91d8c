/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image's thread, the same for every format with tables: made when first needed, it alone changes the tables and the file's size, and it alone
 * waits for the disk while it does. Requests come by a queue and end on their own aio's thread (aio_post()). Flushes that wait at the same
 * time share one commit.
 *
 * A format's struct embeds `struct keeper`, which holds all that requests need of any format; walk.h moves the data.
 *
 * Lock: the image's one, for the queue and for the format's tables. Below it nothing is taken but an aio's own (aio_post()).
 */
#ifndef VHD_KEEPER_H
#define VHD_KEEPER_H

#include <assert.h>
#include <pthread.h>
#include "vhd/disk.h"

/* What is asked of the thread. All but COMMIT are the format's perform(). */
enum keeper_op {
	KEEPER_PREPARE, /* places for the rest of the request, so that it can be written */
	KEEPER_MARK,    /* the sectors of the last piece are the file's own now */
	KEEPER_COMMIT,  /* all to stable storage */
	KEEPER_ZERO,    /* DISK_DISCARD, DISK_WRITE_ZEROES */
};

/* A request's own room (disk_req.state). disk_req.bounce links it in the thread's queue. */
struct keeper_piece {
	uint64_t done;
	uint64_t cut_len; /* the last element's own length, which is cut to the piece */
	uint32_t iovs;    /* elements of the piece */
	uint32_t bytes;
	uint8_t op;  /* enum keeper_op */
	bool commit; /* of a write: durable by a commit at its end */
	bool mark;   /* of a write, the format's: the piece's sectors are to be marked */
	union {
		struct {              /* of a piece at the host */
			void *pinned; /* of a write, the format's: what it holds of its tables */
			struct iovec
				bounced; /* malloc'd, in place of an iovec that is not aligned */
		};
		struct disk_load load; /* of a read: what it waits for */
	};
};
static_assert(sizeof(struct keeper_piece) <= sizeof(((struct disk_req *)0)->state),
	      "a piece lives in the request");

struct keeper;

/* A format's part. On the image's thread without the lock, unless it says otherwise. */
struct keeper_ops {
	const char *name; /* the thread's, up to 15 bytes */
	/* 0 or -errno: the request is answered so; KEEPER_AGAIN: it queues again, behind the others. */
	int (*perform)(struct keeper *k, struct disk_req *req);
	/* All that was written, and what makes it count, to stable storage. */
	int (*commit)(struct keeper *k);
	/* Brings to memory what disk_ops.map() needs at `off`. */
	int (*load_at)(struct keeper *k, uint64_t off);
	/* Between the requests: none sees tables of half the one size. NULL where a format cannot. */
	int (*resize)(struct keeper *k, uint64_t bytes);
	/* Any thread, under the lock: something waits for a commit. */
	bool (*dirty_locked)(struct keeper *k);
	/* The aio's thread: goes on with a write that is not at its end yet, or ends it. */
	void (*write)(struct keeper *k, struct disk_req *req);
};
#define KEEPER_AGAIN 1

struct keeper {
	struct disk disk;
	/* Fixed after init. */
	const struct keeper_ops *ops;
	int fd;
	bool unsafe;           /* DISK_CACHE_UNSAFE */
	bool in_memory;        /* file_in_memory() */
	uint32_t direct_align; /* disk_extent's, of its own file */

	/* Guards what follows, and the tables of the format. */
	pthread_mutex_t lock;
	pthread_cond_t work, resized;
	struct disk_req *queue, **queue_end;
	struct disk_load *loads;
	uint64_t resize_bytes; /* asked for; 0: nothing is */
	int resize_result;
	bool started, stop;
	int failed; /* a sync failed: what is on stable storage is not known any more */

	/* Owner: open and close. */
	pthread_t thread;
};

static inline struct keeper *keeper_of(const struct disk_req *req)
{
	return container_of(req->disk, struct keeper, disk);
}

static inline struct keeper_piece *keeper_piece(struct disk_req *req)
{
	return (struct keeper_piece *)req->state;
}

/* Of zeroed memory. `disk`, `fd` and what keeper_set_cache() sets are left to the format. */
void keeper_init(struct keeper *k, const struct keeper_ops *ops);
/* After `fd` is set and all is read of it that no multiple of a sector is. */
void keeper_set_cache(struct keeper *k, enum disk_cache cache, uint32_t sector_bytes);
/* After keeper_stop(), or when nothing was ever asked. */
void keeper_done(struct keeper *k);
/*
 * Hands req to the thread. `answered` gets what came of it, on the aio's thread, which is the caller's; when the thread cannot be
 * made, -errno at once.
 */
void keeper_ask(struct disk_req *req, enum keeper_op op,
		void (*answered)(struct aio_req *req, ssize_t res));
/* disk_ops.load() */
void keeper_load(struct disk *d, struct disk_load *load);
/* disk_ops.resize(), by ops->resize() */
int keeper_resize(struct disk *d, uint64_t bytes) __must_check;
/* 0, or why the image takes no more writes. */
int keeper_failed(struct keeper *k);
/*
 * What was written to the file is on stable storage, where the cache mode asks for that. After a sync that failed nobody knows what is on the medium:
 * nothing is promised any more. Thread: the image's.
 */
int keeper_sync(struct keeper *k) __must_check;
/* Ends the thread, which has nothing to do. */
void keeper_stop(struct keeper *k);

#endif
