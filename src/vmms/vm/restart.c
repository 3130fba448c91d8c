/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/vm/restart.h"

enum restart_do restart_decide(enum restart_policy policy, uint64_t first_ms,
			       uint64_t ran_ms, unsigned int *failures,
			       uint64_t *ret_wait_ms)
{
	if (ran_ms >= RESTART_GOOD_MS || policy == RESTART_NEVER)
		*failures = 0;
	if (policy == RESTART_NEVER)
		return RESTART_NOT;
	if (*failures >= RESTART_FAILURES)
		return RESTART_GIVEN_UP;
	++*failures;
	*ret_wait_ms = first_ms << MIN(*failures - 1, RESTART_DOUBLINGS);
	return RESTART_LATER;
}
