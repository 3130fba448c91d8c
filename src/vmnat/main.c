/* SPDX-License-Identifier: BSD-2-Clause */
/* vmnat: one network adapter's network behind address translation. vmms starts it with the VM, and it ends with the worker. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "util/log.h"
#include "vmnat/nat.h"

#define FORWARDS_MAX 16
#define RESOLVER \
	"/etc/resolv.conf" /* which libslirp reads for a guest that asks for names */
#define USAGE 2

struct options {
	int fd;
	const char *name;
	bool host_loopback;
	struct nat_forward forwards[FORWARDS_MAX];
	size_t forward_count;
	struct sandbox_params sandbox;
};

/* PROTOCOL,ADDRESS,PORT,GUEST_PORT: as vmms writes them, who has checked them. */
static int parse_forward(const char *text, struct nat_forward *ret)
{
	char protocol[4], address[16];
	uint16_t port, guest_port;
	int end = 0;

	if (sscanf(text, "%3[a-z],%15[0-9.],%" SCNu16 ",%" SCNu16 "%n", protocol, address,
		   &port, &guest_port, &end) != 4 ||
	    text[end] || !port || !guest_port ||
	    inet_pton(AF_INET, address, &ret->address) != 1)
		return -EINVAL;
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
		return -EINVAL;
	ret->udp = protocol[0] == 'u';
	ret->port = port;
	ret->guest_port = guest_port;
	return 0;
}

static int add_forward(const char *text, struct options *o)
{
	return o->forward_count < FORWARDS_MAX
		       ? parse_forward(text, &o->forwards[o->forward_count++])
		       : -EINVAL;
}

static int parse_option(int c, struct options *o)
{
	switch (c) {
	case 'd':
		o->fd = atoi(optarg);
		return 0;
	case 'n':
		o->name = optarg;
		return 0;
	case 'l':
		o->host_loopback = true;
		return 0;
	case 'f':
		return add_forward(optarg, o);
	case 's':
		return sandbox_mode_parse(optarg, &o->sandbox.mode);
	case 'u':
		return sandbox_uid_parse(optarg, &o->sandbox.uid);
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "fd", required_argument, NULL, 'd' },
		{ "name", required_argument, NULL, 'n' },
		{ "host-loopback", no_argument, NULL, 'l' },
		{ "forward", required_argument, NULL, 'f' },
		{ "sandbox", required_argument, NULL, 's' },
		{ "uid", required_argument, NULL, 'u' },
		{ NULL },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		if (parse_option(c, o) < 0)
			return -EINVAL;
	}
	return o->fd < 0 || !o->name || optind < argc ? -EINVAL : 0;
}

static int serve(const struct options *o)
{
	struct sandbox_missing missing;
	struct nat *n;
	int r = nat_new(o->fd, o->host_loopback, &n);

	if (r < 0) {
		log_err("no network: %s", strerror(-r));
		return r;
	}
	for (size_t i = 0; r == 0 && i < o->forward_count; i++) {
		const struct nat_forward *f = &o->forwards[i];

		r = nat_forward(n, f);
		if (r < 0)
			log_err("port %u of the host cannot be forwarded: %s", f->port,
				strerror(-r));
	}
	/* What ports of the host it is to have needed privileges; from here on a guest's frames come. */
	if (r == 0)
		r = sandbox_enter(&o->sandbox, &missing);
	if (r == 0)
		r = nat_run(n);
	if (r < 0)
		log_err("the network ends: %s", strerror(-r));
	nat_free(n);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = { .fd = -1,
			     .sandbox = { .mode = SANDBOX_BARE,
					  .uid = SANDBOX_NO_UID,
					  .resolver = RESOLVER } };
	char process[512];

	if (parse_options(argc, argv, &o) < 0) {
		fprintf(stderr,
			"usage: vmnat --fd FD --name NAME [--host-loopback] [--forward "
			"tcp|udp,ADDRESS,PORT,GUEST_PORT]... [--sandbox MODE] [--uid "
			"N]\n");
		return USAGE;
	}
	snprintf(process, sizeof(process), "vmnat/%s", o.name);
	log_init(process, STDERR_FILENO, LOG_LVL_INFO);
	signal(SIGPIPE, SIG_IGN);
	return serve(&o) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
