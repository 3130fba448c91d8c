/* SPDX-License-Identifier: BSD-2-Clause */
/* One open channel of a VSP: vsp.c starts and ends it, vsp_serve.c does a turn, vsp_wait.c waits for the next. */
#ifndef VSP_VSP_PRIV_H
#define VSP_VSP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include "util/list.h"
#include "vsp/vsp.h"

struct event;

/*
 * What the bus thread wants of a serving thread: a mode and a count, so that each wish differs from the one before. The serving thread
 * acknowledges a wish to stand still when it does, and tells by `done`.
 */
enum vsp_mode { VSP_RUN, VSP_PAUSE, VSP_STOP };
#define VSP_MODE(word) ((enum vsp_mode)((word)&3u))
#define VSP_WISH_STEP 4u

struct vsp {
	/* fixed after new */
	struct vmbus *bus;
	struct event_base *loop;
	unsigned int flags;
	const struct vsp_ops *ops;
	void *dev;
	struct vmbus_channel *primary;
	/* bus thread */
	struct list channels;
	bool paused;
	void (*pause_done)(void *opaque);
	void *pause_opaque;
	void (*remove_done)(void *opaque);
	void *remove_opaque;
};

struct vsp_channel {
	/* fixed after open */
	struct vsp *vsp;
	struct vmbus_channel *ch;
	void *state;
	int ctl;  /* eventfd: a wish or a kick */
	int done; /* eventfd: a wish was acknowledged */
	int ep;   /* epoll, of a thread */
	/* bus thread */
	struct list link;
	pthread_t thread;
	bool has_thread;
	struct event *ev_done, *ev_ctl, *ev_doorbell,
		*ev_timer; /* the latter on the loop */
	/* serving thread */
	struct event *ev_watch;
	int watch;
	uint64_t deadline_ns, room_ns; /* 0: off */
	struct packet packet;
	bool held; /* packet waits for resources */
	bool masked, fault_logged;
	struct list backlog;
	size_t backlog_bytes;
	uint32_t wish; /* the last seen */
	/* atomics */
	_Atomic uint32_t want, ack;
	_Atomic bool kicked;
};

/* One turn; `io`: the watched descriptor is readable. True: come again at once. Thread: serving. */
bool vsp_turn(struct vsp_channel *vc, bool io);
/* Standing still on the last wish: nothing but a new one is to be done. */
bool vsp_still(const struct vsp_channel *vc);
/* The time of the next turn without an event, 0 for none. */
uint64_t vsp_next_ns(const struct vsp_channel *vc);
uint64_t vsp_now_ns(void);
void vsp_drop_backlog(struct vsp_channel *vc);

/* Starts the serving of vc, by a thread or by events of the loop. */
int vsp_wait_start(struct vsp_channel *vc) __must_check;
/* After the last turn; safe on what was not started. */
void vsp_wait_end(struct vsp_channel *vc);
void vsp_wait_watch(struct vsp_channel *vc, int fd);
void vsp_wait_rearm(struct vsp_channel *vc);
/* Thread: any. */
void vsp_wait_wake(struct vsp_channel *vc);

#endif
