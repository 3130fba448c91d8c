/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data integrity through the whole path: a guest's ring, scattered pages, the controller's channels, a raw file. With each engine of
 * asynchronous I/O and each cache mode; three channels at once.
 */
#include "vsp/storvsp/storvsp.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "unit/test.h"
#include "unit/vsp/storvsp/stor_guest.h"

#define BYTES (8u << 20)
#define SLOTS 24u
#define SLOT_BYTES (32u << 10) /* of guest memory, for one request */
#define ROUNDS 60u

static const struct {
	enum aio_engine engine;
	enum disk_cache cache;
} modes[] = {
	{ AIO_AUTO, DISK_CACHE_WRITEBACK },
	{ AIO_AUTO, DISK_CACHE_NONE },
	{ AIO_THREADS, DISK_CACHE_WRITEBACK },
	{ AIO_THREADS, DISK_CACHE_NONE },
};

static struct stor_guest sg;
static uint8_t *model;
static int fd;
static uint32_t seed;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

struct slot {
	bool write;
	uint32_t lba, blocks;
	unsigned int ch;
	struct stor_range ranges[2];
};

static uint8_t *slot_bytes(unsigned int i)
{
	return sg.g.ram + STOR_DATA_GPA + i * SLOT_BYTES;
}

/* Two ranges, split anywhere, the first not at the begin of its page; where byte n of the request lies. */
static uint8_t *byte_at(const struct slot *s, uint32_t n)
{
	const struct stor_range *r = &s->ranges[n < s->ranges[0].bytes ? 0 : 1];

	if (r == &s->ranges[1])
		n -= s->ranges[0].bytes;
	return sg.g.ram + r->gpa + r->offset + n;
}

static void plan(struct slot *s, unsigned int i)
{
	uint32_t bytes, slice = BYTES / 512 / SLOTS;

	s->blocks = 1 + any(24);
	/* A slice of the disk for each, so that requests at the same time do not meet. */
	s->lba = i * slice + any(slice - s->blocks);
	s->write = any(2);
	s->ch = any(3);
	bytes = s->blocks * 512;
	s->ranges[0] = (struct stor_range){ .bytes = 1 + any(bytes - 1),
					    .offset = any(4096),
					    .gpa = STOR_DATA_GPA + i * SLOT_BYTES };
	s->ranges[1] = (struct stor_range){ .bytes = bytes - s->ranges[0].bytes };
	s->ranges[1].gpa = s->ranges[0].gpa +
			   align_up(s->ranges[0].bytes + s->ranges[0].offset, 4096);
}

static void start(struct slot *s, unsigned int i, uint64_t *ret_id)
{
	struct vstor_packet p = stor_guest_rw(0, s->write, s->lba, (uint16_t)s->blocks);

	memset(slot_bytes(i), 0xdd, SLOT_BYTES);
	for (uint32_t n = 0; s->write && n < s->blocks * 512; n++) {
		*byte_at(s, n) = (uint8_t)any(256);
		model[s->lba * 512 + n] = *byte_at(s, n);
	}
	if (s->write && any(4) == 0)
		p.srb.cdb[1] = 0x08; /* FUA */
	*ret_id = stor_guest_send(&sg, s->ch, &p, s->ranges, 2);
}

static void check(const struct slot *s)
{
	uint32_t n = 0;

	while (n < s->blocks * 512 && *byte_at(s, n) == model[s->lba * 512 + n])
		n++;
	ck_assert_uint_eq(n, s->blocks * 512);
}

static void round_trip(void)
{
	struct slot slots[SLOTS];
	uint64_t ids[SLOTS];
	struct vstor_packet p;

	for (unsigned int i = 0; i < SLOTS; i++) {
		plan(&slots[i], i);
		start(&slots[i], i, &ids[i]);
	}
	for (unsigned int ch = 0; ch < 3; ch++) {
		unsigned int left = 0;

		for (unsigned int i = 0; i < SLOTS; i++)
			left += slots[i].ch == ch;
		while (left--) {
			uint64_t id = stor_guest_recv(&sg, ch, &p), i = id - ids[0];

			ck_assert_uint_lt(i, SLOTS);
			ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
			ck_assert_uint_eq(p.srb.data_transfer_length,
					  slots[i].blocks * 512);
			check(&slots[i]);
		}
	}
}

static void attach(enum disk_cache cache)
{
	char path[] = "/tmp/test_storvsp.XXXXXX";
	struct raw_params raw = { .cache = cache };
	struct scsi_dev *dev;
	struct disk *disk;

	raw.fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(raw.fd, 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	ck_assert_int_eq(ftruncate(raw.fd, BYTES), 0);
	ck_assert_int_eq(raw_open(&raw, &disk), 0);
	ck_assert_int_eq(scsi_disk_new(disk, &dev), 0);
	ck_assert_int_eq(storvsp_attach(sg.s, 0, dev), 0);
}

START_TEST(keeps_the_data)
{
	uint8_t *file = malloc(BYTES);
	struct vstor_packet p;

	model = calloc(1, BYTES);
	seed = (uint32_t)_i + 1;
	stor_guest_init(&sg, modes[_i].engine);
	attach(modes[_i].cache);
	stor_guest_start(&sg, VSTOR_VERSION_WIN10);
	stor_guest_start_subs(&sg);
	for (unsigned int i = 0; i < ROUNDS; i++)
		round_trip();
	stor_guest_command(&sg, 0, 0, (uint8_t[10]){ 0x35 }, 10, VSTOR_DATA_NONE, 0, &p);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	ck_assert_int_eq(pread(fd, file, BYTES, 0), BYTES);
	ck_assert(memcmp(file, model, BYTES) == 0);
	stor_guest_done(&sg);
	close(fd);
	free(file);
	free(model);
}
END_TEST

/* The largest transfer, from and to pages with an offset: one page more than its size. */
START_TEST(the_largest_transfer)
{
	struct vstor_packet w = stor_guest_rw(0, true, 8, 2048), r, p;
	struct stor_range range = { .bytes = STORVSP_TRANSFER_MAX,
				    .offset = 512,
				    .gpa = STOR_DATA_GPA };
	uint8_t *data, *copy = malloc(STORVSP_TRANSFER_MAX);

	stor_guest_init(&sg, modes[_i].engine);
	attach(modes[_i].cache);
	stor_guest_start(&sg, VSTOR_VERSION_WIN10);
	data = sg.g.ram + STOR_DATA_GPA + 512;
	for (uint32_t i = 0; i < STORVSP_TRANSFER_MAX; i++)
		copy[i] = data[i] = (uint8_t)(i * 7 + (i >> 12));
	stor_guest_send(&sg, 0, &w, &range, 1);
	stor_guest_recv(&sg, 0, &p);
	ck_assert_uint_eq(p.srb.srb_status, VSTOR_SRB_SUCCESS);
	memset(data, 0, STORVSP_TRANSFER_MAX);
	r = stor_guest_rw(0, false, 8, 2048);
	stor_guest_send(&sg, 0, &r, &range, 1);
	stor_guest_recv(&sg, 0, &p);
	ck_assert_uint_eq(p.srb.data_transfer_length, STORVSP_TRANSFER_MAX);
	ck_assert(memcmp(data, copy, STORVSP_TRANSFER_MAX) == 0);
	stor_guest_done(&sg);
	close(fd);
	free(copy);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("storvsp_data");
	TCase *t = tcase_create("storvsp_data");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, keeps_the_data, 0, ARRAY_SIZE(modes));
	tcase_add_loop_test(t, the_largest_transfer, 0, ARRAY_SIZE(modes));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
