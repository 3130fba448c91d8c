/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: bytes between this terminal and the Unix socket of a VM's first serial port. The terminal is in raw mode
 * meanwhile, so that Ctrl-C reaches the guest; Ctrl-] (0x1d, as with telnet) leaves. It is put back on every
 * way out, signals included. What the guest prints goes out as it is: a console needs its escape sequences.
 */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/io.h"

#define LEAVE 0x1d

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
	ended = 1;
}

/* The socket may be one of another host; *ret_remote is then ssh. */
static int connect_to(const struct vmctl *v, const char *path, int *ret_fd,
		      struct remote **ret_remote)
{
	return v->host ? remote_open(&v->address, path, true, ret_fd, ret_remote)
		       : socket_open(path, ret_fd);
}

/* Keys to the guest: 1 to go on, 0 to leave, -errno. */
static int copy_keys(int fd, bool *input_open)
{
	char buf[512], *leave;
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	int r;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (n == 0) {
		*input_open = false;
		return !isatty(STDIN_FILENO);
	}
	leave = isatty(STDIN_FILENO) ? memchr(buf, LEAVE, (size_t)n) : NULL;
	r = io_write_all(fd, buf, leave ? (size_t)(leave - buf) : (size_t)n);
	return r < 0 ? r : !leave;
}

/* The guest's bytes to the terminal: 1 to go on, 0 at the end, -errno. */
static int copy_output(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));
	int r;

	if (n < 0)
		return errno == EINTR ? 1 : errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	r = io_write_all(STDOUT_FILENO, buf, (size_t)n);
	return r < 0 ? r : 1;
}

/* Until Ctrl-] or a signal (0), the end of the console (1), or an error. */
static int relay(int fd)
{
	bool input_open = true;

	while (!ended) {
		struct pollfd p[2] = { { fd, POLLIN, 0 },
				       { input_open ? STDIN_FILENO : -1, POLLIN, 0 } };
		int r = poll(p, 2, -1);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		if (p[0].revents) {
			r = copy_output(fd);
			if (r <= 0)
				return r < 0 ? r : 1;
		}
		if (p[1].revents) {
			r = copy_keys(fd, &input_open);
			if (r == -EPIPE)
				return 1;
			if (r <= 0)
				return r;
		}
	}
	return 0;
}

static void catch_signals(void)
{
	const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

static int relay_in_raw_mode(int fd)
{
	struct termios before, raw;
	int r;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return relay(fd);
	catch_signals();
	raw = before;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	r = relay(fd);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return r;
}

int verb_console(struct vmctl *v, const struct args *a)
{
	bool terminal = isatty(STDIN_FILENO);
	struct remote *remote = NULL;
	json_auto_t *where = NULL;
	cleanup_fd int fd = -1;
	int r, status;

	status = call(v, v->verb->method, json_pack("{s:s}", "vm", a->words[0]), &where);
	if (status)
		return status;
	if (v->json)
		return print_json(where);
	r = connect_to(v, field_text(where, "socket"), &fd, &remote);
	if (r < 0)
		return fail(v, "%s: %s; is the VM still on? (vmctl list)",
			    field_text(where, "socket"), strerror(-r));
	if (terminal)
		print_line(stderr, "Console of %s. Ctrl-] leaves.", a->words[0]);
	r = relay_in_raw_mode(fd);
	remote_close(remote);
	if (r < 0)
		return fail(v, "the console broke off: %s", strerror(-r));
	if (terminal)
		fputs(r ? "\nThe VM closed its console.\n" : "\nLeft the console.\n",
		      stderr);
	return VMCTL_DONE;
}
