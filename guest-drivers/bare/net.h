/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much of IPv4 as it takes to see that the network adapter works: ARP, DHCP, ping in net.c, one TCP connection in net_tcp.c. RFC 826, 791, 792, 2131,
 * 9293. One adapter, the first; one conversation at a time.
 *
 * Thread: VP 0.
 */
#ifndef BARE_NET_H
#define BARE_NET_H

#include "bare/words.h"
#include "core/netvsc.h"

#define NET_FRAME_MAX 1514u
#define NET_WAIT_US 10000000u

/* test=net: DHCP, ARP, ping the router. */
bool test_net(void);
/* fetch=PORT: GET / of that port of the router, which is the host; says how much came and its sum. */
bool word_fetch(struct args args);
/* serve=PORT: takes one connection, answers a line with a line. */
bool word_serve(struct args args);

/* The adapter up with an address; false after a line that says why not. */
bool net_up(void);
void net_down(void);
/* The router's address, host order. */
uint32_t net_router(void);
/* An IP packet to the router: `payload` of a protocol. False: the adapter took no frame. */
bool net_send_ip(uint8_t protocol, uint32_t to, const void *payload, size_t len);
/* Waits until cond() or `us` are over; frames are taken meanwhile. Gives cond(). */
bool net_until(bool (*cond)(void), uint64_t us);
/* What TCP segments go to while they are wanted. */
typedef void (*net_tcp_fn)(uint32_t from, const uint8_t *segment, size_t len);
void net_want_tcp(net_tcp_fn fn);
/* The sum of RFC 1071, beginning with `sum`, not folded; and folded. */
uint32_t net_sum(const void *p, size_t len, uint32_t sum);
uint16_t net_fold(uint32_t sum);
void net_put16(uint8_t *p, uint32_t v);
void net_put32(uint8_t *p, uint32_t v);
uint32_t net_get16(const uint8_t *p);
uint32_t net_get32(const uint8_t *p);
uint32_t net_address(void);

#endif
