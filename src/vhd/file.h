/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a format does to its file outside of the data path: whole reads and writes, in the thread that asks. Tests put their own in its place
 * to keep or refuse what is written. With O_DIRECT they go past the page cache too, by a buffer where the caller's is not aligned; place and length are
 * then multiples of a sector. Errors: 0 or -errno. Thread: any.
 */
#ifndef VHD_FILE_H
#define VHD_FILE_H

#include "util/macros.h"

/* -ENODATA when the file ends before. */
int file_read(int fd, void *buf, size_t len, uint64_t off) __must_check;
int file_write(int fd, const void *buf, size_t len, uint64_t off) __must_check;
/* Data, and of the metadata what is needed to find it: the size too. */
int file_sync(int fd) __must_check;
int file_size(int fd, uint64_t *ret) __must_check;
int file_resize(int fd, uint64_t bytes) __must_check;
/* The file is `bytes` long, with room for all of it where the file system can promise that. */
int file_reserve(int fd, uint64_t bytes) __must_check;
/* Room from `off` on, which may be behind the end, where the file system can promise that; the file stays as long as it is. */
int file_reserve_behind(int fd, uint64_t off, uint64_t len) __must_check;
/* Zeros there, inside the file; with `punch` the room is freed where the host can. Written where neither can be had. */
int file_zero(int fd, uint64_t off, uint64_t len, bool punch) __must_check;
/* Bytes of the hole that is there; 0: data is, or it is not known. */
uint64_t file_hole(int fd, uint64_t off);
/* Bytes to the next hole. */
uint64_t file_data(int fd, uint64_t off);
/* Whether holes can be punched; changes nothing. */
bool file_can_punch(int fd);
/* A file on tmpfs: nothing that is done to it waits. */
bool file_in_memory(int fd);
/*
 * Sets O_DIRECT if every place that a multiple of `sector_bytes` names is fit for it: how buffers in memory must be aligned, and their lengths. 0: it is not set; the
 * page cache serves, which is slower to fail than a read-modify-write of ours.
 */
uint32_t file_set_direct(int fd, uint32_t sector_bytes);

#endif
