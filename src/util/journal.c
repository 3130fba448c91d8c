/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/journal.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct buffer {
	char *at;
	size_t room, used;
	bool full;
};

static void put(struct buffer *b, const void *bytes, size_t n)
{
	if (n > b->room - b->used) {
		b->full = true;
		return;
	}
	memcpy(b->at + b->used, bytes, n);
	b->used += n;
}

ssize_t journal_format(const struct journal_field *fields, size_t n, char *ret,
		       size_t size)
{
	struct buffer b = { .at = ret, .room = size };

	for (size_t i = 0; i < n; i++) {
		const char *value = fields[i].value;
		size_t len = value ? strlen(value) : 0;

		if (!value)
			continue;
		put(&b, fields[i].name, strlen(fields[i].name));
		if (strchr(value, '\n')) {
			uint64_t le = htole64(len);

			put(&b, "\n", 1);
			put(&b, &le, sizeof(le));
		} else {
			put(&b, "=", 1);
		}
		put(&b, value, len);
		put(&b, "\n", 1);
	}
	return b.full ? -E2BIG : (ssize_t)b.used;
}

/* -1 until it is needed; whoever is second closes its own. */
static int journal_fd(void)
{
	static _Atomic int kept = -1;
	int fd = kept, none = -1;

	if (fd >= 0)
		return fd;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (atomic_compare_exchange_strong(&kept, &none, fd))
		return fd;
	close(fd);
	return none;
}

int journal_send(const struct journal_field *fields, size_t n)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX,
					.sun_path = JOURNAL_SOCKET };
	char text[JOURNAL_TEXT_MAX];
	ssize_t len = journal_format(fields, n, text, sizeof(text));
	int fd = journal_fd();

	if (len < 0)
		return (int)len;
	if (fd < 0)
		return fd;
	if (sendto(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}
