/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control plane under any order of a guest's messages and a host's wishes: most messages are of a right form with small numbers, so that
 * they meet; some are any bytes. The invariants are checked after each, and at the end nothing may be left.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include "fuzz/input.h"
#include "unit/vmbus/control_host.h"

#define STEPS_MAX 2000

static const uint32_t versions[] = {
	VMBUS_VERSION_WIN10_V5_3,
	VMBUS_VERSION_WIN8,
	VMBUS_VERSION_WIN10_V4_1,
	VMBUS_VERSION(1, 1),
};

static void message(struct host *h, struct input *in, uint32_t type)
{
	uint32_t relid = input_u8(in) % 8, id = input_u8(in) % 8;

	switch (type) {
	case CHANNELMSG_INITIATE_CONTACT:
		host_contact(h, versions[id % ARRAY_SIZE(versions)]);
		return;
	case CHANNELMSG_GPADL_HEADER:
		host_gpadl(h, relid, id, input_u8(in) + 1u);
		return;
	case CHANNELMSG_GPADL_TEARDOWN:
		host_teardown(h, relid, id);
		return;
	case CHANNELMSG_OPENCHANNEL:
		host_open(h, relid, id, input_u8(in) % 4);
		return;
	case CHANNELMSG_MODIFYCHANNEL:
		host_modify(h, relid, id);
		return;
	case CHANNELMSG_CLOSECHANNEL:
	case CHANNELMSG_RELID_RELEASED:
		host_relid(h, type, relid);
		return;
	default:
		host_simple(h, type);
		return;
	}
}

static void raw_message(struct host *h, struct input *in)
{
	uint8_t buf[VMBUS_MESSAGE_MAX + 8];
	size_t len = input_u8(in) % (sizeof(buf) + 1);

	input_take(in, buf, sizeof(buf) < in->left ? len : in->left);
	host_send(h, buf, len);
}

static struct host_channel *pick(struct host *h, struct input *in)
{
	struct host_channel *ch = &h->channels[input_u8(in) % 8];

	return ch->used ? ch : NULL;
}

static void wish(struct host *h, struct input *in, unsigned int kind)
{
	struct host_channel *ch = pick(h, in);

	switch (kind) {
	case 0:
		(void)host_offer(h, input_u8(in) % 4);
		break;
	case 1:
		if (ch && !ch->control.primary)
			(void)host_offer_sub(h, ch, input_u8(in) % 4);
		break;
	case 2:
		if (ch)
			control_rescind(&ch->control);
		break;
	case 3:
		if (ch && ch->control.state == CONTROL_CLOSING)
			host_closed(h, ch);
		break;
	case 4:
		h->defer_close = !h->defer_close;
		break;
	case 5:
		h->open_result = h->open_result ? 0 : -5;
		break;
	case 6:
		control_reap(&h->control);
		break;
	default:
		if (!h->control.next_reset)
			control_reset(&h->control);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct host h;
	struct input in = { data, size };
	const char *wrong;

	host_init(&h);
	(void)host_offer(&h, 1);
	for (unsigned int n = 0; in.left && n < STEPS_MAX; n++) {
		unsigned int op = input_u8(&in);

		if (op < 160)
			message(&h, &in, op % 26);
		else if (op < 176)
			raw_message(&h, &in);
		else
			wish(&h, &in, op % 8);
		wrong = host_fault(&h);
		if (wrong) {
			fprintf(stderr, "%s\n", wrong);
			abort();
		}
	}
	host_done(&h);
	return 0;
}
