/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of the command line: `NAME[=ARG[,ARG…]]`, separated by spaces, run from left to right. README.md tells what each does;
 * the table in words.c names the function behind it.
 */
#ifndef BARE_WORDS_H
#define BARE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct args {
	const char *p, *end; /* what is not taken yet */
};

struct arg {
	const char *p;
	size_t len;
};

/* The next ARG, between commas; false when there is none. */
bool args_next(struct args *a, struct arg *ret);
bool arg_is(struct arg a, const char *s);
/* The value of an ARG of the form KEY=N, decimal; `otherwise` when no ARG has this key. Takes nothing. */
uint64_t args_number(struct args a, const char *key, uint64_t otherwise);

/* Runs all words of the line. Gives the number of those that failed. */
unsigned int words_run(const char *line);

#endif
