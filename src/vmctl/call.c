/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc/client.h"
#include "util/cleanup.h"

int socket_open(const char *path, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static void call_hang_up(struct vmctl *v)
{
	rpc_client_free(v->client);
	v->client = NULL;
}

/* An end without an answer is ssh's, or of what it ran; an answer may say ECONNRESET too. */
static bool has_ended(const struct vmctl *v)
{
	char c;

	return recv(rpc_client_fd(v->client), &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* To vmms, of this host or another. */
static int connect_vmms(struct vmctl *v, struct rpc_error *e)
{
	cleanup_fd int fd = -1;
	int r;

	if (!v->host)
		return rpc_client_connect(v->socket, &v->client, e);
	r = remote_open(&v->address, v->socket, !v->silent, &fd, &v->remote);
	if (r == 0)
		r = rpc_client_new(fd, &v->client);
	if (r < 0)
		return rpc_error_set(e, r, "%s cannot be reached: %s", v->address.host,
				     strerror(-r));
	take_fd(&fd);
	return 0;
}

/* Every wait is vmms's own and bounded by its timeouts, so that a call itself waits for ever. */
static int call_once(struct vmctl *v, const char *method, json_t *params, json_t **ret,
		     struct rpc_error *e)
{
	char why[400];
	int r = v->client ? 0 : connect_vmms(v, e);

	if (r < 0) {
		v->client = NULL;
		json_decref(params);
		return r;
	}
	r = rpc_client_call(v->client, method, params, -1, ret, e);
	if (v->remote && (r == -EPROTO || r == -EBADMSG || r == -EPIPE ||
			  (r == -ECONNRESET && has_ended(v)))) {
		call_hang_up(v);
		remote_why(v->remote, v->address.host, why, sizeof(why));
		return rpc_error_set(e, r, "%s", why);
	}
	return r;
}

int fail_to_connect(const struct vmctl *v, int r)
{
	if (r == -ENOENT || r == -ECONNREFUSED)
		return fail(v,
			    "no vmms answers at %s; to start it: systemctl start vmms, "
			    "or one of "
			    "your own: vmms (see vmms(8))",
			    v->socket);
	if (r == -EACCES)
		return fail(
			v,
			"you may not use %s; run it as root, or as a member of its group",
			v->socket);
	return fail(v, "%s: %s", v->socket, strerror(-r));
}

/* One line that says how to go on where nobody answers; else what vmms said. */
static int report(const struct vmctl *v, bool connected, const struct rpc_error *e)
{
	if (!connected &&
	    (e->err == -ENOENT || e->err == -ECONNREFUSED || e->err == -EACCES))
		return fail_to_connect(v, e->err);
	return fail(v, "%s", e->message);
}

int call(struct vmctl *v, const char *method, json_t *params, json_t **ret)
{
	struct rpc_error e = { 0 };
	json_auto_t *doc = NULL;
	int r;

	if (!params)
		return fail(v, "a word is not UTF-8 text, or there is no memory");
	r = call_once(v, method, params, ret, &e);
	if (r == 0)
		return VMCTL_DONE;
	doc = v->json ? json_pack("{s:o}", "error", rpc_error_to_json(&e)) : NULL;
	if (doc)
		print_json(doc);
	return report(v, v->client != NULL || v->host, &e);
}

int call_quiet(struct vmctl *v, const char *method, json_t *params, json_t **ret)
{
	struct rpc_error e = { 0 };

	return params ? call_once(v, method, params, ret, &e) : -ENOMEM;
}

void call_done(struct vmctl *v)
{
	call_hang_up(v);
	remote_close(v->remote);
	v->remote = NULL;
}
