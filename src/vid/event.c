/* SPDX-License-Identifier: BSD-2-Clause */
/* A ring under a lock and an eventfd that is readable while it holds something. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vid/partition_priv.h"

int events_init(struct events *ev)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	ev->fd = fd;
	ev->first = ev->n = 0;
	pthread_mutex_init(&ev->lock, NULL);
	return 0;
}

void events_done(struct events *ev)
{
	if (ev->fd >= 0)
		close(ev->fd);
	pthread_mutex_destroy(&ev->lock);
}

/* An eventfd's read and write can only fail in ways that leave it as it should be: empty, or full. */
static void ready_set(struct events *ev, bool ready)
{
	uint64_t value = 1;
	ssize_t n = ready ? write(ev->fd, &value, sizeof(value))
			  : read(ev->fd, &value, sizeof(value));

	(void)n;
}

void events_clear(struct events *ev)
{
	pthread_mutex_lock(&ev->lock);
	ev->n = 0;
	ready_set(ev, false);
	pthread_mutex_unlock(&ev->lock);
}

void events_put(struct events *ev, const struct partition_event *e)
{
	unsigned int room = e->type == PARTITION_CRASHED ? EVENTS_MAX - 1 : EVENTS_MAX;

	pthread_mutex_lock(&ev->lock);
	if (ev->n < room) {
		ev->ring[(ev->first + ev->n++) % EVENTS_MAX] = *e;
		ready_set(ev, true);
	}
	pthread_mutex_unlock(&ev->lock);
}

bool events_next(struct events *ev, struct partition_event *ret)
{
	bool got;

	pthread_mutex_lock(&ev->lock);
	got = ev->n > 0;
	if (got) {
		*ret = ev->ring[ev->first];
		ev->first = (ev->first + 1) % EVENTS_MAX;
		ev->n--;
	}
	if (!ev->n)
		ready_set(ev, false);
	pthread_mutex_unlock(&ev->lock);
	return got;
}
