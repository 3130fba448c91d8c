/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel images: the first byte says from what an image is made: the input as it is, or a good image of one kind with bytes of it
 * replaced, (offset, value) by (offset, value), so that single fields are reached behind the checks of others.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "unit/vmwp/kernels.h"
#include "vmwp/loader.h"

#define MEMORY (4ull << 20)

union image {
	struct bz bz;
	struct pvh64 p64;
	struct pvh32 p32;
	uint8_t bytes[sizeof(struct bz)];
};

static void patch(union image *image, size_t len, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 3 <= size; i += 3)
		image->bytes[(data[i] | data[i + 1] << 8) % len] = data[i + 2];
}

/* The length of the image in *image, which is then to be loaded; 0: the input itself. */
static size_t make(union image *image, uint8_t kind)
{
	switch (kind & 3) {
	case 1:
		bz_good(&image->bz);
		image->bz.hdr.pref_address = 0x100000;
		image->bz.hdr.init_size = 0x100000;
		return sizeof(image->bz);
	case 2:
		pvh64_good(&image->p64);
		return sizeof(image->p64);
	case 3:
		pvh32_good(&image->p32);
		return sizeof(image->p32);
	default:
		return 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guestmem *mem;
	static union image image;
	struct loader_input in = { .initrd = -1, .kernel_name = "k", .cmdline = "a" };
	struct loader_error error = { .text = "" };
	struct vp_start start;
	size_t len;
	int r;

	if (!size || (!mem && guestmem_new(MEMORY, &mem) < 0))
		return 0;
	len = make(&image, data[0]);
	if (len)
		patch(&image, len, data + 1, size - 1);
	in.mem = mem;
	in.kernel = memfd_create("fuzz", MFD_CLOEXEC);
	if (write(in.kernel, len ? image.bytes : data + 1, len ? len : size - 1) < 0)
		abort();
	r = loader_load(&in, &start, &error);
	/* Either a start inside RAM, or a message. */
	if (r == 0 ? !guestmem_ptr(mem, start.rip, 1) : error.text[0] == 0)
		abort();
	close(in.kernel);
	if (guestmem_discard(mem) < 0)
		abort();
	return 0;
}
