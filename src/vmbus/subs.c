/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/subs.h"

#include "vmbus/channel_priv.h"

static unsigned int find_subs(struct vmbus_channel *primary, unsigned int sub_index,
			      unsigned int *ret_count)
{
	struct control_channel *c;
	unsigned int same = 0;

	*ret_count = 0;
	list_for_each (c, &primary->bus->control.channels, link) {
		if (c->primary != &primary->control || c->rescinded)
			continue;
		++*ret_count;
		same += c->offer.sub_index == sub_index;
	}
	return same;
}

static int offer_sub(struct vmbus_channel *primary, unsigned int sub_index)
{
	struct vmbus_channel *ch;
	int r = channel_new(primary->bus, &ch);

	if (r)
		return r;
	ch->primary = primary;
	ch->control.offer = primary->control.offer;
	ch->control.offer.sub_index = (uint16_t)sub_index;
	r = control_offer(&primary->bus->control, &ch->control, &primary->control);
	if (r)
		channel_free(ch);
	return r;
}

/* As many as are wanted, at the free indices from 1 on. */
static void offer_subs(struct vmbus_channel *primary)
{
	unsigned int wanted = atomic_load(&primary->subs_wanted), have;

	for (unsigned int i = 1; i <= wanted; i++) {
		bool same = find_subs(primary, i, &have) > 0;

		if (have >= wanted)
			break;
		if (!same && offer_sub(primary, i))
			break;
	}
	atomic_compare_exchange_strong(&primary->subs_wanted, &wanted, 0);
}

void subs_offer(struct vmbus *bus)
{
	struct control_channel *c;

	/* What is added stands behind, and is no primary. */
	list_for_each (c, &bus->control.channels, link) {
		if (!c->primary && atomic_load(&channel_of(c)->subs_wanted))
			offer_subs(channel_of(c));
	}
}
