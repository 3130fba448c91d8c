/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A log of bounded size in one file: past the bound the older half goes, in place, so that whoever holds or follows the file
 * by its name goes on seeing it. Never more than the bound is on the disk.
 * Thread: the owner's. Errors of the disk lose lines and nothing else; they are counted.
 */
#ifndef BACK_CHARDEV_LOG_H
#define BACK_CHARDEV_LOG_H

#include "util/macros.h"

struct chardev_log {
	int fd; /* -1: no log, all calls do nothing */
	uint64_t bytes, max_bytes;
	uint64_t lost_bytes;
};

#define CHARDEV_LOG_MIN_BYTES 4096u

/*
 * Goes on at the file's end. fd stays the caller's. -EINVAL when it is no regular file or not open for reading and writing, or
 * max_bytes is below CHARDEV_LOG_MIN_BYTES.
 */
int chardev_log_init(struct chardev_log *log, int fd, size_t max_bytes) __must_check;
void chardev_log_append(struct chardev_log *log, const void *buf, size_t len);

#endif
