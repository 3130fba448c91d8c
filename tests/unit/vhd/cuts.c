/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vhd/cuts.h"

#include <malloc.h>
#include <string.h>
#include "unit/test.h"
#include "unit/vhd/tape.h"

#define UNIT 4096u
#define UNITS_A_BLOCK 4u
#define UNITS (CUTS_BLOCKS * UNITS_A_BLOCK)
#define VALUES 256u
#define NEVER SIZE_MAX
#define GO_ON 8u /* every so many cuts */

struct value {
	uint32_t value;
	size_t submitted, durable; /* as places on the tape */
};

static struct unit {
	struct value values[VALUES];
	unsigned int n;
} units[UNITS];

static struct disk *disk;
static const struct cuts *cuts;
static struct disk *(*open_cut)(int fd);
static unsigned int waiting;
static uint64_t seed;
size_t cuts_made;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t unit_offset(unsigned int u)
{
	return u / UNITS_A_BLOCK * cuts->distance +
	       u % UNITS_A_BLOCK * (cuts->block_bytes / 4) +
	       (u & 1 ? 0 : cuts->block_bytes / 8);
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

	if (r < 0)
		ck_abort_msg("a request ended with %d", r);
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
	op->req.off = block * cuts->distance;
	op->req.len = cuts->block_bytes;
	for (unsigned int u = op->unit; u < op->unit + op->units; u++)
		new_value(u, 0);
	submit(op);
}

static unsigned int units_used(void)
{
	return cuts->blocks * UNITS_A_BLOCK;
}

static void flush(void)
{
	static struct op op;

	op = (struct op){ .req.op = DISK_FLUSH };
	submit(&op);
	drain();
	for (unsigned int u = 0; u < units_used(); u++) {
		for (unsigned int i = 0; i < units[u].n; i++)
			promise(&units[u].values[i]);
	}
}

/* Up to four requests at once, each for another block. */
static void step(uint32_t value)
{
	static struct op ops[4];
	unsigned int n = (unsigned int)(next_random() % ARRAY_SIZE(ops)) + 1;
	unsigned int block = (unsigned int)(next_random() % cuts->blocks);

	for (unsigned int i = 0; i < n; i++, block = (block + 1) % cuts->blocks) {
		unsigned int fua = next_random() % 8 == 0 ? DISK_FUA : 0;
		unsigned int u = block * UNITS_A_BLOCK +
				 (unsigned int)(next_random() % UNITS_A_BLOCK);

		switch (next_random() % 10) {
		case 0:
			/* Where it is only a hint, it says nothing of the content. */
			if (disk->info.discard_zeroes)
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

static void close_file(void)
{
	disk_unref(disk);
	disk = NULL;
}

static void run_guest(void)
{
	disk = cuts->open(TAPE_LIVE);
	for (uint32_t i = 0; i < cuts->steps; i++) {
		step((i + 1) * 16);
		if (i % cuts->reopen == cuts->reopen - 1) {
			close_file();
			disk = cuts->open(TAPE_LIVE);
		}
	}
	close_file();
}

static void begin(const struct cuts *c, uint64_t first_seed)
{
	cuts = c;
	open_cut = c->open;
	seed = first_seed;
	ck_assert_uint_le(c->blocks, CUTS_BLOCKS);
	tape_reset();
	memset(units, 0, sizeof(units));
	cuts->make(TAPE_LIVE);
	for (unsigned int u = 0; u < units_used(); u++) {
		new_value(u, cuts->fresh);
		units[u].values[0].durable = 0;
	}
}

void cuts_record(const struct cuts *c, uint64_t first_seed)
{
	begin(c, first_seed);
	tape_start();
	run_guest();
}

void cuts_record_change(const struct cuts *c, uint64_t first_seed, void (*change)(int fd))
{
	begin(c, first_seed);
	run_guest();
	tape_start();
	/* Closed, all is durable: of each unit the last value counts. */
	for (unsigned int u = 0; u < units_used(); u++) {
		struct value *last = &units[u].values[units[u].n - 1];

		units[u].values[0] = (struct value){ last->value, 0, 0 };
		if (c->shown)
			units[u].values[0].value =
				c->shown(c, u / UNITS_A_BLOCK,
					 unit_offset(u) % c->distance, last->value);
		units[u].n = 1;
	}
	if (c->open_changed)
		open_cut = c->open_changed;
	change(TAPE_LIVE);
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

/* Half a kilobyte of a block that nobody wrote to. */
static void write_spare(void)
{
	static struct op op;

	op = (struct op){ .req = { .op = DISK_WRITE, .len = 512, .iovcnt = 1 } };
	op.req.off = cuts->blocks * cuts->distance + 1024;
	op.iov[0] = (struct iovec){ op.data, 512 };
	submit(&op);
	drain();
}

/* The image is used on: a block that nobody wrote to holds only what is written now. */
static void go_on(size_t cut)
{
	static struct op read;

	disk = open_cut(TAPE_CUT);
	write_spare();
	read = (struct op){ .req = { .op = DISK_READ, .len = UNIT, .iovcnt = 1 } };
	read.req.off = cuts->blocks * cuts->distance;
	read.iov[0] = (struct iovec){ read.data, UNIT };
	submit(&read);
	drain();
	for (unsigned int i = 0; i < UNIT / 4; i++) {
		uint32_t value = i / 128 == 2 ? 0 : cuts->fresh;

		if (read.data[i] != value)
			ck_abort_msg("cut %zu: a new block holds %x", cut, read.data[i]);
	}
	close_file();
	cuts->check(TAPE_CUT, cut);
}

static void verify(size_t cut)
{
	static struct op ops[UNITS];

	disk = open_cut(TAPE_CUT);
	for (unsigned int u = 0; u < units_used(); u++)
		read_unit(&ops[u], u);
	drain();
	for (unsigned int u = 0; u < units_used(); u++)
		verify_unit(&ops[u], u, cut);
	close_file();
	cuts->check(TAPE_CUT, cut);
}

void cuts_verify(const struct cuts *c)
{
	for (size_t cut = 0; cut <= tape_len(); cut++) {
		for (unsigned int i = 0; i < c->a_point; i++, cuts_made++) {
			tape_cut(cut, &seed);
			verify(cut);
			if (cuts_made % GO_ON == 0)
				go_on(cut);
		}
	}
}

void cuts_verify_replay(const struct cuts *c, size_t point)
{
	tape_cut(point, &seed);
	tape_adopt();
	disk = open_cut(TAPE_LIVE);
	write_spare();
	close_file();
	for (size_t cut = 0; cut <= tape_len(); cut++) {
		for (unsigned int i = 0; i < c->a_point; i++, cuts_made++) {
			tape_cut(cut, &seed);
			verify(point);
		}
	}
}

/* ---- how many ---- */

unsigned int cuts_times(void)
{
	const char *n = getenv("CUTS");

	return n ? MAX((unsigned int)strtoul(n, NULL, 10), 1u) : 1;
}

void cuts_setup(void)
{
	/* Images are opened thousands of times: their pages are kept, not given back and faulted in each time. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	cuts_made = 0;
}

void cuts_teardown(void)
{
	printf("# %zu cuts\n", cuts_made);
}
