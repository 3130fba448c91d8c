/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_MIN 8u /* a column that shrinks keeps this much */
#define GAP 2u

struct table {
	const struct table_column *columns;
	size_t ncolumns;
	char **cells; /* nrows × ncolumns, each from malloc */
	size_t nrows;
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *t = n && n <= TABLE_COLUMNS_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->columns = columns;
	t->ncolumns = n;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nrows * t->ncolumns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

int table_add(struct table *t, const char *const *cells)
{
	size_t used = t->nrows * t->ncolumns;
	char **grown = reallocarray(t->cells, used + t->ncolumns, sizeof(*t->cells));

	if (!grown)
		return -ENOMEM;
	t->cells = grown;
	for (size_t i = 0; i < t->ncolumns; i++) {
		grown[used + i] = text_clean(cells[i] ? cells[i] : "-", false);
		if (!grown[used + i]) {
			while (i-- > 0)
				free(grown[used + i]);
			return -ENOMEM;
		}
	}
	t->nrows++;
	return 0;
}

static unsigned int total_width(const unsigned int *widths, size_t n)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += widths[i] + (i ? GAP : 0);
	return sum;
}

/* Takes a column from the widest of those that may shrink, until all fit or none can give more. */
static void shrink(const struct table *t, unsigned int *widths, unsigned int width)
{
	while (total_width(widths, t->ncolumns) > width) {
		size_t widest = t->ncolumns;

		for (size_t i = 0; i < t->ncolumns; i++)
			if (t->columns[i].shrinks && widths[i] > COLUMN_MIN &&
			    (widest == t->ncolumns || widths[i] > widths[widest]))
				widest = i;
		if (widest == t->ncolumns)
			return;
		widths[widest]--;
	}
}

static void print_spaces(FILE *out, unsigned int n)
{
	fprintf(out, "%*s", (int)n, "");
}

/* The bytes of the first n code points. */
static size_t prefix_bytes(const char *text, unsigned int n)
{
	size_t at = 0;

	while (text[at] && n > 0) {
		at++;
		while (((unsigned char)text[at] & 0xc0) == 0x80)
			at++;
		n--;
	}
	return at;
}

static void print_cell(FILE *out, const char *text, unsigned int width, bool right,
		       bool last)
{
	unsigned int w = text_width(text);

	if (w > width) {
		fprintf(out, "%.*s…", (int)prefix_bytes(text, width - 1), text);
		w = width;
	} else {
		if (right)
			print_spaces(out, width - w);
		fputs(text, out);
	}
	if (!last)
		print_spaces(out, (right ? 0 : width - w) + GAP);
}

static void print_row(const struct table *t, const unsigned int *widths, size_t row,
		      FILE *out, unsigned int indent)
{
	print_spaces(out, indent);
	for (size_t i = 0; i < t->ncolumns; i++) {
		const char *text =
			row ? t->cells[(row - 1) * t->ncolumns + i] : t->columns[i].title;

		print_cell(out, text, widths[i], t->columns[i].right,
			   i + 1 == t->ncolumns);
	}
	fputc('\n', out);
}

void table_print(const struct table *t, FILE *out, unsigned int indent,
		 unsigned int width)
{
	unsigned int widths[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < t->ncolumns; i++) {
		widths[i] = text_width(t->columns[i].title);
		for (size_t row = 0; row < t->nrows; row++)
			widths[i] = MAX(widths[i],
					text_width(t->cells[row * t->ncolumns + i]));
	}
	if (width)
		shrink(t, widths, width > indent ? width - indent : 1);
	for (size_t row = 0; row <= t->nrows; row++)
		print_row(t, widths, row, out, indent);
}

/* The length of the UTF-8 sequence that begins here, 0 when there is none (RFC 3629, 4). */
static size_t sequence_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80   ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static bool is_control(const unsigned char *s, bool lines)
{
	if (s[0] == '\n')
		return !lines;
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

char *text_clean(const char *text, bool lines)
{
	char *ret = malloc(strlen(text) + 1), *to = ret;

	if (!ret)
		return NULL;
	while (*text) {
		const unsigned char *s = (const unsigned char *)text;
		size_t n = sequence_len(s);

		if (n == 0 || is_control(s, lines)) {
			*to++ = *text == '\t' ? ' ' : '?';
			text += n ? n : 1;
			continue;
		}
		memcpy(to, text, n);
		to += n;
		text += n;
	}
	*to = '\0';
	return ret;
}

unsigned int text_width(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void text_format_size(uint64_t bytes, char ret[TEXT_SIZE_MAX])
{
	static const char *const units[] = {
		"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"
	};
	size_t unit = 0;
	uint64_t tenths = 0;

	while (bytes >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		tenths = (bytes % 1024) * 10 / 1024;
		bytes /= 1024;
		unit++;
	}
	if (tenths && bytes < 100)
		snprintf(ret, TEXT_SIZE_MAX, "%u.%u %s", (unsigned int)bytes,
			 (unsigned int)tenths, units[unit]);
	else
		snprintf(ret, TEXT_SIZE_MAX, "%u %s", (unsigned int)bytes, units[unit]);
}

void text_format_time(uint64_t us, char ret[TEXT_TIME_MAX])
{
	unsigned long long s = us / 1000000;

	if (s < 60)
		snprintf(ret, TEXT_TIME_MAX, "%llu s", s);
	else if (s < 3600)
		snprintf(ret, TEXT_TIME_MAX, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(ret, TEXT_TIME_MAX, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(ret, TEXT_TIME_MAX, "%llu d %llu h", s / 86400, s / 3600 % 24);
}
