/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/metrics/prometheus_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

static int unix_address(const char *path, struct prometheus_address *ret)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path) || path[strlen(path) - 1] == '/')
		return -EINVAL;
	strcpy(a.sun_path, path);
	if (ret) {
		memcpy(&ret->addr, &a, sizeof(a));
		ret->len = sizeof(a);
	}
	return 0;
}

static int parse_port(const char *text, in_port_t *ret)
{
	unsigned int port = 0, n = 0;

	for (; text[n] >= '0' && text[n] <= '9' && n < 5; n++)
		port = port * 10 + (unsigned int)(text[n] - '0');
	if (!n || text[n] || port > UINT16_MAX)
		return -EINVAL;
	*ret = htons((uint16_t)port);
	return 0;
}

static int tcp_address(const char *where, struct prometheus_address *ret)
{
	struct prometheus_address a = { .len = 0 };
	struct sockaddr_in *in4 = (struct sockaddr_in *)&a.addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.addr;
	const char *colon = strrchr(where, ':');
	char host[INET6_ADDRSTRLEN + 2];
	in_port_t port;

	if (!colon || (size_t)(colon - where) >= sizeof(host) ||
	    parse_port(colon + 1, &port) < 0)
		return -EINVAL;
	memcpy(host, where, (size_t)(colon - where));
	host[colon - where] = '\0';
	if (strcmp(host, "[::1]") == 0) {
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = port,
					      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
		a.len = sizeof(*in6);
	} else if (inet_pton(AF_INET, host, &in4->sin_addr) == 1 &&
		   ntohl(in4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) {
		in4->sin_family = AF_INET;
		in4->sin_port = port;
		a.len = sizeof(*in4);
	} else {
		return -EINVAL;
	}
	if (ret)
		*ret = a;
	return 0;
}

int prometheus_address(const char *where, struct prometheus_address *ret)
{
	return where[0] == '/' ? unix_address(where, ret) : tcp_address(where, ret);
}

/* Not what is no socket: a wrong setting is to cost nobody a file. */
static int clear_name(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) < 0 ? -errno : 0;
}

static int open_to_viewers(const struct settings *s, const char *path)
{
	const struct group *g = s->view_group[0] ? getgrnam(s->view_group) : NULL;

	if (!g)
		return 0;
	if (lchown(path, (uid_t)-1, g->gr_gid) < 0 || chmod(path, 0660) < 0)
		return -errno;
	return 0;
}

static int bind_and_listen(const struct settings *s, const char *where,
			   const struct prometheus_address *a, int fd)
{
	const int one = 1;
	mode_t before;
	int r = 0;

	if (where[0] == '/')
		r = clear_name(where);
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		r = -errno;
	if (r < 0)
		return r;
	before = umask(0177);
	r = bind(fd, (const struct sockaddr *)&a->addr, a->len) < 0 ? -errno : 0;
	umask(before);
	if (r == 0 && where[0] == '/')
		r = open_to_viewers(s, where);
	if (r == 0 && listen(fd, 128) < 0)
		r = -errno;
	return r;
}

static void tell_where(int fd, const char *where)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	unsigned int port = 0;

	if (where[0] != '/' && getsockname(fd, (struct sockaddr *)&a, &len) == 0)
		port = ntohs(a.ss_family == AF_INET
				     ? ((struct sockaddr_in *)&a)->sin_port
				     : ((struct sockaddr_in6 *)&a)->sin6_port);
	if (port)
		log_info("metrics are served at %.*s:%u",
			 (int)(strrchr(where, ':') - where), where, port);
	else
		log_info("metrics are served at %s", where);
}

int prometheus_listen(const struct settings *s, const char *where, int *ret_fd,
		      struct rpc_error *e)
{
	struct prometheus_address a;
	cleanup_fd int fd = -1;
	int r = prometheus_address(where, &a);

	if (r == 0) {
		fd = socket(a.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    0);
		r = fd < 0 ? -errno : bind_and_listen(s, where, &a, fd);
	}
	if (r < 0)
		return rpc_error_set(e, r, "metrics: cannot listen at %s: %s", where,
				     r == -EEXIST ? "there is a file that is no socket"
						  : strerror(-r));
	tell_where(fd, where);
	*ret_fd = take_fd(&fd);
	return 0;
}

void prometheus_close(int fd, const char *where)
{
	if (where[0] == '/')
		clear_name(where);
	if (fd >= 0)
		close(fd);
}
