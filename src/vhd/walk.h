/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a request over an image with tables, piece by piece: a look into what is in memory, then the file by the caller's iovec; what memory
 * cannot answer goes to the image's thread (keeper.h) and comes back here. A read goes straight to the file of the chain that has the extent,
 * however far down it is. Writing a piece is the format's (keeper_ops.write).
 *
 * Where a file has O_DIRECT and the guest's buffers are not aligned for it, a piece goes by a buffer of at most WALK_BOUNCE_BYTES, so that no guest
 * can make us allocate more than that for a request.
 *
 * Thread: the request's aio's.
 */
#ifndef VHD_WALK_H
#define VHD_WALK_H

#include "vhd/keeper.h"

#define WALK_BYTES_MAX (1u << 30) /* a piece's */
#define WALK_BOUNCE_BYTES (64u << 10)

/* disk_ops.submit() */
void walk_submit(struct disk *d, struct disk_req *req);

/* ---- for formats' writes ---- */

/* Hands req to the image's thread. It comes back to ops->write() after PREPARE and MARK, and has ended after the others. */
void walk_ask(struct disk_req *req, enum keeper_op op);
/* Asks for FUA, and its disk is one that heeds it. */
bool walk_is_fua(const struct disk_req *req);
/*
 * The next n bytes or fewer, piece->bytes, n > 0, to `off` of the image's file, by a call with `flags` (RWF_*). `done` is the piece's end, and begins with
 * walk_uncut(). piece->pinned stays.
 */
void walk_write(struct disk_req *req, uint64_t n, uint64_t off, int flags,
		void (*done)(struct aio_req *req, ssize_t res));
/* The iovec is whole again. */
void walk_uncut(struct disk_req *req);
/* The first n bytes of what was left are where they belong. */
void walk_advance(struct disk_req *req, uint64_t n);
/* Goes on with a read or write: the next piece, or its end. */
void walk_next(struct disk_req *req);

#endif
