/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switches on a real kernel, in a network namespace: made, unmade, and cut off by SIGKILL at every system call. The host has an interface, up0, with
 * an address and a default route; its other end is a network with one station. After each cut, before anything is put right, a
 * datagram goes from the host to the station and back; then the next vmms puts right what is half done.
 */
#include "vmms/net/switch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "unit/netns.h"
#include "util/log.h"
#include "vmms/vm/registry.h"
#include "vmms/settings.h"
#include "vmms/vm/store.h"
#include "vmms/net/switch_priv.h"

#define WAIT_MS 60000

static char folder[64];
static int vms = -1, station = -1;
static struct registry registry;
static struct event_base *base;
static struct settings settings;

/* ---- the host and its network ---- */

static void make_network(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7) };
	int host, net;

	netns_new();
	host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	netns_must("ip link add name up0 type veth peer name st0");
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(setns(host, CLONE_NEWNET), 0);
	{
		char command[80];

		snprintf(command, sizeof(command), "ip link set st0 netns /proc/%d/fd/%d",
			 (int)getpid(), net);
		netns_must(command);
	}
	netns_must("ip addr add 10.7.0.1/24 dev up0 && ip link set up0 up && "
		   "ip route add default via 10.7.0.2");
	ck_assert_int_eq(setns(net, CLONE_NEWNET), 0);
	netns_must("ip addr add 10.7.0.2/24 dev st0 && ip link set st0 up && "
		   "ip link set lo up && ip addr add 10.77.0.1/32 dev lo");
	station = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Behind the gateway, so that the route is needed, too. */
	inet_pton(AF_INET, "10.77.0.1", &a.sin_addr);
	ck_assert_int_eq(bind(station, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(setns(host, CLONE_NEWNET), 0);
	close(host);
	close(net);
}

static bool wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, WAIT_MS) == 1;
}

/* A datagram there and back. */
static void check_online(const char *when)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7) }, from;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(from);
	char c = 'x';

	inet_pton(AF_INET, "10.77.0.1", &a.sin_addr);
	ck_assert_msg(sendto(s, &c, 1, 0, (struct sockaddr *)&a, sizeof(a)) == 1,
		      "%s: %s", when, strerror(errno));
	ck_assert_msg(wait_for(station), "%s: nothing came to the station", when);
	ck_assert_int_eq(recvfrom(station, &c, 1, 0, (struct sockaddr *)&from, &len), 1);
	ck_assert_int_eq(sendto(station, &c, 1, 0, (struct sockaddr *)&from, len), 1);
	ck_assert_msg(wait_for(s), "%s: nothing came back", when);
	close(s);
}

/* ---- vmms's part ---- */

static void setup(void)
{
	char path[80];

	strcpy(folder, "/tmp/test_switch.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/vms", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	vms = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	settings.state_dir = folder;
	log_init("test", STDERR_FILENO, LOG_LVL_ERR);
	registry_init(&registry);
	base = event_base_new();
	make_network();
}

static void teardown(void)
{
	event_base_free(base);
	close(vms);
	close(station);
	ck_assert_int_eq(store_remove_tree(AT_FDCWD, folder), 0);
}

static struct switches *begin(void)
{
	struct switches *all;
	struct rpc_error e;

	ck_assert_msg(switches_new(base, &settings, vms, &registry, &all, &e) == 0, "%s",
		      e.message);
	return all;
}

static struct switch_config config_of(const char *text)
{
	json_t *v = json_loads(text, 0, NULL);
	struct switch_config c;
	struct config_error e;

	ck_assert_msg(switch_config_from_json(v, &c, &e) == 0, "%s", e.message);
	json_decref(v);
	return c;
}

static int make(struct switches *all, const char *text, struct rpc_error *e)
{
	const struct switch_config c = config_of(text);
	struct vswitch *s;
	struct guid id;
	int r;

	guid_new(&id);
	s = switch_new(all, &id, &c);
	r = switch_make(s, e);
	if (r < 0)
		switch_free(s);
	return r;
}

static size_t count(const struct switches *all)
{
	const struct list *l;
	size_t n = 0;

	for (l = all->all.next; l != &all->all; l = l->next)
		n++;
	return n;
}

static const char *const kinds[] = {
	"{\"name\":\"world\",\"type\":\"external\",\"interface\":\"up0\"}",
	"{\"name\":\"default\",\"type\":\"internal\",\"addresses\":[\"10.9.0.1/24\"]}",
	"{\"name\":\"lan\",\"type\":\"private\"}",
};

static void check_nothing_left(void)
{
	netns_must("! ip -o link show type bridge | grep -q .");
	netns_must("ip -o addr show dev up0 | grep -q 'inet 10.7.0.1/24'");
	netns_must("ip route | grep -q 'default via 10.7.0.2 dev up0'");
}

START_TEST(made_and_unmade)
{
	struct switches *all = begin();
	struct rpc_error e;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		ck_assert_msg(make(all, kinds[i], &e) == 0, "%s", e.message);
	check_online("with switches");
	ck_assert_int_eq(make(all, kinds[2], &e), -EEXIST);
	/* The next vmms finds them, and they are as they were. */
	switches_free(all);
	all = begin();
	switches_start(all);
	ck_assert_uint_eq(count(all), 3);
	check_online("after a restart");
	while (!list_empty(&all->all)) {
		struct vswitch *s = container_of(all->all.next, struct vswitch, link);

		ck_assert(s->up);
		ck_assert_msg(switch_unmake(s, &e) == 0, "%s", e.message);
		switch_free(s);
	}
	check_online("without switches");
	check_nothing_left();
	switches_free(all);
}
END_TEST

/* ---- cut off ---- */

static void op_make(const char *text)
{
	struct switches *all = begin();
	struct rpc_error e;

	if (make(all, text, &e) < 0)
		_exit(1);
	switches_free(all);
}

static void op_unmake(const char *text)
{
	struct switches *all = begin();
	struct rpc_error e;
	struct vswitch *s;

	switches_start(all);
	s = container_of(all->all.next, struct vswitch, link);
	if (switch_unmake(s, &e) < 0)
		_exit(1);
	switches_free(all);
}

static void op_start(const char *text)
{
	struct switches *all = begin();

	switches_start(all);
	switches_free(all);
}

/*
 * Whether the call at which the child stands can change anything of the host or the store. A kill at any other leaves what a kill behind
 * the last of these leaves.
 */
static bool changes_something(pid_t pid)
{
	static const uint64_t calls[] = { SYS_sendto,    SYS_sendmsg, SYS_renameat,
					  SYS_renameat2, SYS_rename,  SYS_unlinkat,
					  SYS_unlink,    SYS_mkdirat, SYS_openat,
					  SYS_write,     SYS_fsync };
	static uint64_t entered;
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		entered = info.entry.nr;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (entered == calls[i])
			return true;
	}
	return false;
}

/* True when the child was killed before it was done: at the entry or the exit of its nth call that changes something. */
static bool run_killed(void (*op)(const char *), const char *text, int nth)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		raise(SIGSTOP);
		op(text);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD);
	for (int i = 0; i < nth; i += changes_something(pid)) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status)) {
			ck_assert_int_eq(WEXITSTATUS(status), 0);
			return false;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return true;
}

/* What was promised is there after the next start, and nothing else. */
static size_t check_after_kill(const char *when)
{
	struct switches *all;
	size_t n;

	check_online(when);
	all = begin();
	switches_start(all);
	n = count(all);
	check_online("after the next start");
	if (n) {
		const struct vswitch *s =
			container_of(all->all.next, struct vswitch, link);

		ck_assert_uint_eq(n, 1);
		ck_assert_msg(s->up, "%s", s->reason);
	} else {
		check_nothing_left();
	}
	switches_free(all);
	return n;
}

static void unmake(void)
{
	struct switches *all = begin();
	struct rpc_error e;
	struct vswitch *s;

	switches_start(all);
	s = container_of(all->all.next, struct vswitch, link);
	ck_assert_msg(switch_unmake(s, &e) == 0, "%s", e.message);
	switches_free(all);
	check_nothing_left();
}

START_TEST(survives_a_kill_while_it_is_made)
{
	bool killed = true;
	size_t there = 0;
	int nth;

	for (nth = 1; killed && nth < 4000; nth++) {
		killed = run_killed(op_make, kinds[_i], nth);
		there = check_after_kill("cut while made");
		if (there)
			unmake();
	}
	ck_assert(!killed && there == 1);
	ck_assert_int_gt(nth, 20); /* so it was killed on the way */
}
END_TEST

START_TEST(survives_a_kill_while_it_is_unmade)
{
	bool killed = true;
	size_t there = 0;
	int nth;

	for (nth = 1; killed && nth < 4000; nth++) {
		if (!there)
			op_make(kinds[_i]);
		killed = run_killed(op_unmake, kinds[_i], nth);
		there = check_after_kill("cut while unmade");
	}
	ck_assert(!killed && !there);
	ck_assert_int_gt(nth, 20);
}
END_TEST

/* After a boot of the host the bridge is not there: the next vmms makes it again, and may be cut off, too. */
START_TEST(survives_a_kill_while_it_comes_again)
{
	bool killed = true;
	int nth;

	op_make(kinds[0]);
	for (nth = 1; killed && nth < 4000; nth++) {
		netns_must("ip link del $(ip -o link show type bridge | cut -d: -f2); "
			   "ip addr replace 10.7.0.1/24 dev up0 && "
			   "ip route replace default via 10.7.0.2");
		check_online("after a boot");
		killed = run_killed(op_start, NULL, nth);
		ck_assert_uint_eq(check_after_kill("cut at the start"), 1);
	}
	ck_assert(!killed);
	ck_assert_int_gt(nth, 20);
	unmake();
}
END_TEST

/* Somebody removed the bridge, and with it the host's address. */
START_TEST(gives_back_what_others_took)
{
	struct switches *all;

	op_make(kinds[0]);
	netns_must("ip link del $(ip -o link show type bridge | cut -d: -f2)");
	netns_must("! ip addr | grep -q 10.7.0.1");
	all = begin();
	switches_start(all);
	check_online("after the next start");
	switches_free(all);
	unmake();
}
END_TEST

/* The record is gone, the bridge is there: it is ours by its alias. One of another vmms is left alone. */
START_TEST(removes_strays)
{
	struct switches *all;

	op_make(kinds[0]);
	netns_must("ip link add name other type bridge && "
		   "ip link set other alias "
		   "vmms/00000000-0000-0000-0000-000000000000/"
		   "00000000-0000-0000-0000-000000000000");
	{
		char command[80];

		snprintf(command, sizeof(command), "rm %s/switches/*", folder);
		netns_must(command);
	}
	all = begin();
	switches_start(all);
	check_online("after a record was lost");
	netns_must("ip link del other");
	check_nothing_left();
	switches_free(all);
}
END_TEST

/* A record that cannot be read is no reason to take down its bridge. */
START_TEST(leaves_alone_what_it_cannot_read)
{
	struct switches *all;
	char command[240];

	op_make(kinds[0]);
	snprintf(command, sizeof(command), "sed -i s/schema/scheme/ %s/switches/*.json",
		 folder);
	netns_must(command);
	all = begin();
	switches_start(all);
	ck_assert_uint_eq(count(all), 0);
	netns_must("ip -o link show type bridge | grep -q .");
	check_online("with a record that cannot be read");
	switches_free(all);
}
END_TEST

/* ---- wrong use ---- */

static const struct {
	const char *before, *config, *why;
} refused[] = {
	{ NULL, "{\"name\":\"a\",\"type\":\"external\",\"interface\":\"nope\"}",
	  "there is no interface nope" },
	{ NULL, "{\"name\":\"a\",\"type\":\"external\",\"interface\":\"lo\"}",
	  "lo is no Ethernet interface" },
	{ "ip link add name br0 type bridge",
	  "{\"name\":\"a\",\"type\":\"external\",\"interface\":\"br0\"}",
	  "br0 is a bridge; give a network card" },
	{ "ip link add name br0 type bridge && ip link set up0 master br0",
	  "{\"name\":\"a\",\"type\":\"external\",\"interface\":\"up0\"}",
	  "up0 is in use: it is part of another interface" },
	{ "ip route add 10.88.0.0/16 nexthop via 10.7.0.8 nexthop via 10.7.0.9",
	  "{\"name\":\"a\",\"type\":\"external\",\"interface\":\"up0\"}",
	  "up0: a route leads over it and others at once, which cannot be moved" },
};

START_TEST(refuses)
{
	struct switches *all = begin();
	struct rpc_error e;
	char command[240];

	if (refused[_i].before)
		netns_must(refused[_i].before);
	snprintf(command, sizeof(command), "ip addr > %s/before", folder);
	netns_must(command);
	ck_assert_int_lt(make(all, refused[_i].config, &e), 0);
	ck_assert_str_eq(e.message, refused[_i].why);
	snprintf(command, sizeof(command),
		 "ip addr | diff - %s/before && ! ls %s/switches | grep -q .", folder,
		 folder);
	netns_must(command);
	switches_free(all);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vmms/switch");
	TCase *t = tcase_create("switch");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 600);
	tcase_add_test(t, made_and_unmade);
	tcase_add_loop_test(t, survives_a_kill_while_it_is_made, 0, ARRAY_SIZE(kinds));
	tcase_add_loop_test(t, survives_a_kill_while_it_is_unmade, 0, ARRAY_SIZE(kinds));
	tcase_add_test(t, survives_a_kill_while_it_comes_again);
	tcase_add_test(t, gives_back_what_others_took);
	tcase_add_test(t, removes_strays);
	tcase_add_test(t, leaves_alone_what_it_cannot_read);
	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(refused));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN_NEEDS(suite, netns_missing)
