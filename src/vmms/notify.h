/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service manager's side, by sd_notify(3) and sd_listen_fds(3): a datagram to $NOTIFY_SOCKET, a socket from
 * descriptor 3. Both do nothing where there is no service manager. Thread: main.
 */
#ifndef VMMS_NOTIFY_H
#define VMMS_NOTIFY_H

#include "util/macros.h"

/* "READY=1", "STOPPING=1", "STATUS=…", by newline. */
void notify_send(const char *state);
/* The one listening socket that was handed over, close-on-exec; -1 when there is none. */
int notify_listen_fd(void);
/*
 * How often the manager wants to hear "WATCHDOG=1" (sd_watchdog_enabled(3)), a third of its patience, so that one late turn of the
 * loop is none; 0: not at all.
 */
uint64_t notify_watchdog_us(void);

#endif
