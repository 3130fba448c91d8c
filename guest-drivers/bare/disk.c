/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole of each disk (at most DISK_BYTES_MAX of it) is filled with a pattern that differs in each 8 bytes, and read back.
 * Requests of CHUNK bytes, DEPTH of them under way.
 */
#include "bare/console.h"
#include "bare/guest.h"
#include "bare/pages.h"
#include "bare/tests.h"
#include "core/mem.h"

#define CHUNK (256u << 10)
#define DEPTH 8u
#define DISK_BYTES_MAX (256ull << 20)
#define PERIPHERAL_DISK 0x00 /* SPC-4 6.6.2 */
#define PERIPHERAL_DVD 0x05

struct disk {
	struct storvsc *sc;
	unsigned int controller, lun;
	uint64_t bytes;
	uint32_t block;
	uint64_t seed;
	struct storvsc_request reqs[DEPTH];
	uint64_t offset[DEPTH];
	uint8_t *buf; /* DEPTH times CHUNK */
};

static struct storvsc controller;
static struct disk disk;

static uint64_t pattern(const struct disk *d, uint64_t offset)
{
	return (offset + d->seed) * 0x9e3779b97f4a7c15ull;
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

/* Sends the slot's next piece of the disk; false when there is none left. */
static bool next(struct disk *d, unsigned int slot, bool write, uint64_t *offset)
{
	uint8_t *buf = d->buf + (size_t)slot * CHUNK;
	uint64_t left = d->bytes - *offset;
	uint32_t len = left < CHUNK ? (uint32_t)left : CHUNK;

	if (!len)
		return false;
	if (write)
		fill(d, buf, *offset, len);
	else
		memset(buf, 0, len);
	storvsc_prepare_rw(&d->reqs[slot], d->lun, write, *offset / d->block,
			   len / d->block, buf, len);
	d->offset[slot] = *offset;
	*offset += len;
	return !storvsc_submit(d->sc, 0, &d->reqs[slot]);
}

static bool pass(struct disk *d, bool write)
{
	uint64_t offset = 0, done = 0;
	unsigned int i;

	memset(d->reqs, 0, sizeof(d->reqs));
	for (i = 0; i < DEPTH; i++)
		next(d, i, write, &offset);
	while (done < d->bytes) {
		int n = storvsc_poll(d->sc, 0);

		if (n < 0)
			return false;
		if (!n)
			guest_wait(STORVSC_TIMEOUT_US);
		for (i = 0; i < DEPTH; i++) {
			struct storvsc_request *req = &d->reqs[i];

			if (!req->done)
				continue;
			req->done = false;
			if (!good(d, req) ||
			    (!write &&
			     !matches(d, req->data, d->offset[i], req->data_len)))
				return false;
			done += req->data_len;
			next(d, i, write, &offset);
		}
	}
	return true;
}

static bool test_one(struct disk *d)
{
	bool ok;

	d->buf = pages_alloc(DEPTH * CHUNK / CORE_PAGE_SIZE);
	if (!d->buf) {
		say("disk %u/%u: no memory for it", d->controller, d->lun);
		return false;
	}
	ok = pass(d, true) && !storvsc_flush(d->sc, 0, d->lun) && pass(d, false);
	say("disk %u/%u %luKiB %s", d->controller, d->lun, d->bytes / 1024,
	    ok ? "pattern verified" : "failed");
	/* after a failure the host may still write there */
	if (ok)
		pages_free(d->buf, DEPTH * CHUNK / CORE_PAGE_SIZE);
	return ok;
}

static bool test_lun(unsigned int index, unsigned int lun)
{
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
	disk = (struct disk){ .sc = &controller, .controller = index, .lun = lun };
	if (storvsc_read_capacity(&controller, lun, &blocks, &disk.block)) {
		say("disk %u/%u: no answer to READ CAPACITY", index, lun);
		return false;
	}
	disk.bytes = blocks * disk.block;
	if (disk.bytes > DISK_BYTES_MAX)
		disk.bytes = DISK_BYTES_MAX;
	disk.seed = (uint64_t)index << 56 | (uint64_t)lun << 48;
	return test_one(&disk);
}

static bool test_controller(unsigned int index, struct chan *ch)
{
	uint64_t luns, bit;
	bool ok = true;
	int r;

	r = storvsc_start(&controller, &guest_get()->bus, ch, 0, 0, 1);
	if (!r)
		r = storvsc_report_luns(&controller, &luns);
	if (r) {
		say("controller %u: error %d", index, -r);
		return false;
	}
	say("controller %u version=%u.%u sub-channels=%u luns=0x%lx", index,
	    controller.version >> 8, controller.version & 0xff,
	    controller.max_sub_channels, luns);
	for (bit = 0; bit < STORVSC_LUNS_MAX; bit++) {
		if (luns >> bit & 1)
			ok &= test_lun(index, (unsigned int)bit);
	}
	return !storvsc_stop(&controller) && ok;
}

bool test_disk(void)
{
	struct chan *ch = NULL;
	unsigned int i;
	bool ok = true;

	for (i = 0; (ch = bus_find(&guest_get()->bus, storvsc_type, ch)); i++)
		ok &= test_controller(i, ch);
	if (!i)
		say("no controller");
	return ok && i;
}
