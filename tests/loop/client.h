/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's end of an echo device. Thread: the main one, VP 0. */
#ifndef TESTS_LOOP_CLIENT_H
#define TESTS_LOOP_CLIENT_H

#include "core/chan.h"
#include "loop/echo.h"

/* The channel of the n-th echo device; NULL when it is not offered. */
struct chan *client_find(struct machine *m, unsigned int number);
/* Receives one packet, waiting for it; checks that it is whole. Gives its payload's bytes. */
size_t client_recv(struct machine *m, struct chan *ch, struct vmbus_packet *ret,
		   void *buf, size_t max);
/* Sends a request and waits for its completion. */
int64_t client_ask(struct machine *m, struct chan *ch, enum echo_op op, uint32_t count,
		   uint32_t bytes);
/* Sends `len` bytes there and back and compares them. */
void client_echo(struct machine *m, struct chan *ch, size_t len);
/* Opens with rings of three data pages, bound to that VP. */
void client_open(struct machine *m, struct chan *ch, unsigned int vp);

#endif
