/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/nic_port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "config/config.h"
#include "unit/test.h"

/* What is refused, and a part of the line that says why. */
static const struct {
	const char *text, *why;
} hostile[] = {
	{ "[]", "must be an object" },
	{ "{\"vlan\":\"10\"}", "vlan: must be 1 to 4094" },
	{ "{\"vlan\":4095}", "vlan: must be 1 to 4094" },
	{ "{\"vlan\":-1}", "vlan: must be 1 to 4094" },
	{ "{\"trunk\":\"\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"0\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"4095\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"9-8\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"5-\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"5,\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"5;6\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"99999999999999999999\"}", "trunk: must be up to 16" },
	{ "{\"trunk\":\"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\"}",
	  "trunk: must be up to 16" },
	{ "{\"trunk\":7}", "trunk: must be up to 16" },
	{ "{\"mac_spoofing\":1}", "mac_spoofing: must be true or false" },
	{ "{\"dhcp_guard\":null}", "dhcp_guard: must be true or false" },
	{ "{\"router_guard\":\"on\"}", "router_guard: must be true or false" },
	{ "{\"mirror\":\"both\"}", "mirror: must be \"none\"" },
	{ "{\"mirror\":3}", "mirror: must be \"none\"" },
	{ "{\"max_bps\":1}", "max_bps: must be 64000" },
	{ "{\"max_bps\":-64000}", "max_bps: must be 64000" },
	{ "{\"max_bps\":1000000000001}", "max_bps: must be 64000" },
	{ "{\"acls\":{}}", "acls: must be an array" },
	{ "{\"acls\":[1]}", "acls[0]: must be an object" },
	{ "{\"acls\":[{\"action\":\"drop\",\"direction\":\"in\",\"remote\":\"any\"}]}",
	  "acls[0]: action: must be" },
	{ "{\"acls\":[{\"action\":\"deny\",\"direction\":\"up\",\"remote\":\"any\"}]}",
	  "acls[0]: direction: must be" },
	{ "{\"acls\":[{\"action\":\"deny\",\"direction\":\"in\",\"remote\":\"10.0.0/"
	  "8\"}]}",
	  "acls[0]: remote: must be" },
	{ "{\"acls\":[{\"action\":\"deny\",\"direction\":\"in\",\"remote\":\"::/129\"}]}",
	  "acls[0]: remote: must be" },
	{ "{\"acls\":[{\"action\":\"deny\",\"direction\":\"in\",\"remote\":\"any\",\"x\":"
	  "1}]}",
	  "acls[0]: must be an object" },
	{ "{\"speed\":1}", "speed: there is no such member" },
};

START_TEST(refuses)
{
	struct nic_port p, before;
	struct config_error e = { "" };
	json_t *v = json_loads(hostile[_i].text, JSON_DECODE_ANY, NULL);

	ck_assert_ptr_nonnull(v);
	memset(&p, 0x5a, sizeof(p));
	before = p;
	ck_assert_int_eq(nic_port_from_json(v, &p, &e), -EINVAL);
	ck_assert_msg(strstr(e.message, hostile[_i].why), "%s", e.message);
	ck_assert_mem_eq(&p, &before, sizeof(p));
	json_decref(v);
}
END_TEST

START_TEST(comes_back)
{
	static const char text[] =
		"{\"vlan\": 7, \"trunk\": \"10,20-29\", \"mac_spoofing\": true, "
		"\"dhcp_guard\": true, \"router_guard\": true, \"mirror\": \"source\", "
		"\"max_bps\": 10000000, \"acls\": [{\"action\": "
		"\"deny\", \"direction\": \"both\", \"remote\": \"10.0.0.0/8\"}, "
		"{\"action\": \"allow\", \"direction\": \"out\", \"remote\": \"any\"}]}";
	json_t *v = json_loads(text, 0, NULL), *back;
	struct config_error e;
	struct nic_port p;
	char *dumped;

	ck_assert_int_eq(nic_port_from_json(v, &p, &e), 0);
	ck_assert_uint_eq(p.trunk[1].last, 29);
	ck_assert(nic_port_needs_vlans(&p));
	back = nic_port_to_json(&p);
	dumped = json_dumps(back, 0);
	ck_assert_str_eq(dumped, text);
	free(dumped);
	json_decref(back);
	json_decref(v);
}
END_TEST

START_TEST(nothing_said_is_the_default)
{
	json_t *v = json_object(), *back;
	struct config_error e;
	struct nic_port p;

	ck_assert_int_eq(nic_port_from_json(v, &p, &e), 0);
	ck_assert(!nic_port_needs_vlans(&p) && !p.mac_spoofing && !p.acl_count);
	back = nic_port_to_json(&p);
	ck_assert(json_is_null(json_object_get(back, "trunk")));
	json_decref(back);
	json_decref(v);
}
END_TEST

static const struct {
	const char *text, *network; /* NULL: refused */
} prefixes[] = {
	{ "10.1.2.3/8", "10.0.0.0/8" },
	{ "10.1.2.3", "10.1.2.3/32" },
	{ "10.255.255.255/23", "10.255.254.0/23" },
	{ "0.0.0.0/0", "0.0.0.0/0" },
	{ "fd00:1:2:3::1/64", "fd00:1:2:3::/64" },
	{ "ffff::/1", "8000::/1" },
	{ "10.0.0.1/33", NULL },
	{ "10.0.0.1/", NULL },
	{ "10.0.0.1/+8", NULL },
	{ "10.0.0.1/8x", NULL },
	{ "/8", NULL },
	{ "", NULL },
	{ "any", NULL },
	{ "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1", NULL },
};

START_TEST(reads_prefixes)
{
	struct net_prefix p;
	char text[NET_PREFIX_STR];
	int r = net_prefix_parse(prefixes[_i].text, &p);

	ck_assert_int_eq(r, prefixes[_i].network ? 0 : -EINVAL);
	if (r < 0)
		return;
	p = net_prefix_network(&p);
	net_prefix_format(&p, text);
	ck_assert_str_eq(text, prefixes[_i].network);
}
END_TEST

/* The whole adapter: what belongs to a switch is refused elsewhere, and comes back. */
static const struct {
	const char *text, *why;
} adapters[] = {
	{ "{\"kind\":\"switch\"}", "switch: is missing" },
	{ "{\"kind\":\"switch\",\"switch\":\" a\"}", "switch: " },
	{ "{\"kind\":\"switch\",\"switch\":1}", "switch: must be the name" },
	{ "{\"kind\":\"tap\",\"tap\":\"t\",\"switch\":\"lan\"}",
	  "switch: is for an adapter of kind" },
	{ "{\"kind\":\"user\",\"port\":{}}", "port: is for an adapter of kind" },
	{ "{\"kind\":\"switch\",\"switch\":\"lan\",\"port\":{\"vlan\":5000}}",
	  "port: vlan: must be" },
};

START_TEST(refuses_adapters)
{
	json_t *v = json_loads(adapters[_i].text, 0, NULL);
	struct config_error e = { "" };
	struct nic_config n;

	ck_assert_int_eq(config_nic_from_json(v, &n, &e), -EINVAL);
	ck_assert_msg(strstr(e.message, adapters[_i].why), "%s", e.message);
	json_decref(v);
}
END_TEST

START_TEST(an_adapter_comes_back)
{
	json_t *v = json_loads("{\"kind\":\"switch\",\"switch\":\"My lan\",\"port\":"
			       "{\"vlan\":12}}",
			       0, NULL),
	       *back;
	struct nic_config n, again;
	struct config_error e;

	ck_assert_int_eq(config_nic_from_json(v, &n, &e), 0);
	ck_assert_int_eq(n.kind, NIC_SWITCH);
	back = config_nic_to_json(&n);
	ck_assert_int_eq(config_nic_from_json(back, &again, &e), 0);
	ck_assert_str_eq(again.switch_name, "My lan");
	ck_assert_uint_eq(again.port.vlan, 12);
	json_decref(back);
	json_decref(v);
}
END_TEST

START_TEST(an_address_is_its_own_and_stays)
{
	const struct guid a = { { 1 } }, b = { { 2 } };
	const struct nic_config none = { .kind = NIC_NONE };
	const struct nic_config given = { .has_mac = true, .mac = { 2, 3, 4, 5, 6, 7 } };
	uint8_t m[4][CONFIG_MAC_BYTES];

	config_nic_mac(&a, 0, &none, m[0]);
	config_nic_mac(&a, 0, &none, m[1]);
	ck_assert_mem_eq(m[0], m[1], CONFIG_MAC_BYTES);
	ck_assert_mem_eq(m[0], ((uint8_t[]){ 0x00, 0x15, 0x5d }), 3);
	config_nic_mac(&a, 1, &none, m[2]);
	config_nic_mac(&b, 0, &none, m[3]);
	ck_assert_mem_ne(m[0], m[2], CONFIG_MAC_BYTES);
	ck_assert_mem_ne(m[0], m[3], CONFIG_MAC_BYTES);
	config_nic_mac(&a, 0, &given, m[0]);
	ck_assert_mem_eq(m[0], given.mac, CONFIG_MAC_BYTES);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("config/nic_port");
	TCase *t = tcase_create("nic_port");

	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(hostile));
	tcase_add_loop_test(t, reads_prefixes, 0, ARRAY_SIZE(prefixes));
	tcase_add_loop_test(t, refuses_adapters, 0, ARRAY_SIZE(adapters));
	tcase_add_test(t, comes_back);
	tcase_add_test(t, nothing_said_is_the_default);
	tcase_add_test(t, an_adapter_comes_back);
	tcase_add_test(t, an_address_is_its_own_and_stays);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
