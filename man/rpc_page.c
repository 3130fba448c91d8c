/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes vmms-rpc(7): copies the page that is named and puts the table of methods where it says @METHODS@, the codes
 * of errors where it says @ERRORS@, and that of
 * counters where it says @COUNTERS@. Built and run on the machine that builds.
 */
#include <stdio.h>
#include <string.h>
#include "rpc/counters.h"
#include "rpc/methods.h"

static const int codes[] = {
	RPC_PARSE_ERROR,    RPC_INVALID_REQUEST, RPC_METHOD_NOT_FOUND, RPC_INVALID_PARAMS,
	RPC_INTERNAL_ERROR, RPC_FAILED,          RPC_NOT_FOUND,        RPC_EXISTS,
	RPC_DENIED,         RPC_WRONG_STATE,     RPC_LOCKED,           RPC_TIMEOUT,
	RPC_LIMIT,          RPC_WORKER_GONE,     RPC_NO_SERVICE,
};

/* Text into a line of its own: no macro at its begin, a new line behind each sentence, 80 columns. */
static void print_text(const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t n = strcspn(text, " ");
		bool ends = text[n] == ' ' && n && strchr(".:;", text[n - 1]);

		if (column && column + 1 + n > 76) {
			putchar('\n');
			column = 0;
		} else if (column) {
			putchar(' ');
			column++;
		}
		printf("%s%.*s", column == 0 && strchr(".'", *text) ? "\\&" : "", (int)n,
		       text);
		column += n;
		if (ends && text[n - 1] != ':') {
			putchar('\n');
			column = 0;
		}
		text += n + (text[n] == ' ');
	}
	putchar('\n');
}

/* "a|b" as ": a, b". */
static void print_choices(const char *at)
{
	fputs("One of\n", stdout);
	while (*at) {
		size_t n = strcspn(at, "|");

		/* Quoted, for a word may be the name of a macro. */
		printf(".Ql \"%.*s\" %s\n", (int)n, at, at[n] ? "," : ".");
		at += n + (at[n] == '|');
	}
}

static void print_field(const struct rpc_field *f)
{
	printf(".It Va %s Pq %s%s%s\n", f->name, rpc_type_name(f->type),
	       f->nullable ? " or null" : "", f->required ? "" : ", may be left out");
	if (f->description)
		print_text(f->description);
	if (f->choices || f->fields || f->min || f->max)
		fputs(".br\n", stdout);
	if (f->choices)
		print_choices(f->choices);
	if (f->min || f->max)
		printf("%lld to %lld.\n", (long long)f->min, (long long)f->max);
}

static void print_fields(const char *title, const struct rpc_field *fields)
{
	if (!fields->name)
		return;
	printf("%s:\n.Bl -tag -width Ds -compact\n", title);
	for (; fields->name; fields++) {
		print_field(fields);
		if (fields->fields)
			print_fields("Each has", fields->fields);
	}
	fputs(".El\n", stdout);
}

static void print_method(const struct rpc_method *m)
{
	printf(".Ss %s\n", m->name);
	print_text(m->summary);
	if (m->right < RPC_RIGHT_ADMIN)
		fputs("Changes nothing.\n", stdout);
	if (m->params->name)
		fputs(".Pp\n", stdout);
	print_fields("Params", m->params);
	if (m->result->name)
		fputs(".Pp\n", stdout);
	print_fields("Result", m->result);
}

static void print_errors(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		printf(".It Li %d\n%s\n", codes[i], rpc_code_name(codes[i]));
}

static const char *unit_of(const struct counter *c)
{
	return c->unit == COUNTER_BYTES ? ", bytes"
	       : c->unit == COUNTER_US  ? ", time"
					: "";
}

static void print_counters(const struct counter_set *set)
{
	printf(".Ss %s\n", set->key);
	printf(".Sy \"%s\" .\n", set->name);
	if (set->instances)
		printf("One instance a %s.\n", set->instances);
	fputs(".Pp\n.Bl -tag -width Ds -compact\n", stdout);
	for (const struct counter *c = set->counters; c->key; c++) {
		printf(".It Va %s Pq %s%s\n.Sy \"%s\" .\n", c->key,
		       c->kind == COUNTER_TOTAL ? "total" : "gauge", unit_of(c), c->name);
		print_text(c->help);
	}
	fputs(".El\n", stdout);
}

int main(int argc, char **argv)
{
	FILE *page = argc == 2 ? fopen(argv[1], "re") : NULL;
	char line[256];

	if (!page) {
		fprintf(stderr, "usage: %s PAGE.in\n", argv[0]);
		return 2;
	}
	while (fgets(line, sizeof(line), page)) {
		if (strcmp(line, "@METHODS@\n") == 0)
			for (size_t i = 0; i < rpc_vmms_methods.count; i++)
				print_method(&rpc_vmms_methods.table[i]);
		else if (strcmp(line, "@ERRORS@\n") == 0)
			print_errors();
		else if (strcmp(line, "@COUNTERS@\n") == 0)
			for (size_t i = 0; i < counter_sets_count; i++)
				print_counters(&counter_sets[i]);
		else
			fputs(line, stdout);
	}
	fclose(page);
	return 0;
}
