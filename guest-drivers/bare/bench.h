/* SPDX-License-Identifier: BSD-2-Clause */
/* Measurements in the guest, by its TSC. Thread: VP 0. */
#ifndef BARE_BENCH_H
#define BARE_BENCH_H

#include <stdbool.h>
#include "bare/words.h"

/*
 * bench=roundtrip,n=N: TEST UNIT READY on the first SCSI controller, one at a time: doorbell, VSP's thread, completion in the ring,
 * interrupt. bench=rtfloor,n=N,port=P,value=V: OUT of V (32 bits) to P, then an interrupt at VECTOR_USER: the same
 * two crossings without VMBus, where a harness has an ioeventfd at P and an MSI to that vector.
 */
bool word_bench(struct args args);

#endif
