/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char units[] = "KMGT";

/* The shift that a suffix means; -1 for none that is known. */
static int suffix_shift(const char *s)
{
	const char *u;
	char unit = *s;

	if (!unit || strcmp(s, "B") == 0)
		return 0;
	if (unit >= 'a' && unit <= 'z')
		unit = (char)(unit - 'a' + 'A');
	u = strchr(units, unit);
	if (!u)
		return -1;
	s++;
	if (*s && strcmp(s, "B") != 0 && strcmp(s, "iB") != 0)
		return -1;
	return (int)(u - units + 1) * 10;
}

int config_parse_size(const char *text, uint64_t *ret)
{
	uint64_t n = 0;
	const char *p = text;
	int shift;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (mul_overflow(n, UINT64_C(10), &n) ||
		    add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -ERANGE;
	}
	shift = suffix_shift(p);
	if (shift < 0)
		return -EINVAL;
	if (mul_overflow(n, UINT64_C(1) << shift, &n))
		return -ERANGE;
	*ret = n;
	return 0;
}

void config_format_size(uint64_t bytes, char ret[CONFIG_SIZE_STR])
{
	size_t unit = 0;

	while (bytes && unit < sizeof(units) - 1 && is_aligned(bytes, 1024)) {
		bytes >>= 10;
		unit++;
	}
	if (unit)
		snprintf(ret, CONFIG_SIZE_STR, "%" PRIu64 "%c", bytes, units[unit - 1]);
	else
		snprintf(ret, CONFIG_SIZE_STR, "%" PRIu64, bytes);
}
