/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole reads and writes, files that change at once or not at all, descriptors over Unix sockets.
 * Errors: 0 or -errno. Thread: any.
 */
#ifndef UTIL_IO_H
#define UTIL_IO_H

#include <sys/types.h>
#include "util/macros.h"

/* Retries on EINTR and short writes. On a non-blocking descriptor -EAGAIN may come after a part was written. */
int io_write_all(int fd, const void *buf, size_t len) __must_check;
/* Reads exactly len bytes from offset; -ENODATA when the file ends before. */
int io_pread_all(int fd, void *buf, size_t len, off_t off) __must_check;
/*
 * A whole file up to `max` bytes (-EFBIG beyond), NUL-terminated behind its last byte, from malloc:
 * the caller frees it. ret_len may be NULL.
 */
int io_read_file(int dirfd, const char *path, size_t max, char **ret,
		 size_t *ret_len) __must_check;
/*
 * Replaces (or makes) `name` in `dirfd` by these bytes: written aside, synced, renamed, the folder synced.
 * After 0 the new content survives a power cut; after an error the old is untouched and nothing is left beside it
 * (a leftover of a crash is named "<name>.new" and is overwritten by the next call). Where a file system cannot exchange two names, a folder
 * that cannot be synced leaves neither. 0 as well when the folder could be neither synced nor put back: the new is what the next reader finds.
 */
int io_replace_file(int dirfd, const char *name, const void *buf, size_t len,
		    mode_t mode) __must_check;

#define IO_FDS_MAX 253 /* SCM_MAX_FD, unix(7) */

/*
 * Sends bytes with up to IO_FDS_MAX descriptors attached to the first. Returns the count of bytes taken
 * by the kernel (descriptors go with the first byte) or -errno. The descriptors stay the caller's.
 */
ssize_t io_send_fds(int sock, const void *buf, size_t len, const int *fds, size_t nfds);
/*
 * Receives bytes and descriptors (close-on-exec). Returns bytes, 0 at the end, -errno. *ret_nfds of at most max_fds
 * are stored in fds and become the caller's; when more were sent, all are closed: -EMSGSIZE.
 */
ssize_t io_recv_fds(int sock, void *buf, size_t len, int *fds, size_t max_fds,
		    size_t *ret_nfds);

#endif
