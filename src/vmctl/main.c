/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The folded command line: options of all verbs may stand before the verb, too. */
struct line {
	const char *first, *second; /* the verb's words; NULL when there is none */
	char **rest;                /* all else, in order */
	int nrest;
};

static bool takes_value(const char *word)
{
	return strcmp(word, "--socket") == 0;
}

/* "--host URL" stands before a verb or behind it: how many words of argv it takes. */
static int take_host(struct vmctl *v, int argc, char **argv, int at)
{
	if (strncmp(argv[at], "--host=", 7) == 0) {
		v->host = argv[at] + 7;
		return 1;
	}
	if (strcmp(argv[at], "--host") != 0)
		return 0;
	v->host = at + 1 < argc ? argv[at + 1] : "";
	return at + 1 < argc ? 2 : 1;
}

/*
 * Takes the verb out of argv: the first word that is no option, and the one behind it where that makes a
 * known pair. line->rest must have room for argc words.
 */
static void find_verb(struct vmctl *v, int argc, char **argv, struct line *line)
{
	for (int i = 1; i < argc; i++) {
		bool option = argv[i][0] == '-';
		int host = take_host(v, argc, argv, i);

		if (host) {
			i += host - 1;
			continue;
		}
		if (!option && !line->first) {
			line->first = argv[i];
			if (i + 1 < argc && verb_is_noun(argv[i]) &&
			    argv[i + 1][0] != '-')
				line->second = argv[++i];
			continue;
		}
		line->rest[line->nrest++] = argv[i];
		if (option && takes_value(argv[i]) && i + 1 < argc)
			line->rest[line->nrest++] = argv[++i];
	}
}

/* A noun without its verb: which verbs it has. */
static int noun_alone(const struct vmctl *v, const char *noun)
{
	size_t len = strlen(noun), n = 0;
	char list[256] = "";

	for (size_t i = 0; i < verbs_count; i++) {
		const char *name = verbs[i].name;

		if (strncmp(name, noun, len) != 0 || name[len] != ' ')
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? " or " : "",
				      name + len + 1);
		n = MIN(n, sizeof(list) - 1);
	}
	return fail_usage(v, "\"%s\" wants one more word: %s", noun, list);
}

static int unknown_verb(const struct vmctl *v, const struct line *line)
{
	const char *names[64], *near;
	char name[64];
	size_t n = 0;

	if (!line->second && verb_is_noun(line->first))
		return noun_alone(v, line->first);
	for (size_t i = 0; i < verbs_count && n < ARRAY_SIZE(names); i++)
		names[n++] = verbs[i].name;
	snprintf(name, sizeof(name), "%s%s%s", line->first, line->second ? " " : "",
		 line->second ? line->second : "");
	near = args_suggest(name, names, n);
	if (near)
		return fail_usage(v, "there is no command \"%s\"; did you mean \"%s\"?",
				  name, near);
	return fail_usage(v, "there is no command \"%s\"", name);
}

/*
 * The host's vmms, or for a user other than root a vmms of the user's own where one listens. The text is
 * kept for the process.
 */
static const char *default_socket(void)
{
	static char own[128];
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0 || !run || run[0] != '/')
		return VMCTL_SOCKET;
	snprintf(own, sizeof(own), "%s/vmms/vmms.sock", run);
	return access(own, F_OK) == 0 ? own : VMCTL_SOCKET;
}

static void set_globals(struct vmctl *v, const struct args *a)
{
	const struct arg_value *socket = args_find(a, "socket");
	const char *env = getenv("VMMS_SOCKET");
	struct winsize size;

	v->json = args_has(a, "json");
	if (v->host)
		v->socket = socket                 ? socket->text
			    : v->address.socket[0] ? v->address.socket
						   : NULL;
	else
		v->socket = socket ? socket->text : env && *env ? env : default_socket();
	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		v->width = size.ws_col;
}

/* Where --host or $VMMS_HOST leads; a status. */
static int find_host(struct vmctl *v)
{
	const char *env = getenv("VMMS_HOST");

	/* ssh may bring the variable along. */
	if (!v->host && v->verb->run != verb_proxy)
		v->host = env && *env ? env : NULL;
	if (!v->host || remote_parse(v->host, &v->address) == 0)
		return VMCTL_DONE;
	return fail_usage(v, "--host wants ssh://[USER@]HOST[:PORT][/SOCKET], not \"%s\"",
			  v->host);
}

/* Files are those of the host that vmms is on, whose folders this vmctl does not know. */
static int check_paths(const struct vmctl *v, const struct args *a)
{
	for (size_t i = 0; i < a->nvalues; i++) {
		if (a->values[i].relative)
			return fail_usage(v,
					  "--%s: with --host a file is one of that host, "
					  "and wants its path from / on",
					  a->values[i].option->name);
	}
	for (size_t i = 0; i < a->nwords; i++) {
		if (v->verb->kinds[i] == WORD_FILE && a->words[i][0] != '/')
			return fail_usage(v,
					  "\"%s\": with --host a file is one of that "
					  "host, and wants its path from / on",
					  a->words[i]);
	}
	return VMCTL_DONE;
}

static int run_parsed(struct vmctl *v, const struct args *a)
{
	size_t want = verb_count_words(v->verb);
	int status;

	if (args_has(a, "help")) {
		help_verb(stdout, v->verb);
		return VMCTL_DONE;
	}
	if (a->nwords < want)
		return fail_usage(v, "it wants %s", v->verb->words);
	if (a->nwords > want)
		return fail_usage(v, "\"%s\" is one word too many", a->words[want]);
	status = find_host(v);
	if (status == VMCTL_DONE && v->host)
		status = check_paths(v, a);
	if (status)
		return status;
	set_globals(v, a);
	status = v->verb->run(v, a);
	call_done(v);
	return status;
}

static int run_verb(struct vmctl *v, const struct line *line)
{
	const struct args_tables tables = { v->verb->options, verbs_common };
	char error[ARGS_ERROR_MAX];
	struct args a;
	int r, status;

	r = args_parse(&tables, line->nrest, line->rest, &a, error);
	if (r == -ENOMEM)
		return fail(v, "out of memory");
	if (r < 0)
		return fail_usage(v, "%s", error);
	status = run_parsed(v, &a);
	args_done(&a);
	return status;
}

/* No verb: --help, --version, or wrong use. */
static int run_bare(struct vmctl *v, const struct line *line)
{
	const struct args_tables tables = {
		(const struct option[]){ { "version", OPT_FLAG, .help = "" }, { NULL } },
		verbs_common
	};
	char error[ARGS_ERROR_MAX];
	struct args a;
	int status = VMCTL_DONE;

	if (args_parse(&tables, line->nrest, line->rest, &a, error) < 0)
		return fail_usage(v, "%s", error);
	if (args_has(&a, "version"))
		puts("vmctl " VMMS_VERSION);
	else if (args_has(&a, "help"))
		help_all(stdout);
	else
		status = VMCTL_USAGE;
	if (status == VMCTL_USAGE)
		help_all(stderr);
	args_done(&a);
	return status;
}

static int dispatch(struct vmctl *v, struct line *line)
{
	char *help_argv[] = { (char[]){ "--help" } };
	struct line help = { .rest = help_argv, .nrest = 1 };

	if (!line->first)
		return run_bare(v, line);
	if (strcmp(line->first, "help") == 0) {
		if (line->nrest == 0 || line->rest[0][0] == '-')
			return run_bare(v, &help);
		help.first = line->rest[0];
		help.second = line->nrest > 1 ? line->rest[1] : NULL;
		line = &help;
	}
	v->verb = verb_find(line->first, line->second);
	return v->verb ? run_verb(v, line) : unknown_verb(v, line);
}

int main(int argc, char **argv)
{
	struct vmctl v = { .socket = VMCTL_SOCKET };
	struct line line = { 0 };
	int status;

	/* A vmms that goes away is an error message, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	if (argc > 2 && strcmp(argv[1], "__complete") == 0) {
		complete(&v, argc - 2, argv + 2);
		return VMCTL_DONE;
	}
	line.rest = calloc((size_t)argc + 1, sizeof(*line.rest));
	if (!line.rest)
		return fail(&v, "out of memory");
	find_verb(&v, argc, argv, &line);
	status = dispatch(&v, &line);
	free(line.rest);
	/* What could not be written (a full disk, a closed pipe) must not look done. */
	if (fflush(stdout) == EOF || ferror(stdout))
		status = status == VMCTL_DONE ? VMCTL_FAILED : status;
	return status;
}
