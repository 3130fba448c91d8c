/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmwp: the worker of one VM. vmms starts it with a listening control socket and nothing else; all that it ever
 * touches is handed to it over that socket (docs/architecture.md).
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/guid.h"
#include "util/log.h"
#include "sandbox/sandbox.h"
#include "vmwp/host_report.h"
#include "vmwp/worker.h"

static const char help[] =
	"Usage: vmwp --control-fd FD --name NAME --id UUID [--sandbox MODE] [--uid N]\n"
	"            [--log-level LEVEL]\n"
	"       vmwp --host-check\n"
	"\n"
	"The worker of one virtual machine. vmms starts it; it is not meant to be "
	"started by hand.\n"
	"\n"
	"  --control-fd FD     the listening Unix socket on which vmms reaches the "
	"worker\n"
	"  --name NAME         the VM's name, for the log\n"
	"  --id UUID           the VM's id\n"
	"  --sandbox MODE      full, user: it was started in namespaces of its own; "
	"bare: it "
	"was\n"
	"                      not (default); off: none, for debugging\n"
	"  --uid N             the user that it becomes, where it was started by root\n"
	"  --log-level LEVEL   error, warning, info or debug (default info)\n"
	"  --host-check        print as JSON whether this host can run VMs, and what is "
	"missing\n"
	"  --help, --version\n"
	"\n"
	"Example: vmwp --host-check\n";

struct options {
	struct worker_options worker;
	struct sandbox_params sandbox;
	enum log_level level;
	bool host_check;
};

static int parse_level(const char *s, enum log_level *ret)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = { { "error", LOG_LVL_ERR },
		       { "warning", LOG_LVL_WARNING },
		       { "info", LOG_LVL_INFO },
		       { "debug", LOG_LVL_DEBUG } };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (!strcmp(s, levels[i].name)) {
			*ret = levels[i].level;
			return 0;
		}
	}
	fprintf(stderr, "vmwp: log level '%s' is none of error, warning, info, debug\n",
		s);
	return -EINVAL;
}

static int parse_fd(const char *s, int *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || end == s || *end || v < 0 || v > 1 << 20) {
		fprintf(stderr, "vmwp: '%s' is not a descriptor's number\n", s);
		return -EINVAL;
	}
	*ret = (int)v;
	return 0;
}

enum {
	OPT_CONTROL = 256,
	OPT_NAME,
	OPT_ID,
	OPT_SANDBOX,
	OPT_UID,
	OPT_LEVEL,
	OPT_CHECK,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{ "control-fd", required_argument, NULL, OPT_CONTROL },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "id", required_argument, NULL, OPT_ID },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "host-check", no_argument, NULL, OPT_CHECK },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static int parse_sandbox(const char *s, enum sandbox_mode *ret)
{
	if (sandbox_mode_parse(s, ret) == 0)
		return 0;
	fprintf(stderr, "vmwp: '%s' is none of full, user, bare, off\n", s);
	return -EINVAL;
}

static int parse_uid(const char *s, uid_t *ret)
{
	if (sandbox_uid_parse(s, ret) == 0)
		return 0;
	fprintf(stderr, "vmwp: '%s' is not a number of a user\n", s);
	return -EINVAL;
}

static int parse_one(int opt, struct options *o)
{
	switch (opt) {
	case OPT_CONTROL:
		return parse_fd(optarg, &o->worker.control_fd);
	case OPT_NAME:
		o->worker.name = optarg;
		return 0;
	case OPT_ID:
		if (guid_parse(optarg, &o->worker.id) == 0)
			return 0;
		fprintf(stderr, "vmwp: '%s' is not a UUID\n", optarg);
		return -EINVAL;
	case OPT_SANDBOX:
		return parse_sandbox(optarg, &o->sandbox.mode);
	case OPT_UID:
		return parse_uid(optarg, &o->sandbox.uid);
	case OPT_LEVEL:
		return parse_level(optarg, &o->level);
	case OPT_CHECK:
		o->host_check = true;
		return 0;
	case OPT_HELP:
		fputs(help, stdout);
		exit(EXIT_SUCCESS);
	case OPT_VERSION:
		puts("vmwp " VMMS_VERSION);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		if (parse_one(opt, o) < 0)
			return -EINVAL;
	}
	if (optind < argc) {
		fprintf(stderr, "vmwp: unexpected argument '%s'\n", argv[optind]);
		return -EINVAL;
	}
	if (!o->host_check && (o->worker.control_fd < 0 || !o->worker.name ||
			       guid_is_null(&o->worker.id))) {
		fprintf(stderr, "vmwp: --control-fd, --name and --id are needed; vmms "
				"gives them, "
				"see 'vmctl start'\n");
		return -EINVAL;
	}
	return 0;
}

static int enter_sandbox(const struct sandbox_params *params)
{
	struct sandbox_missing missing;
	int r;

	/* jansson's hash tables want a random number, which it reads from a path. */
	json_object_seed(0);
	r = sandbox_enter(params, &missing);

	if (r < 0)
		log_err("cannot enter the sandbox (%s): %s",
			sandbox_mode_name(params->mode), strerror(-r));
	else if (missing.landlock)
		log_info("this host's kernel has no Landlock; the rest of the sandbox "
			 "stands");
	return r;
}

int main(int argc, char **argv)
{
	struct options o = { .worker = { .control_fd = -1 },
			     .sandbox = { .mode = SANDBOX_BARE, .uid = SANDBOX_NO_UID },
			     .level = LOG_LVL_INFO };
	char process[64];

	if (parse_options(argc, argv, &o) < 0) {
		fprintf(stderr, "Try 'vmwp --help'.\n");
		return 2;
	}
	if (o.host_check)
		return host_report_print();
	snprintf(process, sizeof(process), "vmwp/%s", o.worker.name);
	log_init(process, STDERR_FILENO, o.level);
	return enter_sandbox(&o.sandbox) < 0 ? EXIT_FAILURE : worker_run(&o.worker);
}
