/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmms/worker/confine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

int confine_init(struct confine *c, const struct settings *settings)
{
	char text[CONFINE_TEXT];

	*c = (struct confine){ .range = settings->worker_uids };
	if (settings->no_sandbox)
		c->host = (struct sandbox_host){ .mode = SANDBOX_OFF };
	else
		sandbox_probe(c->range.first, &c->host);
	if (c->host.users) {
		c->taken = calloc(1, c->range.count / 8 + 1);
		if (!c->taken)
			return -ENOMEM;
	}
	if (confine_describe(c, text))
		log_line(c->host.mode < SANDBOX_USER ? LOG_LVL_WARNING : LOG_LVL_INFO,
			 "sandbox: %s", text);
	return 0;
}

void confine_done(struct confine *c)
{
	free(c->taken);
	c->taken = NULL;
}

/* ---- users ---- */

static bool is_taken(const struct confine *c, uint32_t i)
{
	return c->taken[i / 8] & 1u << i % 8;
}

/* FNV-1a; a VM mostly has the same user, which makes a log easier to read. */
static uint32_t hash(const struct guid *id)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(id->b); i++)
		h = (h ^ id->b[i]) * 16777619u;
	return h;
}

int confine_take_uid(struct confine *c, const struct guid *id, uid_t *ret)
{
	uint32_t begin;

	*ret = SANDBOX_NO_UID;
	if (!c->taken)
		return 0;
	begin = hash(id) % c->range.count;
	for (uint32_t n = 0; n < c->range.count; n++) {
		uint32_t i = (begin + n) % c->range.count;

		if (is_taken(c, i))
			continue;
		c->taken[i / 8] |= (uint8_t)(1u << i % 8);
		*ret = c->range.first + i;
		return 0;
	}
	return -EUSERS;
}

static bool in_range(const struct confine *c, uid_t uid)
{
	return c->taken && uid >= c->range.first && uid - c->range.first < c->range.count;
}

void confine_keep_uid(struct confine *c, uid_t uid)
{
	uint32_t i = uid - c->range.first;

	if (in_range(c, uid))
		c->taken[i / 8] |= (uint8_t)(1u << i % 8);
}

void confine_give_uid(struct confine *c, uid_t uid)
{
	uint32_t i = uid - c->range.first;

	if (in_range(c, uid))
		c->taken[i / 8] &= (uint8_t) ~(1u << i % 8);
}

/* ---- for programs and people ---- */

void confine_args(const struct confine *c, uid_t uid, struct confine_args *ret)
{
	size_t n = 0;

	ret->argv[n++] = "--sandbox";
	ret->argv[n++] = sandbox_mode_name(c->host.mode);
	if (uid != SANDBOX_NO_UID) {
		snprintf(ret->uid, sizeof(ret->uid), "%u", (unsigned int)uid);
		ret->argv[n++] = "--uid";
		ret->argv[n++] = ret->uid;
	}
	ret->argv[n] = NULL;
}

bool confine_describe(const struct confine *c, char ret[CONFINE_TEXT])
{
	switch (c->host.mode) {
	case SANDBOX_OFF:
		snprintf(ret, CONFINE_TEXT,
			 "SWITCHED OFF: a guest that breaks into its worker can do "
			 "what vmms can; start vmms without --no-sandbox and "
			 "\"sandbox\": \"off\"");
		return true;
	case SANDBOX_BARE:
		snprintf(ret, CONFINE_TEXT,
			 "workers have no namespaces of their own, because the host "
			 "refuses them (%s)%s; system call lists, Landlock and limits "
			 "stand",
			 strerror(c->host.no_namespaces),
			 c->host.users ? "" : ", and no user of their own");
		return true;
	case SANDBOX_USER:
		snprintf(ret, CONFINE_TEXT,
			 "workers run in namespaces and an empty root, but as the "
			 "user of vmms; only a vmms that is root can give each its own");
		return true;
	case SANDBOX_FULL:
		break;
	}
	if (!c->host.users) {
		snprintf(ret, CONFINE_TEXT,
			 "workers run in namespaces and an empty root, but not as users "
			 "of "
			 "their own: %u cannot be one here; set \"worker_uids\"",
			 c->range.first);
		return true;
	}
	snprintf(ret, CONFINE_TEXT,
		 "each worker is a user of its own (%u to %u) in namespaces and an empty "
		 "root, with system call lists",
		 c->range.first, c->range.first + c->range.count - 1);
	return false;
}
