/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/scsi.h"

#include <errno.h>
#include "unit/back/fake_disk.h"
#include "unit/back/scsi_run.h"
#include "unit/test.h"

#define BYTES (4u << 20)
#define BLOCKS (BYTES / 512)

static struct scsi_target target;
static struct fake_disk *fake;
static struct scsi_run run;
static unsigned int closed;

static void setup(void)
{
	struct scsi_dev *dev;

	closed = 0;
	scsi_target_init(&target);
	fake = fake_disk_new(BYTES, NULL);
	fake->closed = &closed;
	ck_assert_int_eq(scsi_disk_new(&fake->disk, &dev), 0);
	ck_assert_int_eq(scsi_target_attach(&target, 3, dev), 0);
}

static void teardown(void)
{
	scsi_target_done(&target);
	ck_assert_uint_eq(closed, 1);
}

#define IN SCSI_DATA_IN
#define OUT SCSI_DATA_OUT
#define NONE SCSI_DATA_NONE
#define FIELD SCSI_INVALID_FIELD_IN_CDB
#define RANGE SCSI_LBA_OUT_OF_RANGE
#define OPCODE SCSI_INVALID_OPCODE

/* What no guest should send. The last 512-byte block is 1fffh. */
static const struct {
	const char *name;
	uint8_t cdb[16];
	uint8_t cdb_bytes;
	enum scsi_data dir;
	uint32_t bytes;
	unsigned int sense;
} hostile[] = {
	{ "an opcode that is none", { 0xff }, 16, NONE, 0, OPCODE },
	{ "vendor's", { 0xc0 }, 16, NONE, 0, OPCODE },
	{ "REPORT SUPPORTED OPERATION CODES", { 0xa3, 0x0c }, 12, IN, 512, OPCODE },
	{ "PERSISTENT RESERVE IN of an action",
	  { 0x5e, 4, [8] = 255 },
	  10,
	  IN,
	  512,
	  FIELD },
	{ "PERSISTENT RESERVE IN of action 31",
	  { 0x5e, 31, [8] = 255 },
	  10,
	  IN,
	  512,
	  FIELD },
	{ "PERSISTENT RESERVE OUT, a list of 0",
	  { 0x5f },
	  10,
	  OUT,
	  24,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "PERSISTENT RESERVE OUT, a list of 23",
	  { 0x5f, [8] = 23 },
	  10,
	  OUT,
	  24,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "PERSISTENT RESERVE OUT, a list of 4 GiB",
	  { 0x5f, [5] = 255, 255, 255, 255 },
	  10,
	  OUT,
	  24,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "PERSISTENT RESERVE OUT of more than was lent",
	  { 0x5f, [8] = 24 },
	  10,
	  OUT,
	  23,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "PERSISTENT RESERVE OUT that reads",
	  { 0x5f, [8] = 24 },
	  10,
	  IN,
	  24,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "REGISTER AND MOVE", { 0x5f, 7, [8] = 24 }, 10, OUT, 24, FIELD },
	{ "PERSISTENT RESERVE OUT of action 31",
	  { 0x5f, 31, [8] = 24 },
	  10,
	  OUT,
	  24,
	  FIELD },
	{ "MODE SELECT", { 0x15, 0x10, 0, 0, 24 }, 6, OUT, 24, OPCODE },
	{ "FORMAT UNIT", { 0x04 }, 6, NONE, 0, OPCODE },
	{ "ATA PASS-THROUGH", { 0x85 }, 16, NONE, 0, OPCODE },
	{ "READ TOC on a disk", { 0x43 }, 10, IN, 512, OPCODE },
	{ "a short CDB", { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, 9, IN, 512, FIELD },
	{ "a short CDB (16)", { 0x88 }, 10, IN, 512, FIELD },
	{ "NACA", { 0x00, 0, 0, 0, 0, 0x04 }, 6, NONE, 0, FIELD },
	{ "read at the end", { 0x28, 0, 0, 0, 0x20, 0, 0, 0, 1 }, 10, IN, 512, RANGE },
	{ "read over the end",
	  { 0x28, 0, 0, 0, 0x1f, 0xff, 0, 0, 2 },
	  10,
	  IN,
	  1024,
	  RANGE },
	{ "read far",
	  { 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 },
	  16,
	  IN,
	  512,
	  RANGE },
	{ "read that wraps",
	  { 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff },
	  16,
	  IN,
	  512,
	  RANGE },
	{ "write over the end",
	  { 0xaa, 0, 0, 0, 0x1f, 0xff, 0, 0, 0, 2 },
	  12,
	  OUT,
	  1024,
	  RANGE },
	{ "nothing, behind the end", { 0x28, 0, 0, 0, 0x20, 1 }, 10, NONE, 0, RANGE },
	{ "more than there is room",
	  { 0x28, 0, 0, 0, 0, 0, 0, 0, 2 },
	  10,
	  IN,
	  1023,
	  FIELD },
	{ "no room at all", { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, 10, NONE, 0, FIELD },
	{ "a read that writes", { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, 10, OUT, 512, FIELD },
	{ "a write that reads", { 0x2a, 0, 0, 0, 0, 0, 0, 0, 1 }, 10, IN, 512, FIELD },
	{ "RDPROTECT", { 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1 }, 10, IN, 512, FIELD },
	{ "WRPROTECT", { 0x8a, 0x60 }, 16, OUT, 512, FIELD },
	{ "VERIFY with bytes", { 0x2f, 0x02, 0, 0, 0, 0, 0, 0, 1 }, 10, OUT, 512, FIELD },
	{ "VERIFY beyond",
	  { 0x8f, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 1 },
	  16,
	  NONE,
	  0,
	  RANGE },
	{ "WRITE AND VERIFY with bytes",
	  { 0x2e, 0x02, 0, 0, 0, 0, 0, 0, 1 },
	  10,
	  OUT,
	  512,
	  FIELD },
	{ "SYNCHRONIZE CACHE beyond",
	  { 0x35, 0, 0, 0, 0x20, 0, 0, 0, 1 },
	  10,
	  NONE,
	  0,
	  RANGE },
	{ "START STOP that ejects", { 0x1b, 0, 0, 0, 2 }, 6, NONE, 0, FIELD },
	{ "INQUIRY with CMDDT", { 0x12, 2, 0, 0, 36 }, 6, IN, 36, FIELD },
	{ "INQUIRY of a page without EVPD", { 0x12, 0, 0x80, 0, 36 }, 6, IN, 36, FIELD },
	{ "INQUIRY of a page that is none", { 0x12, 1, 0x99, 0, 36 }, 6, IN, 36, FIELD },
	{ "INQUIRY to the device", { 0x12, 0, 0, 0, 36 }, 6, OUT, 36, FIELD },
	{ "MODE SENSE of a page that is none",
	  { 0x1a, 0, 0x2a, 0, 255 },
	  6,
	  IN,
	  255,
	  FIELD },
	{ "MODE SENSE of a subpage", { 0x1a, 0, 0x08, 1, 255 }, 6, IN, 255, FIELD },
	{ "MODE SENSE of saved pages",
	  { 0x1a, 0, 0xc8, 0, 255 },
	  6,
	  IN,
	  255,
	  SCSI_SAVING_NOT_SUPPORTED },
	{ "READ CAPACITY of an address", { 0x25, 0, 0, 0, 0, 1 }, 10, IN, 8, FIELD },
	{ "SERVICE ACTION IN of another",
	  { 0x9e, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32 },
	  16,
	  IN,
	  32,
	  FIELD },
	{ "GET LBA STATUS at the end",
	  { 0x9e, 0x12, 0, 0, 0, 0, 0, 0, BLOCKS >> 8, BLOCKS & 0xff, 0, 0, 0, 24 },
	  16,
	  IN,
	  24,
	  SCSI_LBA_OUT_OF_RANGE },
	{ "GET LBA STATUS far beyond",
	  { 0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 24 },
	  16,
	  IN,
	  24,
	  SCSI_LBA_OUT_OF_RANGE },
	{ "GET LBA STATUS that writes",
	  { 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24 },
	  16,
	  OUT,
	  24,
	  FIELD },
	{ "GET LBA STATUS with NACA",
	  { 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 4 },
	  16,
	  IN,
	  24,
	  FIELD },
	{ "WRITE SAME of nothing", { 0x93, 0x08 }, 16, OUT, 512, FIELD },
	{ "WRITE SAME over the end",
	  { 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0x1f, 0xff, 0, 0, 0, 2 },
	  16,
	  OUT,
	  512,
	  RANGE },
	{ "WRITE SAME of too much",
	  { 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
	  16,
	  OUT,
	  512,
	  FIELD },
	{ "WRITE SAME with half a block",
	  { 0x41, 0, 0, 0, 0, 0, 0, 0, 1 },
	  10,
	  OUT,
	  511,
	  FIELD },
	{ "WRITE SAME without a block",
	  { 0x41, 0, 0, 0, 0, 0, 0, 0, 1 },
	  10,
	  NONE,
	  0,
	  FIELD },
	{ "WRITE SAME with ANCHOR",
	  { 0x93, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
	  16,
	  OUT,
	  512,
	  FIELD },
	{ "WRITE SAME with LBDATA",
	  { 0x93, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
	  16,
	  OUT,
	  512,
	  FIELD },
	{ "UNMAP with ANCHOR", { 0x42, 1, 0, 0, 0, 0, 0, 0, 24 }, 10, OUT, 24, FIELD },
	{ "UNMAP with half a header",
	  { 0x42, 0, 0, 0, 0, 0, 0, 0, 7 },
	  10,
	  OUT,
	  7,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "UNMAP of more than was lent",
	  { 0x42, 0, 0, 0, 0, 0, 0, 0, 24 },
	  10,
	  OUT,
	  4,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "UNMAP that reads",
	  { 0x42, 0, 0, 0, 0, 0, 0, 0, 24 },
	  10,
	  IN,
	  24,
	  SCSI_PARAMETER_LIST_LENGTH_ERROR },
	{ "REPORT LUNS into nothing",
	  { 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15 },
	  12,
	  IN,
	  512,
	  FIELD },
	{ "REPORT LUNS of a kind",
	  { 0xa0, 0, 3, 0, 0, 0, 0, 0, 2, 0 },
	  12,
	  IN,
	  512,
	  FIELD },
	{ "REPORT LUNS short", { 0xa0, 0, 0, 0, 0, 0, 0, 0, 2, 0 }, 10, IN, 512, FIELD },
};

START_TEST(refuses)
{
	ck_assert_msg(scsi_run(&run, &target, 3, hostile[_i].cdb, hostile[_i].cdb_bytes,
			       hostile[_i].dir, hostile[_i].bytes) == hostile[_i].sense,
		      "%s: %06x", hostile[_i].name, scsi_run_sense(&run));
	ck_assert_uint_eq(run.cmd.transferred, 0);
	ck_assert(!run.cmd.no_lun);
	for (size_t i = 0; i < ARRAY_SIZE(fake->count); i++)
		ck_assert_uint_eq(fake->count[i], 0);
}
END_TEST

/* Every opcode with every byte the same: nothing but an end. */
START_TEST(any_opcode_ends_once)
{
	static const uint8_t fill[] = { 0x00, 0x01, 0x08, 0x7f, 0xff };

	for (unsigned int op = 0; op < 256; op++) {
		for (size_t f = 0; f < ARRAY_SIZE(fill); f++) {
			for (uint8_t n = 1; n <= 16; n++) {
				for (int dir = NONE; dir <= OUT; dir++) {
					uint8_t cdb[16];

					memset(cdb, fill[f], sizeof(cdb));
					cdb[0] = (uint8_t)op;
					scsi_run(&run, &target, n & 3, cdb, n,
						 (enum scsi_data)dir,
						 dir == NONE ? 0 : 700);
				}
			}
		}
	}
}
END_TEST

static const struct {
	int r;
	unsigned int read, write, flush;
} errors[] = {
	{ -EIO, SCSI_UNRECOVERED_READ_ERROR, SCSI_WRITE_ERROR, SCSI_WRITE_ERROR },
	{ -ENOSPC, SCSI_SPACE_ALLOCATION_FAILED, SCSI_SPACE_ALLOCATION_FAILED,
	  SCSI_SPACE_ALLOCATION_FAILED },
	{ -EDQUOT, SCSI_SPACE_ALLOCATION_FAILED, SCSI_SPACE_ALLOCATION_FAILED,
	  SCSI_SPACE_ALLOCATION_FAILED },
	{ -EINVAL, SCSI_LBA_OUT_OF_RANGE, SCSI_LBA_OUT_OF_RANGE, SCSI_LBA_OUT_OF_RANGE },
	{ -EROFS, SCSI_WRITE_PROTECTED, SCSI_WRITE_PROTECTED, SCSI_WRITE_PROTECTED },
	{ -EBADF, SCSI_UNRECOVERED_READ_ERROR, SCSI_WRITE_ERROR, SCSI_WRITE_ERROR },
};

START_TEST(disk_errors_become_sense)
{
	const uint8_t unmap[24] = { 0, 22, 0, 16, [19] = 8 };

	fake->fail = errors[_i].r;
	ck_assert_uint_eq(
		scsi_run(&run, &target, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), IN, 512),
		errors[_i].read);
	ck_assert_uint_eq(scsi_run(&run, &target, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0),
				   OUT, 512),
			  errors[_i].write);
	ck_assert_uint_eq(
		scsi_run(&run, &target, 3, CDB(0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), NONE, 0),
		errors[_i].flush);
	memcpy(run.data, unmap, sizeof(unmap));
	ck_assert_uint_eq(scsi_run(&run, &target, 3,
				   CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), OUT, 24),
			  errors[_i].write);
	memset(run.data, 0, 512);
	ck_assert_uint_eq(scsi_run(&run, &target, 3, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0),
				   OUT, 512),
			  errors[_i].write);
}
END_TEST

START_TEST(no_memory_is_busy)
{
	fake->fail = -ENOMEM;
	scsi_run(&run, &target, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), IN, 512);
	ck_assert_uint_eq(run.cmd.status, SCSI_BUSY);
	ck_assert(!run.cmd.has_sense);
}
END_TEST

/* Each length of CDB, at the first block, in the middle, at the last. */
static const struct {
	uint8_t cdb[16];
	uint8_t cdb_bytes;
	uint64_t lba, blocks;
	unsigned int flags;
} moves[] = {
	{ { 0x08, 0, 0, 1, 1 }, 6, 1, 1, 0 },
	{ { 0x08, 0, 0x10, 0, 0 }, 6, 4096, 256, 0 },
	{ { 0x28, 0, 0, 0, 0x1f, 0xff, 0, 0, 1 }, 10, 8191, 1, 0 },
	{ { 0x28, 0x18, 0, 0, 0, 0, 0, 4, 0 }, 10, 0, 1024, DISK_FUA },
	{ { 0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 3 }, 12, 7, 3, 0 },
	{ { 0x88, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0, 8, 0 }, 16, 4097, 2048, 0 },
};

START_TEST(moves_data)
{
	uint8_t cdb[16];
	uint32_t bytes = (uint32_t)moves[_i].blocks * 512;
	uint8_t *at = fake->bytes + moves[_i].lba * 512;

	memcpy(cdb, moves[_i].cdb, sizeof(cdb));
	memset(run.data, 0x5a, sizeof(run.data));
	ck_assert_uint_eq(scsi_run(&run, &target, 3, cdb, moves[_i].cdb_bytes, IN,
				   MIN(bytes + 100, RUN_DATA_MAX)),
			  0);
	ck_assert_uint_eq(run.cmd.transferred, bytes);
	ck_assert(memcmp(run.data, at, bytes) == 0);
	if (bytes < RUN_DATA_MAX)
		ck_assert_uint_eq(run.data[bytes], 0x5a);
	cdb[0] += 2; /* the write of the same length */
	memset(run.data, 0xa5, bytes);
	fake->hold = true;
	scsi_run_start(&run, &target, 3, cdb, moves[_i].cdb_bytes, OUT, bytes);
	ck_assert_uint_eq(run.done, 0);
	ck_assert_uint_eq(fake->last_flags, moves[_i].flags);
	fake_disk_release(fake);
	ck_assert_uint_eq(run.done, 1);
	ck_assert_uint_eq(scsi_run_sense(&run), 0);
	ck_assert_uint_eq(run.cmd.transferred, bytes);
	ck_assert_uint_eq(at[0], 0xa5);
	ck_assert_uint_eq(at[bytes - 1], 0xa5);
	ck_assert_uint_eq(fake->count[DISK_WRITE], 1);
}
END_TEST

static void replied(uint32_t want, const char *name)
{
	ck_assert_msg(run.cmd.status == SCSI_GOOD, "%s: %06x", name,
		      scsi_run_sense(&run));
	ck_assert_msg(run.cmd.transferred == want, "%s: %u bytes", name,
		      run.cmd.transferred);
}

START_TEST(says_what_it_is)
{
	static const uint8_t naa[] = { 1, 3, 0, 16, 0x60, 0x02, 0x24, 0x80, 0x10, 0x21 };

	scsi_run(&run, &target, 3, CDB(0x12, 0, 0, 0, 255, 0), IN, 255);
	replied(36, "standard");
	ck_assert_mem_eq(run.data + 8, "Msft    Virtual Disk    1.0 ", 28);
	ck_assert_uint_eq(run.data[0], 0);
	ck_assert_uint_eq(run.data[4], 31);
	scsi_run(&run, &target, 3, CDB(0x12, 0, 0, 0, 5, 0), IN, 255);
	replied(5, "cut to the allocation length");
	scsi_run(&run, &target, 3, CDB(0x12, 0, 0, 0, 255, 0), IN, 7);
	replied(7, "cut to the guest's room");
	scsi_run(&run, &target, 3, CDB(0x12, 1, 0, 0, 255, 0), IN, 255);
	replied(10, "pages");
	ck_assert_mem_eq(run.data,
			 ((uint8_t[]){ 0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2 }),
			 10);
	scsi_run(&run, &target, 3, CDB(0x12, 1, 0x80, 0, 255, 0), IN, 255);
	replied(36, "serial");
	ck_assert_mem_eq(run.data + 4, "1021324354657687", 16);
	scsi_run(&run, &target, 3, CDB(0x12, 1, 0x83, 0, 255, 0), IN, 255);
	replied(4 + 20 + 44, "identification");
	ck_assert_mem_eq(run.data + 4, naa, sizeof(naa));
	scsi_run(&run, &target, 3, CDB(0x12, 1, 0xb0, 0, 255, 0), IN, 255);
	replied(64, "limits");
	ck_assert_uint_eq(be32_get(run.data + 20), (4ull << 30) / 512);
	ck_assert_uint_eq(be32_get(run.data + 28), 8);
	scsi_run(&run, &target, 3, CDB(0x12, 1, 0xb1, 0, 255, 0), IN, 255);
	replied(64, "characteristics");
	scsi_run(&run, &target, 3, CDB(0x12, 1, 0xb2, 0, 255, 0), IN, 255);
	replied(8, "provisioning");
	ck_assert_uint_eq(run.data[5], 0xe4);
}
END_TEST

START_TEST(says_its_size_and_mode)
{
	scsi_run(&run, &target, 3, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), IN, 8);
	replied(8, "READ CAPACITY (10)");
	ck_assert_uint_eq(be32_get(run.data), BLOCKS - 1);
	ck_assert_uint_eq(be32_get(run.data + 4), 512);
	scsi_run(&run, &target, 3,
		 CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0), IN, 32);
	replied(32, "READ CAPACITY (16)");
	ck_assert_uint_eq(be64_get(run.data), BLOCKS - 1);
	ck_assert_uint_eq(run.data[13], 3);
	ck_assert_uint_eq(run.data[14], 0xc0);
	scsi_run(&run, &target, 3, CDB(0x1a, 0, 0x3f, 0, 255, 0), IN, 255);
	replied(4 + 8 + 20 + 12 + 12, "MODE SENSE (6)");
	ck_assert_uint_eq(run.data[0], run.cmd.transferred - 1);
	ck_assert_uint_eq(run.data[2], 0x10);
	ck_assert_uint_eq(be32_get(run.data + 4), BLOCKS);
	ck_assert_uint_eq(be32_get(run.data + 8), 512);
	ck_assert_mem_eq(run.data + 12, ((uint8_t[]){ 0x08, 18, 0x04 }), 3);
	scsi_run(&run, &target, 3, CDB(0x5a, 8, 0x48, 0, 0, 0, 0, 1, 0, 0), IN, 256);
	replied(8 + 20, "MODE SENSE (10), changeable, no descriptor");
	ck_assert_uint_eq(be16_get(run.data), 26);
	ck_assert_uint_eq(run.data[10], 0);
	scsi_run(&run, &target, 3, CDB(0x00, 0, 0, 0, 0, 0), NONE, 0);
	replied(0, "TEST UNIT READY");
	scsi_run(&run, &target, 3, CDB(0x03, 0, 0, 0, 18, 0), IN, 18);
	replied(18, "REQUEST SENSE");
	ck_assert_uint_eq(run.data[2], 0);
	scsi_run(&run, &target, 3, CDB(0x03, 1, 0, 0, 252, 0), IN, 252);
	replied(8, "REQUEST SENSE with descriptors");
	ck_assert_uint_eq(run.data[0], 0x72);
}
END_TEST

/* From a block on, with so much room: (LBA, blocks, status) of each descriptor. */
static const struct {
	uint64_t lba;
	uint32_t allocated;
	uint64_t hole, hole_bytes, most;
	uint32_t want[3][3];
	unsigned int n;
} maps[] = {
	{ 0, 200, 0, 0, 0, { { 0, BLOCKS, 0 } }, 1 },
	{ 5, 200, 0, 0, 0, { { 5, BLOCKS - 5, 0 } }, 1 },
	{ 0, 200, 0, BLOCKS * 512, 0, { { 0, BLOCKS, 1 } }, 1 },
	{ 0,
	  200,
	  8 * 512,
	  16 * 512,
	  0,
	  { { 0, 8, 0 }, { 8, 16, 1 }, { 24, BLOCKS - 24, 0 } },
	  3 },
	{ 10, 200, 8 * 512, 16 * 512, 0, { { 10, 14, 1 }, { 24, BLOCKS - 24, 0 } }, 2 },
	/* what stands alike is one, however it is told */
	{ 8,
	  200,
	  8 * 512,
	  16 * 512,
	  12 * 512,
	  { { 8, 16, 1 }, { 24, BLOCKS - 24, 0 } },
	  2 },
	/* a hole that is less than a block is none */
	{ 8, 200, 8 * 512, 256, 0, { { 8, BLOCKS - 8, 0 } }, 1 },
	/* room for one, for less than one, for nothing */
	{ 0, 24, 8 * 512, 16 * 512, 0, { { 0, 8, 0 } }, 1 },
	{ 0, 9, 8 * 512, 16 * 512, 0, { { 0, 8, 0 } }, 1 },
	{ 0, 0, 8 * 512, 16 * 512, 0, { { 0, 8, 0 } }, 1 },
};

START_TEST(says_which_blocks_have_room)
{
	uint8_t cdb[16] = { 0x9e, 0x12, [9] = (uint8_t)maps[_i].lba };
	uint32_t bytes = 8 + 16 * maps[_i].n, n = MIN(bytes, maps[_i].allocated);

	fake->hole = maps[_i].hole;
	fake->hole_bytes = maps[_i].hole_bytes;
	fake->map_most = maps[_i].most;
	cdb[13] = (uint8_t)maps[_i].allocated;
	memset(run.data, 0xee, 256);
	ck_assert_uint_eq(scsi_run(&run, &target, 3, cdb, 16, IN, 256), 0);
	ck_assert_uint_eq(run.cmd.transferred, n);
	if (n >= 4)
		ck_assert_uint_eq(be32_get(run.data), bytes - 4);
	for (unsigned int i = 0; 8 + 16 * (i + 1) <= n; i++) {
		const uint8_t *d = run.data + 8 + 16 * i;

		ck_assert_uint_eq(be64_get(d), maps[_i].want[i][0]);
		ck_assert_uint_eq(be32_get(d + 8), maps[_i].want[i][1]);
		ck_assert_uint_eq(d[12], maps[_i].want[i][2]);
	}
}
END_TEST

/* One command ends, however many pieces there are; the guest goes on where it ended. */
START_TEST(looks_at_a_bounded_number_of_pieces)
{
	uint8_t cdb[16] = { 0x9e, 0x12, [13] = 255 };

	fake->map_most = 512;
	ck_assert_uint_eq(scsi_run(&run, &target, 3, cdb, 16, IN, 255), 0);
	ck_assert_uint_eq(be32_get(run.data), 4 + 16);
	ck_assert_uint_eq(be32_get(run.data + 16), MIN(1024u, BLOCKS));
}
END_TEST

START_TEST(a_read_only_disk)
{
	const struct disk_info info = { .logical_bytes = 4096,
					.physical_bytes = 4096,
					.unmap_granularity = 4096,
					.read_only = true };
	struct fake_disk *ro = fake_disk_new(BYTES, &info);
	struct scsi_dev *dev;

	ck_assert_int_eq(scsi_disk_new(&ro->disk, &dev), 0);
	ck_assert_int_eq(scsi_target_attach(&target, 0, dev), 0);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0),
				   OUT, 4096),
			  SCSI_WRITE_PROTECTED);
	ck_assert_uint_eq(scsi_run(&run, &target, 0,
				   CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), OUT, 24),
			  SCSI_WRITE_PROTECTED);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0),
				   OUT, 4096),
			  SCSI_WRITE_PROTECTED);
	scsi_run(&run, &target, 0, CDB(0x1a, 0, 0x3f, 0, 4, 0), IN, 255);
	ck_assert_uint_eq(run.data[2], 0x90);
	scsi_run(&run, &target, 0, CDB(0x12, 1, 0, 0, 255, 0), IN, 255);
	replied(4 + 3, "no identity, not thin");
	scsi_run(&run, &target, 0, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), IN, 8);
	ck_assert_uint_eq(be32_get(run.data), BYTES / 4096 - 1);
	ck_assert_uint_eq(scsi_run(&run, &target, 0, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0),
				   IN, 4096),
			  0);
	ck_assert(memcmp(run.data, ro->bytes + 4096, 4096) == 0);
}
END_TEST

static void put_unmap(unsigned int i, uint64_t lba, uint32_t blocks)
{
	be64_t l = be64(lba);
	be32_t n = be32(blocks);

	memcpy(run.data + 8 + 16 * i, &l, 8);
	memcpy(run.data + 16 + 16 * i, &n, 4);
}

static unsigned int run_unmap(unsigned int n)
{
	be16_t all = be16((uint16_t)(6 + 16 * n)), part = be16((uint16_t)(16 * n));
	uint16_t len = (uint16_t)(8 + 16 * n);

	memset(run.data, 0, 8);
	memcpy(run.data, &all, 2);
	memcpy(run.data + 2, &part, 2);
	return scsi_run(&run, &target, 3,
			CDB(0x42, 0, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len, 0),
			OUT, len);
}

START_TEST(unmaps)
{
	for (unsigned int i = 0; i < 256; i++)
		put_unmap(i, i * 2, i % 2);
	ck_assert_uint_eq(run_unmap(256), 0);
	for (unsigned int i = 0; i < 512; i++)
		ck_assert_int_eq(!fake->bytes[i * 512] && !fake->bytes[i * 512 + 1],
				 i % 4 == 2);
	put_unmap(256, 0, 1);
	ck_assert_uint_eq(run_unmap(257), SCSI_INVALID_FIELD_IN_PARAMETERS);
	ck_assert_uint_eq(run_unmap(0), 0);
	put_unmap(0, 0, 1);
	put_unmap(1, BLOCKS, 1);
	ck_assert_uint_eq(run_unmap(2), SCSI_LBA_OUT_OF_RANGE);
	put_unmap(1, UINT64_MAX, UINT32_MAX);
	ck_assert_uint_eq(run_unmap(2), SCSI_LBA_OUT_OF_RANGE);
	/* A list that says it is longer than the command does. */
	put_unmap(0, 0, 1);
	run.data[0] = 0;
	run.data[1] = 38;
	run.data[2] = 0;
	run.data[3] = 32;
	ck_assert_uint_eq(scsi_run(&run, &target, 3,
				   CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), OUT, 40),
			  SCSI_PARAMETER_LIST_LENGTH_ERROR);
	ck_assert_uint_eq(
		scsi_run(&run, &target, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0), NONE, 0),
		0);
}
END_TEST

/* The guest rewrites the list while the disk works on its first part: what comes next is checked anew. */
START_TEST(unmap_list_changes_under_way)
{
	put_unmap(0, 8, 8);
	put_unmap(1, 16, 8);
	fake->hold = true;
	run.data[0] = 0;
	run.data[1] = 38;
	run.data[2] = 0;
	run.data[3] = 32;
	scsi_run_start(&run, &target, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), OUT, 40);
	ck_assert_uint_eq(run.done, 0);
	ck_assert_uint_eq(fake->last_off, 8 * 512);
	put_unmap(1, BLOCKS - 1, 2);
	fake_disk_release(fake);
	ck_assert_uint_eq(run.done, 1);
	ck_assert_uint_eq(scsi_run_sense(&run), SCSI_LBA_OUT_OF_RANGE);
	ck_assert_uint_eq(fake->count[DISK_DISCARD], 1);
}
END_TEST

START_TEST(writes_the_same)
{
	const uint8_t ws16[] = { 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0 };

	memset(run.data, 0, 512);
	run.data[511] = 1;
	ck_assert_uint_eq(scsi_run(&run, &target, 3, ws16, 16, OUT, 512),
			  SCSI_INVALID_FIELD_IN_PARAMETERS);
	run.data[511] = 0;
	fake->hold = true;
	scsi_run_start(&run, &target, 3, ws16, 16, OUT, 512);
	ck_assert_uint_eq(fake->last_flags, DISK_MAY_UNMAP);
	ck_assert_uint_eq(fake->last_off, 8 * 512);
	ck_assert_uint_eq(fake->last_len, 16 * 512);
	fake_disk_release(fake);
	replied(512, "WRITE SAME (16)");
	fake->hold = true;
	scsi_run_start(&run, &target, 3, CDB(0x41, 0, 0, 0, 0, 1, 0, 0, 2, 0), OUT, 512);
	ck_assert_uint_eq(fake->last_flags, 0);
	fake_disk_release(fake);
	replied(512, "WRITE SAME (10)");
	ck_assert_uint_eq(
		scsi_run(&run, &target, 3,
			 CDB(0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), NONE,
			 0),
		0);
	ck_assert_uint_eq(fake->count[DISK_WRITE_ZEROES], 3);
}
END_TEST

START_TEST(flushes)
{
	scsi_run(&run, &target, 3, CDB(0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), NONE, 0);
	scsi_run(&run, &target, 3, CDB(0x91, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		 NONE, 0);
	ck_assert_uint_eq(fake->count[DISK_FLUSH], 2);
	scsi_run(&run, &target, 3, CDB(0x1b, 0, 0, 0, 1, 0), NONE, 0);
	ck_assert_uint_eq(fake->count[DISK_FLUSH], 2);
	scsi_run(&run, &target, 3, CDB(0x1b, 0, 0, 0, 0, 0), NONE, 0);
	ck_assert_uint_eq(fake->count[DISK_FLUSH], 3);
	memset(run.data, 1, 512);
	fake->hold = true;
	scsi_run_start(&run, &target, 3, CDB(0x2e, 0, 0, 0, 0, 0, 0, 0, 1, 0), OUT, 512);
	ck_assert_uint_eq(fake->last_flags, DISK_FUA);
	fake_disk_release(fake);
	replied(512, "WRITE AND VERIFY");
}
END_TEST

START_TEST(attention_comes_once)
{
	struct scsi_dev *dev = scsi_target_get(&target, 3);

	scsi_dev_attention(dev, SCSI_UA_CAPACITY_CHANGED);
	scsi_dev_attention(dev, SCSI_UA_RESET);
	/* SPC-4: these neither meet nor clear it. */
	scsi_run(&run, &target, 3, CDB(0x12, 0, 0, 0, 36, 0), IN, 36);
	replied(36, "INQUIRY");
	ck_assert_uint_eq(scsi_run(&run, &target, 3, CDB(0, 0, 0, 0, 0, 0), NONE, 0),
			  SCSI_DEVICE_RESET);
	ck_assert_uint_eq(scsi_run(&run, &target, 3, CDB(0, 0, 0, 0, 0, 0), NONE, 0),
			  SCSI_CAPACITY_CHANGED);
	ck_assert_uint_eq(scsi_run(&run, &target, 3, CDB(0, 0, 0, 0, 0, 0), NONE, 0), 0);
	scsi_dev_attention(dev, SCSI_UA_CAPACITY_CHANGED);
	scsi_run(&run, &target, 3, CDB(0x03, 0, 0, 0, 18, 0), IN, 18);
	ck_assert_uint_eq(run.data[2], SCSI_KEY_UNIT_ATTENTION);
	ck_assert_uint_eq(run.data[12], 0x2a);
	ck_assert_uint_eq(scsi_run(&run, &target, 3, CDB(0, 0, 0, 0, 0, 0), NONE, 0), 0);
	scsi_dev_unref(dev);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("scsi_disk");
	TCase *t = tcase_create("scsi_disk");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(hostile));
	tcase_add_test(t, any_opcode_ends_once);
	tcase_add_loop_test(t, disk_errors_become_sense, 0, ARRAY_SIZE(errors));
	tcase_add_test(t, no_memory_is_busy);
	tcase_add_loop_test(t, moves_data, 0, ARRAY_SIZE(moves));
	tcase_add_test(t, says_what_it_is);
	tcase_add_test(t, says_its_size_and_mode);
	tcase_add_loop_test(t, says_which_blocks_have_room, 0, ARRAY_SIZE(maps));
	tcase_add_test(t, looks_at_a_bounded_number_of_pieces);
	tcase_add_test(t, a_read_only_disk);
	tcase_add_test(t, unmaps);
	tcase_add_test(t, unmap_list_changes_under_way);
	tcase_add_test(t, writes_the_same);
	tcase_add_test(t, flushes);
	tcase_add_test(t, attention_comes_once);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
