/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/nic.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

static int socket_error(int err)
{
	switch (err) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
	case EINTR:
		return -EAGAIN;
	case EMSGSIZE:
		return 0; /* too long for this network: dropped */
	default:
		return -EPIPE;
	}
}

static int socket_send(struct nic *nic, unsigned int queue, const struct nic_meta *meta,
		       const struct iovec *iov, unsigned int n)
{
	struct msghdr m = { .msg_iovlen = n };

	m.msg_iov = (struct iovec *)(uintptr_t)iov; /* only read */
	return sendmsg(nic->fds[0], &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
		       ? socket_error(errno)
		       : 0;
}

static ssize_t socket_recv(struct nic *nic, unsigned int queue, struct nic_meta *meta,
			   const struct iovec *iov, unsigned int n)
{
	struct msghdr m = { .msg_iovlen = n };
	ssize_t got;

	m.msg_iov = (struct iovec *)(uintptr_t)iov;
	got = recvmsg(nic->fds[0], &m, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	if (got == 0)
		return -EPIPE;
	*meta = (struct nic_meta){ 0 };
	return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : got;
}

static void socket_free(struct nic *nic)
{
	close(nic->fds[0]);
	free(nic);
}

static const struct nic_ops socket_ops = {
	.kind = "user",
	.send = socket_send,
	.recv = socket_recv,
	.free = socket_free,
};

int nic_socket_new(int fd_, struct nic **ret)
{
	cleanup_fd int fd = fd_;
	int type = 0;
	socklen_t len = sizeof(type);
	struct nic *nic;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET)
		return -EINVAL;
	nic = calloc(1, sizeof(*nic));
	if (!nic)
		return -ENOMEM;
	nic->ops = &socket_ops;
	nic->queues = 1;
	nic->fds[0] = take_fd(&fd);
	*ret = nic;
	return 0;
}
