/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/echo.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "unit/test.h"

#define IOV_MAX_HERE 512
#define FLOOD_BYTES_MAX 4096

const uint8_t echo_type[16] = {
	0xec, 0x0e, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
};

struct channel_state {
	struct echo *echo;
	struct vsp_channel *vc;
};

static int64_t sum(const struct iovec *iov, unsigned int n)
{
	int64_t total = 0;

	for (unsigned int i = 0; i < n; i++) {
		for (size_t j = 0; j < iov[i].iov_len; j++)
			total += ((const uint8_t *)iov[i].iov_base)[j];
	}
	return total;
}

static int64_t gpadl_sum(struct channel_state *s, uint32_t id)
{
	struct vmbus_channel *ch = vsp_channel_vmbus(s->vc);
	static _Thread_local struct iovec iov[IOV_MAX_HERE];
	struct gpadl *g;
	unsigned int n;
	int64_t r;

	r = channel_gpadl(ch, id, &g);
	if (r)
		return r;
	r = gpadl_iov(g, 0, gpadl_bytes(g), iov, IOV_MAX_HERE, &n);
	if (!r)
		r = sum(iov, n);
	gpadl_unref(g);
	return r;
}

static int64_t direct_sum(struct channel_state *s, const struct packet *p)
{
	struct vmbus_channel *ch = vsp_channel_vmbus(s->vc);
	struct iovec iov[IOV_MAX_HERE];
	unsigned int n;
	int r;

	r = packet_iov(p, channel_guestmem(ch), iov, IOV_MAX_HERE, &n);
	return r ? r : sum(iov, n);
}

static int64_t flood(struct channel_state *s, uint32_t count, uint32_t bytes)
{
	uint8_t payload[FLOOD_BYTES_MAX] = { 0 };

	if (bytes < sizeof(uint32_t) || bytes > sizeof(payload))
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(payload, &i, sizeof(i));
		memset(payload + sizeof(i), (int)i, bytes - sizeof(i));
		vsp_send(s->vc, 0, i, payload, bytes);
	}
	return count;
}

static int64_t act(struct channel_state *s, const struct packet *p,
		   const struct echo_request *req)
{
	switch (req->op) {
	case ECHO_FLOOD:
		return flood(s, req->count, req->bytes);
	case ECHO_SUBS:
		return channel_request_subs(vsp_channel_vmbus(s->vc), req->count);
	case ECHO_GPADL_SUM:
		return gpadl_sum(s, req->count);
	case ECHO_DIRECT_SUM:
		return direct_sum(s, p);
	default:
		return -EINVAL;
	}
}

static int on_packet(void *state, const struct packet *p)
{
	struct channel_state *s = state;
	struct echo_answer answer;
	struct echo_request req;
	int block = s->echo->block;
	uint64_t n;

	if (block >= 0)
		ck_assert_int_eq(read(block, &n, sizeof(n)), sizeof(n));
	if (p->payload_bytes < sizeof(req))
		return -EPROTO;
	memcpy(&req, p->payload, sizeof(req));
	if (req.op == ECHO_BREAK)
		return -EPROTO;
	if (req.op == ECHO_BACK) {
		vsp_complete(s->vc, p->transaction_id, p->payload, p->payload_bytes);
		return 0;
	}
	answer.result = act(s, p, &req);
	vsp_complete(s->vc, p->transaction_id, &answer, sizeof(answer));
	return 0;
}

static int on_open(void *dev, struct vsp_channel *vc, void **ret_state)
{
	struct channel_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->echo = dev;
	s->vc = vc;
	s->echo->opens++;
	s->echo->open_now++;
	*ret_state = s;
	return 0;
}

static void on_close(void *state)
{
	struct channel_state *s = state;

	s->echo->closes++;
	s->echo->open_now--;
	free(s);
}

static const struct vsp_ops echo_ops = {
	.open = on_open,
	.packet = on_packet,
	.close = on_close,
};

void echo_new(struct machine *m, void *arg)
{
	struct echo *e = arg;
	struct vmbus_offer_params params = {
		.name = "echo",
		.max_sub_channels = 3,
	};

	memcpy(&params.type, echo_type, sizeof(echo_type));
	memcpy(&params.instance, echo_type, sizeof(echo_type));
	((uint8_t *)&params.instance)[15] = (uint8_t)e->number;
	e->block = -1;
	ck_assert_int_eq(vsp_new(m->vmbus, m->loop, &params, 0, &echo_ops, e, &e->vsp),
			 0);
}

static void on_gone(void *opaque)
{
	((struct echo *)opaque)->gone = true;
}

void echo_remove(struct machine *m, void *arg)
{
	struct echo *e = arg;

	vsp_remove(e->vsp, on_gone, e);
}
