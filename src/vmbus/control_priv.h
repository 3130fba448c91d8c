/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the control plane share: one handler a message, and the transitions of a channel. */
#ifndef VMBUS_CONTROL_PRIV_H
#define VMBUS_CONTROL_PRIV_H

#include "vmbus/control.h"

/* The channel of a relid, if the guest knows it; else NULL. */
struct control_channel *control_find(struct control *c, uint32_t relid);
void control_post(struct control *c, const void *msg, size_t len);

/* Offers a held channel to the guest. */
void control_channel_show(struct control_channel *ch);
/* The connection ends: closed if it is open, then held. */
void control_channel_leave(struct control_channel *ch);
/* After a channel closed: the next step of leaving, if it was the last. */
void control_left(struct control *c);

/* Handlers: `msg` is aligned and has at least the bytes of its struct. */
void control_open_channel(struct control *c, const void *msg, size_t len);
void control_close_channel(struct control *c, const void *msg, size_t len);
void control_modify_channel(struct control *c, const void *msg, size_t len);
void control_relid_released(struct control *c, const void *msg, size_t len);
void control_gpadl_header(struct control *c, const void *msg, size_t len);
void control_gpadl_body(struct control *c, const void *msg, size_t len);
void control_gpadl_teardown(struct control *c, const void *msg, size_t len);

#endif
