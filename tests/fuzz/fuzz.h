/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a fuzz target defines: decodes `size` hostile bytes and returns 0. It must not keep anything from one call to
 * the next, nor allocate more than a few megabytes. Thread: the caller's.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
