/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest sends the ranges of a GPADL as a stream of 64-bit words: as much as fits behind GPADL_HEADER, the rest in GPADL_BODY messages,
 * which carry the handle but neither channel nor (usefully) a number. The header says how many bytes will come, so the buffer is
 * made once, after it was charged against the bounds, and checked as a whole when it is full.
 */
#include "vmbus/gpadl_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proto/vmbus.h"
#include "vid/guestmem.h"
#include "vmbus/gpadl_priv.h"

#define PAGE 4096u

void gpadl_table_init(struct gpadl_table *t, const struct guestmem *gm,
		      void (*notify)(void *opaque), void *opaque)
{
	memset(t, 0, sizeof(*t));
	t->gm = gm;
	t->notify = notify;
	t->opaque = opaque;
	pthread_mutex_init(&t->lock, NULL);
	list_init(&t->list);
}

static void free_locked(struct gpadl *g)
{
	list_del(&g->link);
	if (g->state != GPADL_ORPHAN) {
		g->table->count--;
		g->table->words -= g->words_max;
	}
	free(g);
}

void gpadl_table_done(struct gpadl_table *t)
{
	gpadl_table_drop(t, 0);
	pthread_mutex_destroy(&t->lock);
}

struct gpadl *gpadl_ref(struct gpadl *g)
{
	pthread_mutex_lock(&g->table->lock);
	g->users++;
	pthread_mutex_unlock(&g->table->lock);
	return g;
}

void gpadl_unref(struct gpadl *g)
{
	struct gpadl_table *t = g->table;
	bool ended = false;

	pthread_mutex_lock(&t->lock);
	if (--g->users == 0) {
		ended = g->state == GPADL_ENDING;
		if (g->state == GPADL_ORPHAN)
			free_locked(g);
	}
	pthread_mutex_unlock(&t->lock);
	if (ended)
		t->notify(t->opaque);
}

static struct gpadl *find_locked(struct gpadl_table *t, uint32_t id)
{
	struct gpadl *g;

	list_for_each (g, &t->list, link) {
		if (g->id == id)
			return g;
	}
	return NULL;
}

/* The words of the range at *pos and whether all its pages are RAM. */
static int check_range(const struct gpadl *g, size_t *pos, struct vmbus_gpa_range *ret)
{
	uint64_t pages;

	if (*pos == g->words)
		return -EINVAL;
	memcpy(ret, &g->buf[(*pos)++], sizeof(*ret));
	if (!ret->byte_count || ret->byte_offset >= PAGE)
		return -EINVAL;
	pages = ((uint64_t)ret->byte_count + ret->byte_offset + PAGE - 1) / PAGE;
	if (pages > g->words - *pos)
		return -EINVAL;
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t pfn = g->buf[*pos + i];

		if (pfn >> 52 || !guestmem_ptr(g->table->gm, pfn * PAGE, PAGE))
			return -EFAULT;
	}
	*pos += pages;
	return 0;
}

static int check_ranges(struct gpadl *g)
{
	struct vmbus_gpa_range range;
	size_t pos = 0;
	int r;

	for (unsigned int i = 0; i < g->range_count; i++) {
		r = check_range(g, &pos, &range);
		if (r)
			return r;
		if (i == 0) {
			g->bytes = range.byte_count;
			g->offset = range.byte_offset;
			g->pfns = &g->buf[1];
		}
	}
	return pos == g->words ? 0 : -EINVAL;
}

/* Takes what still fits; when that completes it, checks it. An error frees it. */
static int append_locked(struct gpadl *g, const void *bytes, size_t len)
{
	size_t n = MIN(len / sizeof(uint64_t), g->words_max - g->words);
	int r = -EINPROGRESS;

	memcpy(&g->buf[g->words], bytes, n * sizeof(uint64_t));
	g->words += n;
	if (g->words == g->words_max)
		r = check_ranges(g);
	else if (!n) /* a body that brings nothing would let a guest go on for ever */
		r = -EINVAL;
	if (!r)
		g->state = GPADL_READY;
	else if (r != -EINPROGRESS)
		free_locked(g);
	return r;
}

static int begin_locked(struct gpadl_table *t, uint32_t relid, uint32_t id, size_t words,
			unsigned int range_count, struct gpadl **ret)
{
	struct gpadl *g;

	if (find_locked(t, id))
		return -EEXIST;
	if (t->count >= GPADL_COUNT_MAX || words > GPADL_PAGES_TOTAL_MAX - t->words)
		return -ENOSPC;
	g = calloc(1, sizeof(*g) + words * sizeof(uint64_t));
	if (!g)
		return -ENOMEM;
	g->table = t;
	g->relid = relid;
	g->id = id;
	g->range_count = range_count;
	g->words_max = words;
	g->state = GPADL_BUILDING;
	list_add_tail(&t->list, &g->link);
	t->count++;
	t->words += words;
	*ret = g;
	return 0;
}

int gpadl_table_begin(struct gpadl_table *t, uint32_t relid, uint32_t id,
		      size_t buf_bytes, unsigned int range_count, const void *bytes,
		      size_t len)
{
	struct gpadl *g;
	int r;

	/* A range has at least its own word and one page. */
	if (!range_count || buf_bytes % sizeof(uint64_t) ||
	    buf_bytes / sizeof(uint64_t) < range_count * 2u)
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	r = begin_locked(t, relid, id, buf_bytes / sizeof(uint64_t), range_count, &g);
	if (!r)
		r = append_locked(g, bytes, len);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int gpadl_table_append(struct gpadl_table *t, uint32_t id, const void *bytes, size_t len,
		       uint32_t *ret_relid)
{
	struct gpadl *g;
	int r = -ENOENT;

	pthread_mutex_lock(&t->lock);
	g = find_locked(t, id);
	if (g && g->state == GPADL_BUILDING) {
		*ret_relid = g->relid;
		r = append_locked(g, bytes, len);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

int gpadl_table_get(struct gpadl_table *t, uint32_t id, const uint32_t *relids,
		    unsigned int n, struct gpadl **ret)
{
	struct gpadl *g;
	int r = -ENOENT;

	pthread_mutex_lock(&t->lock);
	g = find_locked(t, id);
	for (unsigned int i = 0; i < n && g && g->state == GPADL_READY && r; i++) {
		if (g->relid != relids[i])
			continue;
		g->users++;
		*ret = g;
		r = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

int gpadl_table_teardown(struct gpadl_table *t, uint32_t relid, uint32_t id)
{
	struct gpadl *g;
	int r = -ENOENT;

	pthread_mutex_lock(&t->lock);
	g = find_locked(t, id);
	if (g && g->relid == relid && g->state == GPADL_READY) {
		r = g->users ? -EINPROGRESS : 0;
		g->state = GPADL_ENDING;
		if (!r)
			free_locked(g);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

bool gpadl_table_reap(struct gpadl_table *t, uint32_t *ret_id)
{
	struct gpadl *g, *found = NULL;

	pthread_mutex_lock(&t->lock);
	list_for_each (g, &t->list, link) {
		if (g->state == GPADL_ENDING && !g->users)
			found = g;
	}
	if (found) {
		*ret_id = found->id;
		free_locked(found);
	}
	pthread_mutex_unlock(&t->lock);
	return found != NULL;
}

void gpadl_table_drop(struct gpadl_table *t, uint32_t relid)
{
	struct gpadl *g, *tmp;

	pthread_mutex_lock(&t->lock);
	list_for_each_safe (g, tmp, &t->list, link) {
		if (relid && g->relid != relid)
			continue;
		if (!g->users) {
			free_locked(g);
			continue;
		}
		/* Out of the table and off its account; the last user frees it. */
		list_del(&g->link);
		t->count--;
		t->words -= g->words_max;
		g->state = GPADL_ORPHAN;
	}
	pthread_mutex_unlock(&t->lock);
}
