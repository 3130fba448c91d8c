/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One TCP connection, as client or server: segments in order, one of ours under way at a time, sent again until it is acknowledged. Enough for a
 * host that is one hop away.
 */
#include "bare/net.h"

#include "bare/console.h"
#include "bare/guest.h"
#include "core/mem.h"

#define TCP 6u
#define HEADER 20u
#define FIN 1u
#define SYN 2u
#define RST 4u
#define ACK 16u
#define WINDOW 16384u
#define RESEND_US 1000000u
#define TRIES 20u

static struct {
	uint32_t peer;
	uint16_t port, peer_port;
	uint32_t seq, acked, ack; /* ours: next and acknowledged; theirs: next */
	bool listening, open, peer_fin, reset;
	uint32_t bytes, sum; /* received, and added up */
	char line[64];
} tcp;

static bool send_segment(uint8_t flags, const void *data, size_t len)
{
	uint8_t s[HEADER + 512] = { 0 };
	uint32_t sum;

	if (len > sizeof(s) - HEADER)
		return false;
	net_put16(s, tcp.port);
	net_put16(s + 2, tcp.peer_port);
	net_put32(s + 4, tcp.seq);
	net_put32(s + 8, tcp.ack);
	s[12] = 0x50;
	s[13] = flags;
	net_put16(s + 14, WINDOW);
	memcpy(s + HEADER, data, len);
	sum = TCP + (uint32_t)(HEADER + len);
	sum += (net_address() >> 16) + (net_address() & 0xffff);
	sum += (tcp.peer >> 16) + (tcp.peer & 0xffff);
	net_put16(s + 16, net_fold(net_sum(s, HEADER + len, sum)));
	return net_send_ip(TCP, tcp.peer, s, HEADER + len);
}

static void take_data(const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (tcp.bytes + i < sizeof(tcp.line) - 1)
			tcp.line[tcp.bytes + i] = (char)data[i];
		tcp.sum = tcp.sum * 31 + data[i];
	}
	tcp.bytes += (uint32_t)len;
	tcp.ack += (uint32_t)len;
}

static void on_syn(uint32_t from, const uint8_t *s)
{
	if (tcp.listening && !tcp.peer_port) {
		tcp.peer = from;
		tcp.peer_port = (uint16_t)net_get16(s);
	}
	tcp.ack = net_get32(s + 4) + 1;
	tcp.open = true;
}

static void on_segment(uint32_t from, const uint8_t *s, size_t len)
{
	size_t head;
	uint8_t flags;

	if (len < HEADER || net_get16(s + 2) != tcp.port)
		return;
	head = (size_t)(s[12] >> 4) * 4;
	flags = s[13];
	if (head < HEADER || head > len ||
	    (tcp.peer_port && (from != tcp.peer || net_get16(s) != tcp.peer_port)))
		return;
	if (flags & RST) {
		tcp.reset = true;
		return;
	}
	if (flags & ACK)
		tcp.acked = net_get32(s + 8);
	if (flags & SYN) {
		on_syn(from, s);
		return;
	}
	if (!tcp.open || (len == head && !(flags & FIN)))
		return;
	if (net_get32(s + 4) == tcp.ack) {
		take_data(s + head, len - head);
		tcp.peer_fin |= flags & FIN;
		tcp.ack += flags & FIN;
	}
	send_segment(ACK, NULL, 0);
}

static bool is_acked(void)
{
	return tcp.acked == tcp.seq || tcp.reset;
}

/* Sends until it is acknowledged. `takes`: the sequence numbers that it takes. */
static bool exchange(uint8_t flags, const void *data, size_t len, uint32_t takes)
{
	uint32_t begin = tcp.seq;
	unsigned int i;

	for (i = 0; i < TRIES && !tcp.reset; i++) {
		tcp.seq = begin;
		send_segment(flags, data, len);
		tcp.seq = begin + takes;
		if (net_until(is_acked, RESEND_US))
			break;
	}
	return tcp.acked == begin + takes && !tcp.reset;
}

static bool is_over(void)
{
	return tcp.peer_fin || tcp.reset;
}

static bool has_line(void)
{
	return is_over() || tcp.bytes;
}

static bool is_asked(void)
{
	return tcp.open || tcp.reset;
}

static void begin(uint16_t port)
{
	memset(&tcp, 0, sizeof(tcp));
	tcp.port = port;
	tcp.seq = 0x1000;
	net_want_tcp(on_segment);
}

static uint16_t port_of(struct args args)
{
	struct arg a;
	uint32_t port = 0;
	size_t i;

	if (!args_next(&args, &a))
		return 0;
	for (i = 0; i < a.len && a.p[i] >= '0' && a.p[i] <= '9'; i++)
		port = port * 10 + (uint32_t)(a.p[i] - '0');
	return i == a.len && port < 65536 ? (uint16_t)port : 0;
}

static bool get(void)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";

	if (!exchange(SYN, NULL, 0, 1))
		return false;
	send_segment(ACK, NULL, 0);
	if (!exchange(ACK, request, sizeof(request) - 1, sizeof(request) - 1))
		return false;
	return net_until(is_over, NET_WAIT_US * 6) && tcp.peer_fin &&
	       exchange(FIN | ACK, NULL, 0, 1);
}

static const char *first_line(void)
{
	size_t i;

	for (i = 0; i < sizeof(tcp.line) - 1 && tcp.line[i] >= ' '; i++)
		;
	tcp.line[i] = 0;
	return tcp.line;
}

bool word_fetch(struct args args)
{
	uint16_t port = port_of(args);
	bool ok;

	if (!guest_get() || !port || !net_up())
		return false;
	begin(40000);
	tcp.peer = net_router();
	tcp.peer_port = port;
	ok = get();
	say("fetch %s bytes=%u sum=0x%x \"%s\"", ok ? "done" : "failed", tcp.bytes,
	    tcp.sum, first_line());
	net_down();
	return ok;
}

bool word_serve(struct args args)
{
	static const char line[] = "hello from the bare guest\n";
	uint16_t port = port_of(args);
	bool ok;

	if (!guest_get() || !port || !net_up())
		return false;
	begin(port);
	tcp.listening = true;
	say("serve port=%u", port);
	ok = net_until(is_asked, NET_WAIT_US * 6) && exchange(SYN | ACK, NULL, 0, 1) &&
	     net_until(has_line, NET_WAIT_US) &&
	     exchange(ACK, line, sizeof(line) - 1, sizeof(line) - 1) &&
	     exchange(FIN | ACK, NULL, 0, 1) && net_until(is_over, NET_WAIT_US);
	say("serve %s \"%s\"", ok ? "done" : "failed", first_line());
	net_down();
	return ok;
}
