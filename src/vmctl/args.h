/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A verb's words and options, read by its row of the table: "--name VALUE", "--name=VALUE", "--flag", "--" before words
 * that begin with a dash; options and words in any order. Thread: any. Errors: 0 or -errno.
 */
#ifndef VMCTL_ARGS_H
#define VMCTL_ARGS_H

#include "util/macros.h"

#define ARGS_WORDS_MAX 4
#define ARGS_VALUES_MAX 600 /* 256 disks and all else twice */

enum option_kind {
	OPT_FLAG,    /* takes no value */
	OPT_TEXT,    /* any text */
	OPT_COUNT,   /* a decimal number, at least 1 */
	OPT_SECONDS, /* the same, 0 too */
	OPT_SIZE,    /* bytes, as config_parse_size() reads them: "64M" */
	OPT_PATH,    /* a file; made absolute, for vmms stands in another folder */
	OPT_CHOICE,  /* one of `choices` */
};

struct option {
	const char *name; /* without the dashes */
	enum option_kind kind;
	const char *metavar; /* NULL for a flag */
	const char *choices; /* "on|off" */
	bool repeat; /* may be given more than once; else the second is an error */
	const char *help;
};

struct arg_value {
	const struct option *option;
	char *text;      /* owned; a path is absolute */
	bool relative;   /* a path that was made absolute */
	uint64_t number; /* OPT_COUNT, OPT_SECONDS; OPT_SIZE in bytes */
};

struct args {
	const char *words[ARGS_WORDS_MAX]; /* of argv */
	size_t nwords;
	struct arg_value *values;
	size_t nvalues;
};

#define ARGS_ERROR_MAX 512

/* One option table for a parse: a verb's own, then those that every verb has. Each ends with a NULL name. */
struct args_tables {
	const struct option *own, *common;
};

/*
 * Reads argv[0..argc). -EINVAL with one line in `error` on wrong use (ret is then empty), -ENOMEM. On 0
 * the caller owns *ret: args_done().
 */
int args_parse(const struct args_tables *t, int argc, char *const *argv, struct args *ret,
	       char error[ARGS_ERROR_MAX]) __must_check;
void args_done(struct args *a);

/* The value of an option, the last when it was repeated; NULL when it was not given. */
const struct arg_value *args_find(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);

/* A path from the root on, from malloc, for vmms stands in another folder. */
char *args_absolute(const char *path);

/* True when `word` is one of "a|b|c". */
bool args_is_choice(const char *choices, const char *word);
/* Of the names, the one that `word` may have been meant to be; NULL when none is near. */
const char *args_suggest(const char *word, const char *const *names, size_t n);

#endif
