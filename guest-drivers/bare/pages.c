/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of free runs, ordered by address, neighbours joined; the first that is large enough is cut from its front. */
#include "bare/pages.h"

#include "bare/pvh.h"
#include "core/mem.h"

#define PAGE 4096u

/* Lies at the start of the run that it describes. */
struct run {
	struct run *next;
	size_t n;
};

extern char bare_end[];

static struct run *first;
static uint32_t lock;

static void take_lock(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
}

static void drop_lock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static struct run *end_of(struct run *r)
{
	return (struct run *)(void *)((char *)r + r->n * PAGE);
}

void pages_init(void)
{
	uintptr_t begin = (uintptr_t)bare_end;

	first = (struct run *)(void *)bare_end;
	first->n = (pvh_ram_end() - begin) / PAGE;
	first->next = NULL;
}

void *pages_alloc(size_t n)
{
	struct run **at, *r, *rest;

	take_lock();
	for (at = &first; *at && (*at)->n < n; at = &(*at)->next)
		;
	r = *at;
	if (r && r->n == n) {
		*at = r->next;
	} else if (r) {
		rest = (struct run *)(void *)((char *)r + n * PAGE);
		rest->n = r->n - n;
		rest->next = r->next;
		*at = rest;
	}
	drop_lock();
	return r ? memset(r, 0, n * PAGE) : NULL;
}

void pages_free(void *p, size_t n)
{
	struct run *r = p, *before = NULL, *after;

	take_lock();
	for (after = first; after && after < r; after = after->next)
		before = after;
	r->n = n;
	r->next = after;
	if (before)
		before->next = r;
	else
		first = r;
	if (after && end_of(r) == after) {
		r->n += after->n;
		r->next = after->next;
	}
	if (before && end_of(before) == r) {
		before->n += r->n;
		before->next = r->next;
	}
	drop_lock();
}

size_t pages_left(void)
{
	const struct run *r;
	size_t n = 0;

	take_lock();
	for (r = first; r; r = r->next)
		n += r->n;
	drop_lock();
	return n;
}
