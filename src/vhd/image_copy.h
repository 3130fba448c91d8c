/* SPDX-License-Identifier: BSD-2-Clause */
/* What a disk holds into another, with many requests under way and bounded memory: for conversion and merging. */
#ifndef VHD_IMAGE_COPY_H
#define VHD_IMAGE_COPY_H

#include "vhd/image_ops.h"

/*
 * All that `from` reads as, into `to`, which reads as zeros and is at least as large; zeros are left out. Or, with `own`, only what the image `from` itself
 * has and its parents have not, zeros too. `to` is flushed at the end. In the calling thread, with an aio of its own. -ECANCELED, -EIO, -ENOSPC …
 */
int image_copy(struct disk *from, struct disk *to, bool own,
	       const struct image_progress *progress) __must_check;

#endif
