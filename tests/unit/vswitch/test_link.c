/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps on a real kernel: each done twice is done once, each refused says why. */
#include "vswitch/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "unit/netns.h"
#include "vswitch/filter.h"
#include "vswitch/move.h"

static struct vswitch_error why;
static const struct bridge_spec spec = { .name = "vs0",
					 .alias = "vmms/test/0",
					 .mac = { 0, 0x15, 0x5d, 1, 2, 3 },
					 .mtu = 1400 };

#define OK(x) ck_assert_msg((x) == 0, "%s: %s", #x, why.message)

START_TEST(makes_a_bridge_once)
{
	struct link_info l;

	netns_new();
	for (int i = 0; i < 2; i++) {
		OK(bridge_make(&spec, &why));
		OK(link_find("vs0", &l, &why));
		ck_assert_str_eq(l.alias, "vmms/test/0");
		ck_assert_str_eq(l.kind, "bridge");
		ck_assert(l.up && l.ethernet && !l.loopback);
		ck_assert_uint_eq(l.mtu, 1400);
		ck_assert_mem_eq(l.mac, spec.mac, sizeof(l.mac));
	}
	for (int i = 0; i < 2; i++)
		OK(link_delete("vs0", &why));
	ck_assert_int_eq(link_find("vs0", &l, &why), -ENODEV);
	ck_assert_str_eq(why.message, "there is no interface vs0");
}
END_TEST

START_TEST(takes_no_foreign_interface)
{
	netns_new();
	netns_must("ip link add name vs0 type bridge");
	ck_assert_int_eq(bridge_make(&spec, &why), -EEXIST);
	ck_assert_str_eq(why.message,
			 "there is an interface vs0 that is not this switch's");
}
END_TEST

START_TEST(keeps_its_mtu_whatever_its_ports_have)
{
	const struct nic_port p = { .vlan = 0 };
	struct link_info l, br;

	netns_new();
	netns_must("ip link add name v type veth peer name w");
	OK(bridge_make(&spec, &why));
	for (int i = 0; i < 2; i++)
		OK(bridge_set_port("vs0", "v", 9216, &p, &why));
	OK(link_find("v", &l, &why));
	OK(link_find("vs0", &br, &why));
	ck_assert_uint_eq(l.mtu, 9216);
	ck_assert_int_eq(l.master, br.index);
	ck_assert(l.up);
	ck_assert_uint_eq(br.mtu, 1400);
	ck_assert_int_eq(bridge_set_port("vs0", "x", 0, &p, &why), -ENODEV);
	ck_assert_int_eq(bridge_set_port("lo", "v", 0, &p, &why), -EOPNOTSUPP);
}
END_TEST

START_TEST(vlans_are_set_or_refused)
{
	const struct nic_port p = { .vlan = 7,
				    .trunk = { { 10, 10 }, { 20, 29 } },
				    .trunk_count = 2 };
	struct link_info br, l;

	netns_new();
	netns_must("ip link add name v type veth peer name w");
	OK(bridge_make(&spec, &why));
	OK(link_find("vs0", &br, &why));
	if (!br.filters_vlans) {
		ck_assert_int_eq(bridge_set_port("vs0", "v", 0, &p, &why), -EOPNOTSUPP);
		OK(link_find("v", &l, &why));
		ck_assert_int_eq(l.master, 0);
		return;
	}
	for (int i = 0; i < 2; i++)
		OK(bridge_set_port("vs0", "v", 0, &p, &why));
	netns_must("bridge vlan show dev v | grep -q '7 PVID Egress Untagged'");
	netns_must("bridge vlan show dev v | grep -q '20-29'");
	netns_must("! bridge vlan show dev v | grep -qw 1");
}
END_TEST

static void parse(const char *text, struct net_prefix *ret)
{
	ck_assert_int_eq(net_prefix_parse(text, ret), 0);
}

START_TEST(has_the_addresses_it_is_to_have)
{
	struct net_prefix two[2], one;

	netns_new();
	OK(bridge_make(&spec, &why));
	parse("10.9.0.1/24", &two[0]);
	parse("fd09::1/64", &two[1]);
	parse("10.8.0.1/16", &one);
	for (int i = 0; i < 2; i++)
		OK(link_set_addresses("vs0", two, 2, &why));
	netns_must("ip addr show dev vs0 | grep -q 'inet 10.9.0.1/24 brd 10.9.0.255'");
	netns_must("ip addr show dev vs0 | grep -q 'inet6 fd09::1/64'");
	OK(link_set_addresses("vs0", &one, 1, &why));
	netns_must("ip addr show dev vs0 | grep -q 'inet 10.8.0.1/16 brd 10.8.255.255'");
	netns_must("! ip addr show dev vs0 | grep -q -e 10.9 -e fd09");
	OK(link_set_addresses("vs0", NULL, 0, &why));
	netns_must("! ip addr show dev vs0 | grep -q 'inet '");
}
END_TEST

/* What the kernel says of an interface's addresses and routes, with its name taken out. */
static char *state_of(const char *name)
{
	static char text[2][4096];
	static int turn;
	char command[300];
	size_t n;
	FILE *f;

	turn = !turn;
	snprintf(command, sizeof(command),
		 "(ip -o addr show dev %s scope global; ip -d route show dev %s; "
		 "ip -d -6 route show dev %s | grep -v fe80) | "
		 "sed 's/^[0-9]*: //; s/\\<%s\\>/IF/g; s/linkdown//' | sort",
		 name, name, name, name);
	f = popen(command, "r");
	n = fread(text[turn], 1, sizeof(text[turn]) - 1, f);
	text[turn][n] = 0;
	pclose(f);
	return text[turn];
}

START_TEST(moves_there_and_back)
{
	struct snapshot s, again;
	char *before, *after;
	json_t *record;

	netns_new();
	netns_must("ip link add name up0 type veth peer name w && ip link set w up && "
		   "ip link set up0 up && ip addr add 10.7.0.1/24 brd + dev up0 && "
		   "ip addr add 10.7.1.1/24 dev up0 noprefixroute && "
		   "ip addr add fd07::1/64 dev up0 nodad && "
		   "ip route add default via 10.7.0.2 metric 5 mtu 1300 && "
		   "ip route add 10.50.0.0/16 via 10.7.0.9 src 10.7.0.1 && "
		   "ip route add 10.60.0.0/16 dev up0 && "
		   "ip route add 10.61.0.1/32 via 10.99.0.1 dev up0 onlink && "
		   "ip -6 route add default via fd07::2");
	OK(snapshot_take("up0", &s, &why));
	before = strdup(state_of("up0"));
	ck_assert(strstr(before, "10.61.0.1") && strstr(before, "mtu 1300"));
	OK(bridge_make(&spec, &why));
	for (int i = 0; i < 2; i++)
		OK(move_uplink("up0", "vs0", false, &s, &why));
	after = state_of("vs0");
	ck_assert_str_eq(after, before);
	netns_must("! ip -o addr show dev up0 scope global | grep -q inet");
	netns_must("ip link show dev up0 | grep -q 'master vs0'");
	/* Back from the record, as after a crash. */
	record = snapshot_to_json(&s);
	OK(snapshot_from_json(record, &again));
	for (int i = 0; i < 2; i++)
		OK(move_uplink("up0", "vs0", true, &again, &why));
	after = state_of("up0");
	ck_assert_str_eq(after, before);
	netns_must("! ip -o addr show dev vs0 scope global | grep -q inet");
	/* The bridge is gone, and with it what was on it. */
	OK(move_uplink("up0", "vs0", false, &s, &why));
	netns_must("ip link del vs0");
	OK(move_uplink("up0", "vs0", true, &again, &why));
	after = state_of("up0");
	ck_assert_str_eq(after, before);
	json_decref(record);
	snapshot_done(&s);
	snapshot_done(&again);
	free(before);
}
END_TEST

START_TEST(refuses_what_cannot_move)
{
	struct snapshot s;

	netns_new();
	netns_must("ip link add name v type veth peer name w && ip link set w up && "
		   "ip link set v up && ip addr add 10.7.0.1/24 dev v && "
		   "ip addr add 10.8.0.1/24 dev w && "
		   "ip route add default nexthop via 10.7.0.2 nexthop via 10.8.0.2");
	ck_assert_int_eq(snapshot_take("v", &s, &why), -EOPNOTSUPP);
	ck_assert(strstr(why.message, "at once, which cannot be moved"));
	ck_assert_int_eq(snapshot_take("x", &s, &why), -ENODEV);
}
END_TEST

/* Records that vmms did not write so. */
static const char *const broken[] = {
	"{}",
	"{\"addresses\":[],\"routes\":{}}",
	"{\"addresses\":[1],\"routes\":[]}",
	"{\"addresses\":[\"\"],\"routes\":[]}",
	"{\"addresses\":[\"zz\"],\"routes\":[]}",
	"{\"addresses\":[\"18000000140002000100000000000000021800800300000\"],\"routes\":"
	"[]}",
	/* a length beyond its end; another type */
	"{\"addresses\":[\"1a000000140002000100000000000000021800800300000000\"],"
	"\"routes\":[]}",
	"{\"addresses\":[\"180000001800020001000000000000000218008003000000\"],"
	"\"routes\":[]}",
};

START_TEST(refuses_broken_records)
{
	json_t *v = json_loads(broken[_i], 0, NULL);
	struct snapshot s;

	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(snapshot_from_json(v, &s), -EINVAL);
	json_decref(v);
}
END_TEST

/* The kernel takes every kind of rule, twice, and forgets them. */
START_TEST(filters_are_taken)
{
	const struct nic_port source = { .dhcp_guard = true,
					 .router_guard = true,
					 .mirror = MIRROR_SOURCE,
					 .max_bps = 1000000,
					 .acls = { { .deny = true,
						     .direction = ACL_BOTH } },
					 .acl_count = 1 };
	const struct nic_port to = { .mirror = MIRROR_DESTINATION };
	const struct filter_port ports[] = {
		{ .name = "v", .bridge = "vs0", .port = &source },
		{ .name = "w", .bridge = "vs0", .port = &to },
	};
	const struct filter_nat nat = {
		.bridge = "vs0",
		.network = { .family = AF_INET, .address = { 10, 9 }, .bits = 24 }
	};
	struct filter f = { .table = "vmms_t",
			    .ports = ports,
			    .port_count = 2,
			    .nats = &nat,
			    .nat_count = 1 };
	char *text = filter_text(&f);

	netns_new();
	netns_must("ip link add name v type veth peer name w");
	for (int i = 0; i < 2; i++)
		OK(filter_apply(text, &why));
	netns_must("nft list table bridge vmms_t | grep -q 'udp sport 67 drop'");
	netns_must("nft list table netdev vmms_t | grep -q 'dup to'");
	free(text);
	ck_assert_int_lt(filter_apply("table bridge { nonsense }", &why), 0);
	ck_assert_ptr_null(strchr(why.message, '\n'));
	netns_must("nft list table bridge vmms_t | grep -q 'udp sport 67 drop'");
	f.port_count = f.nat_count = 0;
	text = filter_text(&f);
	OK(filter_apply(text, &why));
	netns_must("[ -z \"$(nft list ruleset)\" ]");
	free(text);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vswitch/link");
	TCase *t = tcase_create("link");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, makes_a_bridge_once);
	tcase_add_test(t, takes_no_foreign_interface);
	tcase_add_test(t, keeps_its_mtu_whatever_its_ports_have);
	tcase_add_test(t, vlans_are_set_or_refused);
	tcase_add_test(t, has_the_addresses_it_is_to_have);
	tcase_add_test(t, moves_there_and_back);
	tcase_add_test(t, refuses_what_cannot_move);
	tcase_add_loop_test(t, refuses_broken_records, 0, ARRAY_SIZE(broken));
	tcase_add_test(t, filters_are_taken);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN_NEEDS(suite, netns_missing)
