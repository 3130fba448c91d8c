/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes what a raw file holds into an image, as a guest would.
 * usage: fill [--zeros] RAW IMAGE [PARENT]...    (nearest parent first)
 * Holes and zeros are left out; with --zeros they are written, so that the image has a place for all of its disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/image.h"
#include "vhd/image_copy.h"

#define FILES_MOST 8
#define PIECE_BYTES (1u << 20)

struct one {
	struct disk_req req;
	struct iovec iov;
	int r;
};

static void has_ended(struct disk_req *req, int r)
{
	container_of(req, struct one, req)->r = r;
}

static int move(struct disk *d, struct aio *aio, enum disk_op op, char *buf, uint64_t off,
		size_t n)
{
	struct one o = { .iov = { buf, n } };

	o.req = (struct disk_req){ .op = op,
				   .off = off,
				   .len = n,
				   .iov = &o.iov,
				   .iovcnt = 1,
				   .done = has_ended };
	disk_submit(d, aio, &o.req);
	aio_drain(aio);
	return o.r;
}

/* All of it, one piece after the other. */
static int fill_all(struct disk *from, struct disk *to)
{
	struct aio_params params = { .depth = 1 };
	char *buf = malloc(PIECE_BYTES);
	struct aio *aio = NULL;
	int r = buf ? aio_new(&params, &aio) : -ENOMEM;

	for (uint64_t off = 0; r == 0 && off < disk_bytes(from); off += PIECE_BYTES) {
		size_t n = (size_t)MIN(disk_bytes(from) - off, (uint64_t)PIECE_BYTES);

		r = move(from, aio, DISK_READ, buf, off, n);
		if (r == 0)
			r = move(to, aio, DISK_WRITE, buf, off, n);
	}
	aio_free(aio);
	free(buf);
	return r;
}

static int open_chain(char **paths, unsigned int n, bool read_only, struct disk **ret)
{
	struct image_file files[FILES_MOST];
	struct image_params params = { .files = files,
				       .nfiles = n,
				       .read_only = read_only };
	struct image_error error = { "" };
	int r;

	for (unsigned int i = 0; i < n; i++) {
		files[i].format = image_format_of(paths[i]);
		files[i].fd =
			open(paths[i], (i || read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (files[i].fd < 0) {
			fprintf(stderr, "fill: %s: %m\n", paths[i]);
			return -errno;
		}
	}
	r = image_open(&params, ret, &error);
	if (r < 0)
		fprintf(stderr, "fill: %s %s\n", paths[error.file], error.message);
	return r;
}

int main(int argc, char **argv)
{
	bool all = argc > 1 && strcmp(argv[1], "--zeros") == 0;
	char **paths = argv + 1 + all;
	int n = argc - 1 - all, r;
	struct disk *from, *to;

	if (n < 2 || n > FILES_MOST + 1) {
		fputs("usage: fill [--zeros] RAW IMAGE [PARENT]...\n", stderr);
		return 2;
	}
	if (open_chain(paths, 1, true, &from) < 0 ||
	    open_chain(paths + 1, (unsigned int)n - 1, false, &to) < 0)
		return EXIT_FAILURE;
	r = all ? fill_all(from, to) : image_copy(from, to, false, NULL);
	disk_unref(from);
	disk_unref(to);
	if (r < 0)
		fprintf(stderr, "fill: %s: %s\n", paths[1], strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
