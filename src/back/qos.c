/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/qos.h"

#define SECOND_NS 1000000000ull

void qos_set(struct qos *q, uint32_t min_iops)
{
	if (min_iops != q->min_iops)
		*q = (struct qos){ .min_iops = min_iops };
}

void qos_skip(struct qos *q)
{
	q->began = false;
	q->low_ns = 0;
}

static uint32_t rate_of(uint64_t units, uint64_t ns)
{
	uint64_t n = MIN(units, UINT64_MAX / SECOND_NS) * SECOND_NS / ns;

	return (uint32_t)MIN(n, (uint64_t)UINT32_MAX);
}

bool qos_look(struct qos *q, uint64_t units, bool busy, uint64_t now_ns)
{
	bool was = q->below, low;

	if (q->began && now_ns <= q->look_ns)
		return false;
	if (q->began) {
		q->rate = rate_of(units - q->units, now_ns - q->look_ns);
		low = busy && q->rate < q->min_iops;
		if (!low)
			q->low_ns = 0;
		else if (!q->low_ns)
			q->low_ns = q->look_ns;
		q->below = low && (was || now_ns - q->low_ns >= QOS_WINDOW_NS);
	}
	q->began = true;
	q->units = units;
	q->look_ns = now_ns;
	return q->below != was;
}
