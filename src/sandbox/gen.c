/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs at build time: compiles the table of calls.c with libseccomp into one BPF program a list, and prints them as C, with
 * the names of all system calls for the report. So the worker starts with its lists ready and needs no library.
 */
#include "sandbox/gen.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/calls.h"

#define CALL_NUMBERS 512

static __attribute__((noreturn)) void fail(const char *what, int r)
{
	fprintf(stderr, "gen: %s: %s\n", what, strerror(-r));
	exit(EXIT_FAILURE);
}

static int add(scmp_filter_ctx ctx, const struct call *c)
{
	uint32_t action = SCMP_ACT_ALLOW;
	struct scmp_arg_cmp cmp = { .arg = c->arg,
				    .op = SCMP_CMP_EQ,
				    .datum_a = c->value };
	unsigned int n = c->when != ALWAYS && c->when != FAILS_WITH;

	if (c->when == MASKED) {
		cmp.op = SCMP_CMP_MASKED_EQ;
		cmp.datum_a = c->mask;
		cmp.datum_b = c->value;
	} else if (c->when == OWN) {
		cmp.datum_a = GEN_OWN_PID;
	} else if (c->when == FAILS_WITH) {
		action = SCMP_ACT_ERRNO((uint32_t)c->value);
	} else if (c->when == FAILS_IF) {
		action = SCMP_ACT_ERRNO((uint32_t)c->mask);
	}
	return seccomp_rule_add_array(ctx, action, c->nr, n, &cmp);
}

/* A call that is allowed without condition needs none of its conditions: libseccomp refuses the second. */
static int always(const struct call *c, unsigned int who)
{
	for (unsigned int i = 0; i < call_count; i++) {
		if (calls[i].nr == c->nr && (calls[i].who & who) &&
		    calls[i].when == ALWAYS)
			return 1;
	}
	return 0;
}

static void print_list(const char *name, scmp_filter_ctx ctx)
{
	struct sock_filter code[GEN_MOST + 1];
	FILE *f = tmpfile();
	size_t n;
	int r = f ? seccomp_export_bpf(ctx, fileno(f)) : -errno;

	if (r < 0)
		fail(name, r);
	rewind(f);
	n = fread(code, sizeof(code[0]), GEN_MOST + 1, f);
	fclose(f);
	if (n == 0 || n > GEN_MOST)
		fail(name, -E2BIG);
	printf("static const struct sock_filter list_%s[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", code[i].code, code[i].jt,
		       code[i].jf, code[i].k);
	printf("};\n");
}

static void list(const char *name, unsigned int who)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int r;

	if (!ctx)
		fail(name, -ENOMEM);
	/* Calls of another architecture have other numbers: no handler could name them. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (unsigned int i = 0; r == 0 && i < call_count; i++) {
		const struct call *c = &calls[i];

		if (!(c->who & who) || (c->when != ALWAYS && always(c, who)))
			continue;
		r = add(ctx, c);
		if (r == -EEXIST)
			r = 0; /* twice in the table: for more threads */
	}
	if (r < 0)
		fail(name, r);
	print_list(name, ctx);
	seccomp_release(ctx);
}

/* Beside the base list where no namespaces are: io_uring makes sockets, too, and no list sees what it is asked for. */
static void bare_list(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
				       SCMP_SYS(io_uring_setup), 0)
		    : -ENOMEM;

	if (r < 0)
		fail("bare", r);
	print_list("bare", ctx);
	seccomp_release(ctx);
}

static void names(void)
{
	printf("static const char *const call_names[] = {\n");
	for (int nr = 0; nr < CALL_NUMBERS; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		if (name)
			printf("\t[%d] = \"%s\",\n", nr, name);
		free(name);
	}
	printf("};\n");
}

int main(void)
{
	printf("/* Made by gen.c from calls.c. */\n");
	list("base", BASE | WORKER);
	bare_list();
	list("main", MAIN | WORKER);
	list("vp", VP);
	list("vsp", VSP);
	list("io", IO);
	list("nat", NAT);
	names();
	return ferror(stdout) || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
