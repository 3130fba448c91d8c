/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmvhd: the process of one operation on disk images. vmms starts it with a connected socket and nothing else, and hands it over that what
 * it may read and write; it opens no path. It ends with the operation, or with vmms.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "util/log.h"
#include "vmvhd/limits.h"
#include "vmvhd/session.h"

static const char help[] =
	"Usage: vmvhd --control-fd FD [--sandbox MODE] [--uid N]\n"
	"\n"
	"One operation on disk images. vmms starts it; it is not meant to be started by "
	"hand:\n"
	"see 'vmctl vhd --help'.\n"
	"\n"
	"  --control-fd FD     the socket to vmms\n"
	"  --sandbox MODE      full, user: it was started in namespaces of its own; "
	"bare: it "
	"was\n"
	"                      not (default); off: none, for debugging\n"
	"  --uid N             the user that it becomes, where it was started by root\n"
	"  --help, --version\n";

struct options {
	long fd;
	struct sandbox_params sandbox;
};

enum { OPT_CONTROL = 256, OPT_SANDBOX, OPT_UID, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{ "control-fd", required_argument, NULL, OPT_CONTROL },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static int parse_one(int opt, struct options *o)
{
	char *end;

	switch (opt) {
	case OPT_CONTROL:
		o->fd = strtol(optarg, &end, 10);
		return o->fd < 0 || o->fd > 1 << 20 || *end ? -EINVAL : 0;
	case OPT_SANDBOX:
		return sandbox_mode_parse(optarg, &o->sandbox.mode);
	case OPT_UID:
		return sandbox_uid_parse(optarg, &o->sandbox.uid);
	case OPT_HELP:
		fputs(help, stdout);
		exit(EXIT_SUCCESS);
	case OPT_VERSION:
		puts("vmvhd " VMMS_VERSION);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL;
	}
}

static int parse(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		if (parse_one(opt, o) < 0)
			return -EINVAL;
	}
	return optind < argc || o->fd < 0 ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct options o = { .fd = -1,
			     .sandbox = { .mode = SANDBOX_BARE, .uid = SANDBOX_NO_UID } };
	struct sandbox_missing missing;
	int r;

	if (parse(argc, argv, &o) < 0) {
		fputs("vmvhd: it wants --control-fd FD\nTry 'vmvhd --help'.\n", stderr);
		return 2;
	}
	log_init("vmvhd", STDERR_FILENO, LOG_LVL_INFO);
	/* jansson's hash tables want a random number, which it reads from a path. */
	json_object_seed(0);
	r = limits_set();
	if (r == 0)
		r = sandbox_enter(&o.sandbox, &missing);
	/* It loads nothing more and makes no loop of events: what a running worker may do is enough from the start. */
	if (r == 0)
		r = sandbox_tighten();
	if (r < 0) {
		log_err("cannot lock itself in (%s): %s",
			sandbox_mode_name(o.sandbox.mode), strerror(-r));
		return EXIT_FAILURE;
	}
	return session_run((int)o.fd);
}
