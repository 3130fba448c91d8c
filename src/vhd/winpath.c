/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhd/winpath.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

/* ---- UTF-16 and UTF-8: RFC 2781, RFC 3629 ---- */

static uint32_t unit(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static bool is_high(uint32_t u)
{
	return u >= 0xd800 && u < 0xdc00;
}

static bool is_low(uint32_t u)
{
	return u >= 0xdc00 && u < 0xe000;
}

/* Bytes of the character at p, of at most n; 0 when it is none. */
static size_t take_utf16(const uint8_t *p, size_t n, uint32_t *ret)
{
	uint32_t u = unit(p), low;

	if (!is_high(u) && !is_low(u)) {
		*ret = u;
		return 2;
	}
	if (is_low(u) || n < 4 || !is_low(low = unit(p + 2)))
		return 0;
	*ret = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
	return 4;
}

static size_t put_utf8(char *p, uint32_t c)
{
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		p[i] = (char)(0x80 | (c & 0x3f));
	p[0] = (char)(n == 1 ? c : lead[n] | c);
	return n;
}

static size_t take_utf8(const char *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = (const uint8_t *)s;
	size_t n = p[0] < 0x80             ? 1
		   : (p[0] & 0xe0) == 0xc0 ? 2
		   : (p[0] & 0xf0) == 0xe0 ? 3
		   : (p[0] & 0xf8) == 0xf0 ? 4
					   : 0;
	uint32_t c = n == 1 ? p[0] : n ? p[0] & (0x7fu >> n) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (!n || c < least[n] || c > 0x10ffff || is_high(c) || is_low(c))
		return 0;
	*ret = c;
	return n;
}

static int to_utf8(const uint8_t *p, size_t bytes, char *ret, size_t size)
{
	size_t at = 0;

	while (bytes >= 2) {
		uint32_t c;
		size_t n = take_utf16(p, bytes, &c);

		if (!n || !c || c == '\n')
			return -EINVAL;
		if (at + 4 >= size)
			return -ENAMETOOLONG;
		at += put_utf8(ret + at, c == '\\' ? '/' : c);
		p += n;
		bytes -= n;
	}
	ret[at] = 0;
	return at ? 0 : -EINVAL;
}

/* ---- Windows' forms ---- */

static bool starts(const char *s, const char *with)
{
	return strncasecmp(s, with, strlen(with)) == 0;
}

static bool is_drive(const char *s)
{
	return ((s[0] | 32) >= 'a' && (s[0] | 32) <= 'z') && s[1] == ':' && s[2] == '/';
}

/* The part of it that is a path of the host, or NULL. */
static const char *strip(const char *s)
{
	if (starts(s, "//?/")) {
		s += 4;
		if (starts(s, "volume{")) {
			s = strchr(s, '}');
			return s && s[1] == '/' ? s + 1 : NULL;
		}
		return is_drive(s) ? s + 2 : NULL;
	}
	if (is_drive(s))
		return s + 2;
	if (s[0] == '/' && s[1] == '/')
		return NULL; /* a share */
	if (s[0] && s[1] == ':')
		return NULL; /* from a drive's current folder on */
	while (starts(s, "./")) {
		for (s += 2; *s == '/'; s++)
			;
	}
	return *s ? s : NULL;
}

int winpath_to_host(const void *utf16, size_t bytes, char *ret, size_t size)
{
	cleanup_free char *text = malloc(size + 64);
	const char *path;
	int r = text ? to_utf8(utf16, bytes, text, size + 64) : -ENOMEM;

	if (r < 0)
		return r;
	path = strip(text);
	if (!path)
		return -EINVAL;
	if (strlen(path) >= size)
		return -ENAMETOOLONG;
	strcpy(ret, path);
	return 0;
}

struct out {
	uint8_t *p;
	size_t at, size;
};

static int put_utf16(struct out *o, uint32_t c)
{
	uint32_t units[2] = { c, 0 };
	unsigned int n = 1;

	if (c >= 0x10000) {
		units[0] = 0xd800 + ((c - 0x10000) >> 10);
		units[1] = 0xdc00 + ((c - 0x10000) & 0x3ff);
		n = 2;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (o->size - o->at < 2)
			return -ENAMETOOLONG;
		o->p[o->at++] = (uint8_t)units[i];
		o->p[o->at++] = (uint8_t)(units[i] >> 8);
	}
	return 0;
}

static int put_text(struct out *o, const char *s)
{
	int r = 0;

	while (*s && r == 0) {
		uint32_t c;
		size_t n = take_utf8(s, &c);

		if (!n)
			return -EINVAL;
		r = put_utf16(o, c == '/' ? '\\' : c);
		s += n;
	}
	return r;
}

int winpath_from_host(const char *path, bool long_form, void *ret_utf16, size_t size,
		      size_t *ret_bytes)
{
	struct out o = { .p = ret_utf16, .size = size };
	int r;

	if (!*path || strchr(path, '\\'))
		return -EINVAL;
	if (*path == '/')
		r = put_text(&o, long_form ? "//?/C:" : "C:");
	else
		r = starts(path, "../") ? 0 : put_text(&o, "./");
	if (r == 0)
		r = put_text(&o, path);
	if (r == 0)
		*ret_bytes = o.at;
	return r;
}

/* ---- candidates ---- */

static void keep_new(struct image_parent *parent)
{
	for (unsigned int i = 0; i < parent->path_n; i++) {
		if (strcmp(parent->paths[i], parent->paths[parent->path_n]) == 0)
			return;
	}
	parent->path_n++;
}

void winpath_add(struct image_parent *parent, const void *utf16, size_t bytes)
{
	if (parent->path_n < IMAGE_PATHS_MAX &&
	    winpath_to_host(utf16, bytes, parent->paths[parent->path_n],
			    IMAGE_PATH_BYTES) == 0)
		keep_new(parent);
}

void winpath_add_names(struct image_parent *parent)
{
	unsigned int n = parent->path_n;

	for (unsigned int i = 0; i < n && parent->path_n < IMAGE_PATHS_MAX; i++) {
		const char *name = strrchr(parent->paths[i], '/');

		if (!name || !name[1] || strcmp(name, "/..") == 0)
			continue;
		strcpy(parent->paths[parent->path_n], name + 1);
		keep_new(parent);
	}
}
