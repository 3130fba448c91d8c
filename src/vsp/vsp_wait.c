/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for the next turn. A thread sleeps in epoll, with doorbell and control edge-triggered: an eventfd's edge comes with each
 * write, so it is never read, which spares a system call on the way of each request. On the loop, the same is done by events.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "sandbox/sandbox.h"
#include "util/log.h"
#include "vsp/vsp_priv.h"

#define STACK_BYTES (256u << 10)

/* ---- a thread ---- */

static int timeout_ms(const struct vsp_channel *vc)
{
	uint64_t at = vsp_next_ns(vc), now;

	if (!at)
		return -1;
	now = vsp_now_ns();
	return at <= now ? 0 : (int)MIN((at - now + 999999) / 1000000, 60000ull);
}

static void *serve(void *arg)
{
	struct vsp_channel *vc = arg;
	struct epoll_event ev[3];
	char name[64];
	bool io = false, more;
	int n;

	snprintf(name, sizeof(name), "%s/%u", channel_name(vc->ch),
		 channel_sub_index(vc->ch));
	log_thread(name);
	sandbox_thread(SANDBOX_VSP);
	for (;;) {
		more = vsp_turn(vc, io);
		if (VSP_MODE(vc->wish) == VSP_STOP && vsp_still(vc))
			return NULL;
		n = epoll_wait(vc->ep, ev, ARRAY_SIZE(ev), more ? 0 : timeout_ms(vc));
		io = false;
		for (int i = 0; i < n; i++)
			io |= ev[i].data.fd == vc->watch;
	}
}

static int ep_add(struct vsp_channel *vc, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return epoll_ctl(vc->ep, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int start_thread(struct vsp_channel *vc)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&vc->thread, &attr, serve, vc);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	vc->has_thread = !r;
	return -r;
}

static int start_own(struct vsp_channel *vc)
{
	int r;

	r = ep_add(vc, channel_doorbell(vc->ch), EPOLLIN | EPOLLET);
	if (!r)
		r = ep_add(vc, vc->ctl, EPOLLIN | EPOLLET);
	return r ? r : start_thread(vc);
}

/* ---- the loop ---- */

static void turn_on_loop(struct vsp_channel *vc, bool io)
{
	if (vsp_turn(vc, io))
		event_active(vc->ev_ctl, 0, 0);
	vsp_wait_rearm(vc);
}

static void on_event(evutil_socket_t fd, short what, void *opaque)
{
	uint64_t n;

	if (fd >= 0 && (what & EV_READ) && read(fd, &n, sizeof(n)) < 0)
		return; /* an earlier turn has served it */
	turn_on_loop(opaque, false);
}

static void on_watch(evutil_socket_t fd, short what, void *opaque)
{
	turn_on_loop(opaque, true);
}

void vsp_wait_rearm(struct vsp_channel *vc)
{
	uint64_t at = vsp_next_ns(vc), now, us;
	struct timeval tv;

	if (!vc->ev_timer)
		return;
	if (!at) {
		evtimer_del(vc->ev_timer);
		return;
	}
	now = vsp_now_ns();
	us = at > now ? (at - now + 999) / 1000 : 0;
	tv.tv_sec = (time_t)(us / 1000000);
	tv.tv_usec = (suseconds_t)(us % 1000000);
	evtimer_add(vc->ev_timer, &tv);
}

static int start_on_loop(struct vsp_channel *vc)
{
	struct event_base *loop = vc->vsp->loop;

	vc->ev_doorbell = event_new(loop, channel_doorbell(vc->ch), EV_READ | EV_PERSIST,
				    on_event, vc);
	vc->ev_ctl = event_new(loop, vc->ctl, EV_READ | EV_PERSIST, on_event, vc);
	vc->ev_timer = evtimer_new(loop, on_event, vc);
	if (!vc->ev_doorbell || !vc->ev_ctl || !vc->ev_timer ||
	    event_add(vc->ev_doorbell, NULL) || event_add(vc->ev_ctl, NULL))
		return -ENOMEM;
	vsp_wait_wake(vc); /* what the guest put there before the doorbell worked */
	return 0;
}

/* ---- both ---- */

int vsp_wait_start(struct vsp_channel *vc)
{
	return vc->vsp->flags & VSP_ON_LOOP ? start_on_loop(vc) : start_own(vc);
}

static void free_event(struct event **ev)
{
	if (*ev)
		event_free(*ev);
	*ev = NULL;
}

void vsp_wait_end(struct vsp_channel *vc)
{
	if (vc->has_thread)
		pthread_join(vc->thread, NULL);
	vc->has_thread = false;
	free_event(&vc->ev_doorbell);
	free_event(&vc->ev_ctl);
	free_event(&vc->ev_timer);
	free_event(&vc->ev_watch);
}

static int watch(struct vsp_channel *vc, int fd)
{
	if (!(vc->vsp->flags & VSP_ON_LOOP))
		return ep_add(vc, fd, EPOLLIN);
	vc->ev_watch = event_new(vc->vsp->loop, fd, EV_READ | EV_PERSIST, on_watch, vc);
	return vc->ev_watch && !event_add(vc->ev_watch, NULL) ? 0 : -ENOMEM;
}

void vsp_wait_watch(struct vsp_channel *vc, int fd)
{
	if (vc->watch >= 0 && vc->ep >= 0)
		epoll_ctl(vc->ep, EPOLL_CTL_DEL, vc->watch, NULL);
	free_event(&vc->ev_watch);
	vc->watch = fd;
	if (fd >= 0 && watch(vc, fd))
		channel_fault(vc->ch, "the host cannot watch its I/O engine");
}

void vsp_wait_wake(struct vsp_channel *vc)
{
	uint64_t one = 1;

	if (write(vc->ctl, &one, sizeof(one)) < 0)
		log_debug("a full eventfd");
}
