/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler expects of a C library, and a few words more. */
#ifndef BARE_LIB_H
#define BARE_LIB_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif
