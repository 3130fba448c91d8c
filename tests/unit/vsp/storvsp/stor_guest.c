/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/vsp/storvsp/stor_guest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unit/test.h"

void stor_guest_init(struct stor_guest *sg, enum aio_engine engine)
{
	struct storvsp_params p = { .controller = 2,
				    .instance = { { 7 } },
				    .max_sub_channels = 2,
				    .engine = engine };

	memset(sg, 0, sizeof(*sg));
	sg->next_id = 1;
	bus_guest_init(&sg->g, 2);
	p.bus = sg->g.bus;
	p.loop = sg->g.loop;
	ck_assert_int_eq(storvsp_new(&p, &sg->s), 0);
	bus_guest_connect(&sg->g);
	ck_assert_uint_eq(sg->g.offer_count, 1);
	sg->ch[0].relid = sg->g.offers[0].child_relid;
}

static void on_flag(void *opaque)
{
	*(bool *)opaque = true;
}

void stor_guest_done(struct stor_guest *sg)
{
	bool reset = false;

	vmbus_reset(sg->g.bus, on_flag, &reset);
	while (!reset)
		bus_guest_wait(&sg->g);
	storvsp_remove(sg->s, on_flag, &sg->removed);
	ck_assert(sg->removed);
	bus_guest_done(&sg->g);
}

void stor_guest_open(struct stor_guest *sg, unsigned int ch)
{
	struct stor_channel *c = &sg->ch[ch];

	ck_assert_uint_eq(bus_guest_open(&sg->g, c->relid,
					 STOR_RING_GPA + ch * 2 * STOR_RING_PAGES * 4096,
					 STOR_RING_PAGES, ch % 2, &c->ring, &c->gpadl),
			  0);
}

void stor_guest_close(struct stor_guest *sg, unsigned int ch)
{
	bus_guest_close(&sg->g, sg->ch[ch].relid);
	bus_guest_teardown(&sg->g, sg->ch[ch].relid, sg->ch[ch].gpadl);
}

size_t stor_guest_exchange(struct stor_guest *sg, unsigned int ch, struct vstor_packet *p,
			   size_t len)
{
	struct stor_channel *c = &sg->ch[ch];
	uint64_t id = sg->next_id++;
	struct vmbus_packet d;
	size_t got;

	bus_guest_send(&sg->g, &c->ring, c->relid, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		       id, p, len);
	memset(p, 0, sizeof(*p));
	bus_guest_recv(&sg->g, &c->ring, c->relid, &d, p, sizeof(*p), &got);
	ck_assert_uint_eq(d.type, VM_PKT_COMP);
	ck_assert_uint_eq(d.transaction_id, id);
	ck_assert_uint_eq(p->operation, VSTOR_COMPLETE_IO);
	return got;
}

uint32_t stor_guest_ask(struct stor_guest *sg, unsigned int ch, uint32_t operation,
			uint16_t value, struct vstor_packet *ret)
{
	struct vstor_packet p = { .operation = operation,
				  .flags = VSTOR_PACKET_FLAG_COMPLETION,
				  .version.major_minor = value };

	stor_guest_exchange(sg, ch, &p, sizeof(p));
	if (ret)
		*ret = p;
	return p.status;
}

void stor_guest_start(struct stor_guest *sg, uint16_t version)
{
	stor_guest_open(sg, 0);
	ck_assert_uint_eq(stor_guest_ask(sg, 0, VSTOR_BEGIN_INITIALIZATION, 0, NULL), 0);
	ck_assert_uint_eq(
		stor_guest_ask(sg, 0, VSTOR_QUERY_PROTOCOL_VERSION, version, NULL), 0);
	ck_assert_uint_eq(stor_guest_ask(sg, 0, VSTOR_QUERY_PROPERTIES, 0, NULL), 0);
	ck_assert_uint_eq(stor_guest_ask(sg, 0, VSTOR_END_INITIALIZATION, 0, NULL), 0);
}

void stor_guest_start_subs(struct stor_guest *sg)
{
	ck_assert_uint_eq(stor_guest_ask(sg, 0, VSTOR_CREATE_SUB_CHANNELS, 2, NULL), 0);
	for (unsigned int i = 1; i <= 2; i++) {
		struct vmbus_offer_channel *o = &sg->g.offers[sg->g.offer_count];

		bus_guest_expect(&sg->g, CHANNELMSG_OFFERCHANNEL, o, sizeof(*o));
		ck_assert_uint_eq(o->sub_channel_index, i);
		sg->ch[i].relid = o->child_relid;
		sg->g.offer_count++;
	}
	stor_guest_open(sg, 1);
	stor_guest_open(sg, 2);
}

static size_t put_range(uint8_t *to, const struct stor_range *r)
{
	struct vmbus_gpa_range head = { .byte_count = r->bytes,
					.byte_offset = r->offset };
	unsigned int pages =
		r->pages ? r->pages
			 : (unsigned int)((r->offset + r->bytes + 4095ull) / 4096);

	memcpy(to, &head, sizeof(head));
	for (unsigned int i = 0; i < pages; i++) {
		uint64_t pfn = r->gpa / 4096 + i;

		memcpy(to + sizeof(head) + 8 * i, &pfn, sizeof(pfn));
	}
	return sizeof(head) + 8 * pages;
}

uint64_t stor_guest_send(struct stor_guest *sg, unsigned int ch,
			 const struct vstor_packet *p, const struct stor_range *ranges,
			 unsigned int n)
{
	struct stor_channel *c = &sg->ch[ch];
	_Alignas(8) uint8_t bytes[8192];
	struct vmbus_packet_gpa_direct d = {
		.packet = { .type = VM_PKT_DATA_USING_GPA_DIRECT, .flags = 1 },
		.range_count = n
	};
	size_t len = sizeof(d);
	bool doorbell;

	d.packet.transaction_id = sg->next_id++;
	for (unsigned int i = 0; i < n; i++)
		len += put_range(bytes + len, &ranges[i]);
	d.packet.offset8 = (uint16_t)(len / 8);
	memcpy(bytes + len, p, sizeof(*p));
	len += sizeof(*p);
	d.packet.len8 = (uint16_t)(len / 8);
	memcpy(bytes, &d, sizeof(d));
	if (!n) {
		bus_guest_send(&sg->g, &c->ring, c->relid, 1, d.packet.transaction_id, p,
			       sizeof(*p));
		return d.packet.transaction_id;
	}
	ck_assert(guest_ring_send_raw(&c->ring, bytes, len, &doorbell));
	if (doorbell)
		fake_synic_signal(&sg->g.synic, bus_guest_connection(&sg->g, c->relid));
	return d.packet.transaction_id;
}

uint64_t stor_guest_recv_any(struct stor_guest *sg, unsigned int ch,
			     struct vstor_packet *p)
{
	struct stor_channel *c = &sg->ch[ch];
	struct vmbus_packet d;
	size_t len;

	bus_guest_recv(&sg->g, &c->ring, c->relid, &d, p, sizeof(*p), &len);
	return d.type == VM_PKT_COMP ? d.transaction_id : 0;
}

uint64_t stor_guest_recv(struct stor_guest *sg, unsigned int ch, struct vstor_packet *p)
{
	struct stor_channel *c = &sg->ch[ch];
	struct vmbus_packet d;
	size_t len;

	bus_guest_recv(&sg->g, &c->ring, c->relid, &d, p, sizeof(*p), &len);
	ck_assert_uint_eq(d.type, VM_PKT_COMP);
	ck_assert_uint_eq(p->operation, VSTOR_COMPLETE_IO);
	return d.transaction_id;
}

void stor_guest_command(struct stor_guest *sg, unsigned int ch, unsigned int lun,
			const uint8_t *cdb, uint8_t cdb_bytes, uint8_t data_in,
			uint32_t bytes, struct vstor_packet *ret)
{
	struct vstor_packet p = { .operation = VSTOR_EXECUTE_SRB,
				  .srb = { .lun = (uint8_t)lun,
					   .cdb_length = cdb_bytes,
					   .sense_info_length = VSTOR_SENSE_BYTES,
					   .data_in = data_in,
					   .data_transfer_length = bytes } };
	struct stor_range range = { .bytes = bytes, .gpa = STOR_DATA_GPA };
	uint64_t id;

	memcpy(p.srb.cdb, cdb, cdb_bytes);
	id = stor_guest_send(sg, ch, &p, &range, bytes ? 1 : 0);
	ck_assert_uint_eq(stor_guest_recv(sg, ch, ret), id);
}

struct vstor_packet stor_guest_rw(unsigned int lun, bool write, uint32_t lba,
				  uint16_t blocks)
{
	struct vstor_packet p = { .operation = VSTOR_EXECUTE_SRB,
				  .srb = { .length = sizeof(p.srb),
					   .lun = (uint8_t)lun,
					   .cdb_length = 10,
					   .sense_info_length = VSTOR_SENSE_BYTES,
					   .data_in =
						   write ? VSTOR_DATA_OUT : VSTOR_DATA_IN,
					   .data_transfer_length = blocks * 512u } };
	be32_t l = be32(lba);
	be16_t n = be16(blocks);

	p.srb.cdb[0] = write ? SCSI_WRITE_10 : SCSI_READ_10;
	memcpy(&p.srb.cdb[2], &l, sizeof(l));
	memcpy(&p.srb.cdb[7], &n, sizeof(n));
	return p;
}

/* ---- the disk with a gate ---- */

static void let(struct aio_req *areq, ssize_t res)
{
	struct disk_req *req = container_of(areq, struct disk_req, aio_req);
	struct gate_disk *d = container_of(req->disk, struct gate_disk, disk);
	int error;

	ck_assert_int_eq(res, sizeof(req->state[2]));
	atomic_fetch_sub(&d->waiting, 1);
	pthread_mutex_lock(&d->lock);
	error = d->error;
	pthread_mutex_unlock(&d->lock);
	disk_done(req, -error);
}

static void gate_submit(struct disk *disk, struct disk_req *req)
{
	struct gate_disk *d = container_of(disk, struct gate_disk, disk);
	struct iovec *iov = (struct iovec *)&req->state[0];

	*iov = (struct iovec){ &req->state[2], sizeof(req->state[2]) };
	req->aio_req.done = let;
	atomic_fetch_add(&d->waiting, 1);
	aio_readv(req->aio, &req->aio_req, d->gate, iov, 1, UINT64_MAX);
}

static void gate_close(struct disk *disk)
{
	struct gate_disk *d = container_of(disk, struct gate_disk, disk);

	if (d->closed)
		(*d->closed)++;
	close(d->gate);
	free(d);
}

static const struct disk_ops gate_ops = { .format = "gate",
					  .submit = gate_submit,
					  .close = gate_close };

struct gate_disk *gate_disk_new(uint64_t bytes)
{
	const struct disk_info info = { .logical_bytes = 512, .physical_bytes = 512 };
	struct gate_disk *d = calloc(1, sizeof(*d));

	d->gate = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	ck_assert_int_ge(d->gate, 0);
	pthread_mutex_init(&d->lock, NULL);
	disk_init(&d->disk, &gate_ops, &info, bytes);
	return d;
}

void gate_disk_let(struct gate_disk *d, unsigned int n, int error)
{
	uint64_t count = n;

	pthread_mutex_lock(&d->lock);
	d->error = error;
	ck_assert_int_eq(write(d->gate, &count, sizeof(count)), sizeof(count));
	pthread_mutex_unlock(&d->lock);
}
