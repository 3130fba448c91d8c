/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/nic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The header, then the frame: one message either way. */
static unsigned int with_header(struct iovec *all, const struct nic_meta *meta,
				const struct iovec *iov, unsigned int n)
{
	memcpy(&all[0].iov_base, &meta, sizeof(meta));
	all[0].iov_len = sizeof(*meta);
	memcpy(all + 1, iov, n * sizeof(*iov));
	return n + 1;
}

static int tap_send(struct nic *nic, unsigned int queue, const struct nic_meta *meta,
		    const struct iovec *iov, unsigned int n)
{
	struct iovec all[NIC_IOVS_MAX + 1];

	if (n > NIC_IOVS_MAX ||
	    writev(nic->fds[queue], all, (int)with_header(all, meta, iov, n)) >= 0)
		return 0;
	switch (errno) {
	case EAGAIN:
	case ENOBUFS:
	case EINTR:
		return -EAGAIN;
	case EBADFD:
	case ENODEV:
		return -EPIPE;
	default:
		return 0; /* EIO: the interface is down; EINVAL: a frame that it refuses */
	}
}

static ssize_t tap_recv(struct nic *nic, unsigned int queue, struct nic_meta *meta,
			const struct iovec *iov, unsigned int n)
{
	struct iovec all[NIC_IOVS_MAX + 1];
	size_t room = sizeof(*meta);
	ssize_t got;

	if (n > NIC_IOVS_MAX)
		return -EMSGSIZE;
	for (unsigned int i = 0; i < n; i++)
		room += iov[i].iov_len;
	got = readv(nic->fds[queue], all, (int)with_header(all, meta, iov, n));
	if (got < 0)
		return errno == EAGAIN || errno == EINTR || errno == EIO ? -EAGAIN
									 : -EPIPE;
	/* A tap cuts what does not fit and does not say so: the caller's room ends beyond the longest good frame. */
	if ((size_t)got <= sizeof(*meta) || (size_t)got == room)
		return got == 0 ? -EPIPE : -EMSGSIZE;
	return got - (ssize_t)sizeof(*meta);
}

/* A queue that is detached gets no frames, and those that wait in it are gone. */
static int tap_use_queue(struct nic *nic, unsigned int queue, bool used)
{
	struct ifreq ifr = { .ifr_flags = used ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	if (!queue || queue >= nic->queues)
		return 0;
	return ioctl(nic->fds[queue], TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

static int tap_receive_csum(struct nic *nic, bool allowed)
{
	for (unsigned int i = 0; i < nic->queues; i++) {
		if (ioctl(nic->fds[i], TUNSETOFFLOAD,
			  allowed ? (unsigned long)TUN_F_CSUM : 0ul) < 0)
			return -errno;
	}
	return 0;
}

static void tap_free(struct nic *nic)
{
	for (unsigned int i = 0; i < nic->queues; i++)
		close(nic->fds[i]);
	free(nic);
}

static const struct nic_ops tap_ops = {
	.kind = "tap",
	.send = tap_send,
	.recv = tap_recv,
	.use_queue = tap_use_queue,
	.receive_csum = tap_receive_csum,
	.free = tap_free,
};

int nic_tap_new(const int *fds, unsigned int n, bool offload, struct nic **ret)
{
	struct nic *nic = n && n <= NIC_QUEUES_MAX ? calloc(1, sizeof(*nic)) : NULL;
	int r = 0;

	if (!nic) {
		for (unsigned int i = 0; i < n; i++)
			close(fds[i]);
		return n && n <= NIC_QUEUES_MAX ? -ENOMEM : -EINVAL;
	}
	nic->ops = &tap_ops;
	nic->features = offload ? NIC_FEATURE_CSUM | NIC_FEATURE_TSO : 0;
	nic->queues = n;
	memcpy(nic->fds, fds, n * sizeof(*fds));
	for (unsigned int i = 0; i < n && r == 0; i++) {
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
		r = tap_use_queue(nic, i, false);
	}
	if (r < 0) {
		nic_free(nic);
		return r;
	}
	*ret = nic;
	return 0;
}
