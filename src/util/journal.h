/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message with fields to systemd's journal, by its native protocol (systemd, "Native Journal Protocol"): one datagram of
 * NAME=value lines, or NAME, a newline, 64 bits of length and the bytes, for a value that has a newline.
 * Thread: any. Never waits: a journal that takes no more loses the message, and the caller is told.
 */
#ifndef UTIL_JOURNAL_H
#define UTIL_JOURNAL_H

#include <sys/types.h>
#include "util/macros.h"

struct journal_field {
	const char *name;  /* A-Z, 0-9, '_'; journald(8) drops what is not */
	const char *value; /* NULL: the field is left out */
};

#define JOURNAL_TEXT_MAX 8192u
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* The datagram: its length, or -E2BIG when `size` is too small. */
ssize_t journal_format(const struct journal_field *fields, size_t n, char *ret,
		       size_t size) __must_check;
/* Opens on first use, and keeps, a socket. -E2BIG, -ENOENT, -ECONNREFUSED, -EAGAIN … */
int journal_send(const struct journal_field *fields, size_t n) __must_check;

#endif
