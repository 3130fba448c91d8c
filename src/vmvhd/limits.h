/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the process may use, set before it reads a byte of an image: no new privileges, no other processes, no core dump, memory and
 * descriptors bounded, and no network where it may leave it. Thread: main, before others. -errno.
 */
#ifndef VMVHD_LIMITS_H
#define VMVHD_LIMITS_H

#include "util/macros.h"

int limits_set(void) __must_check;

#endif
