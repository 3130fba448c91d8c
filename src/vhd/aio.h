/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asynchronous file I/O for one thread: io_uring where the host has it, a small pool of threads behind the same
 * calls where it forbids it (ENOSYS, EPERM; vmms's settings may ask for either).
 *
 * Requests live inside the caller's own structures, so nothing is allocated for one. They are queued by
 * aio_readv() and its likes, which cannot fail, handed to the host all at once by aio_submit(), and finished by
 * aio_reap(), which calls `done` for each that is complete. A loop is: drain the guest's ring and queue, submit, reap, write the
 * completions, interrupt once, then wait until aio_fd() or the doorbell is readable.
 *
 * What is queued beyond `depth` waits inside for room; the owner bounds it by the number of its requests.
 * Thread: aio_new() on any; all else, and every `done`, on the owner's, which is the thread that submits first. aio_free() on another
 * thread only when nothing is pending.
 */
#ifndef VHD_AIO_H
#define VHD_AIO_H

#include <sys/types.h>
#include <sys/uio.h>
#include "util/macros.h"

struct aio;

enum aio_engine {
	AIO_AUTO, /* io_uring, or threads where that is refused */
	AIO_URING,
	AIO_THREADS,
};

struct aio_params {
	enum aio_engine engine;
	unsigned int depth;   /* requests at the host at once; 0 means AIO_DEPTH */
	unsigned int threads; /* most threads of the pool, made when needed; 0 means 4 */
};

#define AIO_DEPTH 128u

enum aio_op { AIO_READV, AIO_WRITEV, AIO_FSYNC, AIO_FDATASYNC, AIO_FALLOCATE };

/* One request. `done` is set by the owner before; the rest is aio's from queueing until `done` runs. */
struct aio_req {
	/*
	 * `res`: bytes moved (which may be fewer than asked for) or 0, or -errno; never -EINTR or -EAGAIN. The request is the
	 * owner's again: it may be queued anew from here.
	 */
	void (*done)(struct aio_req *req, ssize_t res);

	enum aio_op op;
	int fd;
	int flags; /* RWF_* of preadv2(2), or the mode of fallocate(2) */
	unsigned int iovcnt;
	const struct iovec *iov;
	uint64_t off, len;
	ssize_t res;
	struct aio_req *next;
};

/* -ENOSYS or -EPERM only with AIO_URING; -ENOMEM, -EMFILE. */
int aio_new(const struct aio_params *params, struct aio **ret) __must_check;
/* Waits for what is in flight without calling `done`; every thread has ended and no buffer is touched after return. */
void aio_free(struct aio *aio);

/* Readable while completions wait for aio_reap(). For poll and epoll only; stays aio's. */
int aio_fd(const struct aio *aio);
/* Which engine serves: AIO_URING or AIO_THREADS. */
enum aio_engine aio_engine(const struct aio *aio);
/* Requests queued or at the host, whose `done` has not run. */
unsigned int aio_pending(const struct aio *aio);

/* iov and what it points to stay valid until `done`. At most IOV_MAX elements. `flags` are RWF_*, e.g. RWF_DSYNC. */
void aio_readv(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
	       unsigned int iovcnt, uint64_t off);
void aio_writev(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
		unsigned int iovcnt, uint64_t off, int flags);
void aio_fsync(struct aio *aio, struct aio_req *req, int fd, bool data_only);
/* FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, …: fallocate(2). */
void aio_fallocate(struct aio *aio, struct aio_req *req, int fd, int mode, uint64_t off,
		   uint64_t len);

/*
 * A request that another thread ends: from aio_expect(), on the owner's, it is pending until `done` has run on the owner's thread with what
 * aio_post(), on any thread and exactly once, gave. Whoever posts must still do so when the aio is being freed, which waits for it.
 */
void aio_expect(struct aio *aio, struct aio_req *req);
void aio_post(struct aio *aio, struct aio_req *req, ssize_t res);

/* Hands on all that is queued, as far as depth allows, in one call to the host. */
void aio_submit(struct aio *aio);
/*
 * Calls `done` for every request that is complete, at most `max` (0: no bound), and returns how many. What `done` queues is submitted before
 * return. Never waits.
 */
unsigned int aio_reap(struct aio *aio, unsigned int max);
/* Submits and reaps until nothing is pending, waiting as long as the host takes. */
void aio_drain(struct aio *aio);

#endif
