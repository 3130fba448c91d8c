/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The POST port 0x80: firmware and kernels say there how far they came, and write to it to pass a microsecond. The last byte is
 * kept for people who look at a guest that hangs.
 */
#include "chipset/device_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define POST_PORT 0x80u

struct post {
	const struct board_env *env; /* fixed after init */
	_Atomic uint8_t code;
};

static uint64_t post_read(void *opaque, uint64_t off, unsigned int len)
{
	return post_code(opaque);
}

static void post_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct post *p = opaque;

	p->code = (uint8_t)value;
}

static const struct iobus_ops post_ops = { .read = post_read, .write = post_write };

uint8_t post_code(const void *dev)
{
	const struct post *p = dev;

	return p->code;
}

static void post_reset(void *dev)
{
	struct post *p = dev;

	p->code = 0;
}

static void post_free(void *dev)
{
	struct post *p = dev;

	iobus_del(p->env->bus, IOBUS_PIO, POST_PORT);
	free(p);
}

static int post_new(const struct board_env *env, void **ret)
{
	struct post *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->env = env;
	r = iobus_add(env->bus, IOBUS_PIO, POST_PORT, 1, "post", &post_ops, p);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

const struct device_ops post_device = { "post", post_new, post_reset, post_free };
