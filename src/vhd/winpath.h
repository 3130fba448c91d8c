/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths as images hold them: Windows', in UTF-16, little-endian. Here "C:" stands for the host's root: "/vm/a.vhdx" is written "C:\vm\a.vhdx", and
 * of any drive or volume the part behind it is read as from the root on. Thread: any. No state.
 */
#ifndef VHD_WINPATH_H
#define VHD_WINPATH_H

#include "vhd/image.h"

/*
 * The host's path of a Windows path, NUL-terminated: absolute with a leading "/", else from the child's folder on. -EINVAL for one that has none (a network
 * share, a bad character, nothing), -ENAMETOOLONG.
 */
int winpath_to_host(const void *utf16, size_t bytes, char *ret, size_t size) __must_check;

/*
 * The other way, without a final NUL: "a/b" is ".\a\b", "/a/b" is "C:\a\b", with `long_form` "\\?\C:\a\b". -EINVAL for what is not UTF-8 or has
 * a "\", -ENAMETOOLONG when it is longer than `size` bytes.
 */
int winpath_from_host(const char *path, bool long_form, void *ret_utf16, size_t size,
		      size_t *ret_bytes) __must_check;

/* Adds a candidate, unless it is there already, is no path of the host, or there is no room. */
void winpath_add(struct image_parent *parent, const void *utf16, size_t bytes);
/* After all others: each candidate's last name, in the child's own folder, where images that were copied lie. */
void winpath_add_names(struct image_parent *parent);

#endif
