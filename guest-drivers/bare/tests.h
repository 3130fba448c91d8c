/* SPDX-License-Identifier: BSD-2-Clause */
/* What the words test=… run. Each says what it saw, and gives whether all was as it must be. Thread: VP 0, connected. */
#ifndef BARE_TESTS_H
#define BARE_TESTS_H

#include "bare/words.h"

/* test=NAME,NAME… */
bool tests_run(struct args args);

/* Writes a pattern to every disk of every controller, flushes, reads it back. */
bool test_disk(void);
/* The same by all VPs at once, each over a channel of its own. */
bool test_subchannels(void);

#endif
