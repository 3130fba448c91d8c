/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/env.h"

void core_log(const struct core_env *env, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	env->log(env->opaque, fmt, ap);
	va_end(ap);
}
