/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmvhd: the process of one operation on disk images. vmms starts it with a connected socket and nothing else, and hands it over that what
 * it may read and write; it opens no path. It ends with the operation, or with vmms.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "vmvhd/limits.h"
#include "vmvhd/session.h"

static const char help[] =
	"Usage: vmvhd --control-fd FD\n"
	"\n"
	"One operation on disk images. vmms starts it; it is not meant to be started by "
	"hand:\n"
	"see 'vmctl vhd --help'.\n"
	"\n"
	"  --control-fd FD     the socket to vmms\n"
	"  --help, --version\n";

int main(int argc, char **argv)
{
	char *end = NULL;
	long fd = -1;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("vmvhd " VMMS_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 3 && strcmp(argv[1], "--control-fd") == 0)
		fd = strtol(argv[2], &end, 10);
	if (fd < 0 || fd > 1 << 20 || *end) {
		fputs("vmvhd: it wants --control-fd FD\nTry 'vmvhd --help'.\n", stderr);
		return 2;
	}
	log_init("vmvhd", STDERR_FILENO, LOG_LVL_INFO);
	if (limits_set() < 0) {
		log_err("its limits cannot be set: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	return session_run((int)fd);
}
