/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitch/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A rate's bucket: a tenth of a second, and at least some of the largest frames that a guest sends at once (64 KiB, TSO). */
#define BURST_MIN_BYTES (256u << 10)
#define BURST_MAX_BYTES (64u << 20)

/* Names of ports have '-', which a chain's has not. */
static void put_chain(FILE *f, const char *direction, const char *port)
{
	fprintf(f, "%s_", direction);
	for (; *port; port++)
		fputc(*port == '-' ? '_' : *port, f);
}

static void put_acl(FILE *f, const struct port_acl *a, const char *address)
{
	const char *verdict = a->deny ? "drop" : "accept";
	char remote[NET_PREFIX_STR];

	if (a->remote.family == AF_UNSPEC) {
		fprintf(f, "\t\tmeta protocol { ip, ip6 } %s\n", verdict);
		return;
	}
	net_prefix_format(&a->remote, remote);
	fprintf(f, "\t\tmeta protocol %s %s %s %s %s\n",
		a->remote.family == AF_INET ? "ip" : "ip6",
		a->remote.family == AF_INET ? "ip" : "ip6", address, remote, verdict);
}

static void put_acls(FILE *f, const struct nic_port *p, enum acl_direction d)
{
	for (size_t i = 0; i < p->acl_count; i++) {
		if (p->acls[i].direction & d)
			put_acl(f, &p->acls[i], d == ACL_IN ? "saddr" : "daddr");
	}
}

/* Before the ACLs, which accept and so end the chain. */
static void put_rate(FILE *f, uint64_t bps)
{
	uint64_t bytes = bps / 8;
	uint64_t burst = MIN(MAX(bytes / 10, (uint64_t)BURST_MIN_BYTES),
			     (uint64_t)BURST_MAX_BYTES);

	fprintf(f,
		"\t\tlimit rate over %" PRIu64 " bytes/second burst %" PRIu64
		" bytes drop\n",
		bytes, burst);
}

static void put_port(FILE *f, const struct filter_port *x)
{
	const struct nic_port *p = x->port;
	const uint8_t *m = x->mac;

	fprintf(f, "\tchain ");
	put_chain(f, "from", x->name);
	fprintf(f, " {\n");
	if (!p->mac_spoofing)
		fprintf(f, "\t\tether saddr != %02x:%02x:%02x:%02x:%02x:%02x drop\n",
			m[0], m[1], m[2], m[3], m[4], m[5]);
	if (p->dhcp_guard)
		fprintf(f, "\t\tmeta protocol ip udp sport 67 drop\n"
			   "\t\tmeta protocol ip6 udp sport 547 drop\n");
	if (p->router_guard)
		fprintf(f, "\t\tmeta protocol ip6 icmpv6 type { nd-router-advert, "
			   "nd-redirect } drop\n");
	if (p->max_bps)
		put_rate(f, p->max_bps);
	put_acls(f, p, ACL_OUT);
	fprintf(f, "\t}\n\tchain ");
	put_chain(f, "to", x->name);
	fprintf(f, " {\n");
	put_acls(f, p, ACL_IN);
	fprintf(f, "\t}\n");
}

/* One look-up leads to a port's chain, however many there are. */
static void put_hook(FILE *f, const struct filter *x, const char *chain, const char *hook,
		     const char *key, const char *direction)
{
	fprintf(f, "\tchain %s {\n\t\ttype filter hook %s priority 0; policy accept;\n",
		chain, hook);
	fprintf(f, "\t\t%s vmap {", key);
	for (size_t i = 0; i < x->port_count; i++) {
		fprintf(f, "%s\n\t\t\t\"%s\" : jump ", i ? "," : "", x->ports[i].name);
		put_chain(f, direction, x->ports[i].name);
	}
	fprintf(f, "\n\t\t}\n\t}\n");
}

/* What is there is removed; the empty table before makes that no error when there is none. */
static void put_table(FILE *f, const char *family, const char *table, bool begin)
{
	fprintf(f, "table %s %s\ndelete table %s %s\n", family, table, family, table);
	if (begin)
		fprintf(f, "table %s %s {\n", family, table);
}

static void put_bridge(FILE *f, const struct filter *x)
{
	put_table(f, "bridge", x->table, x->port_count);
	if (!x->port_count)
		return;
	for (size_t i = 0; i < x->port_count; i++)
		put_port(f, &x->ports[i]);
	put_hook(f, x, "from_ports", "prerouting", "iifname", "from");
	put_hook(f, x, "to_ports", "postrouting", "oifname", "to");
	fprintf(f, "}\n");
}

static bool goes_to(const struct filter_port *source, const struct filter_port *d)
{
	return d->port->mirror == MIRROR_DESTINATION &&
	       strcmp(source->bridge, d->bridge) == 0;
}

static void put_copies(FILE *f, const struct filter *x, const struct filter_port *source,
		       const char *hook)
{
	fprintf(f, "\tchain ");
	put_chain(f, hook, source->name);
	fprintf(f, " {\n\t\ttype filter hook %s device \"%s\" priority 0;\n", hook,
		source->name);
	for (size_t i = 0; i < x->port_count; i++) {
		if (goes_to(source, &x->ports[i]))
			fprintf(f, "\t\tdup to \"%s\"\n", x->ports[i].name);
	}
	fprintf(f, "\t}\n");
}

static bool has_copies(const struct filter *x, const struct filter_port *source)
{
	if (source->port->mirror != MIRROR_SOURCE)
		return false;
	for (size_t i = 0; i < x->port_count; i++) {
		if (goes_to(source, &x->ports[i]))
			return true;
	}
	return false;
}

static void put_mirrors(FILE *f, const struct filter *x)
{
	bool any = false;

	for (size_t i = 0; i < x->port_count; i++)
		any |= has_copies(x, &x->ports[i]);
	put_table(f, "netdev", x->table, any);
	if (!any)
		return;
	for (size_t i = 0; i < x->port_count; i++) {
		if (!has_copies(x, &x->ports[i]))
			continue;
		put_copies(f, x, &x->ports[i], "ingress");
		put_copies(f, x, &x->ports[i], "egress");
	}
	fprintf(f, "}\n");
}

static void put_nats(FILE *f, const struct filter *x)
{
	put_table(f, "inet", x->table, x->nat_count);
	if (!x->nat_count)
		return;
	fprintf(f, "\tchain nat {\n\t\ttype nat hook postrouting priority 100; policy "
		   "accept;\n");
	for (size_t i = 0; i < x->nat_count; i++) {
		const struct filter_nat *n = &x->nats[i];
		const char *family = n->network.family == AF_INET ? "ip" : "ip6";
		char network[NET_PREFIX_STR];

		net_prefix_format(&n->network, network);
		fprintf(f, "\t\t%s saddr %s oifname != \"%s\" masquerade\n", family,
			network, n->bridge);
	}
	fprintf(f, "\t}\n}\n");
}

char *filter_text(const struct filter *x)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool bad;

	if (!f)
		return NULL;
	put_bridge(f, x);
	put_mirrors(f, x);
	put_nats(f, x);
	bad = ferror(f);
	if (fclose(f) != 0 || bad) {
		free(text);
		return NULL;
	}
	return text;
}
