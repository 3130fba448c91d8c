/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmms on another host: ssh runs `vmctl proxy` there, and its standard input and output are the connection. ssh's own
 * questions (a password, an unknown host) come on the terminal; what it says to standard error is kept, and told
 * as one line when the connection fails. The words go through a shell on that host, and are quoted for it.
 */
#include "vmctl/remote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

#define COMMAND_SIZE 1024
#define SAID_SIZE 4096
#define SSH_FAILED 255 /* ssh(1), EXIT STATUS */
#define NOT_FOUND 127  /* of a shell */

struct remote {
	pid_t pid;
	int said_fd; /* what ssh and the other vmctl said */
};

/* ---- the address ---- */

/* A name of a user or host that no program takes for an option and no shell for anything. */
static bool is_name(const char *s, size_t len)
{
	if (len == 0 || s[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c >= 0x7f || strchr("/@'\"\\$`;&|<>(){}*?!#~", c))
			return false;
	}
	return true;
}

static int copy_name(char *to, size_t size, const char *s, size_t len)
{
	if (len >= size || !is_name(s, len))
		return -EINVAL;
	memcpy(to, s, len);
	to[len] = '\0';
	return 0;
}

/* "host", "host:22", "[::1]:22" */
static int parse_host(const char *s, size_t len, struct remote_address *ret)
{
	const char *end = s + len, *colon = memchr(s, ':', len), *host_end;
	char *rest;
	long port;

	if (len && s[0] == '[') {
		host_end = memchr(s, ']', len);
		if (!host_end)
			return -EINVAL;
		colon = host_end + 1 < end ? host_end + 1 : NULL;
		s++;
	} else {
		host_end = colon ? colon : end;
	}
	if (copy_name(ret->host, sizeof(ret->host), s, (size_t)(host_end - s)) < 0)
		return -EINVAL;
	if (!colon)
		return 0;
	if (*colon != ':' || colon + 1 == end || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtol(colon + 1, &rest, 10);
	if (rest != end || port < 1 || port > 65535)
		return -EINVAL;
	snprintf(ret->port, sizeof(ret->port), "%ld", port);
	return 0;
}

int remote_parse(const char *url, struct remote_address *ret)
{
	static const char scheme[] = "ssh://";
	struct remote_address a = { 0 };
	const char *at, *path;
	size_t len;

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return -EINVAL;
	url += sizeof(scheme) - 1;
	len = strcspn(url, "/");
	path = url + len;
	at = memchr(url, '@', len);
	if (at && copy_name(a.user, sizeof(a.user), url, (size_t)(at - url)) < 0)
		return -EINVAL;
	if (at) {
		len -= (size_t)(at + 1 - url);
		url = at + 1;
	}
	if (parse_host(url, len, &a) < 0 || strlen(path) >= sizeof(a.socket))
		return -EINVAL;
	if (path[0] && path[1])
		strcpy(a.socket, path);
	*ret = a;
	return 0;
}

/* ---- the program ---- */

int remote_quote(const char *text, char *ret, size_t size)
{
	size_t n = 0;

	for (const char *p = text;; p++) {
		const char *piece = *p == '\'' ? "'\\''" : (const char[]){ *p, 0 };
		size_t len = strlen(piece);

		if (p == text)
			n += (size_t)snprintf(ret, size, "'");
		if (!*p)
			break;
		if (n + len + 2 > size)
			return -ENAMETOOLONG;
		memcpy(ret + n, piece, len);
		n += len;
	}
	if (n + 2 > size)
		return -ENAMETOOLONG;
	strcpy(ret + n, "'");
	return 0;
}

static int make_command(const char *socket, char ret[COMMAND_SIZE])
{
	char quoted[COMMAND_SIZE - 32];
	int r;

	if (!socket || !socket[0]) {
		strcpy(ret, "vmctl proxy");
		return 0;
	}
	r = remote_quote(socket, quoted, sizeof(quoted));
	if (r == 0)
		snprintf(ret, COMMAND_SIZE, "vmctl --socket %s proxy", quoted);
	return r;
}

static __attribute__((noreturn)) void
child(const struct remote_address *a, const char *command, bool ask, int end, int said)
{
	const char *argv[20];
	size_t n = 0;

	argv[n++] = "ssh";
	argv[n++] = "-T";
	argv[n++] = "-e";
	argv[n++] = "none";
	if (!ask) {
		argv[n++] = "-o";
		argv[n++] = "BatchMode=yes";
		argv[n++] = "-o";
		argv[n++] = "ConnectTimeout=3";
	}
	if (a->port[0]) {
		argv[n++] = "-p";
		argv[n++] = a->port;
	}
	if (a->user[0]) {
		argv[n++] = "-l";
		argv[n++] = a->user;
	}
	argv[n++] = "--";
	argv[n++] = a->host;
	argv[n++] = command;
	argv[n] = NULL;
	signal(SIGPIPE, SIG_DFL);
	if (dup2(end, STDIN_FILENO) < 0 || dup2(end, STDOUT_FILENO) < 0 ||
	    dup2(said, STDERR_FILENO) < 0)
		_exit(NOT_FOUND);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "ssh: %s\n", strerror(errno));
	_exit(SSH_FAILED);
}

int remote_open(const struct remote_address *a, const char *socket, bool ask, int *ret_fd,
		struct remote **ret)
{
	cleanup_fd int mine = -1, other = -1, said = memfd_create("ssh", MFD_CLOEXEC);
	struct remote *remote = calloc(1, sizeof(*remote));
	char command[COMMAND_SIZE];
	int pair[2], r;

	r = !remote ? -ENOMEM : said < 0 ? -errno : make_command(socket, command);
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	if (r < 0) {
		free(remote);
		return r;
	}
	mine = pair[0];
	other = pair[1];
	remote->pid = fork();
	if (remote->pid == 0)
		child(a, command, ask, other, said);
	if (remote->pid < 0) {
		r = -errno;
		free(remote);
		return r;
	}
	remote->said_fd = take_fd(&said);
	*ret_fd = take_fd(&mine);
	*ret = remote;
	return 0;
}

/* ---- the end ---- */

/* The last line that says something; in place. */
static const char *last_line(char *text)
{
	char *end = text + strlen(text), *nl;

	while (end > text && (unsigned char)end[-1] <= ' ')
		*--end = '\0';
	nl = strrchr(text, '\n');
	return nl ? nl + 1 : text;
}

void remote_why(struct remote *remote, const char *host, char *ret, size_t size)
{
	char text[SAID_SIZE] = "";
	const char *line;
	ssize_t n;
	int status = 0;

	if (waitpid(remote->pid, &status, 0) == remote->pid)
		remote->pid = 0;
	n = pread(remote->said_fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	line = last_line(text);
	if (strncmp(line, "vmctl proxy: ", 13) == 0)
		line += 13;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		snprintf(ret, size,
			 "%s has no vmctl in its PATH; install the package there", host);
	else if (line[0])
		snprintf(ret, size, "%s: %s", host, line);
	else
		snprintf(ret, size, "%s: the connection was closed", host);
}

void remote_close(struct remote *remote)
{
	if (!remote)
		return;
	if (remote->pid > 0) {
		kill(remote->pid, SIGTERM);
		waitpid(remote->pid, NULL, 0);
	}
	close(remote->said_fd);
	free(remote);
}
