/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include <string.h>

void help_all(FILE *out)
{
	fputs("usage: vmctl [--host ssh://USER@HOST] [--socket SOCKET] [--json] COMMAND "
	      "…\n"
	      "\n"
	      "Runs virtual machines as Hyper-V would. Commands:\n",
	      out);
	for (size_t i = 0; i < verbs_count; i++)
		fprintf(out, "  %-15s%s\n", verbs[i].name, verbs[i].summary);
	fputs("\n"
	      "vmctl COMMAND --help says more; so does vmctl(1). vmctl --version prints "
	      "its version.\n",
	      out);
}

static void print_option(FILE *out, const struct option *o)
{
	char left[64];
	int n = snprintf(left, sizeof(left), "--%s%s%s", o->name, o->metavar ? " " : "",
			 o->metavar ? o->metavar : "");

	/* What does not fit its column gets a line of its own. */
	if (n <= 22)
		fprintf(out, "  %-24s%s\n", left, o->help);
	else
		fprintf(out, "  %s\n  %-24s%s\n", left, "", o->help);
}

static void print_examples(FILE *out, const char *at)
{
	fputs("\nExamples:\n", out);
	while (*at) {
		size_t n = strcspn(at, "\n");

		fprintf(out, "  vmctl %.*s\n", (int)n, at);
		at += n + (at[n] == '\n');
	}
}

void help_verb(FILE *out, const struct verb *verb)
{
	fprintf(out, "usage: vmctl %s%s%s%s\n\n", verb->name, verb->words[0] ? " " : "",
		verb->words, verb->options ? " [OPTION …]" : "");
	fprintf(out, "vmctl %s: %s.\n", verb->name, verb->summary);
	if (verb->text)
		fprintf(out, "%s\n", verb->text);
	fputs("\nOptions:\n", out);
	for (const struct option *o = verb->options; o && o->name; o++)
		print_option(out, o);
	for (const struct option *o = verbs_common; o->name; o++)
		print_option(out, o);
	print_examples(out, verb->examples);
}
