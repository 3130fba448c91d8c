/* SPDX-License-Identifier: BSD-2-Clause */
/* The ways in which the machine ends or begins again. Thread: any VP. */
#ifndef BARE_POWER_H
#define BARE_POWER_H

#include <stdbool.h>
#include "bare/words.h"

/* S5 by ACPI; where that does nothing, a reset. Does not return. */
void power_off(void) __attribute__((noreturn));
/* By ACPI's reset register, then port 0xcf9, then the keyboard controller, then a triple fault. Does not return. */
void power_reset(void) __attribute__((noreturn));

/*
 * reset=METHOD,METHOD…: resets by the first method at the first start, by the second at the next, and goes on when all were used. The count of
 * starts is kept in the CMOS memory. METHOD: acpi, cf9, keyboard, hv, triplefault.
 */
bool word_reset(struct args args);

#endif
