/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters for people. vmms gives totals; a rate is the rise between two readings by the time between them, so that any number of
 * clients can read at any pace. The table of counters says what each is and how it is shown.
 */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "rpc/counters.h"
#include "vmctl/table.h"

#define CELL 24
#define INTERVAL_S 1u

/* Two readings of one VM. */
struct pair {
	const json_t *before, *after; /* entries of "vms" */
	double seconds;
};

/* ---- a cell ---- */

static void format_rate(char ret[CELL], const struct counter *c, double rate)
{
	char size[TEXT_SIZE_MAX];

	if (c->unit == COUNTER_BYTES) {
		text_format_size((uint64_t)rate, size);
		snprintf(ret, CELL, "%s", size);
	} else if (c->unit == COUNTER_US) {
		snprintf(ret, CELL, "%.1f %%", rate / 1e4);
	} else {
		snprintf(ret, CELL, rate < 9.95 && rate > 0 ? "%.1f" : "%.0f", rate);
	}
}

static void format_mean_us(char ret[CELL], double us)
{
	if (us < 1000)
		snprintf(ret, CELL, "%.0f us", us);
	else
		snprintf(ret, CELL, "%.1f ms", us / 1000);
}

/* The rise of a counter; false where it was not told, or has begun anew. */
static bool rise(const json_t *before, const json_t *after, const char *key, double *ret)
{
	const json_t *a = json_object_get(before, key), *b = json_object_get(after, key);

	if (!json_is_integer(a) || !json_is_integer(b) ||
	    json_integer_value(b) < json_integer_value(a))
		return false;
	*ret = (double)(json_integer_value(b) - json_integer_value(a));
	return true;
}

static void format_cell(char ret[CELL], const struct counter *c, const json_t *before,
			const json_t *after, double seconds)
{
	double up, per;

	snprintf(ret, CELL, "-");
	if (c->kind == COUNTER_GAUGE) {
		if (!json_is_integer(json_object_get(after, c->key)))
			return;
		if (c->unit == COUNTER_BYTES)
			text_format_size(field_number(after, c->key), ret);
		else
			snprintf(ret, CELL, "%llu",
				 (unsigned long long)field_number(after, c->key));
	} else if (!rise(before, after, c->key, &up) || seconds <= 0) {
		return;
	} else if (!c->per) {
		format_rate(ret, c, up / seconds);
	} else if (rise(before, after, c->per, &per) && per > 0) {
		format_mean_us(ret, up / per);
	}
}

/* ---- a set ---- */

static const json_t *find_instance(const json_t *vm, const char *set,
				   const char *instance)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(vm, "sets"), i, one) {
		if (strcmp(field_text(one, "set"), set) == 0 &&
		    strcmp(field_text(one, "instance"), instance) == 0)
			return json_object_get(one, "counters");
	}
	return NULL;
}

static size_t make_columns(const struct counter_set *set,
			   struct table_column columns[TABLE_COLUMNS_MAX])
{
	size_t n = 0;

	if (set->instances)
		columns[n++] = (struct table_column){
			strcmp(set->instances, "vp") == 0        ? "VP"
			: strcmp(set->instances, "drive") == 0   ? "DRIVE"
			: strcmp(set->instances, "adapter") == 0 ? "ADAPTER"
								 : "CHANNEL",
			.shrinks = true
		};
	for (const struct counter *c = set->counters; c->key; c++) {
		if (c->column && n < TABLE_COLUMNS_MAX)
			columns[n++] = (struct table_column){ c->column, .right = true };
	}
	return n;
}

static int add_row(struct table *t, const struct counter_set *set, const struct pair *p,
		   const json_t *one)
{
	const char *instance = field_text(one, "instance"), *cells[TABLE_COLUMNS_MAX];
	const json_t *before = find_instance(p->before, set->key, instance);
	const json_t *after = json_object_get(one, "counters");
	char text[TABLE_COLUMNS_MAX][CELL];
	size_t n = 0;

	if (set->instances)
		cells[n++] = instance;
	for (const struct counter *c = set->counters; c->key; c++) {
		if (!c->column || n >= TABLE_COLUMNS_MAX)
			continue;
		format_cell(text[n], c, before, after, p->seconds);
		cells[n] = text[n];
		n++;
	}
	return table_add(t, cells);
}

/* Nothing where the VM has none of it. */
static int print_set(const struct vmctl *v, const struct counter_set *set,
		     const struct pair *p)
{
	struct table_column columns[TABLE_COLUMNS_MAX];
	struct table *t = table_new(columns, make_columns(set, columns));
	const json_t *one;
	int r = t ? 0 : -ENOMEM;
	bool any = false;
	size_t i;

	json_array_foreach (json_object_get(p->after, "sets"), i, one) {
		if (r < 0 || strcmp(field_text(one, "set"), set->key) != 0)
			continue;
		any = true;
		r = add_row(t, set, p, one);
	}
	if (r == 0 && any) {
		printf("%s\n", set->name);
		table_print(t, stdout, 2, v->width);
	}
	table_free(t);
	return r;
}

static int print_pair(const struct vmctl *v, const struct pair *p)
{
	int r = 0;

	for (size_t i = 0; i < counter_sets_count && r == 0; i++)
		r = print_set(v, &counter_sets[i], p);
	fflush(stdout);
	return r < 0 ? fail(v, "out of memory") : VMCTL_DONE;
}

/* ---- readings ---- */

static int read_vm(struct vmctl *v, const char *name, json_t **ret)
{
	return call(v, v->verb->method, json_pack("{s:s}", "vm", name), ret);
}

static const json_t *vm_of(const json_t *reading)
{
	return json_array_get(json_object_get(reading, "vms"), 0);
}

static void wait_seconds(uint64_t seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* The readings one after another, as long as vmms answers and who reads them is there. */
static int watch_json(struct vmctl *v, const char *name, uint64_t seconds)
{
	int status;

	for (;;) {
		json_auto_t *reading = NULL;

		status = read_vm(v, name, &reading);
		if (status)
			return status;
		json_dumpf(reading, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		if (putchar('\n') == EOF || fflush(stdout) == EOF)
			return VMCTL_DONE;
		wait_seconds(seconds);
	}
}

static int print_between(struct vmctl *v, const char *name, const json_t *before,
			 const json_t *after)
{
	const struct pair p = {
		.before = vm_of(before),
		.after = vm_of(after),
		.seconds = (double)(field_number(vm_of(after), "time_us") -
				    field_number(vm_of(before), "time_us")) /
			   1e6,
	};

	if (!p.before || !p.after)
		return fail(v, "the worker of %s does not answer; see 'vmctl log %s'",
			    name, name);
	return print_pair(v, &p);
}

static int show(struct vmctl *v, const char *name, uint64_t seconds, bool watch)
{
	json_auto_t *before = NULL;
	int status = read_vm(v, name, &before);

	while (status == VMCTL_DONE) {
		json_t *after = NULL;

		wait_seconds(seconds);
		status = read_vm(v, name, &after);
		if (status)
			break;
		if (watch && v->width)
			fputs("\033[H\033[J", stdout);
		status = print_between(v, name, before, after);
		json_decref(before);
		before = after;
		if (!watch || ferror(stdout))
			break;
		if (!v->width)
			putchar('\n');
	}
	return status;
}

int verb_perf(struct vmctl *v, const struct args *a)
{
	const struct arg_value *interval = args_find(a, "interval");
	uint64_t seconds = interval ? interval->number : INTERVAL_S;
	json_auto_t *reading = NULL;
	bool watch = args_has(a, "watch");
	int status;

	if (!v->json)
		return show(v, a->words[0], seconds, watch);
	if (watch)
		return watch_json(v, a->words[0], seconds);
	status = read_vm(v, a->words[0], &reading);
	return status ? status : print_json(reading);
}
