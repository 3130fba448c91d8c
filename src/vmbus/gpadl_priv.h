/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMBUS_GPADL_PRIV_H
#define VMBUS_GPADL_PRIV_H

#include "util/list.h"
#include "vmbus/gpadl_table.h"

enum gpadl_state { GPADL_BUILDING, GPADL_READY, GPADL_ENDING, GPADL_ORPHAN };

struct gpadl {
	/* fixed after begin */
	struct gpadl_table *table;
	uint32_t relid, id;
	unsigned int range_count;
	size_t words_max;
	/* fixed once ready: the first range */
	uint64_t bytes;
	uint32_t offset;
	const uint64_t *pfns;
	/* bus thread, while building */
	size_t words;
	/* under table->lock */
	struct list link;
	enum gpadl_state state;
	unsigned int users;
	uint64_t buf[]; /* the ranges as they came */
};

#endif
