/* SPDX-License-Identifier: BSD-2-Clause */
#include "vsp/vsp.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vsp/vsp_priv.h"

static void set_mode(struct vsp_channel *vc, enum vsp_mode mode)
{
	uint32_t want = atomic_load(&vc->want);

	if (VSP_MODE(want) == VSP_STOP)
		return;
	atomic_store(&vc->want, ((want & ~3u) + VSP_WISH_STEP) | mode);
	vsp_wait_wake(vc);
}

static bool acknowledged(const struct vsp_channel *vc)
{
	return atomic_load(&vc->ack) == atomic_load(&vc->want);
}

static void free_channel(struct vsp_channel *vc)
{
	vsp_wait_end(vc);
	vsp_drop_backlog(vc);
	if (vc->ev_done)
		event_free(vc->ev_done);
	if (vc->ctl >= 0)
		close(vc->ctl);
	if (vc->done >= 0)
		close(vc->done);
	if (vc->ep >= 0)
		close(vc->ep);
	list_del(&vc->link);
	free(vc);
}

static void check_paused(struct vsp *v)
{
	void (*done)(void *) = v->pause_done;
	struct vsp_channel *vc;

	if (!done)
		return;
	list_for_each (vc, &v->channels, link) {
		if (!acknowledged(vc))
			return;
	}
	v->pause_done = NULL;
	done(v->pause_opaque);
}

/* A serving thread stands still: for good or for a pause. */
static void on_done(evutil_socket_t fd, short what, void *opaque)
{
	struct vsp_channel *vc = opaque;
	struct vmbus_channel *ch = vc->ch;
	struct vsp *v = vc->vsp;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 || !acknowledged(vc))
		return;
	if (VSP_MODE(atomic_load(&vc->want)) == VSP_STOP) {
		vsp_wait_end(vc);
		v->ops->close(vc->state);
		free_channel(vc);
		check_paused(v);
		channel_close_done(ch); /* v may be gone after it */
		return;
	}
	check_paused(v);
}

static int init_channel(struct vsp_channel *vc, struct vsp *v, struct vmbus_channel *ch)
{
	vc->vsp = v;
	vc->ch = ch;
	vc->watch = vc->ep = -1;
	list_init(&vc->backlog);
	list_add_tail(&v->channels, &vc->link);
	atomic_store(&vc->want, v->paused ? VSP_WISH_STEP | VSP_PAUSE : VSP_RUN);
	vc->wish = atomic_load(&vc->want);
	vc->ctl = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vc->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vc->ctl < 0 || vc->done < 0)
		return -errno;
	if (!(v->flags & VSP_ON_LOOP)) {
		vc->ep = epoll_create1(EPOLL_CLOEXEC);
		if (vc->ep < 0)
			return -errno;
	}
	vc->ev_done = event_new(v->loop, vc->done, EV_READ | EV_PERSIST, on_done, vc);
	return vc->ev_done && !event_add(vc->ev_done, NULL) ? 0 : -ENOMEM;
}

static struct vsp_channel *find_channel(struct vsp *v, const struct vmbus_channel *ch)
{
	struct vsp_channel *vc;

	list_for_each (vc, &v->channels, link) {
		if (vc->ch == ch)
			return vc;
	}
	return NULL;
}

static int on_open(void *dev, struct vmbus_channel *ch)
{
	struct vsp *v = dev;
	struct vsp_channel *vc = calloc(1, sizeof(*vc));
	int r;

	if (!vc)
		return -ENOMEM;
	r = init_channel(vc, v, ch);
	if (!r)
		r = v->ops->open(v->dev, vc, &vc->state);
	if (!r) {
		r = vsp_wait_start(vc);
		if (r)
			v->ops->close(vc->state);
	}
	if (r)
		free_channel(vc);
	return r;
}

static void on_close(void *dev, struct vmbus_channel *ch)
{
	set_mode(find_channel(dev, ch), VSP_STOP);
}

static void on_gone(void *dev)
{
	struct vsp *v = dev;
	void (*done)(void *) = v->remove_done;
	void *opaque = v->remove_opaque;

	free(v);
	if (done)
		done(opaque);
}

static const struct vmbus_channel_ops channel_ops = {
	.open = on_open,
	.close = on_close,
	.gone = on_gone,
};

int vsp_new(struct vmbus *bus, struct event_base *loop,
	    const struct vmbus_offer_params *params, unsigned int flags,
	    const struct vsp_ops *ops, void *dev, struct vsp **ret)
{
	struct vmbus_offer_params p = *params;
	struct vsp *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->bus = bus;
	v->loop = loop;
	v->flags = flags;
	v->ops = ops;
	v->dev = dev;
	list_init(&v->channels);
	p.ops = &channel_ops;
	p.dev = v;
	r = vmbus_offer(bus, &p, &v->primary);
	if (r) {
		free(v);
		return r;
	}
	*ret = v;
	return 0;
}

void vsp_remove(struct vsp *v, void (*done)(void *opaque), void *opaque)
{
	v->remove_done = done;
	v->remove_opaque = opaque;
	vmbus_rescind(v->primary);
}

void vsp_pause(struct vsp *v, void (*done)(void *opaque), void *opaque)
{
	struct vsp_channel *vc;

	v->paused = true;
	v->pause_done = done;
	v->pause_opaque = opaque;
	list_for_each (vc, &v->channels, link)
		set_mode(vc, VSP_PAUSE);
	check_paused(v);
}

void vsp_resume(struct vsp *v)
{
	struct vsp_channel *vc;

	v->paused = false;
	v->pause_done = NULL;
	list_for_each (vc, &v->channels, link)
		set_mode(vc, VSP_RUN);
}

void vsp_channel_kick(struct vsp_channel *vc)
{
	atomic_store(&vc->kicked, true);
	vsp_wait_wake(vc);
}

void vsp_kick(struct vsp *v)
{
	struct vsp_channel *vc;

	list_for_each (vc, &v->channels, link)
		vsp_channel_kick(vc);
}

struct vmbus_channel *vsp_primary(struct vsp *v)
{
	return v->primary;
}

struct vmbus_channel *vsp_channel_vmbus(struct vsp_channel *vc)
{
	return vc->ch;
}

void vsp_watch(struct vsp_channel *vc, int fd)
{
	vsp_wait_watch(vc, fd);
}

void vsp_timer(struct vsp_channel *vc, uint64_t deadline_ns)
{
	vc->deadline_ns = deadline_ns;
	vsp_wait_rearm(vc);
}

void vsp_timer_by(struct vsp_channel *vc, uint64_t deadline_ns)
{
	if (!vc->deadline_ns || deadline_ns < vc->deadline_ns)
		vc->deadline_ns = deadline_ns;
}

bool vsp_runs(const struct vsp_channel *vc)
{
	return VSP_MODE(vc->wish) == VSP_RUN;
}
