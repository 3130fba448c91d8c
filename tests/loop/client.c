/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/client.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"

#define RING_PAGES 4

struct chan *client_find(struct machine *m, unsigned int number)
{
	struct chan *ch = NULL;

	while ((ch = bus_find(&m->bus, echo_type, ch))) {
		if (ch->offer.interface_instance[15] == number)
			return ch;
	}
	return NULL;
}

size_t client_recv(struct machine *m, struct chan *ch, struct vmbus_packet *ret,
		   void *buf, size_t max)
{
	size_t len;
	int r;

	machine_be_vp(ch->vp);
	while ((r = chan_recv(ch, ret, buf, max, &len)) == -EAGAIN) {
		bus_wait(&m->bus, ch->vp, 0);
	}
	machine_be_vp(0);
	ck_assert_int_eq(r, 0);
	return len;
}

int64_t client_ask(struct machine *m, struct chan *ch, enum echo_op op, uint32_t count,
		   uint32_t bytes)
{
	const struct echo_request req = { .op = op, .count = count, .bytes = bytes };
	struct echo_answer answer;
	struct vmbus_packet d;

	ck_assert_int_eq(chan_send(ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, 77, &req,
				   sizeof(req)),
			 0);
	ck_assert_uint_ge(client_recv(m, ch, &d, &answer, sizeof(answer)),
			  sizeof(answer));
	ck_assert_uint_eq(d.type, VM_PKT_COMP);
	ck_assert_uint_eq(d.transaction_id, 77);
	return answer.result;
}

void client_echo(struct machine *m, struct chan *ch, size_t len)
{
	static uint8_t out[CHAN_PACKET_MAX], in[CHAN_PACKET_MAX];
	const struct echo_request req = { .op = ECHO_BACK };
	struct vmbus_packet d;

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 7 + len);
	memcpy(out, &req, sizeof(req));
	ck_assert_int_eq(
		chan_send(ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, len, out, len), 0);
	/* what comes back is padded to 8 bytes */
	ck_assert_uint_eq(client_recv(m, ch, &d, in, sizeof(in)), (len + 7) / 8 * 8);
	ck_assert_uint_eq(d.transaction_id, len);
	ck_assert_mem_eq(in, out, len);
}

void client_open(struct machine *m, struct chan *ch, unsigned int vp)
{
	ck_assert_ptr_nonnull(ch);
	ck_assert_int_eq(chan_open(ch, RING_PAGES, RING_PAGES, vp, NULL), 0);
}
