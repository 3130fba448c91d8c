/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A piece of a disk is filled with a pattern that differs in each 8 bytes, flushed, and read back: by one VP over one queue, with DEPTH
 * requests of CHUNK bytes under way. test=disk takes each disk whole over the primary channel; test=subchannels lets each VP
 * do its piece over a channel of its own, all at once.
 */
#include "bare/console.h"
#include "bare/guest.h"
#include "bare/pages.h"
#include "bare/tests.h"
#include "bare/vp.h"
#include "core/mem.h"

#define CHUNK (256u << 10)
#define DEPTH 8u
#define BUF_PAGES (DEPTH * CHUNK / CORE_PAGE_SIZE)
#define DISK_BYTES_MAX (256ull << 20)
#define PERIPHERAL_DISK 0x00 /* SPC-4 6.6.2 */
#define PERIPHERAL_DVD 0x05

struct disk {
	struct storvsc *sc;
	unsigned int controller, lun;
	uint64_t bytes;
	uint32_t block;
};

struct job {
	const struct disk *d;
	unsigned int queue;
	uint64_t begin, end, next, left;
	struct storvsc_request reqs[DEPTH];
	uint64_t offset[DEPTH];
	uint8_t *buf; /* DEPTH times CHUNK */
	bool ok;
};

static struct storvsc controller;
static struct job jobs[BARE_VPS_MAX];

static uint64_t pattern(const struct disk *d, uint64_t offset)
{
	uint64_t seed = (uint64_t)d->controller << 56 | (uint64_t)d->lun << 48;

	return (offset + seed) * 0x9e3779b97f4a7c15ull;
}

static void fill(const struct disk *d, void *buf, uint64_t offset, uint32_t len)
{
	uint64_t *p = buf;
	uint32_t i;

	for (i = 0; i < len / 8; i++)
		p[i] = pattern(d, offset + i * 8);
}

static bool matches(const struct disk *d, const void *buf, uint64_t offset, uint32_t len)
{
	const uint64_t *p = buf;
	uint32_t i;

	for (i = 0; i < len / 8; i++) {
		if (p[i] != pattern(d, offset + i * 8)) {
			say("disk %u/%u offset %lu: 0x%lx is not 0x%lx", d->controller,
			    d->lun, offset + i * 8, p[i], pattern(d, offset + i * 8));
			return false;
		}
	}
	return true;
}

static bool good(const struct disk *d, const struct storvsc_request *req)
{
	if (!req->status && req->srb_status == VSTOR_SRB_SUCCESS && !req->scsi_status &&
	    req->transferred == req->data_len)
		return true;
	say("disk %u/%u status=0x%x srb=0x%x scsi=0x%x sense=%02x/%02x/%02x "
	    "transferred=%u",
	    d->controller, d->lun, req->status, req->srb_status, req->scsi_status,
	    req->sense_len ? req->sense[2] & 15 : 0,
	    req->sense_len > 13 ? req->sense[12] : 0,
	    req->sense_len > 13 ? req->sense[13] : 0, req->transferred);
	return false;
}

/* Sends the slot's next piece; nothing when there is none left. */
static bool submit(struct job *j, unsigned int slot, bool write)
{
	const struct disk *d = j->d;
	uint8_t *buf = j->buf + (size_t)slot * CHUNK;
	uint32_t len = j->end - j->next < CHUNK ? (uint32_t)(j->end - j->next) : CHUNK;

	if (!len)
		return true;
	if (write)
		fill(d, buf, j->next, len);
	else
		memset(buf, 0, len);
	storvsc_prepare_rw(&j->reqs[slot], d->lun, write, j->next / d->block,
			   len / d->block, buf, len);
	j->offset[slot] = j->next;
	j->next += len;
	return !storvsc_submit(d->sc, j->queue, &j->reqs[slot]);
}

/* Looks after what is done and sends the next; false: it is over. */
static bool collect(struct job *j, bool write)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		struct storvsc_request *req = &j->reqs[i];

		if (!req->done)
			continue;
		req->done = false;
		if (!good(j->d, req))
			return false;
		if (!write && !matches(j->d, req->data, j->offset[i], req->data_len))
			return false;
		j->left -= req->data_len;
		if (!submit(j, i, write))
			return false;
	}
	return true;
}

static void wait_for_queue(const struct job *j)
{
	unsigned int vp = (unsigned int)vp_self()->index;

	if (vp)
		bus_wait(&guest_get()->bus, vp, STORVSC_TIMEOUT_US);
	else
		guest_wait(STORVSC_TIMEOUT_US);
}

static bool pass(struct job *j, bool write)
{
	unsigned int i;
	int n;

	memset(j->reqs, 0, sizeof(j->reqs));
	j->next = j->begin;
	j->left = j->end - j->begin;
	for (i = 0; i < DEPTH; i++) {
		if (!submit(j, i, write))
			return false;
	}
	while (j->left) {
		n = storvsc_poll(j->d->sc, j->queue);
		if (n < 0)
			return false;
		if (!n)
			wait_for_queue(j);
		else if (!collect(j, write))
			return false;
	}
	return true;
}

/* On the VP that the queue is bound to. */
static void run_job(void *arg)
{
	struct job *j = arg;

	j->ok = pass(j, true) && !storvsc_flush(j->d->sc, j->queue, j->d->lun) &&
		pass(j, false);
}

static bool prepare(struct job *j, const struct disk *d, unsigned int queue,
		    uint64_t begin, uint64_t end)
{
	memset(j, 0, sizeof(*j));
	j->d = d;
	j->queue = queue;
	j->begin = begin;
	j->end = end;
	j->buf = pages_alloc(BUF_PAGES);
	if (!j->buf)
		say("disk %u/%u: no memory for it", d->controller, d->lun);
	return j->buf;
}

/* The disk in as many pieces as there are queues. */
static bool test_one(const struct disk *d)
{
	uint64_t piece = d->bytes / d->sc->queues / CHUNK * CHUNK;
	unsigned int i, n = d->sc->queues;
	bool ok = true;

	for (i = 0; i < n && ok; i++)
		ok = prepare(&jobs[i], d, i, piece * i,
			     i == n - 1 ? d->bytes : piece * (i + 1));
	for (i = 1; i < n && ok; i++)
		vp_run(i, run_job, &jobs[i]);
	if (ok)
		run_job(&jobs[0]);
	for (i = 1; i < n && ok; i++)
		vp_join(i);
	for (i = 0; i < n; i++) {
		ok &= jobs[i].ok;
		/* after a failure the host may still write there */
		if (ok)
			pages_free(jobs[i].buf, BUF_PAGES);
	}
	say("disk %u/%u %luKiB %s", d->controller, d->lun, d->bytes / 1024,
	    ok ? "pattern verified" : "failed");
	return ok;
}

static bool test_lun(unsigned int index, unsigned int lun)
{
	struct disk d = { .sc = &controller, .controller = index, .lun = lun };
	uint8_t inquiry[36];
	uint64_t blocks;

	if (storvsc_inquiry(&controller, lun, inquiry, sizeof(inquiry))) {
		say("disk %u/%u: no answer to INQUIRY", index, lun);
		return false;
	}
	if (inquiry[0] == PERIPHERAL_DVD) {
		say("dvd %u/%u", index, lun);
		return true;
	}
	if (inquiry[0] != PERIPHERAL_DISK)
		return true;
	if (storvsc_read_capacity(&controller, lun, &blocks, &d.block)) {
		say("disk %u/%u: no answer to READ CAPACITY", index, lun);
		return false;
	}
	d.bytes = blocks * d.block;
	if (d.bytes > DISK_BYTES_MAX)
		d.bytes = DISK_BYTES_MAX;
	return test_one(&d);
}

static bool test_controller(unsigned int index, struct chan *ch, unsigned int subs)
{
	uint64_t luns, bit;
	bool ok = true;
	int r;

	r = storvsc_start(&controller, &guest_get()->bus, ch, 0, subs, vp_count());
	if (!r)
		r = storvsc_report_luns(&controller, &luns);
	if (r) {
		say("controller %u: error %d", index, -r);
		return false;
	}
	say("controller %u version=%u.%u sub-channels=%u queues=%u luns=0x%lx", index,
	    controller.version >> 8, controller.version & 0xff,
	    controller.max_sub_channels, controller.queues, luns);
	for (bit = 0; bit < STORVSC_LUNS_MAX; bit++) {
		if (luns >> bit & 1)
			ok &= test_lun(index, (unsigned int)bit);
	}
	return !storvsc_stop(&controller) && ok;
}

static bool test_controllers(unsigned int subs)
{
	struct chan *ch = NULL;
	unsigned int i;
	bool ok = true;

	for (i = 0; (ch = bus_find(&guest_get()->bus, storvsc_type, ch)); i++)
		ok &= test_controller(i, ch, subs);
	if (!i)
		say("no controller");
	return ok && i;
}

bool test_disk(void)
{
	return test_controllers(0);
}

bool test_subchannels(void)
{
	return test_controllers(vp_count() - 1);
}
