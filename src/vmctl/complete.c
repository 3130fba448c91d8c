/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may come next on a half-typed command line: the shell's completion asks `vmctl __complete WORD…` (the words
 * behind "vmctl", the last perhaps empty) and offers the lines that it prints. ":files" asks for the shell's own.
 */
#include "vmctl/vmctl.h"

#include <stdlib.h>
#include <string.h>

static void offer(const char *candidate, const char *begun)
{
	if (strncmp(candidate, begun, strlen(begun)) == 0)
		print_line(stdout, "%s", candidate);
}

static void offer_options(const struct option *o, const char *begun)
{
	for (; o && o->name; o++)
		if (strncmp(begun, "--", 2) == 0
			    ? strncmp(o->name, begun + 2, strlen(begun) - 2) == 0
			    : begun[1] == '\0')
			print_line(stdout, "--%s", o->name);
}

static void offer_choices(const char *choices, const char *begun)
{
	while (choices && *choices) {
		size_t n = strcspn(choices, "|");

		if (n >= strlen(begun) && strncmp(choices, begun, strlen(begun)) == 0)
			print_line(stdout, "%.*s", (int)n, choices);
		choices += n + (choices[n] == '|');
	}
}

static void offer_vms(struct vmctl *v, const char *begun)
{
	json_auto_t *answer = NULL;
	json_t *vm;
	size_t i;

	if (call_quiet(v, "vm.list", json_object(), &answer) < 0)
		return;
	json_array_foreach (json_object_get(answer, "vms"), i, vm)
		offer(field_text(vm, "name"), begun);
}

/* Those that run: the others are nothing to wait for, and show needs no help to be typed. */
static void offer_jobs(struct vmctl *v, const char *begun)
{
	json_auto_t *answer = NULL;
	json_t *job;
	size_t i;

	if (call_quiet(v, "job.list", json_object(), &answer) < 0)
		return;
	json_array_foreach (json_object_get(answer, "jobs"), i, job) {
		char id[24];

		snprintf(id, sizeof(id), "%llu",
			 (unsigned long long)field_number(job, "job"));
		if (!job_is_over(job))
			offer(id, begun);
	}
}

static void offer_drives(struct vmctl *v, const char *vm, const char *begun)
{
	json_auto_t *answer = NULL;
	json_t *d;
	size_t i;

	if (!vm || call_quiet(v, "disk.list", json_pack("{s:s}", "vm", vm), &answer) < 0)
		return;
	json_array_foreach (json_object_get(answer, "drives"), i, d) {
		char at[24];

		snprintf(at, sizeof(at), "%u:%u",
			 (unsigned int)field_number(d, "controller"),
			 (unsigned int)field_number(d, "lun"));
		offer(at, begun);
	}
}

/* The verbs; behind a noun (before is its word) their second words. */
static void offer_verbs(const char *noun, const char *begun)
{
	char word[64], last[64] = "";

	for (size_t i = 0; i < verbs_count; i++) {
		size_t n = strcspn(verbs[i].name, " ");

		if (noun && (strlen(noun) != n || strncmp(verbs[i].name, noun, n) != 0))
			continue;
		if (noun)
			snprintf(word, sizeof(word), "%s",
				 verbs[i].name + n + (verbs[i].name[n] == ' '));
		else
			snprintf(word, sizeof(word), "%.*s", (int)n, verbs[i].name);
		if (strcmp(word, last) != 0)
			offer(word, begun);
		strcpy(last, word);
	}
}

static const struct option *option_of(const struct verb *verb, const char *word)
{
	const struct option *tables[] = { verb ? verb->options : NULL, verbs_common };

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct option *o = tables[t]; o && o->name; o++)
			if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0)
				return o;
	return NULL;
}

/* `vm` is the verb's first word, as WORD_DRIVE needs it. */
static void offer_word(struct vmctl *v, enum word_kind kind, const char *vm,
		       const char *begun)
{
	if (kind == WORD_VM)
		offer_vms(v, begun);
	else if (kind == WORD_STATE)
		offer_choices("running|paused|off|heartbeat", begun);
	else if (kind == WORD_FILE)
		puts(":files");
	else if (kind == WORD_JOB)
		offer_jobs(v, begun);
	else if (kind == WORD_DRIVE)
		offer_drives(v, vm, begun);
}

struct state {
	const char *noun; /* the first word of a pair, while its second is open */
	const struct verb *verb;
	size_t nwords;               /* of the verb, complete */
	const char *first;           /* of these */
	const struct option *option; /* whose value comes next */
	bool host;                   /* that of --host does */
};

/* One whole word of the line. */
static void advance(struct vmctl *v, struct state *s, const char *word)
{
	if (s->host) {
		v->host = word;
		s->host = false;
		return;
	}
	if (strcmp(word, "--host") == 0) {
		s->host = true;
		return;
	}
	if (s->option) {
		if (strcmp(s->option->name, "socket") == 0)
			v->socket = word;
		s->option = NULL;
		return;
	}
	if (word[0] == '-') {
		s->option = option_of(s->verb, word);
		if (s->option && s->option->kind == OPT_FLAG)
			s->option = NULL;
		return;
	}
	if (s->verb) {
		s->first = s->nwords++ ? s->first : word;
		return;
	}
	s->verb = s->noun ? verb_find(s->noun, word) : verb_find(word, NULL);
	s->noun = !s->noun && !s->verb && verb_is_noun(word) ? word : NULL;
}

void complete(struct vmctl *v, int argc, char *const *argv)
{
	const char *env = getenv("VMMS_SOCKET"), *host = getenv("VMMS_HOST"),
		   *begun = argv[argc - 1];
	struct state s = { 0 };

	v->silent = true;
	if (env && *env)
		v->socket = env;
	for (int i = 0; i + 1 < argc; i++)
		advance(v, &s, argv[i]);
	v->host = v->host ? v->host : host && *host ? host : NULL;
	if (v->host && remote_parse(v->host, &v->address) < 0)
		return;
	if (v->host)
		v->socket = v->address.socket[0] ? v->address.socket : NULL;
	if (s.host)
		return;
	if (s.option) {
		if (s.option->kind == OPT_PATH)
			puts(":files");
		else
			offer_choices(s.option->choices, begun);
	} else if (begun[0] == '-') {
		offer_options(s.verb ? s.verb->options : NULL, begun);
		offer_options(verbs_common, begun);
	} else if (!s.verb) {
		offer_verbs(s.noun, begun);
	} else if (s.nwords < verb_count_words(s.verb)) {
		offer_word(v, s.verb->kinds[s.nwords], s.first, begun);
	}
	call_done(v);
}
