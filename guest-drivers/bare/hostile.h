/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile=WHAT,…: does what no driver does, row by row of a table, and proves after each row that the rest still works. WHAT: control,
 * hypercall, packet, ring.
 *
 * Thread: VP 0, connected.
 */
#ifndef BARE_HOSTILE_H
#define BARE_HOSTILE_H

#include <stdbool.h>
#include "bare/words.h"

bool word_hostile(struct args args);

/* Each table. False when something that is to work afterwards does not, or something was taken that must be refused. */
bool hostile_control(void);
bool hostile_hypercall(void);
bool hostile_packet(void);
bool hostile_ring(void);

/* The bus answers, and the first disk does when there is one. `what` is said when not. */
bool hostile_survived(const char *table, const char *what);

#endif
