/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether, and how soon, a VM whose worker died is started again. Pure: the clock is the caller's. Thread: any.
 *
 * The n-th failure in a row waits first << (n - 1), at most first << RESTART_DOUBLINGS. A worker that ran for RESTART_GOOD_MS has begun a
 * new row. After RESTART_FAILURES starts that failed it is given up.
 */
#ifndef VMMS_VM_RESTART_H
#define VMMS_VM_RESTART_H

#include "config/config.h"

#define RESTART_FIRST_MS 1000u
#define RESTART_DOUBLINGS 6u
#define RESTART_FAILURES 10u
#define RESTART_GOOD_MS (UINT64_C(10) * 60 * 1000)

enum restart_do { RESTART_NOT, RESTART_LATER, RESTART_GIVEN_UP };

/* After one that ran for ran_ms. *failures counts those in a row; *ret_wait_ms is set for RESTART_LATER. */
enum restart_do restart_decide(enum restart_policy policy, uint64_t first_ms,
			       uint64_t ran_ms, unsigned int *failures,
			       uint64_t *ret_wait_ms);

#endif
