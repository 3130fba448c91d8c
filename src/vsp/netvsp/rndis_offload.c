/* SPDX-License-Identifier: BSD-2-Clause */
/* OID_TCP_OFFLOAD_*: what the adapter can take off the guest's hands, and what of it the guest switched on. */
#include "vsp/netvsp/rndis.h"

#include <string.h>

static uint32_t csum_flags(bool on, bool v4)
{
	uint32_t flags = NDIS_CSUM_IP_OPTIONS | NDIS_CSUM_TCP_OPTIONS | NDIS_CSUM_TCP |
			 NDIS_CSUM_UDP;

	return on ? flags | (v4 ? NDIS_CSUM_IP : 0) : 0;
}

static void fill(const struct rndis_offload *o, struct ndis_offload *ret)
{
	const uint32_t flags[4] = { csum_flags(o->csum4, true),
				    csum_flags(o->receive4, true),
				    csum_flags(o->csum6, false),
				    csum_flags(o->receive6, false) };

	*ret = (struct ndis_offload){ .header = { NDIS_OBJECT_OFFLOAD, 3,
						  sizeof(*ret) } };
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		ret->csum[i].flags = flags[i];
		ret->csum[i].encapsulation = flags[i] ? NDIS_ENCAPSULATION_802_3 : 0;
	}
	if (o->lso4) {
		ret->lso4.encapsulation = NDIS_ENCAPSULATION_802_3;
		ret->lso4.max_bytes = RNDIS_LSO_MAX;
		ret->lso4.min_segments = 2;
	}
	if (o->lso6) {
		ret->lso6.encapsulation = NDIS_ENCAPSULATION_802_3;
		ret->lso6.max_bytes = RNDIS_LSO_MAX;
		ret->lso6.min_segments = 2;
		ret->lso6_flags = NDIS_CSUM_IP_OPTIONS | NDIS_CSUM_TCP_OPTIONS;
	}
}

static struct rndis_offload possible(const struct rndis *r)
{
	return (struct rndis_offload){ r->can_csum, r->can_csum, r->can_lso,
				       r->can_lso,  r->can_csum, r->can_csum };
}

void rndis_offload_capabilities(const struct rndis *r, struct ndis_offload *ret)
{
	const struct rndis_offload o = possible(r);

	fill(&o, ret);
}

void rndis_offload_config(const struct rndis *r, struct ndis_offload *ret)
{
	fill(&r->offload, ret);
}

/* TCP and UDP go together: a guest that wants one of them may send either. */
static bool set_csum(uint8_t wish, bool can, bool *send, bool *receive)
{
	bool s = wish == NDIS_OFFLOAD_CSUM_SEND || wish == NDIS_OFFLOAD_CSUM_BOTH;
	bool r = wish == NDIS_OFFLOAD_CSUM_RECEIVE || wish == NDIS_OFFLOAD_CSUM_BOTH;

	if (wish > NDIS_OFFLOAD_CSUM_BOTH)
		return false;
	if (wish) {
		*send = s && can;
		*receive = r && can;
	}
	return true;
}

static bool set_lso(uint8_t wish, bool can, bool *on)
{
	if (wish > NDIS_OFFLOAD_LSO_ON)
		return false;
	if (wish)
		*on = wish == NDIS_OFFLOAD_LSO_ON && can;
	return true;
}

uint32_t rndis_offload_set(struct rndis *r, const uint8_t *value, size_t len)
{
	struct ndis_offload_parameters p;
	struct rndis_offload o = r->offload;
	bool ok;

	if (len < sizeof(p))
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&p, value, sizeof(p));
	if (p.header.type != NDIS_OBJECT_DEFAULT)
		return RNDIS_STATUS_INVALID_DATA;
	ok = set_csum(p.tcp4, r->can_csum, &o.csum4, &o.receive4) &&
	     set_csum(p.tcp6, r->can_csum, &o.csum6, &o.receive6) &&
	     set_lso(p.lso4, r->can_lso, &o.lso4) && set_lso(p.lso6, r->can_lso, &o.lso6);
	if (!ok)
		return RNDIS_STATUS_INVALID_DATA;
	r->offload = o;
	return RNDIS_STATUS_SUCCESS;
}
