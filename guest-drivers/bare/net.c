/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/net.h"

#include "bare/console.h"
#include "bare/guest.h"
#include "bare/tests.h"
#include "bare/time.h"
#include "core/mem.h"

#define ETHER 14u
#define IP 20u
#define ARP_BYTES 28u
#define DHCP_BYTES 240u /* up to its options */
#define ICMP 1u
#define TCP 6u
#define UDP 17u
#define DHCP_XID 0x62617265u
#define PINGS 3u
#define TRIES 5u

static struct netvsc nc;
static struct {
	uint32_t address, router, dns, offered, server;
	uint8_t router_mac[6];
	bool has_router_mac, dhcp_done;
	unsigned int replies;
	net_tcp_fn tcp;
} net;

static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };

/* ---- bytes ---- */

void net_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void net_put32(uint8_t *p, uint32_t v)
{
	net_put16(p, v >> 16);
	net_put16(p + 2, v);
}

uint32_t net_get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

uint32_t net_get32(const uint8_t *p)
{
	return net_get16(p) << 16 | net_get16(p + 2);
}

uint32_t net_sum(const void *p, size_t len, uint32_t sum)
{
	const uint8_t *b = p;

	for (; len > 1; b += 2, len -= 2)
		sum += net_get16(b);
	return len ? sum + ((uint32_t)*b << 8) : sum;
}

uint16_t net_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t net_router(void)
{
	return net.router;
}

uint32_t net_address(void)
{
	return net.address;
}

/* ---- out ---- */

static bool send_frame(const uint8_t *to, uint32_t type, const void *payload, size_t len)
{
	uint8_t frame[NET_FRAME_MAX];
	const struct netvsc_tx tx = { .frame = frame, .bytes = ETHER + len };

	if (len > sizeof(frame) - ETHER)
		return false;
	memcpy(frame, to, 6);
	memcpy(frame + 6, nc.mac, 6);
	net_put16(frame + 12, type);
	memcpy(frame + ETHER, payload, len);
	return netvsc_send(&nc, 0, &tx) == 0;
}

static bool send_arp(uint32_t op, const uint8_t *mac, uint32_t to)
{
	uint8_t p[ARP_BYTES] = { 0, 1, 8, 0, 6, 4 };

	net_put16(p + 6, op);
	memcpy(p + 8, nc.mac, 6);
	net_put32(p + 14, net.address);
	if (op == 2)
		memcpy(p + 18, mac, 6);
	net_put32(p + 24, to);
	return send_frame(op == 2 ? mac : broadcast, 0x0806, p, sizeof(p));
}

bool net_send_ip(uint8_t protocol, uint32_t to, const void *payload, size_t len)
{
	uint8_t p[NET_FRAME_MAX - ETHER] = { 0x45 };

	if (len > sizeof(p) - IP)
		return false;
	net_put16(p + 2, (uint32_t)(IP + len));
	p[8] = 64;
	p[9] = protocol;
	net_put32(p + 12, net.address);
	net_put32(p + 16, to);
	net_put16(p + 10, net_fold(net_sum(p, IP, 0)));
	memcpy(p + IP, payload, len);
	return send_frame(net.has_router_mac ? net.router_mac : broadcast, 0x0800, p,
			  IP + len);
}

/* DISCOVER (1) or REQUEST (3). */
static bool send_dhcp(uint8_t kind)
{
	uint8_t p[8 + DHCP_BYTES + 32] = { 0 }, *d = p + 8, *o = d + DHCP_BYTES;

	net_put16(p, 68);
	net_put16(p + 2, 67);
	net_put16(p + 4, sizeof(p));
	d[0] = d[1] = 1;
	d[2] = 6;
	net_put32(d + 4, DHCP_XID);
	memcpy(d + 28, nc.mac, 6);
	net_put32(d + 236, 0x63825363);
	*o++ = 53;
	*o++ = 1;
	*o++ = kind;
	if (kind == 3) {
		*o++ = 50;
		*o++ = 4;
		net_put32(o, net.offered);
		o += 4;
		*o++ = 54;
		*o++ = 4;
		net_put32(o, net.server);
		o += 4;
	}
	*o = 255;
	return net_send_ip(UDP, 0xffffffff, p, sizeof(p));
}

static bool send_ping(uint32_t number)
{
	uint8_t p[64] = { 8 };

	net_put16(p + 6, number);
	net_put16(p + 2, net_fold(net_sum(p, sizeof(p), 0)));
	return net_send_ip(ICMP, net.router, p, sizeof(p));
}

/* ---- in ---- */

static void on_arp(const uint8_t *p, size_t len)
{
	uint32_t from;

	if (len < ARP_BYTES || net_get32(p + 24) != net.address)
		return;
	from = net_get32(p + 14);
	if (net_get16(p + 6) == 1)
		send_arp(2, p + 8, from);
	if (net_get16(p + 6) == 2 && from == net.router) {
		memcpy(net.router_mac, p + 8, 6);
		net.has_router_mac = true;
	}
}

static void on_dhcp(const uint8_t *d, size_t len)
{
	const uint8_t *o = d + DHCP_BYTES, *end = d + len;
	uint32_t kind = 0, router = 0, dns = 0;

	if (len < DHCP_BYTES || net_get32(d + 4) != DHCP_XID)
		return;
	for (; o + 2 <= end && *o != 255 && o + 2 + o[1] <= end; o += *o ? 2 + o[1] : 1) {
		if (*o == 53 && o[1] == 1)
			kind = o[2];
		if (*o == 54 && o[1] == 4)
			net.server = net_get32(o + 2);
		if (*o == 3 && o[1] >= 4)
			router = net_get32(o + 2);
		if (*o == 6 && o[1] >= 4)
			dns = net_get32(o + 2);
	}
	if (kind == 2)
		net.offered = net_get32(d + 16);
	if (kind == 5) {
		net.address = net_get32(d + 16);
		net.router = router;
		net.dns = dns;
		net.dhcp_done = true;
	}
}

static void on_ip(const uint8_t *p, size_t len)
{
	size_t total;

	if (len < IP || p[0] != 0x45 || net_fold(net_sum(p, IP, 0)))
		return;
	total = net_get16(p + 2);
	if (total < IP + 8 || total > len)
		return;
	if (p[9] == UDP && net_get16(p + IP + 2) == 68)
		on_dhcp(p + IP + 8, total - IP - 8);
	else if (p[9] == ICMP && p[IP] == 0)
		net.replies++;
	else if (p[9] == TCP && net.tcp)
		net.tcp(net_get32(p + 12), p + IP, total - IP);
}

static void on_frame(void *opaque, struct netvsc *n, unsigned int queue,
		     const struct netvsc_rx *rx)
{
	(void)opaque;
	(void)n;
	(void)queue;
	if (rx->bytes < ETHER)
		return;
	if (net_get16(rx->frame + 12) == 0x0806)
		on_arp(rx->frame + ETHER, rx->bytes - ETHER);
	else if (net_get16(rx->frame + 12) == 0x0800)
		on_ip(rx->frame + ETHER, rx->bytes - ETHER);
}

void net_want_tcp(net_tcp_fn fn)
{
	net.tcp = fn;
}

bool net_until(bool (*cond)(void), uint64_t us)
{
	uint64_t until = time_now_us() + us;
	int n;

	while (!cond() && time_now_us() < until) {
		n = netvsc_poll(&nc, 0);
		if (n < 0)
			return false;
		if (!n)
			guest_wait(20000);
	}
	return cond();
}

/* ---- up and down ---- */

static bool is_offered(void)
{
	return net.offered != 0;
}

static bool is_leased(void)
{
	return net.dhcp_done;
}

static bool has_router(void)
{
	return net.has_router_mac;
}

static bool lease(void)
{
	unsigned int i;

	for (i = 0; i < TRIES && !net.dhcp_done; i++) {
		if (!net.offered && (!send_dhcp(1) || !net_until(is_offered, 2000000)))
			continue;
		if (send_dhcp(3))
			net_until(is_leased, 2000000);
	}
	for (i = 0; i < TRIES && net.dhcp_done && !net.has_router_mac; i++) {
		send_arp(1, NULL, net.router);
		net_until(has_router, 2000000);
	}
	return net.has_router_mac;
}

static bool say_lease(void)
{
	uint32_t a = net.address, r = net.router;

	say("net address=%u.%u.%u.%u router=%u.%u.%u.%u", a >> 24, a >> 16 & 255,
	    a >> 8 & 255, a & 255, r >> 24, r >> 16 & 255, r >> 8 & 255, r & 255);
	return true;
}

bool net_up(void)
{
	struct chan *ch = bus_find(&guest_get()->bus, netvsc_type, NULL);
	int r;

	if (!ch) {
		say("net has no adapter");
		return false;
	}
	memset(&net, 0, sizeof(net));
	r = netvsc_start(&nc, &guest_get()->bus, ch, 0, 0, 1, on_frame, NULL);
	if (r) {
		say("net does not start: error %d", -r);
		return false;
	}
	say("net version=%u.%u mac=%02x:%02x:%02x:%02x:%02x:%02x link=%s",
	    nc.version >> 16, nc.version & 0xffff, nc.mac[0], nc.mac[1], nc.mac[2],
	    nc.mac[3], nc.mac[4], nc.mac[5], nc.link_up ? "up" : "down");
	if (lease())
		return say_lease();
	say("net gets no address");
	net_down();
	return false;
}

void net_down(void)
{
	net.tcp = NULL;
	if (netvsc_stop(&nc))
		say("net does not stop");
}

static unsigned int wanted_replies;

static bool is_answered(void)
{
	return net.replies >= wanted_replies;
}

bool test_net(void)
{
	unsigned int i;

	if (!net_up())
		return false;
	for (i = 0; i < PINGS + TRIES && net.replies < PINGS; i++) {
		wanted_replies = net.replies + 1;
		if (send_ping(i))
			net_until(is_answered, 2000000);
	}
	say("net ping %u of %u answered", net.replies, i);
	net_down();
	return net.replies >= PINGS;
}
