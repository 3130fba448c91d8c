/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmbus/packet.h"

#include <errno.h>
#include <string.h>
#include "unit/test.h"
#include "vid/guestmem.h"

#define RAM (4u << 20)

static struct guestmem *gm;
static uint8_t *ram;

static void setup(void)
{
	ck_assert_int_eq(guestmem_new(RAM, &gm), 0);
	ram = guestmem_ptr(gm, 0, RAM);
}

static void teardown(void)
{
	guestmem_free(gm);
}

#define GPA_DIRECT VM_PKT_DATA_USING_GPA_DIRECT
#define RANGE(bytes, offset) ((uint64_t)(bytes) | (uint64_t)(offset) << 32)
#define COUNT(n) ((uint64_t)(n) << 32)

/* `words` from the packet's byte 16 on. */
static const struct {
	const char *what;
	uint16_t type, offset8, len8;
	size_t len; /* that was received */
	uint64_t words[8];
	bool ok;
} rows[] = {
	{ "no descriptor", VM_PKT_DATA_INBAND, 2, 2, 15, { 0 }, false },
	{ "in band, empty", VM_PKT_DATA_INBAND, 2, 2, 16, { 0 }, true },
	{ "in band", VM_PKT_DATA_INBAND, 2, 4, 32, { 0 }, true },
	{ "payload inside the descriptor", VM_PKT_DATA_INBAND, 1, 4, 32, { 0 }, false },
	{ "payload at 0", VM_PKT_DATA_INBAND, 0, 4, 32, { 0 }, false },
	{ "payload at the end", VM_PKT_DATA_INBAND, 4, 4, 32, { 0 }, true },
	{ "payload behind the end", VM_PKT_DATA_INBAND, 5, 4, 32, { 0 }, false },
	{ "payload far behind", VM_PKT_DATA_INBAND, 65535, 4, 32, { 0 }, false },
	{ "longer than received", VM_PKT_DATA_INBAND, 2, 5, 32, { 0 }, false },
	{ "type 0", 0, 2, 4, 32, { 0 }, false },
	{ "transfer pages", VM_PKT_DATA_USING_XFER_PAGES, 4, 4, 32, { 0 }, false },
	{ "gpadl", VM_PKT_DATA_USING_GPADL, 3, 4, 32, { 0 }, false },
	{ "type 65535", 65535, 2, 4, 32, { 0 }, false },
	{ "cancel", VM_PKT_CANCEL_REQUEST, 2, 2, 16, { 0 }, true },
	{ "completion", VM_PKT_COMP, 2, 3, 24, { 0 }, true },
	{ "gpa: no count", GPA_DIRECT, 2, 4, 32, { COUNT(1) }, false },
	{ "gpa: count 0", GPA_DIRECT, 3, 4, 32, { COUNT(0) }, false },
	{ "gpa: count without ranges", GPA_DIRECT, 3, 4, 32, { COUNT(1) }, false },
	{ "gpa: half a range", GPA_DIRECT, 4, 4, 32, { COUNT(1), RANGE(8, 0) }, false },
	{ "gpa: one", GPA_DIRECT, 5, 6, 48, { COUNT(1), RANGE(4096, 0), 1 }, true },
	{ "gpa: empty range", GPA_DIRECT, 4, 6, 48, { COUNT(1), RANGE(0, 0) }, true },
	{ "gpa: two, one there",
	  GPA_DIRECT,
	  5,
	  6,
	  48,
	  { COUNT(2), RANGE(1, 0), 1 },
	  false },
	{ "gpa: two",
	  GPA_DIRECT,
	  7,
	  7,
	  56,
	  { COUNT(2), RANGE(1, 0), 1, RANGE(1, 9), 1 },
	  true },
	{ "gpa: ranges in the payload",
	  GPA_DIRECT,
	  5,
	  7,
	  56,
	  { COUNT(2), RANGE(1, 0), 1, RANGE(1, 9), 1 },
	  false },
	{ "gpa: second page missing",
	  GPA_DIRECT,
	  5,
	  6,
	  48,
	  { COUNT(1), RANGE(4096, 1), 1 },
	  false },
	{ "gpa: offset beyond the page",
	  GPA_DIRECT,
	  6,
	  6,
	  48,
	  { COUNT(1), RANGE(1, 4096), 1, 1 },
	  false },
	{ "gpa: 4 GiB",
	  GPA_DIRECT,
	  6,
	  6,
	  48,
	  { COUNT(1), RANGE(UINT32_MAX, 0), 1, 1 },
	  false },
	{ "gpa: 4 GiB and an offset",
	  GPA_DIRECT,
	  6,
	  6,
	  48,
	  { COUNT(1), RANGE(UINT32_MAX, 4095), 1, 1 },
	  false },
	{ "gpa: too many ranges",
	  GPA_DIRECT,
	  5,
	  6,
	  48,
	  { COUNT(PACKET_RANGES_MAX + 1), RANGE(0, 0), 0 },
	  false },
	{ "gpa: 4 billion ranges",
	  GPA_DIRECT,
	  5,
	  6,
	  48,
	  { COUNT(UINT32_MAX), RANGE(0, 0), 0 },
	  false },
};

START_TEST(parse)
{
	uint64_t buf[2 + 8] = { 0 };
	struct vmbus_packet d = { .type = rows[_i].type,
				  .offset8 = rows[_i].offset8,
				  .len8 = rows[_i].len8,
				  .flags = 1,
				  .transaction_id = 42 };
	struct packet p = { 0 };

	memcpy(buf, &d, sizeof(d));
	memcpy(buf + 2, rows[_i].words, sizeof(rows[_i].words));
	ck_assert_msg(packet_parse(buf, rows[_i].len, &p) == (rows[_i].ok ? 0 : -EPROTO),
		      "%s", rows[_i].what);
	if (!rows[_i].ok)
		return;
	ck_assert_uint_eq(p.transaction_id, 42);
	ck_assert(packet_wants_completion(&p));
	ck_assert_ptr_eq(p.payload, (uint8_t *)buf + d.offset8 * 8);
	ck_assert_uint_eq(p.payload_bytes, (d.len8 - d.offset8) * 8u);
}
END_TEST

static const struct {
	const char *what;
	unsigned int count;
	uint64_t words[8];
	unsigned int word_count, max;
	int result;
	struct {
		uint32_t gpa, len;
	} iov[3];
} iov_rows[] = {
	{ "none", 0, { 0 }, 0, 4, 0, { { 0, 0 } } },
	{ "neighbours become one",
	  1,
	  { RANGE(8192, 0), 3, 4 },
	  3,
	  1,
	  0,
	  { { 0x3000, 8192 } } },
	{ "an offset",
	  1,
	  { RANGE(100, 4000), 3, 4 },
	  3,
	  4,
	  0,
	  { { 0x3000 + 4000, 100 } } },
	{ "not neighbours",
	  1,
	  { RANGE(4096, 2048), 3, 9 },
	  3,
	  4,
	  0,
	  { { 0x3800, 2048 }, { 0x9000, 2048 } } },
	{ "backwards",
	  1,
	  { RANGE(8192, 0), 4, 3 },
	  3,
	  4,
	  0,
	  { { 0x4000, 4096 }, { 0x3000, 4096 } } },
	{ "two ranges",
	  2,
	  { RANGE(16, 8), 3, RANGE(16, 24), 3 },
	  4,
	  4,
	  0,
	  { { 0x3008, 32 } } },
	{ "an empty one between",
	  3,
	  { RANGE(8, 0), 3, RANGE(0, 0), RANGE(8, 0), 5 },
	  5,
	  4,
	  0,
	  { { 0x3000, 8 }, { 0x5000, 8 } } },
	{ "too many", 1, { RANGE(8192, 0), 4, 3 }, 3, 1, -E2BIG, { { 0, 0 } } },
	{ "no room at all", 1, { RANGE(8, 0), 4 }, 2, 0, -E2BIG, { { 0, 0 } } },
	{ "behind RAM", 1, { RANGE(8, 0), RAM / 4096 }, 2, 4, -EFAULT, { { 0, 0 } } },
	{ "a page far off", 1, { RANGE(8, 0), 1ull << 51 }, 2, 4, -EFAULT, { { 0, 0 } } },
	{ "a page that wraps",
	  1,
	  { RANGE(8, 0), 1ull << 52 },
	  2,
	  4,
	  -EFAULT,
	  { { 0, 0 } } },
	{ "page -1", 1, { RANGE(8, 0), UINT64_MAX }, 2, 4, -EFAULT, { { 0, 0 } } },
	{ "the second page bad",
	  1,
	  { RANGE(8192, 0), 3, UINT64_MAX },
	  3,
	  4,
	  -EFAULT,
	  { { 0, 0 } } },
};

START_TEST(iovecs)
{
	struct packet p = { .ranges = (const uint8_t *)iov_rows[_i].words,
			    .ranges_bytes = iov_rows[_i].word_count * 8,
			    .range_count = iov_rows[_i].count };
	struct iovec iov[4];
	unsigned int n = 77;
	uint64_t sum = 0;

	ck_assert_msg(packet_iov(&p, gm, iov, iov_rows[_i].max, &n) ==
			      iov_rows[_i].result,
		      "%s", iov_rows[_i].what);
	if (iov_rows[_i].result) {
		ck_assert_uint_eq(n, 77);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		ck_assert_ptr_eq(iov[i].iov_base, ram + iov_rows[_i].iov[i].gpa);
		ck_assert_uint_eq(iov[i].iov_len, iov_rows[_i].iov[i].len);
		sum += iov[i].iov_len;
	}
	ck_assert_uint_eq(sum, packet_range_bytes(&p));
	ck_assert(n == 3 || !iov_rows[_i].iov[n].len);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("packet");
	TCase *t = tcase_create("packet");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, parse, 0, ARRAY_SIZE(rows));
	tcase_add_loop_test(t, iovecs, 0, ARRAY_SIZE(iov_rows));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
