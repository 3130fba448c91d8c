/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vhd/readers.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "unit/test.h"

#define MIB (1u << 20)

unsigned char *readers_data, *readers_buf;
struct image_error readers_error;
char readers_folder[] = "/tmp/test_readers.XXXXXX";
static int result;

const char *readers_no_qemu(void)
{
	return system("qemu-img --version >/dev/null 2>&1") == 0
		       ? NULL
		       : "qemu-img is not installed (qemu-utils)";
}

const char *readers_no_libvhdi(void)
{
	return system("vhdiinfo -V >/dev/null 2>&1 && "
		      "/usr/bin/python3 -c 'import pyvhdi' 2>/dev/null") == 0
		       ? NULL
		       : "libvhdi is not installed (libvhdi-utils, python3-libvhdi)";
}

int readers_sh(const char *fmt, ...)
{
	char command[1024], line[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "cd %s && %s", readers_folder, command);
	return system(line);
}

int readers_open(const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", readers_folder, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

void readers_setup(void)
{
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(readers_folder));
	readers_data = calloc(1, READERS_BYTES);
	readers_buf = calloc(1, 2 * READERS_BYTES);
	for (size_t i = 0; i < READERS_BYTES; i++) {
		if (i / MIB % 3)
			readers_data[i] = (unsigned char)(i * 7 + (i >> 12));
	}
	fd = readers_open("raw", O_RDWR | O_CREAT);
	ck_assert_int_eq(write(fd, readers_data, READERS_BYTES), READERS_BYTES);
	close(fd);
}

void readers_teardown(void)
{
	ck_assert_int_eq(readers_sh("rm -r -- *"), 0);
	rmdir(readers_folder);
	strcpy(readers_folder + strlen(readers_folder) - 6, "XXXXXX");
	free(readers_data);
	free(readers_buf);
}

void readers_make(const char *name, const struct image_create_params *params)
{
	int fd = readers_open(name, O_RDWR | O_CREAT | O_EXCL);

	ck_assert_msg(image_create(fd, params, &readers_error) == 0, "%s",
		      readers_error.message);
	close(fd);
}

static void done(struct disk_req *req, int r)
{
	result = r;
}

void readers_whole(const char *const *names, unsigned int n, enum image_format format,
		   enum disk_op op, unsigned char *p, uint64_t bytes)
{
	struct aio_params ap = { 0 };
	struct image_file files[IMAGE_CHAIN_MAX];
	struct image_params params = { .files = files,
				       .nfiles = n,
				       .read_only = op == DISK_READ };
	struct iovec iov = { p, bytes };
	struct disk_req req = {
		.op = op, .len = bytes, .iov = &iov, .iovcnt = 1, .done = done
	};
	struct disk *disk;
	struct aio *aio;

	for (unsigned int i = 0; i < n; i++) {
		files[i].fd = readers_open(names[i], i ? O_RDONLY : O_RDWR);
		files[i].format = format;
	}
	ck_assert_msg(image_open(&params, &disk, &readers_error) == 0, "%s",
		      readers_error.message);
	ck_assert_uint_eq(disk_bytes(disk), bytes);
	ck_assert_int_eq(aio_new(&ap, &aio), 0);
	disk_submit(disk, aio, &req);
	aio_drain(aio);
	ck_assert_int_eq(result, 0);
	aio_free(aio);
	disk_unref(disk);
}

void readers_check(const char *name, enum image_format format)
{
	int fd = readers_open(name, O_RDONLY);
	struct image_check found;

	ck_assert_msg(image_check(fd, format, &found, NULL, &readers_error) == 0, "%s",
		      readers_error.message);
	ck_assert_msg(!found.errors, "%s", found.first);
	close(fd);
}
