/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts. A guest writes, discards and flushes; every change of the file is on a tape. At each point of it, several times with other
 * unsynced changes lost or torn, the image must open, be found whole, and hold what was flushed. Each unit (4 KiB) that the guest uses has a
 * history of values: after a cut each sector must hold the last value that was promised to be durable, or a later one.
 */
#include "vhd/vhdx.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include "unit/test.h"
#include "unit/vhd/tape.h"

#define MIB (1ull << 20)
#define UNIT 4096u
#define BLOCKS 8u
#define UNITS_A_BLOCK 4u
#define UNITS (BLOCKS * UNITS_A_BLOCK)
#define VALUES 256u
#define STEPS 350u
#define CUTS_A_POINT 4u
#define NEVER SIZE_MAX

/* The blocks are so far apart that each has a page of the block table for itself. */
#define DISK_BYTES (5ull << 30)
#define BLOCK_DISTANCE (600ull * MIB)

struct value {
	uint32_t value;
	size_t submitted, durable; /* as places on the tape */
};

static struct unit {
	struct value values[VALUES];
	unsigned int n;
} units[UNITS];

static struct disk *disk;
static struct image_error error;
static unsigned int waiting;
static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t unit_offset(unsigned int u)
{
	return u / UNITS_A_BLOCK * BLOCK_DISTANCE + u % UNITS_A_BLOCK * (MIB / 4) +
	       (u & 1 ? 0 : MIB / 8);
}

struct op {
	struct disk_req req;
	struct iovec iov[2];
	uint32_t data[UNIT / 4];
	unsigned int unit, units; /* that it changes */
};

static void promise(struct value *v)
{
	if (v->durable == NEVER)
		v->durable = tape_len();
}

static void done(struct disk_req *req, int r)
{
	struct op *op = container_of(req, struct op, req);

	ck_assert_int_eq(r, 0);
	waiting--;
	if (!(req->flags & DISK_FUA))
		return;
	for (unsigned int u = op->unit; u < op->unit + op->units; u++)
		promise(&units[u].values[units[u].n - 1]);
}

static void submit(struct op *op)
{
	op->req.done = done;
	op->req.iov = op->iov;
	waiting++;
	disk_submit(disk, NULL, &op->req);
}

static void drain(void)
{
	tape_drain();
	ck_assert_uint_eq(waiting, 0);
}

static void new_value(unsigned int u, uint32_t value)
{
	struct unit *unit = &units[u];

	ck_assert_uint_lt(unit->n, VALUES);
	unit->values[unit->n++] = (struct value){ value, tape_len(), NEVER };
}

static void write_unit(struct op *op, unsigned int u, uint32_t value, unsigned int flags)
{
	*op = (struct op){ .unit = u, .units = 1 };
	for (unsigned int i = 0; i < UNIT / 4; i++)
		op->data[i] = value;
	op->req.op = DISK_WRITE;
	op->req.flags = flags;
	op->req.off = unit_offset(u);
	op->req.len = UNIT;
	op->req.iovcnt = 2;
	op->iov[0] = (struct iovec){ op->data, 1024 };
	op->iov[1] = (struct iovec){ op->data + 256, UNIT - 1024 };
	new_value(u, value);
	submit(op);
}

static void zero_block(struct op *op, unsigned int block, enum disk_op what,
		       unsigned int flags)
{
	*op = (struct op){ .unit = block * UNITS_A_BLOCK, .units = UNITS_A_BLOCK };
	op->req.op = what;
	op->req.flags = flags;
	op->req.off = block * BLOCK_DISTANCE;
	op->req.len = MIB;
	for (unsigned int u = op->unit; u < op->unit + op->units; u++)
		new_value(u, 0);
	submit(op);
}

static void flush(void)
{
	static struct op op;

	op = (struct op){ .req.op = DISK_FLUSH };
	submit(&op);
	drain();
	for (unsigned int u = 0; u < UNITS; u++) {
		for (unsigned int i = 0; i < units[u].n; i++)
			promise(&units[u].values[i]);
	}
}

/* Up to four requests at once, each for another block. */
static void step(uint32_t value)
{
	static struct op ops[4];
	unsigned int n = (unsigned int)(next_random() % ARRAY_SIZE(ops)) + 1;
	unsigned int block = (unsigned int)(next_random() % BLOCKS);

	for (unsigned int i = 0; i < n; i++, block = (block + 1) % BLOCKS) {
		unsigned int fua = next_random() % 8 == 0 ? DISK_FUA : 0;
		unsigned int u = block * UNITS_A_BLOCK +
				 (unsigned int)(next_random() % UNITS_A_BLOCK);

		switch (next_random() % 10) {
		case 0:
			zero_block(&ops[i], block, DISK_DISCARD, 0);
			break;
		case 1:
			zero_block(&ops[i], block, DISK_WRITE_ZEROES,
				   fua | (value & 1 ? DISK_MAY_UNMAP : 0));
			break;
		default:
			write_unit(&ops[i], u, value + i, fua);
		}
	}
	drain();
	if (next_random() % 3 == 0)
		flush();
}

static void open_file(int fd)
{
	struct image_layer p = { .fd = fd };

	ck_assert_msg(vhdx_open(&p, &disk, &error) == 0, "%s", error.message);
}

static void close_file(void)
{
	disk_unref(disk);
	disk = NULL;
}

static void record(void)
{
	struct vhdx_create_params p = { .fd = TAPE_LIVE,
					.disk_bytes = DISK_BYTES,
					.block_bytes = MIB };

	tape_reset();
	memset(units, 0, sizeof(units));
	ck_assert_int_eq(vhdx_create(&p, &error), 0);
	for (unsigned int u = 0; u < UNITS; u++) {
		new_value(u, 0);
		units[u].values[0].durable = 0;
	}
	tape_start();
	open_file(TAPE_LIVE);
	for (uint32_t i = 0; i < STEPS; i++) {
		step((i + 1) * 16);
		if (i == STEPS / 2) {
			close_file();
			open_file(TAPE_LIVE);
		}
	}
	close_file();
}

/* ---- after a cut ---- */

static bool is_allowed(const struct unit *u, size_t cut, uint32_t value)
{
	for (unsigned int i = u->n; i-- > 0;) {
		if (u->values[i].submitted > cut)
			continue;
		if (u->values[i].value == value)
			return true;
		if (u->values[i].durable <= cut)
			return false; /* older ones were overwritten for good */
	}
	return false;
}

static void read_unit(struct op *op, unsigned int u)
{
	*op = (struct op){ .req = { .op = DISK_READ,
				    .off = unit_offset(u),
				    .len = UNIT,
				    .iovcnt = 1 } };
	op->iov[0] = (struct iovec){ op->data, UNIT };
	submit(op);
}

static void verify_unit(const struct op *op, unsigned int u, size_t cut)
{
	for (unsigned int i = 0; i < UNIT / 4; i++) {
		if (op->data[i] != op->data[i - i % 128])
			ck_abort_msg("cut %zu: a sector of unit %u is torn", cut, u);
		if (i % 128 == 0 && !is_allowed(&units[u], cut, op->data[i]))
			ck_abort_msg("cut %zu: unit %u holds %u", cut, u, op->data[i]);
	}
}

static void verify(size_t cut)
{
	static struct op ops[UNITS];
	struct image_check found;

	open_file(TAPE_CUT);
	for (unsigned int u = 0; u < UNITS; u++)
		read_unit(&ops[u], u);
	drain();
	for (unsigned int u = 0; u < UNITS; u++)
		verify_unit(&ops[u], u, cut);
	close_file();
	ck_assert_msg(vhdx_check(TAPE_CUT, &found, NULL, &error) == 0, "%s",
		      error.message);
	ck_assert_msg(!found.errors, "cut %zu: %s", cut, found.first);
}

START_TEST(every_cut_leaves_what_was_flushed)
{
	/* Thousands of logs are read: their pages are kept, not given back and faulted in each time. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	seed = 0x9e3779b97f4a7c15 + (uint64_t)_i;
	record();
	for (size_t cut = 0; cut <= tape_len(); cut++) {
		for (unsigned int i = 0; i < CUTS_A_POINT; i++) {
			tape_cut(cut, &seed);
			verify(cut);
		}
	}
	ck_assert_uint_gt(tape_len() * CUTS_A_POINT, 8000);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhdx_cuts");
	TCase *t = tcase_create("vhdx_cuts");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, every_cut_leaves_what_was_flushed, 0, 1);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
