/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/inbox.h"

#include <errno.h>
#include <string.h>

void inbox_init(struct inbox *b)
{
	memset(b, 0, sizeof(*b));
	pthread_mutex_init(&b->lock, NULL);
}

void inbox_done(struct inbox *b)
{
	pthread_mutex_destroy(&b->lock);
}

static bool is_urgent(const void *msg, size_t len)
{
	uint32_t type = CHANNELMSG_INVALID;

	memcpy(&type, msg, MIN(len, sizeof(type)));
	return type == CHANNELMSG_INITIATE_CONTACT || type == CHANNELMSG_UNLOAD;
}

static void put_locked(struct inbox *b, const void *msg, size_t len)
{
	struct inbox_message *m = &b->messages[(b->first + b->count++) % INBOX_MAX];

	m->len = (uint16_t)len;
	memcpy(m->bytes, msg, len);
}

int inbox_put(struct inbox *b, const void *msg, size_t len)
{
	int r = 0;

	if (len > VMBUS_MESSAGE_MAX)
		return -EMSGSIZE;
	pthread_mutex_lock(&b->lock);
	if (is_urgent(msg, len)) {
		b->count = 0;
		b->urgent = true;
	}
	if (b->count == INBOX_MAX)
		r = -ENOBUFS;
	else
		put_locked(b, msg, len);
	pthread_mutex_unlock(&b->lock);
	return r;
}

bool inbox_take(struct inbox *b, bool urgent_only, struct inbox_message *ret)
{
	bool some;

	pthread_mutex_lock(&b->lock);
	some = b->count && (b->urgent || !urgent_only);
	if (some) {
		*ret = b->messages[b->first];
		b->first = (b->first + 1) % INBOX_MAX;
		b->count--;
		b->urgent = false;
	}
	pthread_mutex_unlock(&b->lock);
	return some;
}

void inbox_clear(struct inbox *b)
{
	pthread_mutex_lock(&b->lock);
	b->count = 0;
	b->urgent = false;
	pthread_mutex_unlock(&b->lock);
}
