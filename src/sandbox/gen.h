/* SPDX-License-Identifier: BSD-2-Clause */
/* What gen.c (at build time) and filter.c (at run time) agree on. */
#ifndef SANDBOX_GEN_H
#define SANDBOX_GEN_H

/* Stands in a list for the number of the process. No constant of a list is equal. */
#define GEN_OWN_PID 0x7e57c0deu
/* Instructions of the longest list; on the stack of a thread that has little. */
#define GEN_MOST 600

#endif
