/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitch/filter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "unit/test.h"

/* What is always first: whatever was there is removed. */
#define GONE(family) "table " family " vmms_t\ndelete table " family " vmms_t\n"

static void expect(const struct filter *f, const char *text)
{
	char *got = filter_text(f);

	ck_assert_ptr_nonnull(got);
	ck_assert_str_eq(got, text);
	free(got);
}

START_TEST(nothing_removes_all)
{
	const struct filter f = { .table = "vmms_t" };

	expect(&f, GONE("bridge") GONE("netdev") GONE("inet"));
}
END_TEST

#define HOOKS(name, chain)                                                           \
	"\tchain from_ports {\n"                                                     \
	"\t\ttype filter hook prerouting priority 0; policy accept;\n"               \
	"\t\tiifname vmap {\n\t\t\t\"" name "\" : jump from_" chain "\n\t\t}\n\t}\n" \
	"\tchain to_ports {\n"                                                       \
	"\t\ttype filter hook postrouting priority 0; policy accept;\n"              \
	"\t\toifname vmap {\n\t\t\t\"" name "\" : jump to_" chain "\n\t\t}\n\t}\n"   \
	"}\n"

START_TEST(a_port_has_its_own_address_only)
{
	const struct nic_port p = { .vlan = 0 };
	const struct filter_port port = { .name = "vt01-0",
					  .bridge = "vs0",
					  .mac = { 0, 0x15, 0x5d, 1, 2, 0xff },
					  .port = &p };
	const struct filter f = { .table = "vmms_t", .ports = &port, .port_count = 1 };

	expect(&f, GONE("bridge") "table bridge vmms_t {\n"
				  "\tchain from_vt01_0 {\n"
				  "\t\tether saddr != 00:15:5d:01:02:ff drop\n"
				  "\t}\n"
				  "\tchain to_vt01_0 {\n"
				  "\t}\n" HOOKS("vt01-0", "vt01_0") GONE("netdev")
					  GONE("inet"));
}
END_TEST

START_TEST(all_that_a_port_may_have)
{
	const struct nic_port p = {
		.mac_spoofing = true,
		.dhcp_guard = true,
		.router_guard = true,
		.max_bps = 8000000,
		.acls = { { .direction = ACL_BOTH,
			    .remote = { .family = AF_INET,
					.address = { 10, 1 },
					.bits = 16 } },
			  { .deny = true,
			    .direction = ACL_OUT,
			    .remote = { .family = AF_INET6,
					.address = { 0xfd },
					.bits = 8 } },
			  { .deny = true, .direction = ACL_IN } },
		.acl_count = 3,
	};
	const struct filter_port port = { .name = "a", .bridge = "vs0", .port = &p };
	const struct filter f = { .table = "vmms_t", .ports = &port, .port_count = 1 };

	expect(&f, GONE("bridge") "table bridge vmms_t {\n"
				  "\tchain from_a {\n"
				  "\t\tmeta protocol ip udp sport 67 drop\n"
				  "\t\tmeta protocol ip6 udp sport 547 drop\n"
				  "\t\tmeta protocol ip6 icmpv6 type { nd-router-advert, "
				  "nd-redirect } drop\n"
				  "\t\tlimit rate over 1000000 bytes/second burst 262144 "
				  "bytes drop\n"
				  "\t\tmeta protocol ip ip daddr 10.1.0.0/16 accept\n"
				  "\t\tmeta protocol ip6 ip6 daddr fd00::/8 drop\n"
				  "\t}\n"
				  "\tchain to_a {\n"
				  "\t\tmeta protocol ip ip saddr 10.1.0.0/16 accept\n"
				  "\t\tmeta protocol { ip, ip6 } drop\n"
				  "\t}\n" HOOKS("a", "a") GONE("netdev") GONE("inet"));
}
END_TEST

/* Copies go to the destinations of the same switch, both ways, and nowhere else. */
START_TEST(mirrors)
{
	const struct nic_port source = { .mirror = MIRROR_SOURCE, .mac_spoofing = true };
	const struct nic_port to = { .mirror = MIRROR_DESTINATION, .mac_spoofing = true };
	const struct filter_port ports[] = {
		{ .name = "a", .bridge = "vs0", .port = &source },
		{ .name = "b", .bridge = "vs0", .port = &to },
		{ .name = "c", .bridge = "vs1", .port = &to },
	};
	const struct filter f = { .table = "vmms_t", .ports = ports, .port_count = 3 };
	char *got = filter_text(&f), *at = strstr(got, "table netdev");

	ck_assert_str_eq(at, GONE("netdev") "table netdev vmms_t {\n"
					    "\tchain ingress_a {\n"
					    "\t\ttype filter hook ingress device \"a\" "
					    "priority 0;\n"
					    "\t\tdup to \"b\"\n"
					    "\t}\n"
					    "\tchain egress_a {\n"
					    "\t\ttype filter hook egress device \"a\" "
					    "priority 0;\n"
					    "\t\tdup to \"b\"\n"
					    "\t}\n"
					    "}\n" GONE("inet"));
	free(got);
}
END_TEST

START_TEST(translates)
{
	const struct filter_nat nat = {
		.bridge = "vs0",
		.network = { .family = AF_INET, .address = { 10, 9 }, .bits = 24 }
	};
	const struct filter f = { .table = "vmms_t", .nats = &nat, .nat_count = 1 };

	expect(&f,
	       GONE("bridge") GONE("netdev") GONE(
		       "inet") "table inet vmms_t {\n"
			       "\tchain nat {\n"
			       "\t\ttype nat hook postrouting priority 100; policy "
			       "accept;\n"
			       "\t\tip saddr 10.9.0.0/24 oifname != \"vs0\" masquerade\n"
			       "\t}\n"
			       "}\n");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vswitch/filter");
	TCase *t = tcase_create("filter");

	tcase_add_test(t, nothing_removes_all);
	tcase_add_test(t, a_port_has_its_own_address_only);
	tcase_add_test(t, all_that_a_port_may_have);
	tcase_add_test(t, mirrors);
	tcase_add_test(t, translates);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
