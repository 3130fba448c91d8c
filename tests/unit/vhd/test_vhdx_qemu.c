/* SPDX-License-Identifier: BSD-2-Clause */
/* The other reader: what we make, qemu-img finds whole and equal; what it makes, we read and write. Skips where it is not installed. */
#include "vhd/vhdx.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "unit/test.h"

#define MIB (1u << 20)
#define BYTES (20u * MIB + 512)

static char folder[] = "/tmp/test_vhdx.XXXXXX";
static unsigned char *data, *buf;
static struct image_error error;
static int result;

__printf(1, 2) static int sh(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static bool have_qemu(void)
{
	if (sh("qemu-img --version >/dev/null 2>&1") == 0)
		return true;
	fprintf(stderr, "SKIP: qemu-img is not installed\n");
	return false;
}

static void done(struct disk_req *req, int r)
{
	result = r;
}

static void whole(int fd, enum disk_op what, unsigned char *p)
{
	struct aio_params ap = { 0 };
	struct image_file file = { .fd = fd, .format = IMAGE_VHDX };
	struct image_params params = { .files = &file,
				       .nfiles = 1,
				       .read_only = what == DISK_READ };
	struct iovec iov = { p, BYTES };
	struct disk_req req = {
		.op = what, .len = BYTES, .iov = &iov, .iovcnt = 1, .done = done
	};
	struct disk *disk;
	struct aio *aio;

	ck_assert_msg(image_open(&params, &disk, &error) == 0, "%s", error.message);
	ck_assert_str_eq(disk->ops->format, "vhdx");
	ck_assert_uint_eq(disk_bytes(disk), BYTES);
	ck_assert_int_eq(aio_new(&ap, &aio), 0);
	disk_submit(disk, aio, &req);
	aio_drain(aio);
	ck_assert_int_eq(result, 0);
	aio_free(aio);
	disk_unref(disk);
}

static int open_at(const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void setup(void)
{
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	data = calloc(1, BYTES);
	buf = malloc(BYTES);
	for (size_t i = 0; i < BYTES; i++) {
		if (i / MIB % 3)
			data[i] = (unsigned char)(i * 7 + (i >> 12));
	}
	fd = open_at("raw", O_RDWR | O_CREAT);
	ck_assert_int_eq(write(fd, data, BYTES), BYTES);
	close(fd);
}

static void teardown(void)
{
	sh("rm -rf %s", folder);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	free(data);
	free(buf);
}

static void check_with_qemu(void)
{
	ck_assert_int_eq(sh("qemu-img check -q %s/image.vhdx", folder), 0);
	ck_assert_int_eq(sh("qemu-img compare -q %s/raw %s/image.vhdx", folder, folder),
			 0);
}

START_TEST(qemu_reads_ours)
{
	static const struct vhdx_create_params rows[] = {
		{ .block_bytes = MIB },
		{ .block_bytes = 0 },
		{ .block_bytes = 2 * MIB, .fixed = true },
	};
	struct vhdx_create_params p = rows[_i];

	if (!have_qemu())
		return;
	p.disk_bytes = BYTES;
	p.fd = open_at("image.vhdx", O_RDWR | O_CREAT);
	ck_assert_int_eq(vhdx_create(&p, &error), 0);
	whole(p.fd, DISK_WRITE, data);
	check_with_qemu();
}
END_TEST

START_TEST(we_read_and_write_qemus)
{
	static const char *const options[] = {
		"subformat=dynamic,block_size=1M",
		"subformat=dynamic,block_size=256M,log_size=2M",
		"subformat=dynamic,block_state_zero=off",
		"subformat=fixed",
	};

	if (!have_qemu())
		return;
	ck_assert_int_eq(sh("qemu-img convert -f raw -O vhdx -o %s %s/raw %s/image.vhdx",
			    options[_i], folder, folder),
			 0);
	whole(open_at("image.vhdx", O_RDWR), DISK_READ, buf);
	ck_assert_int_eq(memcmp(data, buf, BYTES), 0);
	whole(open_at("image.vhdx", O_RDWR), DISK_WRITE, data);
	check_with_qemu();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_qemu");
	TCase *t = tcase_create("vhdx_qemu");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, qemu_reads_ours, 0, 3);
	tcase_add_loop_test(t, we_read_and_write_qemus, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
