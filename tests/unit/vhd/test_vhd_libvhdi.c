/* SPDX-License-Identifier: BSD-2-Clause */
/* VHD and VHDX, and libvhdi, which only reads: what we make, and a chain of children too, it finds equal, with the names and identities that it should have. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vhd/readers.h"

#define MIB (1u << 20)

/* Compares a chain, leaf first, with `raw`. No read goes from one block to the next: there libvhdi loses what a child has. */
static const char script[] =
	"import pyvhdi, sys\n"
	"chain = [pyvhdi.file() for _ in sys.argv[1:]]\n"
	"for f, name in zip(chain, sys.argv[1:]): f.open(name)\n"
	"for child, parent in zip(chain, chain[1:]):\n"
	"    assert child.parent_identifier == parent.identifier, 'identity'\n"
	"    child.set_parent(parent)\n"
	"raw = open('raw', 'rb').read()\n"
	"assert chain[0].media_size == len(raw), chain[0].media_size\n"
	"for at in range(0, len(raw), 65536):\n"
	"    assert chain[0].read_buffer(65536) == raw[at:at + 65536], at\n";

static int compare(const char *names)
{
	int fd = readers_open("compare.py", O_RDWR | O_CREAT | O_TRUNC);

	ck_assert_int_eq(write(fd, script, strlen(script)), (ssize_t)strlen(script));
	close(fd);
	return readers_sh("/usr/bin/python3 compare.py %s", names);
}

START_TEST(libvhdi_reads_ours)
{
	static const struct {
		struct image_create_params p;
		const char *type;
	} rows[] = {
		{ { .format = IMAGE_VHD, .kind = IMAGE_DYNAMIC }, "Dynamic" },
		{ { .format = IMAGE_VHD, .kind = IMAGE_DYNAMIC, .block_bytes = MIB / 2 },
		  "Dynamic" },
		{ { .format = IMAGE_VHD, .kind = IMAGE_FIXED }, "Fixed" },
		{ { .format = IMAGE_VHDX, .kind = IMAGE_DYNAMIC, .block_bytes = MIB },
		  "Dynamic" },
		{ { .format = IMAGE_VHDX, .kind = IMAGE_DYNAMIC }, "Dynamic" },
		{ { .format = IMAGE_VHDX, .kind = IMAGE_FIXED, .block_bytes = MIB },
		  "Fixed" },
	};
	struct image_create_params p = rows[_i].p;
	const char *image = p.format == IMAGE_VHD ? "image.vhd" : "image.vhdx";

	p.disk_bytes = READERS_BYTES;
	readers_make(image, &p);
	readers_whole(&image, 1, p.format, DISK_WRITE, readers_data, READERS_BYTES);
	ck_assert_int_eq(compare(image), 0);
	ck_assert_int_eq(
		readers_sh("vhdiinfo %s | grep -q 'Disk type.*%s'", image, rows[_i].type),
		0);
}
END_TEST

/* A third of the content is written to each image of the chain. The pieces are whole bytes of the bitmap: libvhdi takes no notice of single bits. */
#define PIECE (24ull * 512)

static struct disk *open_chain(const char *const *names, unsigned int n,
			       enum image_format format)
{
	struct image_file files[3];
	struct image_params params = { .files = files, .nfiles = n };
	struct disk *disk;

	for (unsigned int i = 0; i < n; i++)
		files[i] = (struct image_file){
			readers_open(names[i], i ? O_RDONLY : O_RDWR), format
		};
	ck_assert_msg(image_open(&params, &disk, &readers_error) == 0, "%s",
		      readers_error.message);
	return disk;
}

static void done(struct disk_req *req, int r)
{
	ck_assert_int_eq(r, 0);
}

static void write_third(struct disk *disk, unsigned int third)
{
	struct aio_params ap = { 0 };
	struct aio *aio;

	ck_assert_int_eq(aio_new(&ap, &aio), 0);
	for (uint64_t off = 0, n = 0; off < READERS_BYTES; off += PIECE, n++) {
		uint64_t len = MIN(PIECE, READERS_BYTES - off);
		struct iovec iov = { readers_data + off, len };
		struct disk_req req = { .op = DISK_WRITE,
					.off = off,
					.len = len,
					.iov = &iov,
					.iovcnt = 1,
					.done = done };

		if ((n + off / MIB) % 3 != third)
			continue;
		disk_submit(disk, aio, &req);
		aio_drain(aio);
	}
	aio_free(aio);
}

START_TEST(libvhdi_reads_a_chain)
{
	static const char *const all_names[][3] = {
		{ "b.avhd", "a.avhd", "root.vhd" }, { "b.avhdx", "a.avhdx", "root.vhdx" }
	};
	static const uint32_t all_blocks[][2] = { { MIB / 2, 2 * MIB },
						  { MIB, 2 * MIB } };
	const enum image_format format = _i / 2 ? IMAGE_VHDX : IMAGE_VHD;
	const char *const *names = all_names[_i / 2];
	const uint32_t *blocks = all_blocks[_i / 2];
	struct image_create_params p = { .format = format,
					 .kind = _i % 2 ? IMAGE_FIXED : IMAGE_DYNAMIC,
					 .disk_bytes = READERS_BYTES };
	struct disk *disk;

	readers_make(names[2], &p);
	for (unsigned int i = 2;; i--) {
		disk = open_chain(names + i, 3 - i, format);
		write_third(disk, i);
		disk_unref(disk);
		if (!i)
			break;
		/* A VHDX that is written has another identity, once a session. */
		disk = open_chain(names + i, 3 - i, format);
		p = (struct image_create_params){ .format = format,
						  .kind = IMAGE_DIFFERENCING,
						  .block_bytes = blocks[i - 1],
						  .parent = disk,
						  .parent_relative = names[i] };
		readers_make(names[i - 1], &p);
		disk_unref(disk);
	}
	ck_assert_int_eq(
		compare(_i / 2 ? "b.avhdx a.avhdx root.vhdx" : "b.avhd a.avhd root.vhd"),
		0);
	/* It shows no names of a VHDX' parent. */
	if (format == IMAGE_VHD)
		ck_assert_int_eq(readers_sh("vhdiinfo %s | grep -q 'Parent filename.*%s'",
					    names[0], names[1]),
				 0);
	ck_assert_int_eq(readers_sh("vhdiinfo %s | grep -q 'Disk type.*Diff'", names[0]),
			 0);
	readers_whole(names, 3, format, DISK_READ, readers_buf, READERS_BYTES);
	ck_assert_int_eq(memcmp(readers_data, readers_buf, READERS_BYTES), 0);
	readers_check(names[0], format);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhd_libvhdi");
	TCase *t = tcase_create("vhd_libvhdi");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, readers_setup, readers_teardown);
	tcase_add_loop_test(t, libvhdi_reads_ours, 0, 6);
	tcase_add_loop_test(t, libvhdi_reads_a_chain, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN_NEEDS(suite, readers_no_libvhdi)
