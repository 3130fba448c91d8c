/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lists, as gen.c compiled them at build time. One number in them is known only now: the process's own, for tgkill().
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/gen.h"
#include "sandbox/lists.h"
#include "sandbox/sandbox_priv.h"
#include "util/cleanup.h"

/* Lists only keep things away from the kernel; no speculation in this process could tell it more (seccomp(2)). */
#define FILTER_FLAGS SECCOMP_FILTER_FLAG_SPEC_ALLOW

static void put_pid(struct sock_filter *code, size_t n)
{
	uint32_t pid = (uint32_t)getpid();

	for (size_t i = 0; i < n; i++) {
		if (BPF_CLASS(code[i].code) == BPF_JMP && code[i].k == GEN_OWN_PID)
			code[i].k = pid;
	}
}

int filter_add(enum filter_stage stage)
{
	static const struct {
		const struct sock_filter *code;
		size_t n;
	} lists[] = {
		[FILTER_BASE] = { list_base, ARRAY_SIZE(list_base) },
		[FILTER_BARE] = { list_bare, ARRAY_SIZE(list_bare) },
		[FILTER_MAIN] = { list_main, ARRAY_SIZE(list_main) },
		[FILTER_VP] = { list_vp, ARRAY_SIZE(list_vp) },
		[FILTER_VSP] = { list_vsp, ARRAY_SIZE(list_vsp) },
		[FILTER_IO] = { list_io, ARRAY_SIZE(list_io) },
		[FILTER_NAT] = { list_nat, ARRAY_SIZE(list_nat) },
	};
	struct sock_filter code[GEN_MOST];
	struct sock_fprog prog = { .len = (unsigned short)lists[stage].n,
				   .filter = code };

	memcpy(code, lists[stage].code, lists[stage].n * sizeof(code[0]));
	put_pid(code, lists[stage].n);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, FILTER_FLAGS, &prog) < 0)
		return -errno;
	return 0;
}

const char *filter_call_name(long nr)
{
	return nr >= 0 && (size_t)nr < ARRAY_SIZE(call_names) ? call_names[nr] : NULL;
}
