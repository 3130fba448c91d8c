/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scrape: all workers are asked; each VM's numbers are appended as they come, to a buffer for each metric, because the format wants a
 * metric's samples in one group; at the end the buffers are joined, which copies nothing. So no step takes longer with
 * more VMs. Scrapes at the same time share one document, and one that is younger than a second is given again: who scrapes
 * in a loop costs the workers nothing.
 */
#include "vmms/metrics/prometheus.h"

#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/counters.h"
#include "vmms/metrics/http.h"
#include "vmms/metrics/prometheus_listen.h"
#include "vmms/vmms.h"

#define TYPE "text/plain; version=0.0.4; charset=utf-8"
#define FRESH_US 1000000u
#define NAME_MAX_BYTES 128

/* One metric's part of the document. */
struct metric {
	struct list link;
	const struct counter_set *set;
	const struct counter *counter;
	struct evbuffer *samples;
	char name[NAME_MAX_BYTES];
};

struct waiting {
	struct list link;
	struct http_request *request;
};

/* owner: the event loop */
struct prometheus {
	struct vmms *v;
	struct http *http;
	char *unix_path; /* removed at the end; NULL: a port */
	struct list metrics, waiting;
	struct evbuffer *ready; /* the last document; NULL: none */
	uint64_t ready_us;
	bool collecting;
	unsigned int silent;
};

/* ---- the text ---- */

static void name_of(const struct counter_set *set, const struct counter *c,
		    char ret[NAME_MAX_BYTES])
{
	size_t len = strlen(c->key);
	bool time = c->unit == COUNTER_US;

	/* In seconds, so the unit at the key's end goes. */
	snprintf(ret, NAME_MAX_BYTES, "vmms_%s_%.*s%s%s", set->key,
		 (int)(time ? len - strlen("_us") : len), c->key, time ? "_seconds" : "",
		 c->kind == COUNTER_TOTAL ? "_total" : "");
}

/* A label's value: backslash, quotation mark and newline are escaped. */
static void add_label(struct evbuffer *out, const char *name, const char *value)
{
	evbuffer_add_printf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			evbuffer_add(out, "\\n", 2);
		else if (*value == '\\' || *value == '"')
			evbuffer_add_printf(out, "\\%c", *value);
		else
			evbuffer_add(out, value, 1);
	}
	evbuffer_add(out, "\"", 1);
}

static void add_sample(struct metric *m, const char *vm, const char *instance,
		       json_int_t n)
{
	struct evbuffer *out = m->samples;

	evbuffer_add_printf(out, "%s", m->name);
	if (vm) {
		evbuffer_add(out, "{", 1);
		add_label(out, "vm", vm);
		if (m->set->instances) {
			evbuffer_add(out, ",", 1);
			add_label(out, m->set->instances, instance);
		}
		evbuffer_add(out, "}", 1);
	}
	if (m->counter->unit == COUNTER_US)
		evbuffer_add_printf(out, " %" PRId64 ".%06u\n", (int64_t)n / 1000000,
				    (unsigned int)(n % 1000000));
	else
		evbuffer_add_printf(out, " %" PRId64 "\n", (int64_t)n);
}

/* The metrics of a set follow one another in the list. */
static void add_set(struct prometheus *p, const char *vm, const json_t *one)
{
	const struct counter_set *set =
		counter_set_find(json_string_value(json_object_get(one, "set")));
	const char *instance = json_string_value(json_object_get(one, "instance"));
	const json_t *values = json_object_get(one, "counters"), *n;
	struct metric *m;

	list_for_each (m, &p->metrics, link) {
		if (m->set != set)
			continue;
		n = json_object_get(values, m->counter->key);
		if (json_is_integer(n))
			add_sample(m, vm, instance, json_integer_value(n));
	}
}

static void add_sets(struct prometheus *p, const char *vm, const json_t *sets)
{
	const json_t *one;
	size_t i;

	json_array_foreach (sets, i, one)
		add_set(p, vm, one);
}

/* What is known of VMs without asking. */
static void add_vms(const struct prometheus *p, struct evbuffer *out)
{
	const struct vm *vm;

	evbuffer_add_printf(out,
			    "# HELP vmms_silent_workers Workers that gave no "
			    "counters.\n# TYPE vmms_silent_workers gauge\n"
			    "vmms_silent_workers %u\n",
			    p->silent);
	evbuffer_add_printf(out, "# HELP vmms_vm_info What a VM is; the value is 1.\n"
				 "# TYPE vmms_vm_info gauge\n");
	list_for_each (vm, &p->v->registry.vms, link) {
		evbuffer_add_printf(out, "vmms_vm_info{id=\"%s\",", vm->id_text);
		add_label(out, "vm", vm->config.name);
		evbuffer_add_printf(out, ",state=\"%s\",health=\"%s\"} 1\n",
				    state_name(vm->state), health_name(vm->health));
	}
}

static struct evbuffer *join(struct prometheus *p)
{
	struct evbuffer *out = evbuffer_new();
	struct metric *m;

	if (!out)
		return NULL;
	add_vms(p, out);
	list_for_each (m, &p->metrics, link) {
		if (!evbuffer_get_length(m->samples))
			continue;
		evbuffer_add_printf(
			out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->counter->help,
			m->name, m->counter->kind == COUNTER_TOTAL ? "counter" : "gauge");
		evbuffer_add_buffer(out, m->samples);
	}
	return out;
}

/* ---- a scrape ---- */

static void answer_all(struct prometheus *p)
{
	struct list *l;

	while ((l = list_pop(&p->waiting))) {
		struct waiting *w = list_entry(l, struct waiting, link);

		http_reply(w->request, TYPE, p->ready);
		free(w);
	}
}

static void on_vm(void *arg, const struct perf_reading *r)
{
	struct prometheus *p = arg;

	if (r->sets)
		add_sets(p, r->vm->config.name, r->sets);
	else
		p->silent++;
}

static void on_all(void *arg)
{
	struct prometheus *p = arg;
	json_t *host = perf_host(p->v);

	add_sets(p, NULL, host);
	json_decref(host);
	p->ready = join(p);
	p->ready_us = perf_now_us();
	p->collecting = false;
	answer_all(p);
}

static void collect(struct prometheus *p)
{
	struct metric *m;

	if (p->ready)
		evbuffer_free(p->ready);
	p->ready = NULL;
	p->silent = 0;
	p->collecting = true;
	list_for_each (m, &p->metrics, link)
		evbuffer_drain(m->samples, evbuffer_get_length(m->samples));
	if (perf_read_all(p->v, on_vm, on_all, p) < 0) {
		p->collecting = false;
		answer_all(p);
	}
}

static void on_get(void *ctx, struct http_request *request)
{
	struct waiting *w = malloc(sizeof(*w));
	struct prometheus *p = ctx;

	if (!w) {
		http_reply(request, TYPE, NULL);
		return;
	}
	w->request = request;
	list_add_tail(&p->waiting, &w->link);
	if (p->collecting)
		return;
	if (p->ready && perf_now_us() - p->ready_us < FRESH_US)
		answer_all(p);
	else
		collect(p);
}

/* ---- life ---- */

bool prometheus_where_ok(const char *where)
{
	return prometheus_address(where, NULL) == 0;
}

static int add_metrics(struct prometheus *p, const struct counter_set *set)
{
	for (const struct counter *c = set->counters; c->key; c++) {
		struct metric *m = calloc(1, sizeof(*m));

		if (m)
			m->samples = evbuffer_new();
		if (!m || !m->samples) {
			free(m);
			return -ENOMEM;
		}
		m->set = set;
		m->counter = c;
		name_of(set, c, m->name);
		list_add_tail(&p->metrics, &m->link);
	}
	return 0;
}

int prometheus_new(struct vmms *v, const char *where, struct prometheus **ret,
		   struct rpc_error *e)
{
	struct prometheus *p = calloc(1, sizeof(*p));
	int fd = -1, r = p ? 0 : -ENOMEM;

	if (!p)
		return rpc_error_set(e, r, "no memory");
	p->v = v;
	list_init(&p->metrics);
	list_init(&p->waiting);
	for (size_t i = 0; i < counter_sets_count && r == 0; i++)
		r = add_metrics(p, &counter_sets[i]);
	if (r == 0 && where[0] == '/' && !(p->unix_path = strdup(where)))
		r = -ENOMEM;
	if (r < 0)
		rpc_error_set(e, r, "no memory");
	else
		r = prometheus_listen(&v->settings, where, &fd, e);
	if (r == 0) {
		r = http_new(v->base, fd, "/metrics", on_get, p, &p->http);
		if (r < 0) {
			prometheus_close(fd, where);
			rpc_error_set(e, r, "no memory");
		}
	}
	if (r < 0) {
		prometheus_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void prometheus_free(struct prometheus *p)
{
	struct list *l;

	if (!p)
		return;
	answer_all(p);
	if (p->http && p->unix_path)
		prometheus_close(-1, p->unix_path);
	http_free(p->http);
	while ((l = list_pop(&p->metrics))) {
		struct metric *m = list_entry(l, struct metric, link);

		evbuffer_free(m->samples);
		free(m);
	}
	if (p->ready)
		evbuffer_free(p->ready);
	free(p->unix_path);
	free(p);
}
