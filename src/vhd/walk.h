/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a request over an image with tables, piece by piece: a look into what is in memory, then the file by the caller's iovec; what memory
 * cannot answer goes to the image's thread (keeper.h) and comes back here. A read goes straight to the file of the chain that has the extent,
 * however far down it is. Writing a piece is the format's (keeper_ops.write).
 *
 * Thread: the request's aio's.
 */
#ifndef VHD_WALK_H
#define VHD_WALK_H

#include "vhd/keeper.h"

#define WALK_BYTES_MAX (1u << 30) /* a piece's */

/* disk_ops.submit() */
void walk_submit(struct disk *d, struct disk_req *req);

/* ---- for formats' writes ---- */

/* Hands req to the image's thread. It comes back to ops->write() after PREPARE and MARK, and has ended after the others. */
void walk_ask(struct disk_req *req, enum keeper_op op);
/* Asks for FUA, and its disk is one that heeds it. */
bool walk_is_fua(const struct disk_req *req);
/* Cuts the iovec to its first n bytes, 0 < n <= WALK_BYTES_MAX, so that it can be handed on: piece->iovs elements. */
void walk_cut(struct disk_req *req, uint64_t n);
/* Before the next: the iovec is whole again. */
void walk_uncut(struct disk_req *req);
/* The first n bytes of what was left are where they belong. */
void walk_advance(struct disk_req *req, uint64_t n);
/* Goes on with a read or write: the next piece, or its end. */
void walk_next(struct disk_req *req);

#endif
