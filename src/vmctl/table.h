/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for people: tables that fit a terminal, foreign text made harmless, sizes and times in words.
 * Thread: any. Errors: 0 or -errno.
 */
#ifndef VMCTL_TABLE_H
#define VMCTL_TABLE_H

#include <stdio.h>
#include "util/macros.h"

#define TABLE_COLUMNS_MAX 10

struct table_column {
	const char *title;
	bool right;   /* aligned to the right: numbers */
	bool shrinks; /* may be cut, with an ellipsis, when the terminal is narrow */
};

struct table;

/* `columns` stays the caller's and must outlive the table. NULL without memory. */
struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *t);
/* One cell a column, copied and cleaned. NULL prints as "-". */
int table_add(struct table *t, const char *const *cells) __must_check;
/* Titles and rows with `indent` spaces before; width 0: as wide as it gets. */
void table_print(const struct table *t, FILE *out, unsigned int indent,
		 unsigned int width);

/*
 * A copy in which nothing can move a terminal's cursor or change its modes: C0 and C1 controls, DEL and what is
 * no UTF-8 become '?'. With `lines`, newlines stay. From malloc.
 */
char *text_clean(const char *text, bool lines);
/* Columns that UTF-8 text takes, a code point each. */
unsigned int text_width(const char *text);

#define TEXT_SIZE_MAX 24
/* "64 MiB", "1.5 GiB", "513 B". */
void text_format_size(uint64_t bytes, char ret[TEXT_SIZE_MAX]);
#define TEXT_TIME_MAX 32
/* "3 s", "2 min 5 s", "4 h 20 min", "12 d 3 h". */
void text_format_time(uint64_t us, char ret[TEXT_TIME_MAX]);

#endif
