/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vhd/tape.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "unit/test.h"
#include "vhd/file.h"

#define PAGE 4096u
#define PAGES 8192u /* 32 MiB */
#define SECTOR 512u

struct mem {
	uint64_t bytes;
	uint8_t *pages[PAGES]; /* NULL: zeros */
	bool owned[PAGES];     /* not another one's */
};

enum change_kind { CHANGE_WRITE, CHANGE_SIZE, CHANGE_ZERO, CHANGE_SYNC };

struct change {
	enum change_kind kind;
	bool dsync;
	uint64_t off, len; /* CHANGE_SIZE: len */
	uint8_t *data;
};

static struct mem live, base, left;
static struct change *tape;
static size_t tape_n, tape_room;
static size_t base_n; /* changes that `base` has */
static bool recording;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- files in memory ---- */

static void mem_clear(struct mem *m)
{
	for (size_t i = 0; i < PAGES; i++) {
		if (m->owned[i])
			free(m->pages[i]);
	}
	memset(m, 0, sizeof(*m));
}

static void mem_share(struct mem *to, const struct mem *from)
{
	mem_clear(to);
	to->bytes = from->bytes;
	memcpy(to->pages, from->pages, sizeof(to->pages));
}

static uint8_t *own(struct mem *m, uint64_t page)
{
	uint8_t *copy;

	/* Not by an assertion: each one that holds is written down. */
	if (page >= PAGES)
		ck_abort_msg("a file is longer than this test's can be");
	if (m->owned[page])
		return m->pages[page];
	copy = calloc(1, PAGE);
	if (m->pages[page])
		memcpy(copy, m->pages[page], PAGE);
	m->pages[page] = copy;
	m->owned[page] = true;
	return copy;
}

/* Writes data, or zeros for NULL. */
static void mem_write(struct mem *m, uint64_t off, const uint8_t *data, uint64_t len)
{
	m->bytes = MAX(m->bytes, off + len);
	while (len) {
		uint64_t within = off % PAGE, n = MIN(PAGE - within, len);

		if (data)
			memcpy(own(m, off / PAGE) + within, data, n);
		else if (m->pages[off / PAGE])
			memset(own(m, off / PAGE) + within, 0, n);
		off += n;
		len -= n;
		data = data ? data + n : NULL;
	}
}

static int mem_read(const struct mem *m, uint64_t off, uint8_t *data, uint64_t len)
{
	if (!range_ok(off, len, m->bytes))
		return -ENODATA;
	while (len) {
		uint64_t within = off % PAGE, n = MIN(PAGE - within, len);
		const uint8_t *page = m->pages[off / PAGE];

		if (page)
			memcpy(data, page + within, n);
		else
			memset(data, 0, n);
		off += n;
		len -= n;
		data += n;
	}
	return 0;
}

static struct mem *mem_of(int fd)
{
	if (fd != TAPE_LIVE && fd != TAPE_CUT)
		ck_abort_msg("%d is no file of this test", fd);
	return fd == TAPE_LIVE ? &live : &left;
}

/* ---- the tape ---- */

static void apply(struct mem *m, const struct change *c)
{
	switch (c->kind) {
	case CHANGE_WRITE:
		mem_write(m, c->off, c->data, c->len);
		break;
	case CHANGE_ZERO:
		mem_write(m, c->off, NULL, c->len);
		break;
	case CHANGE_SIZE:
		m->bytes = c->len;
		break;
	case CHANGE_SYNC:
		break;
	}
}

static void record(int fd, struct change c)
{
	pthread_mutex_lock(&lock);
	apply(mem_of(fd), &c);
	if (fd == TAPE_LIVE && recording) {
		if (tape_n == tape_room) {
			tape_room = tape_room ? 2 * tape_room : 1024;
			tape = realloc(tape, tape_room * sizeof(*tape));
		}
		if (c.data) {
			uint8_t *copy = malloc(c.len);

			memcpy(copy, c.data, c.len);
			c.data = copy;
		}
		tape[tape_n++] = c;
	}
	pthread_mutex_unlock(&lock);
}

void tape_reset(void)
{
	mem_clear(&left);
	mem_clear(&base);
	mem_clear(&live);
	while (tape_n)
		free(tape[--tape_n].data);
	base_n = 0;
	recording = false;
}

void tape_start(void)
{
	for (size_t i = 0; i < PAGES; i++) {
		if (live.pages[i])
			mem_write(&base, i * PAGE, live.pages[i], PAGE);
	}
	base.bytes = live.bytes;
	recording = true;
}

void tape_adopt(void)
{
	struct mem kept = { 0 };

	for (size_t i = 0; i < PAGES; i++) {
		if (left.pages[i])
			mem_write(&kept, i * PAGE, left.pages[i], PAGE);
	}
	kept.bytes = left.bytes;
	tape_reset();
	live = kept;
	tape_start();
}

size_t tape_len(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = tape_n;
	pthread_mutex_unlock(&lock);
	return n;
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void apply_torn(struct mem *m, const struct change *c, uint64_t *seed)
{
	for (uint64_t at = 0; at < c->len; at += SECTOR) {
		struct change part = *c;

		part.off += at;
		part.len = MIN(c->len - at, (uint64_t)SECTOR);
		part.data = c->data ? c->data + at : NULL;
		if (next(seed) & 1)
			apply(m, &part);
	}
}

void tape_cut(size_t n, uint64_t *seed)
{
	size_t synced = base_n;
	/* All kept and all lost are the likeliest to matter, and the least likely to come by chance. */
	unsigned int mood = (unsigned int)(next(seed) % 8);

	for (size_t i = base_n; i < n; i++) {
		if (tape[i].kind == CHANGE_SYNC)
			synced = i + 1;
	}
	mem_clear(&left);
	for (; base_n < synced; base_n++)
		apply(&base, &tape[base_n]);
	mem_share(&left, &base);
	for (size_t i = base_n; i < n; i++) {
		unsigned int fate = (unsigned int)(next(seed) % 3);

		if (tape[i].dsync || mood == 0 || (mood > 1 && fate == 0))
			apply(&left, &tape[i]);
		else if (mood > 1 && fate == 1 && tape[i].kind != CHANGE_SIZE)
			apply_torn(&left, &tape[i], seed);
	}
}

/* ---- vhd/file.h ---- */

int file_read(int fd, void *buf, size_t len, uint64_t off)
{
	static const uint32_t value = TAPE_PARENT_VALUE;
	int r;

	if (fd == TAPE_PARENT) {
		for (size_t i = 0; i < len; i++)
			((uint8_t *)buf)[i] =
				((const uint8_t *)&value)[(off + i) % sizeof(value)];
		return 0;
	}

	pthread_mutex_lock(&lock);
	r = mem_read(mem_of(fd), off, buf, len);
	pthread_mutex_unlock(&lock);
	return r;
}

int file_write(int fd, const void *buf, size_t len, uint64_t off)
{
	record(fd, (struct change){ .kind = CHANGE_WRITE,
				    .off = off,
				    .len = len,
				    .data = (uint8_t *)(uintptr_t)buf });
	return 0;
}

int file_sync(int fd)
{
	record(fd, (struct change){ .kind = CHANGE_SYNC });
	return 0;
}

int file_size(int fd, uint64_t *ret)
{
	*ret = mem_of(fd)->bytes;
	return 0;
}

int file_resize(int fd, uint64_t bytes)
{
	record(fd, (struct change){ .kind = CHANGE_SIZE, .len = bytes });
	return 0;
}

int file_reserve(int fd, uint64_t bytes)
{
	return file_resize(fd, bytes);
}

int file_reserve_behind(int fd, uint64_t off, uint64_t len)
{
	return 0;
}

int file_zero(int fd, uint64_t off, uint64_t len, bool punch)
{
	record(fd, (struct change){ .kind = CHANGE_ZERO, .off = off, .len = len });
	return 0;
}

uint64_t file_hole(int fd, uint64_t off)
{
	return 0;
}

uint64_t file_data(int fd, uint64_t off)
{
	return INT64_MAX - off;
}

uint32_t file_set_direct(int fd, uint32_t sector_bytes)
{
	return 0;
}

bool file_can_punch(int fd)
{
	return true;
}

/* What is done at once would go past the tape. */
bool file_in_memory(int fd)
{
	return false;
}

/* ---- vhd/aio.h: what the host does is done at once ---- */

static pthread_cond_t posted_some = PTHREAD_COND_INITIALIZER;
static struct aio_req *posted;
static unsigned int pending;

void aio_readv(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
	       unsigned int iovcnt, uint64_t off)
{
	ssize_t sum = 0;

	for (unsigned int i = 0; i < iovcnt; i++) {
		if (file_read(fd, iov[i].iov_base, iov[i].iov_len, off + (uint64_t)sum) <
		    0)
			break;
		sum += (ssize_t)iov[i].iov_len;
	}
	req->done(req, sum);
}

void aio_writev(struct aio *aio, struct aio_req *req, int fd, const struct iovec *iov,
		unsigned int iovcnt, uint64_t off, int flags)
{
	ssize_t sum = 0;

	for (unsigned int i = 0; i < iovcnt; i++) {
		record(fd, (struct change){ .kind = CHANGE_WRITE,
					    .dsync = flags & RWF_DSYNC,
					    .off = off + (uint64_t)sum,
					    .len = iov[i].iov_len,
					    .data = iov[i].iov_base });
		sum += (ssize_t)iov[i].iov_len;
	}
	req->done(req, sum);
}

void aio_fsync(struct aio *aio, struct aio_req *req, int fd, bool data_only)
{
	req->done(req, file_sync(fd));
}

void aio_fallocate(struct aio *aio, struct aio_req *req, int fd, int mode, uint64_t off,
		   uint64_t len)
{
	req->done(req, file_zero(fd, off, len, true));
}

void aio_expect(struct aio *aio, struct aio_req *req)
{
	pending++;
}

void aio_post(struct aio *aio, struct aio_req *req, ssize_t res)
{
	pthread_mutex_lock(&lock);
	req->res = res;
	req->next = posted;
	posted = req;
	pthread_cond_signal(&posted_some);
	pthread_mutex_unlock(&lock);
}

void aio_drain(struct aio *aio)
{
	tape_drain();
}

/* For code that has an aio of its own: there is only one here. */

int aio_new(const struct aio_params *params, struct aio **ret)
{
	*ret = NULL;
	return 0;
}

void aio_free(struct aio *aio)
{
}

int aio_fd(const struct aio *aio)
{
	return -1;
}

void aio_submit(struct aio *aio)
{
}

unsigned int aio_pending(const struct aio *aio)
{
	return pending;
}

unsigned int aio_reap(struct aio *aio, unsigned int max)
{
	unsigned int n = pending;

	tape_drain();
	return n;
}

void tape_drain(void)
{
	while (pending) {
		struct aio_req *req;

		pthread_mutex_lock(&lock);
		while (!posted)
			pthread_cond_wait(&posted_some, &lock);
		req = posted;
		posted = req->next;
		pthread_mutex_unlock(&lock);
		pending--;
		req->done(req, req->res);
	}
}
