/* SPDX-License-Identifier: BSD-2-Clause */
/* What a freestanding compiler expects of its surroundings, and the library uses too. C11 7.24. */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
