/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "vmctl/table.h"

int print_json(const json_t *doc)
{
	if (json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) < 0 ||
	    putchar('\n') == EOF)
		return VMCTL_FAILED;
	return VMCTL_DONE;
}

static __printf(2, 0) void print_cleaned(FILE *out, const char *fmt, va_list ap)
{
	cleanup_free char *text = NULL, *clean = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	clean = text ? text_clean(text, false) : NULL;
	fputs(clean ? clean : "out of memory", out);
}

void print_line(FILE *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_cleaned(out, fmt, ap);
	va_end(ap);
	fputc('\n', out);
}

static void print_prefix(const struct vmctl *v)
{
	fflush(stdout);
	fprintf(stderr, v->verb ? "vmctl %s: " : "vmctl: ", v->verb ? v->verb->name : "");
}

int fail(const struct vmctl *v, const char *fmt, ...)
{
	va_list ap;

	print_prefix(v);
	va_start(ap, fmt);
	print_cleaned(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return VMCTL_FAILED;
}

int fail_usage(const struct vmctl *v, const char *fmt, ...)
{
	va_list ap;

	print_prefix(v);
	va_start(ap, fmt);
	print_cleaned(stderr, fmt, ap);
	va_end(ap);
	if (v->verb)
		fprintf(stderr, " (help: vmctl %s --help)\n", v->verb->name);
	else
		fputs(" (help: vmctl --help)\n", stderr);
	return VMCTL_USAGE;
}

const char *field_text(const json_t *obj, const char *name)
{
	const char *text = json_string_value(json_object_get(obj, name));

	return text ? text : "-";
}

uint64_t field_number(const json_t *obj, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(obj, name));

	return n > 0 ? (uint64_t)n : 0;
}

int print_summary(const struct vmctl *v, const json_t *summary)
{
	if (v->json)
		return print_json(summary);
	print_line(stdout, "%s is %s", field_text(summary, "name"),
		   field_text(summary, "state"));
	return VMCTL_DONE;
}
