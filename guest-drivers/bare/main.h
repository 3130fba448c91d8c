/* SPDX-License-Identifier: BSD-2-Clause */
/* Where ring 0 hands over to ring 3: on VP 0 at the start, on any VP after an exception. Called by boot.S and trap.S only. */
#ifndef BARE_MAIN_H
#define BARE_MAIN_H

void bare_main(void) __attribute__((noreturn));
void bare_fault(void) __attribute__((noreturn));

#endif
