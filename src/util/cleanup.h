/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cleanup attributes: what a function owns until it hands it on. `cleanup_fd int fd = -1;`,
 * then `*ret_fd = take_fd(&fd);` on success. Thread: any.
 */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free_(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fclose_(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define cleanup_fd __attribute__((cleanup(cleanup_close_)))
#define cleanup_free __attribute__((cleanup(cleanup_free_)))
#define cleanup_file __attribute__((cleanup(cleanup_fclose_)))

/* Gives up ownership: returns the value and leaves "nothing" behind. */
static inline int take_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#define take_ptr(p)                              \
	({                                       \
		__typeof__(*(p)) take_p_ = *(p); \
		*(p) = NULL;                     \
		take_p_;                         \
	})

#endif
