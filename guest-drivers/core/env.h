/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the driver library needs of whoever runs it: the bare guest (ring 3), or a test that plays the guest in a process.
 *
 * The library is freestanding: of a C library it takes <errno.h>'s numbers and the four functions of core/mem.h. It has no locks and no
 * globals. Who calls what on which processor stands at each function.
 */
#ifndef CORE_ENV_H
#define CORE_ENV_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CORE_PAGE_SIZE 4096u

struct core_env {
	/* Synthetic MSRs of the VP that calls. */
	uint64_t (*rdmsr)(void *opaque, uint32_t msr);
	void (*wrmsr)(void *opaque, uint32_t msr, uint64_t value);
	/* Calls the code on the hypercall page (RCX, RDX, R8); gives RAX. */
	uint64_t (*hypercall)(void *opaque, void *page, uint64_t control, uint64_t input,
			      uint64_t output);
	/*
	 * Waits until this VP was interrupted or `us` microseconds are over (0: no limit). Returns at once when an interrupt came since the
	 * last call; may return early.
	 */
	void (*wait)(void *opaque, uint64_t us);
	uint64_t (*now_us)(void *opaque);
	/* The guest physical address of a byte; contiguous within a page. */
	uint64_t (*gpa)(void *opaque, const void *p);
	/* n contiguous pages of zeros; NULL when there are none. */
	void *(*pages_alloc)(void *opaque, size_t n);
	void (*pages_free)(void *opaque, void *p, size_t n);
	/* A line for people, without its newline. */
	void (*log)(void *opaque, const char *fmt, va_list ap)
		__attribute__((format(printf, 2, 0)));
	void *opaque;
};

void core_log(const struct core_env *env, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
