/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/config.h"
#include "util/cleanup.h"

struct parse {
	const struct args_tables *tables;
	int argc;
	char *const *argv;
	int at; /* the next of argv */
	struct args *args;
	char *error;
};

static int __printf(2, 3) wrong(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, ARGS_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static const struct option *find_in(const struct option *o, const char *name, size_t len)
{
	for (; o && o->name; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static const struct option *find_option(const struct args_tables *t, const char *name,
					size_t len)
{
	const struct option *o = find_in(t->own, name, len);

	return o ? o : find_in(t->common, name, len);
}

static size_t gather_names(const struct option *o, const char **names, size_t n,
			   size_t max)
{
	for (; o && o->name && n < max; o++)
		names[n++] = o->name;
	return n;
}

static int unknown_option(struct parse *p, const char *word, size_t len)
{
	const char *names[64], *near;
	size_t n = gather_names(p->tables->own, names, 0, ARRAY_SIZE(names));
	char name[64];

	n = gather_names(p->tables->common, names, n, ARRAY_SIZE(names));
	snprintf(name, sizeof(name), "%.*s", (int)MIN(len, sizeof(name) - 1), word);
	near = args_suggest(name, names, n);
	if (near)
		return wrong(p, "there is no option --%s; did you mean --%s?", name,
			     near);
	return wrong(p, "there is no option --%s", name);
}

/* Paths are resolved here, in the caller's folder; the file itself is vmms's to judge. */
char *args_absolute(const char *path)
{
	cleanup_free char *cwd = NULL;
	char *full = NULL;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&full, "%s/%s", cwd, path) < 0)
		return NULL;
	return full;
}

static int parse_count(const char *text, uint64_t *ret)
{
	uint64_t v = 0;

	if (text[0] < '1' || text[0] > '9')
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (mul_overflow(v, UINT64_C(10), &v) ||
		    add_overflow(v, (uint64_t)(*text - '0'), &v) || v > INT64_MAX)
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

static int read_value(struct parse *p, const struct option *o, const char *text,
		      uint64_t *ret_number)
{
	switch (o->kind) {
	case OPT_SECONDS:
	case OPT_COUNT:
		*ret_number = 0;
		if ((o->kind == OPT_SECONDS && strcmp(text, "0") == 0) ||
		    parse_count(text, ret_number) == 0)
			return 0;
		return wrong(p, "--%s wants a number such as 2, not \"%s\"", o->name,
			     text);
	case OPT_SIZE:
		if (config_parse_size(text, ret_number) == 0 && *ret_number <= INT64_MAX)
			return 0;
		return wrong(p, "--%s wants a size such as 64M or 2G, not \"%s\"",
			     o->name, text);
	case OPT_CHOICE:
		if (args_is_choice(o->choices, text))
			return 0;
		return wrong(p, "--%s is one of %s, not \"%s\"", o->name, o->choices,
			     text);
	case OPT_PATH:
		if (text[0] != '\0')
			return 0;
		return wrong(p, "--%s wants the path of a file", o->name);
	default:
		return 0;
	}
}

static int add_value(struct parse *p, const struct option *o, const char *text)
{
	struct arg_value v = { .option = o };
	int r = read_value(p, o, text, &v.number);

	if (r < 0)
		return r;
	if (!o->repeat && args_has(p->args, o->name))
		return wrong(p, "--%s is given twice", o->name);
	if (p->args->nvalues == ARGS_VALUES_MAX)
		return wrong(p, "more than %d options", ARGS_VALUES_MAX);
	v.text = o->kind == OPT_PATH ? args_absolute(text) : strdup(text);
	if (!v.text)
		return -ENOMEM;
	v.relative = o->kind == OPT_PATH && text[0] != '/';
	p->args->values[p->args->nvalues++] = v;
	return 0;
}

static int parse_option(struct parse *p, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct option *o = find_option(p->tables, word, len);

	if (!o)
		return unknown_option(p, word, len);
	if (o->kind == OPT_FLAG)
		return word[len] ? wrong(p, "--%s takes no value", o->name)
				 : add_value(p, o, "");
	if (word[len])
		return add_value(p, o, word + len + 1);
	if (p->at == p->argc)
		return wrong(p, "--%s wants a value: --%s %s", o->name, o->name,
			     o->metavar);
	return add_value(p, o, p->argv[p->at++]);
}

static int parse_word(struct parse *p, const char *word)
{
	if (p->args->nwords == ARGS_WORDS_MAX)
		return wrong(p, "\"%s\" is one word too many", word);
	p->args->words[p->args->nwords++] = word;
	return 0;
}

static int parse_all(struct parse *p)
{
	bool words_only = false;
	int r = 0;

	while (r == 0 && p->at < p->argc) {
		const char *word = p->argv[p->at++];

		if (words_only || word[0] != '-' || word[1] == '\0')
			r = parse_word(p, word);
		else if (strcmp(word, "--") == 0)
			words_only = true;
		else if (strcmp(word, "-h") == 0)
			r = parse_option(p, "help");
		else if (word[1] == '-')
			r = parse_option(p, word + 2);
		else
			r = wrong(p, "there is no option %s; options have two dashes",
				  word);
	}
	return r;
}

int args_parse(const struct args_tables *t, int argc, char *const *argv, struct args *ret,
	       char error[ARGS_ERROR_MAX])
{
	struct args a = { 0 };
	struct parse p = {
		.tables = t, .argc = argc, .argv = argv, .args = &a, .error = error
	};
	int r;

	memset(ret, 0, sizeof(*ret));
	a.values = calloc(ARGS_VALUES_MAX, sizeof(*a.values));
	if (!a.values)
		return -ENOMEM;
	r = parse_all(&p);
	if (r < 0) {
		args_done(&a);
		return r;
	}
	*ret = a;
	return 0;
}

void args_done(struct args *a)
{
	for (size_t i = 0; i < a->nvalues; i++)
		free(a->values[i].text);
	free(a->values);
	memset(a, 0, sizeof(*a));
}

const struct arg_value *args_find(const struct args *a, const char *name)
{
	for (size_t i = a->nvalues; i-- > 0;)
		if (strcmp(a->values[i].option->name, name) == 0)
			return &a->values[i];
	return NULL;
}

bool args_has(const struct args *a, const char *name)
{
	return args_find(a, name) != NULL;
}

bool args_is_choice(const char *choices, const char *word)
{
	size_t len = strlen(word);

	while (len && choices && !strchr(word, '|')) {
		if (strncmp(choices, word, len) == 0 &&
		    (choices[len] == '|' || choices[len] == '\0'))
			return true;
		choices = strchr(choices, '|');
		choices = choices ? choices + 1 : NULL;
	}
	return false;
}

#define SUGGEST_MAX 32

/* Edits (a letter more, less, other, two swapped) between two words of less than SUGGEST_MAX letters. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int d[SUGGEST_MAX + 1][SUGGEST_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	for (size_t i = 0; i <= na; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= na; i++)
		for (size_t j = 1; j <= nb; j++) {
			unsigned int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, d[i - 1][j] + 1);
			best = MIN(best, d[i][j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				best = MIN(best, d[i - 2][j - 2] + 1);
			d[i][j] = best;
		}
	return d[na][nb];
}

const char *args_suggest(const char *word, const char *const *names, size_t n)
{
	size_t len = strlen(word);
	unsigned int best = len < 4 ? 2 : 3;
	const char *ret = NULL;

	if (len == 0 || len >= SUGGEST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned int d;

		if (strlen(names[i]) >= SUGGEST_MAX)
			continue;
		d = distance(word, names[i]);
		if (len >= 2 && strncmp(word, names[i], len) == 0)
			d = MIN(d, 1u);
		if (d < best) {
			best = d;
			ret = names[i];
		}
	}
	return ret;
}
