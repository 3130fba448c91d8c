/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/nic.h"

#include <errno.h>
#include <stdlib.h>

static int null_send(struct nic *nic, unsigned int queue, const struct nic_meta *meta,
		     const struct iovec *iov, unsigned int n)
{
	return 0;
}

static ssize_t null_recv(struct nic *nic, unsigned int queue, struct nic_meta *meta,
			 const struct iovec *iov, unsigned int n)
{
	return -EAGAIN;
}

static void null_free(struct nic *nic)
{
	free(nic);
}

static const struct nic_ops null_ops = {
	.kind = "none",
	.send = null_send,
	.recv = null_recv,
	.free = null_free,
};

int nic_null_new(struct nic **ret)
{
	struct nic *nic = calloc(1, sizeof(*nic));

	if (!nic)
		return -ENOMEM;
	nic->ops = &null_ops;
	nic->queues = NIC_QUEUES_MAX;
	for (unsigned int i = 0; i < NIC_QUEUES_MAX; i++)
		nic->fds[i] = -1;
	*ret = nic;
	return 0;
}

void nic_free(struct nic *nic)
{
	if (nic)
		nic->ops->free(nic);
}
