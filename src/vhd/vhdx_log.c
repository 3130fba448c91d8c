/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commit: how changed pages of the BAT and the sector bitmaps reach the file ([MS-VHDX] 2.3).
 *
 *   1. sync: the guest's data, the file's size, and what the commit before wrote in place, are on stable storage;
 *   2. one log entry with every dirty page, sync: from here on the change holds, by a replay if need be;
 *   3. the pages in place, unsynced.
 *
 * Step 1 makes every older entry superfluous, so an entry is always its own tail and a replay finds one. An entry is at most half the
 * log long and goes behind the one before it, so a torn entry leaves that one, whose pages in place are still as it says. The
 * header names the log only once its first entry is durable: a log that is named is never empty.
 */
#include "vhd/vhdx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/file.h"

#define SECTOR VHDX_SECTOR_BYTES

static_assert((1 + VHDX_LOG_FIRST_DESCRIPTORS) * SECTOR <= VHDX_MIB / 2,
	      "the shortest log holds two entries");

static int fail(struct vhdx *v, int r)
{
	pthread_mutex_lock(&v->keeper.lock);
	v->keeper.failed = r;
	pthread_mutex_unlock(&v->keeper.lock);
	return r;
}

static int write_headers(struct vhdx *v)
{
	int r = vhdx_headers_write(v->keeper.fd, &v->headers, !v->keeper.unsafe);

	return r < 0 ? fail(v, r) : 0;
}

/* 2.2.2: FileWriteGuid changes with the first write after an open, DataWriteGuid with the first of what the guest sees. */
int vhdx_begin(struct vhdx *v, bool data)
{
	struct guid id;
	int r = keeper_failed(&v->keeper);

	data &= !v->keep_content_id;
	if (r < 0 || (v->begun && (v->data_begun || !data)))
		return r;
	guid_new(&id);
	memcpy(v->headers.current.file_write_guid, &id, sizeof(id));
	guid_new(&id);
	if (data)
		memcpy(v->headers.current.data_write_guid, &id, sizeof(id));
	r = write_headers(v);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->keeper.lock);
	v->begun = true;
	v->data_begun |= data;
	v->may_write = v->data_begun || v->keep_content_id;
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

/* ---- the entry ---- */

static void put_page(uint8_t *entry, unsigned int i, uint64_t sequence,
		     const struct vhdx_page *p)
{
	struct vhdx_log_header *h = (void *)entry;
	struct vhdx_log_desc *d = (struct vhdx_log_desc *)(void *)(h + 1) + i;
	struct vhdx_log_data *data = (void *)(entry + (size_t)(1 + i) * SECTOR);
	const uint8_t *bytes = (const uint8_t *)p->words;

	d->signature = VHDX_SIGNATURE_DESC;
	memcpy(d->leading, bytes, sizeof(d->leading));
	memcpy(d->trailing, bytes + SECTOR - sizeof(d->trailing), sizeof(d->trailing));
	d->file_offset = p->offset;
	d->sequence = sequence;
	data->signature = VHDX_SIGNATURE_DATA;
	data->sequence_high = (uint32_t)(sequence >> 32);
	memcpy(data->data, bytes + sizeof(d->leading), sizeof(data->data));
	data->sequence_low = (uint32_t)sequence;
}

static uint32_t build_entry(struct vhdx *v)
{
	struct vhdx_log_header *h = (void *)v->log_buffer;
	uint32_t len = (1 + v->dirty_n) * SECTOR;

	memset(v->log_buffer, 0, SECTOR);
	h->signature = VHDX_SIGNATURE_LOGE;
	h->length = len;
	h->tail = v->log_head;
	h->sequence = v->log_sequence + 1;
	h->descriptors = v->dirty_n;
	memcpy(h->log_guid, &v->log_guid, sizeof(v->log_guid));
	h->flushed_file_offset = v->file_bytes;
	h->last_file_offset = v->file_bytes;
	for (unsigned int i = 0; i < v->dirty_n; i++)
		put_page(v->log_buffer, i, h->sequence, v->dirty[i]);
	h->checksum = vhdx_checksum(v->log_buffer, len,
				    offsetof(struct vhdx_log_header, checksum));
	return len;
}

static int write_entry(struct vhdx *v)
{
	const struct vhdx_layout *l = &v->layout;
	uint32_t len = build_entry(v), first = MIN(len, l->log_bytes - v->log_head);
	int r = file_write(v->keeper.fd, v->log_buffer, first,
			   l->log_offset + v->log_head);

	if (r == 0 && len > first)
		r = file_write(v->keeper.fd, v->log_buffer + first, len - first,
			       l->log_offset);
	if (r == 0)
		r = keeper_sync(&v->keeper);
	if (r < 0)
		return r;
	v->log_sequence++;
	v->log_head = (v->log_head + len) % l->log_bytes;
	return 0;
}

static int name_log(struct vhdx *v)
{
	if (memcmp(v->headers.current.log_guid, &v->log_guid, sizeof(v->log_guid)) == 0)
		return 0;
	memcpy(v->headers.current.log_guid, &v->log_guid, sizeof(v->log_guid));
	return write_headers(v);
}

static int write_pages(struct vhdx *v)
{
	int r = 0;

	for (unsigned int i = 0; i < v->dirty_n && r == 0; i++)
		r = file_write(v->keeper.fd, v->dirty[i]->words, SECTOR,
			       v->dirty[i]->offset);
	if (r < 0)
		return r; /* they stay dirty, and the next entry holds them again */
	pthread_mutex_lock(&v->keeper.lock);
	for (unsigned int i = 0; i < v->dirty_n; i++)
		v->dirty[i]->dirty = false;
	v->dirty_n = 0;
	pthread_mutex_unlock(&v->keeper.lock);
	return 0;
}

int vhdx_commit(struct vhdx *v)
{
	int r = keeper_failed(&v->keeper);

	if (r == 0)
		r = keeper_sync(&v->keeper);
	if (r < 0 || !v->dirty_n)
		return r;
	if (!v->log_buffer)
		v->log_buffer = malloc((1 + (size_t)VHDX_DIRTY_MAX) * SECTOR);
	if (!v->log_buffer)
		return -ENOMEM;
	r = write_entry(v);
	if (r == 0)
		r = name_log(v);
	return r < 0 ? r : write_pages(v);
}

int vhdx_finish(struct vhdx *v)
{
	static const struct guid none;
	int r = v->begun ? vhdx_commit(v) : 0;

	if (r < 0 || memcmp(v->headers.current.log_guid, &none, sizeof(none)) == 0)
		return r;
	r = keeper_sync(&v->keeper); /* the pages in place */
	if (r < 0)
		return r;
	memcpy(v->headers.current.log_guid, &none, sizeof(none));
	return write_headers(v);
}
