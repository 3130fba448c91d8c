/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest crash MSRs: tells the host that this guest crashed, and why. */
#ifndef BARE_CRASH_H
#define BARE_CRASH_H

#include <stdbool.h>
#include "bare/words.h"

/* crash: reports a crash with parameters 0xc0de0000.. and a text, and goes on. False where the host takes none. */
bool word_crash(struct args args);

#endif
