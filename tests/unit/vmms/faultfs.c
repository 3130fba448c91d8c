/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library to preload: makes calls that change files below one folder fail. The program named by FAULT_PROGRAM counts its calls in a page that it
 * shares with the test (the file FAULT_CONTROL), which says there from which one on, and how many, are to fail, and how.
 */
/* Both names of each call are wrapped, so none may become the other. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* The page: 32-bit numbers, as the test writes them. */
struct control {
	int32_t from;  /* the first call that fails, from 1; 0: none */
	int32_t many;  /* how many fail */
	int32_t error; /* errno */
	int32_t count; /* calls so far */
};

static struct control *control;
static const char *folder;

static __attribute__((constructor)) void init(void)
{
	const char *path = getenv("FAULT_CONTROL"), *program = getenv("FAULT_PROGRAM");
	int fd;

	folder = getenv("FAULT_FOLDER");
	if (!path || !program || !folder ||
	    strcmp(program, program_invocation_short_name) != 0)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		control = NULL;
	close(fd);
}

/* Whether a name, or what a descriptor is open at, lies in the folder. */
static bool ours(int dir, const char *name)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	if (!control)
		return false;
	if (name && name[0] == '/')
		return strncmp(name, folder, strlen(folder)) == 0;
	if (dir == AT_FDCWD)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, path, sizeof(path));
	return n >= (ssize_t)strlen(folder) && memcmp(path, folder, strlen(folder)) == 0;
}

/* True, with errno set, when this call is to fail. */
static bool fails(int dir, const char *name)
{
	int32_t n;

	if (!ours(dir, name))
		return false;
	n = ++control->count;
	if (!control->from || n < control->from || n >= control->from + control->many)
		return false;
	errno = control->error;
	return true;
}

#define NEXT(type, name, args)   \
	static type(*next) args; \
	if (!next)               \
	*(void **)(void *)&next = dlsym(RTLD_NEXT, name)

#define WRAP(type, name, args, where, call) \
	type name args;                     \
	type name args                      \
	{                                   \
		NEXT(type, #name, args);    \
		if (fails where)            \
			return -1;          \
		return next call;           \
	}

#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR))

#define WRAP_OPEN(name)                                      \
	int name(const char *path, int flags, ...);          \
	int name(const char *path, int flags, ...)           \
	{                                                    \
		mode_t mode = 0;                             \
		NEXT(int, #name, (const char *, int, ...));  \
		if (flags & (O_CREAT | O_TMPFILE)) {         \
			va_list ap;                          \
			va_start(ap, flags);                 \
			mode = va_arg(ap, mode_t);           \
			va_end(ap);                          \
		}                                            \
		if (CHANGES(flags) && fails(AT_FDCWD, path)) \
			return -1;                           \
		return next(path, flags, mode);              \
	}
#define WRAP_OPENAT(name)                                        \
	int name(int dir, const char *path, int flags, ...);     \
	int name(int dir, const char *path, int flags, ...)      \
	{                                                        \
		mode_t mode = 0;                                 \
		NEXT(int, #name, (int, const char *, int, ...)); \
		if (flags & (O_CREAT | O_TMPFILE)) {             \
			va_list ap;                              \
			va_start(ap, flags);                     \
			mode = va_arg(ap, mode_t);               \
			va_end(ap);                              \
		}                                                \
		if (CHANGES(flags) && fails(dir, path))          \
			return -1;                               \
		return next(dir, path, flags, mode);             \
	}

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP(ssize_t, write, (int fd, const void *buf, size_t n), (fd, NULL), (fd, buf, n))
WRAP(ssize_t, pwrite, (int fd, const void *buf, size_t n, off_t at), (fd, NULL),
     (fd, buf, n, at))
WRAP(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off64_t at), (fd, NULL),
     (fd, buf, n, at))
WRAP(int, fsync, (int fd), (fd, NULL), (fd))
WRAP(int, fdatasync, (int fd), (fd, NULL), (fd))
WRAP(int, ftruncate, (int fd, off_t size), (fd, NULL), (fd, size))
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, NULL), (fd, size))
WRAP(int, rename, (const char *from, const char *to), (AT_FDCWD, to), (from, to))
WRAP(int, renameat, (int from_dir, const char *from, int dir, const char *to), (dir, to),
     (from_dir, from, dir, to))
WRAP(int, renameat2,
     (int from_dir, const char *from, int dir, const char *to, unsigned int flags),
     (dir, to), (from_dir, from, dir, to, flags))
WRAP(int, linkat, (int from_dir, const char *from, int dir, const char *to, int flags),
     (dir, to), (from_dir, from, dir, to, flags))
WRAP(int, mkdir, (const char *path, mode_t mode), (AT_FDCWD, path), (path, mode))
WRAP(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path),
     (dir, path, mode))
WRAP(int, unlink, (const char *path), (AT_FDCWD, path), (path))
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path),
     (dir, path, flags))
