/* SPDX-License-Identifier: BSD-2-Clause */
/* SCSI commands on a storvsc: SPC-4 and SBC-3, the sections named at each. */
#include <errno.h>
#include "core/mem.h"
#include "core/storvsc.h"

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)(v >> 32));
	put32(p + 4, (uint32_t)v);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static int run(struct storvsc *s, unsigned int queue, struct storvsc_request *req)
{
	int r = storvsc_exec(s, queue, req);

	if (!r &&
	    (req->status || req->srb_status != VSTOR_SRB_SUCCESS || req->scsi_status))
		r = -EIO;
	return r;
}

/* A command with a small answer or parameter list, through a page of its own: `buf` may lie anywhere. */
static int run_bounced(struct storvsc *s, struct storvsc_request *req, void *buf,
		       uint32_t len)
{
	const struct core_env *env = s->bus->hv->env;
	void *page = env->pages_alloc(env->opaque, 1);
	int r;

	if (!page)
		return -ENOMEM;
	req->data = page;
	req->data_len = len;
	if (req->data_in == VSTOR_DATA_OUT)
		memcpy(page, buf, len);
	r = run(s, 0, req);
	if (!r && req->data_in == VSTOR_DATA_IN)
		memcpy(buf, page, len);
	/* after a timeout the host may still write there */
	if (r != -ETIMEDOUT)
		env->pages_free(env->opaque, page, 1);
	return r;
}

/* SPC-4 6.6 */
int storvsc_inquiry(struct storvsc *s, unsigned int lun, void *buf, uint8_t len)
{
	struct storvsc_request req = {
		.lun = (uint8_t)lun,
		.cdb_length = 6,
		.data_in = VSTOR_DATA_IN,
		.cdb = { 0x12, 0, 0, 0, len },
	};

	return run_bounced(s, &req, buf, len);
}

/* SBC-3 5.16 */
int storvsc_read_capacity(struct storvsc *s, unsigned int lun, uint64_t *ret_blocks,
			  uint32_t *ret_block_bytes)
{
	struct storvsc_request req = {
		.lun = (uint8_t)lun,
		.cdb_length = 16,
		.data_in = VSTOR_DATA_IN,
		.cdb = { 0x9e, 0x10 },
	};
	uint8_t answer[32];
	int r;

	put32(req.cdb + 10, sizeof(answer));
	r = run_bounced(s, &req, answer, sizeof(answer));
	if (r)
		return r;
	*ret_blocks = get64(answer) + 1;
	*ret_block_bytes = get32(answer + 8);
	return 0;
}

/* SPC-4 6.33; LUNs in the single level peripheral form (SAM-5 4.7.7.2). */
int storvsc_report_luns(struct storvsc *s, uint64_t *ret_present)
{
	struct storvsc_request req = {
		.cdb_length = 12,
		.data_in = VSTOR_DATA_IN,
		.cdb = { 0xa0 },
	};
	uint8_t answer[8 + STORVSC_LUNS_MAX * 8] = { 0 };
	uint64_t present = 0;
	uint32_t n, i;
	int r;

	put32(req.cdb + 6, sizeof(answer));
	r = run_bounced(s, &req, answer, sizeof(answer));
	if (r)
		return r;
	n = get32(answer) / 8;
	for (i = 0; i < n && i < STORVSC_LUNS_MAX; i++) {
		const uint8_t *lun = answer + 8 + i * 8;

		if (!lun[0] && lun[1] < STORVSC_LUNS_MAX)
			present |= 1ull << lun[1];
	}
	*ret_present = present;
	return 0;
}

/* SBC-3 5.22 */
int storvsc_flush(struct storvsc *s, unsigned int queue, unsigned int lun)
{
	struct storvsc_request req = {
		.lun = (uint8_t)lun,
		.cdb_length = 10,
		.data_in = VSTOR_DATA_NONE,
		.cdb = { 0x35 },
	};

	return run(s, queue, &req);
}

/* SBC-3 5.28 */
int storvsc_unmap(struct storvsc *s, unsigned int lun, uint64_t lba, uint32_t blocks)
{
	struct storvsc_request req = {
		.lun = (uint8_t)lun,
		.cdb_length = 10,
		.data_in = VSTOR_DATA_OUT,
		.cdb = { 0x42 },
	};
	uint8_t list[24] = { 0 };

	put16(req.cdb + 7, sizeof(list));
	put16(list, sizeof(list) - 2);
	put16(list + 2, 16);
	put64(list + 8, lba);
	put32(list + 16, blocks);
	return run_bounced(s, &req, list, sizeof(list));
}

/* SBC-3 5.13 and 5.34 */
void storvsc_prepare_rw(struct storvsc_request *req, unsigned int lun, bool write,
			uint64_t lba, uint32_t blocks, void *data, uint32_t data_len)
{
	memset(req, 0, sizeof(*req));
	req->lun = (uint8_t)lun;
	req->cdb_length = 16;
	req->data_in = write ? VSTOR_DATA_OUT : VSTOR_DATA_IN;
	req->cdb[0] = write ? 0x8a : 0x88;
	put64(req->cdb + 2, lba);
	put32(req->cdb + 10, blocks);
	req->data = data;
	req->data_len = data_len;
}
