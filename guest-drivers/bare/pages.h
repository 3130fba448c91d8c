/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages of the RAM behind the bare guest's image. Thread: any VP. */
#ifndef BARE_PAGES_H
#define BARE_PAGES_H

#include <stddef.h>
#include <stdint.h>

/* After pvh_init(). */
void pages_init(void);
/* n contiguous pages of zeros; NULL when there are none. */
void *pages_alloc(size_t n);
void pages_free(void *p, size_t n);
size_t pages_left(void);

#endif
