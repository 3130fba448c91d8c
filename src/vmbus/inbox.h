/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's control messages on their way from the VPs that posted them to the bus thread: a bounded queue.
 *
 * INITIATE_CONTACT and UNLOAD end everything that was before them. So they find room in any case, by making the messages before them
 * void, and are *urgent*: a crashed guest that takes no more answers must not keep the next one from being heard.
 */
#ifndef VMBUS_INBOX_H
#define VMBUS_INBOX_H

#include <pthread.h>
#include "proto/vmbus.h"
#include "util/macros.h"

#define INBOX_MAX 32

struct inbox_message {
	uint16_t len;
	uint8_t bytes[VMBUS_MESSAGE_MAX];
};

struct inbox {
	pthread_mutex_t lock;
	/* under lock */
	struct inbox_message messages[INBOX_MAX];
	unsigned int first, count;
	bool urgent; /* the first one is */
};

void inbox_init(struct inbox *b);
void inbox_done(struct inbox *b);

/* By copy. -EMSGSIZE; -ENOBUFS: the guest is to try again. Thread: any. */
int inbox_put(struct inbox *b, const void *msg, size_t len) __must_check;
/* The next message; with `urgent_only`, only if it is. Thread: the bus. */
bool inbox_take(struct inbox *b, bool urgent_only,
		struct inbox_message *ret) __must_check;
void inbox_clear(struct inbox *b);

#endif
