/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/guid.h"

/* One UTF-8 character (Unicode 15, table 3-7); its length, 0 for bytes that are none. */
static size_t utf8_next(const char *s, uint32_t *ret)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	if (p[0] >= 0xf8 || (p[0] & 0xc0) == 0x80)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* Controls, and what makes a terminal or a reader show another text than is there (UAX #9, explicit directions). */
static bool not_printable(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xffff);
}

static int bad(struct config_error *e, const char *why)
{
	snprintf(e->message, sizeof(e->message), "name: %s", why);
	return -EINVAL;
}

int config_check_name(const char *name, struct config_error *e)
{
	size_t chars = 0, len = strlen(name);
	struct guid g;
	uint32_t c;

	for (const char *p = name; *p; chars++) {
		size_t n = utf8_next(p, &c);

		if (!n)
			return bad(e, "must be UTF-8");
		if (c == '/' || not_printable(c))
			return bad(e, "must hold no '/' and no control character");
		p += n;
	}
	if (!chars || chars > CONFIG_NAME_CHARS)
		return bad(e, "must have 1 to 100 characters");
	if (name[0] == ' ' || name[len - 1] == ' ')
		return bad(e, "must not begin or end with a blank");
	if (guid_parse(name, &g) == 0)
		return bad(
			e,
			"must not have the form of a UUID, which stands for a VM's id");
	return 0;
}
