/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replay of the log: [MS-VHDX] 2.3.2 and 2.3.3. A sequence is a run of valid entries with this header's GUID and consecutive sequence numbers; it
 * is whole when it begins where its last entry says that the oldest that counts stands. Of the whole ones, the one with the highest number
 * holds what is to be written.
 *
 * The log is read into memory once and every entry checked there. A file made to keep us busy is given up: the bytes that are
 * checksummed are bounded by a small multiple of the log's length.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vhd/file.h"

#define SECTOR VHDX_SECTOR_BYTES
#define WORK_MULTIPLE 16u

struct log {
	uint8_t *bytes; /* the log, twice in a row, so that an entry never wraps */
	uint32_t length;
	uint64_t work; /* bytes that may still be checksummed */
	struct guid guid;
};

struct sequence {
	uint32_t tail, head;
	uint32_t entries;
	uint64_t last;
};

static uint32_t data_start(const struct vhdx_log_header *h)
{
	return (uint32_t)align_up(sizeof(*h) + (uint64_t)h->descriptors *
						       sizeof(struct vhdx_log_desc),
				  SECTOR);
}

/* Descriptors and data sectors fill the entry as they must. */
static bool descriptors_fit(const struct vhdx_log_header *h)
{
	const struct vhdx_log_desc *d = (const void *)(h + 1);
	uint64_t at;

	if (h->descriptors > h->length / sizeof(*d))
		return false;
	at = data_start(h);
	if (at > h->length)
		return false;
	for (uint32_t i = 0; i < h->descriptors; i++, d++) {
		const struct vhdx_log_data *data = (const void *)((const char *)h + at);

		if (d->sequence != h->sequence || !is_aligned(d->file_offset, SECTOR))
			return false;
		if (d->signature == VHDX_SIGNATURE_ZERO)
			continue;
		if (d->signature != VHDX_SIGNATURE_DESC || at + SECTOR > h->length)
			return false;
		if (data->signature != VHDX_SIGNATURE_DATA ||
		    data->sequence_high != (uint32_t)(h->sequence >> 32) ||
		    data->sequence_low != (uint32_t)h->sequence)
			return false;
		at += SECTOR;
	}
	return true;
}

/* The entry at this sector of the log, if it is a valid one. */
static const struct vhdx_log_header *entry_at(struct log *log, uint32_t at)
{
	const struct vhdx_log_header *h = (const void *)(log->bytes + at);

	if (h->signature != VHDX_SIGNATURE_LOGE || h->length < SECTOR ||
	    h->length > log->length || !is_aligned(h->length, SECTOR) ||
	    h->tail >= log->length || !is_aligned(h->tail, SECTOR) || !h->sequence ||
	    memcmp(h->log_guid, &log->guid, sizeof(log->guid)) != 0)
		return NULL;
	if (h->length > log->work) {
		log->work = 0;
		return NULL;
	}
	log->work -= h->length;
	if (h->checksum !=
	    vhdx_checksum(h, h->length, offsetof(struct vhdx_log_header, checksum)))
		return NULL;
	return descriptors_fit(h) ? h : NULL;
}

/*
 * The longest run from `start` whose last entry's tail is one of its own entries; *ret holds it from that tail on. Gives
 * the bytes of the run, 0 for none.
 */
static uint32_t run_from(struct log *log, uint32_t start, struct sequence *ret)
{
	const struct vhdx_log_header *h;
	uint64_t number = 0;
	uint32_t run = 0;

	*ret = (struct sequence){ 0 };
	while (run < log->length &&
	       (h = entry_at(log, (start + run) % log->length)) != NULL) {
		uint32_t back = (h->tail + log->length - start) % log->length;

		if ((number && h->sequence != number + 1) ||
		    run + h->length > log->length)
			break;
		number = h->sequence;
		/* The tail is this entry or one before it; that it is an entry's start shows when it is applied. */
		if (back <= run) {
			ret->tail = h->tail;
			ret->head = (start + run) % log->length;
			ret->last = number;
			ret->entries = 1;
		}
		run += h->length;
	}
	return run;
}

/* Whether following the entries from the tail comes to the last one; counts them. */
static bool is_whole(struct log *log, struct sequence *s)
{
	uint32_t at = s->tail, n = 1, walked = 0;

	while (at != s->head) {
		const struct vhdx_log_header *h = entry_at(log, at);

		if (!h || walked >= log->length)
			return false;
		walked += h->length;
		at = (at + h->length) % log->length;
		n++;
	}
	s->entries = n;
	return true;
}

static bool find(struct log *log, struct sequence *best)
{
	uint32_t at = 0;

	*best = (struct sequence){ 0 };
	while (at < log->length && log->work) {
		struct sequence s;
		uint32_t run = run_from(log, at, &s);

		if (s.entries && (!best->entries || s.last > best->last) &&
		    is_whole(log, &s))
			*best = s;
		at += run ? run : SECTOR;
	}
	return best->entries && log->work;
}

/* ---- writing ---- */

/* What an entry may change: the region tables and all behind, inside the file, but not the log. */
static bool may_write(const struct vhdx_header *header, uint64_t off, uint64_t len,
		      uint64_t file_bytes)
{
	return off >= VHDX_REGION_OFFSET_1 && range_ok(off, len, file_bytes) &&
	       (off + len <= header->log_offset ||
		off >= header->log_offset + header->log_length);
}

static int apply_data(int fd, const struct vhdx_log_desc *d,
		      const struct vhdx_log_data *data)
{
	uint8_t sector[SECTOR];

	memcpy(sector, d->leading, sizeof(d->leading));
	memcpy(sector + sizeof(d->leading), data->data, sizeof(data->data));
	memcpy(sector + SECTOR - sizeof(d->trailing), d->trailing, sizeof(d->trailing));
	return file_write(fd, sector, sizeof(sector), d->file_offset);
}

static int apply(int fd, const struct vhdx_log_header *h)
{
	const struct vhdx_log_desc *d = (const void *)(h + 1);
	const struct vhdx_log_data *data =
		(const void *)((const char *)h + data_start(h));
	int r = 0;

	for (uint32_t i = 0; i < h->descriptors && r == 0; i++, d++) {
		const struct vhdx_log_zero *z = (const void *)d;

		if (d->signature == VHDX_SIGNATURE_DESC)
			r = apply_data(fd, d, data++);
		else if (z->length)
			r = file_zero(fd, z->file_offset, z->length, false);
	}
	return r;
}

static int check(const struct vhdx_header *header, const struct vhdx_log_header *h,
		 uint64_t file_bytes)
{
	const struct vhdx_log_desc *d = (const void *)(h + 1);

	for (uint32_t i = 0; i < h->descriptors; i++, d++) {
		const struct vhdx_log_zero *z = (const void *)d;
		uint64_t len = d->signature == VHDX_SIGNATURE_ZERO ? z->length : SECTOR;

		if (!is_aligned(len, SECTOR) ||
		    !may_write(header, d->file_offset, len, file_bytes))
			return -EUCLEAN;
	}
	return 0;
}

static const struct vhdx_log_header *nth(const struct log *log, const struct sequence *s,
					 uint32_t n)
{
	uint32_t at = s->tail;
	const struct vhdx_log_header *h = (const void *)(log->bytes + at);

	while (n--) {
		at = (at + h->length) % log->length;
		h = (const void *)(log->bytes + at);
	}
	return h;
}

/* All is checked before the first byte is written. The file's size comes first: what is written may lie behind its present end. */
static int apply_all(int fd, const struct vhdx_header *header, const struct log *log,
		     const struct sequence *s, uint64_t *file_bytes)
{
	const struct vhdx_log_header *last = (const void *)(log->bytes + s->head);
	uint64_t bytes = MAX(*file_bytes, last->last_file_offset);
	int r = 0;

	if (last->flushed_file_offset > *file_bytes || bytes > VHDX_FILE_BYTES_MAX)
		return -EUCLEAN;
	for (uint32_t i = 0; i < s->entries && r == 0; i++)
		r = check(header, nth(log, s, i), bytes);
	if (r == 0 && bytes > *file_bytes)
		r = file_resize(fd, bytes);
	if (r < 0)
		return r;
	*file_bytes = bytes;
	for (uint32_t i = 0; i < s->entries && r == 0; i++)
		r = apply(fd, nth(log, s, i));
	return r < 0 ? r : file_sync(fd);
}

int vhdx_replay(int fd, const struct vhdx_header *header, uint64_t *file_bytes,
		struct image_error *error)
{
	cleanup_free uint8_t *bytes = malloc(2 * (size_t)header->log_length);
	struct log log = { .bytes = bytes,
			   .length = header->log_length,
			   .work = (uint64_t)header->log_length * WORK_MULTIPLE };
	struct sequence s;
	int r;

	if (!bytes)
		return image_fail(error, -ENOMEM, "cannot be used: no memory");
	memcpy(&log.guid, header->log_guid, sizeof(log.guid));
	r = file_read(fd, bytes, log.length, header->log_offset);
	memcpy(bytes + log.length, bytes, log.length);
	if (r < 0 || !find(&log, &s))
		return image_fail(error, -EUCLEAN,
				  "is damaged: its log has no whole run of changes");
	r = apply_all(fd, header, &log, &s, file_bytes);
	if (r == -EUCLEAN)
		return image_fail(error, r,
				  "is damaged: its log writes where it may not");
	if (r < 0)
		return image_fail(error, r, "cannot be made whole from its log: %s",
				  strerror(-r));
	return 0;
}
