/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device for the tests of bus and rings: it does what a packet's first bytes say, and counts.
 *
 * Thread: echo_new and echo_remove on the loop's thread (machine_on_loop); the counters are for any.
 */
#ifndef TESTS_LOOP_ECHO_H
#define TESTS_LOOP_ECHO_H

#include <stdatomic.h>
#include "loop/machine.h"
#include "vsp/vsp.h"

extern const uint8_t echo_type[16];

enum echo_op {
	ECHO_BACK = 1, /* completes with the same payload */
	ECHO_FLOOD, /* sends `count` in-band packets of `bytes`, each beginning with its number, then completes */
	ECHO_SUBS, /* asks for `count` sub-channels; completes with what channel_request_subs() gave */
	ECHO_GPADL_SUM,  /* completes with the sum of all bytes of GPADL `count` */
	ECHO_DIRECT_SUM, /* the same of the packet's own ranges */
	ECHO_BREAK,      /* as if the guest had broken the protocol: the channel faults */
};

struct echo_request {
	uint32_t op, count, bytes, reserved;
};

struct echo_answer {
	int64_t result;
};

struct echo {
	struct vsp *vsp;
	unsigned int number;
	_Atomic unsigned int open_now, opens, closes;
	_Atomic bool gone;
	_Atomic int
		block; /* an eventfd that serving waits for before each packet; -1: none */
};

/* Offers one; `number` is in its instance GUID. arg: struct echo. */
void echo_new(struct machine *m, void *arg);
/* Rescinds it; ->gone when that has ended. */
void echo_remove(struct machine *m, void *arg);

#endif
