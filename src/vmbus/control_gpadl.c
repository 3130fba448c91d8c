/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GPADL_HEADER, any number of GPADL_BODY, then one GPADL_CREATED with a status. GPADL_TEARDOWN is answered by GPADL_TORNDOWN when no one
 * uses the pages any more: for a ring that is when its channel is closed, whatever order the guest chose.
 */
#include <errno.h>
#include "vmbus/control.h"
#include "vmbus/control_priv.h"

static void post_created(struct control *c, uint32_t relid, uint32_t id, int r)
{
	struct vmbus_gpadl_created m = {
		.header.message_type = CHANNELMSG_GPADL_CREATED,
		.child_relid = relid,
		.gpadl = id,
		.status = r ? VMBUS_STATUS_UNSUCCESSFUL : VMBUS_STATUS_SUCCESS,
	};

	if (r == -EINPROGRESS)
		return;
	if (r)
		c->errors++;
	control_post(c, &m, sizeof(m));
}

static void post_torndown(struct control *c, uint32_t id)
{
	struct vmbus_gpadl_torndown m = {
		.header.message_type = CHANNELMSG_GPADL_TORNDOWN,
		.gpadl = id,
	};

	control_post(c, &m, sizeof(m));
}

void control_gpadl_header(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_gpadl_header *m = msg;
	int r = -ENOENT;

	if (control_find(c, m->child_relid))
		r = gpadl_table_begin(&c->gpadls, m->child_relid, m->gpadl,
				      m->range_buflen, m->range_count, m->ranges,
				      len - sizeof(*m));
	post_created(c, m->child_relid, m->gpadl, r);
}

void control_gpadl_body(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_gpadl_body *m = msg;
	uint32_t relid;
	int r = gpadl_table_append(&c->gpadls, m->gpadl, m->bytes, len - sizeof(*m),
				   &relid);

	if (r == -ENOENT) /* no channel to answer for */
		c->errors++;
	else
		post_created(c, relid, m->gpadl, r);
}

void control_gpadl_teardown(struct control *c, const void *msg, size_t len)
{
	const struct vmbus_gpadl_teardown *m = msg;
	int r = gpadl_table_teardown(&c->gpadls, m->child_relid, m->gpadl);

	if (!r)
		post_torndown(c, m->gpadl);
	else if (r == -ENOENT)
		c->errors++;
}

void control_reap(struct control *c)
{
	uint32_t id;

	while (gpadl_table_reap(&c->gpadls, &id)) {
		if (c->connection == CONTROL_CONNECTED)
			post_torndown(c, id);
	}
}
