/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/chain.h"

#include <errno.h>

struct disk_extent chain_map(struct disk *d, uint64_t off, uint64_t len,
			     struct disk **ret_at)
{
	for (;;) {
		struct disk_extent x = d->ops->map(d, off, len);
		uint64_t bytes;

		*ret_at = d;
		if (x.place != DISK_PLACE_PARENT)
			return x;
		len = x.bytes;
		d = d->parent;
		bytes = d ? disk_bytes(d) : 0;
		if (off >= bytes)
			return (struct disk_extent){ .place = DISK_PLACE_ZEROS,
						     .bytes = len };
		len = MIN(len, bytes - off);
	}
}

struct wait {
	struct aio_req req;
	ssize_t res;
};

static void loaded(struct aio_req *req, ssize_t res)
{
	container_of(req, struct wait, req)->res = res;
}

static int load(struct disk *d, struct aio *aio, uint64_t off)
{
	struct wait w = { .req.done = loaded };
	struct disk_load l = { .aio = aio, .aio_req = &w.req, .off = off };

	aio_expect(aio, &w.req);
	d->ops->load(d, &l);
	aio_drain(aio);
	return (int)w.res;
}

int chain_map_wait(struct disk *d, struct aio *aio, uint64_t off, uint64_t len,
		   struct disk_extent *ret)
{
	struct disk *at;
	int r = 0;

	while (r == 0) {
		*ret = chain_map(d, off, len, &at);
		if (ret->place == DISK_PLACE_BAD)
			return -EIO;
		if (ret->place != DISK_PLACE_UNKNOWN)
			break;
		r = load(at, aio, off);
	}
	return r;
}

int chain_own_wait(struct disk *d, struct aio *aio, uint64_t off, uint64_t len,
		   struct disk_extent *ret)
{
	int r = 0;

	while (r == 0) {
		*ret = d->ops->map(d, off, len);
		if (ret->place == DISK_PLACE_BAD)
			return -EIO;
		if (ret->place != DISK_PLACE_UNKNOWN)
			break;
		r = load(d, aio, off);
	}
	return r;
}
