/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings and packets that no driver makes, on the first SCSI controller. Each row ends its channel at worst; a reopen mends it. */
#include "bare/console.h"
#include "bare/guest.h"
#include "bare/hostile.h"
#include "bare/time.h"
#include "core/mem.h"

#define TAKEN_US 50000u
#define RING_PAGES 4u
#define RING_BYTES ((RING_PAGES - 1) * CORE_PAGE_SIZE)

static struct storvsc controller;

static struct chan *find_controller(void)
{
	struct chan *ch = bus_find(&guest_get()->bus, storvsc_type, NULL);

	if (!ch)
		say("hostile needs a SCSI controller");
	return ch;
}

/* Until the host has taken what was sent; it may also have stopped listening, which shows by nothing. */
static void let_it_be_taken(struct chan *ch)
{
	uint64_t until = time_now_us() + TAKEN_US;

	while (cring_out_free(&ch->ring) != ch->ring.out.size && time_now_us() < until)
		guest_wait(1000);
}

static const struct {
	const char *what;
	uint32_t write, read, pending, mask;
	uint16_t type, offset8, len8;
} ring_rows[] = {
	{ "write index at the end", RING_BYTES, 0, 0, 0, VM_PKT_DATA_INBAND, 2, 3 },
	{ "write index huge", 0xfffffff8, 0, 0, 0, VM_PKT_DATA_INBAND, 2, 3 },
	{ "write index odd", 13, 0, 0, 0, VM_PKT_DATA_INBAND, 2, 3 },
	{ "half a descriptor", 8, 0, 0, 0, VM_PKT_DATA_INBAND, 2, 3 },
	{ "no trailer", 16, 0, 0, 0, VM_PKT_DATA_INBAND, 2, 2 },
	{ "longer than what is there", 40, 0, 0, 0, VM_PKT_DATA_INBAND, 2, 500 },
	{ "length 0", 40, 0, 0, 0, VM_PKT_DATA_INBAND, 2, 0 },
	{ "payload inside the descriptor", 40, 0, 0, 0, VM_PKT_DATA_INBAND, 0, 3 },
	{ "payload behind the packet", 40, 0, 0, 0, VM_PKT_DATA_INBAND, 0xffff, 3 },
	{ "type 0", 40, 0, 0, 0, 0, 2, 3 },
	{ "type 0xffff", 40, 0, 0, 0, 0xffff, 2, 3 },
	{ "ranges that are not there", 40, 0, 0, 0, VM_PKT_DATA_USING_GPA_DIRECT, 3, 4 },
	{ "pages that were never lent", 40, 0, 0, 0, VM_PKT_DATA_USING_XFER_PAGES, 3, 4 },
	{ "a completion of nothing", 40, 0, 0, 0, VM_PKT_COMP, 2, 4 },
	{ "read index huge in the host's ring", 40, 0xfffffff8, 0, 0, VM_PKT_DATA_INBAND,
	  2, 4 },
	{ "read index odd in the host's ring", 40, 3, 0, 0, VM_PKT_DATA_INBAND, 2, 4 },
	{ "waits for 4 GiB of room", 40, 0, UINT32_MAX, 0, VM_PKT_DATA_INBAND, 2, 4 },
	{ "masks with all bits", 40, 0, 0, UINT32_MAX, VM_PKT_DATA_INBAND, 2, 4 },
};

static void set(uint32_t *index, uint32_t v)
{
	__atomic_store_n(index, v, __ATOMIC_SEQ_CST);
}

static bool ring_row(struct chan *ch, size_t i)
{
	const struct vmbus_packet d = {
		.type = ring_rows[i].type,
		.offset8 = ring_rows[i].offset8,
		.len8 = ring_rows[i].len8,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = i,
	};

	if (chan_open(ch, RING_PAGES, RING_PAGES, 0, NULL))
		return false;
	memset(ch->ring.out.data, 0xff, 64);
	memcpy(ch->ring.out.data, &d, sizeof(d));
	set(&ch->ring.in.header->read_index, ring_rows[i].read);
	set(&ch->ring.in.header->pending_send_size, ring_rows[i].pending);
	set(&ch->ring.in.header->interrupt_mask, ring_rows[i].mask);
	set(&ch->ring.out.header->write_index, ring_rows[i].write);
	if (hv_signal(&guest_get()->hv, ch->offer.connection_id))
		return false;
	let_it_be_taken(ch);
	return !chan_close(ch);
}

bool hostile_ring(void)
{
	struct chan *ch = find_controller();
	size_t i;

	for (i = 0; ch && i < sizeof(ring_rows) / sizeof(ring_rows[0]); i++) {
		if (!ring_row(ch, i)) {
			say("hostile ring: no open or close: %s", ring_rows[i].what);
			return false;
		}
		if (!hostile_survived("ring", ring_rows[i].what))
			return false;
	}
	return ch;
}

/* data: where the packet's one range lies; 0: no ranges. */
static const struct {
	const char *what;
	struct vstor_packet p;
	size_t len;
	uint64_t data;
} packet_rows[] = {
	{ "no byte", { .operation = VSTOR_EXECUTE_SRB }, 0, 0 },
	{ "8 bytes", { .operation = VSTOR_EXECUTE_SRB }, 8, 0 },
	{ "operation huge", { .operation = UINT32_MAX }, 64, 0 },
	{ "begin again", { .operation = VSTOR_BEGIN_INITIALIZATION }, 64, 0 },
	{ "65535 sub-channels",
	  { .operation = VSTOR_CREATE_SUB_CHANNELS, .sub_channel_count = UINT16_MAX },
	  64,
	  0 },
	{ "CDB of 255 bytes",
	  { .operation = VSTOR_EXECUTE_SRB, .srb = { .cdb_length = 255 } },
	  64,
	  0 },
	{ "LUN 255",
	  { .operation = VSTOR_EXECUTE_SRB, .srb = { .lun = 255, .cdb_length = 6 } },
	  64,
	  0 },
	{ "data without ranges",
	  { .operation = VSTOR_EXECUTE_SRB,
	    .srb = { .cdb_length = 6,
		     .data_in = VSTOR_DATA_IN,
		     .data_transfer_length = 36,
		     .cdb = { 0x12, 0, 0, 0, 36 } } },
	  64,
	  0 },
	{ "data beyond memory",
	  { .operation = VSTOR_EXECUTE_SRB,
	    .srb = { .cdb_length = 6,
		     .data_in = VSTOR_DATA_IN,
		     .data_transfer_length = 36,
		     .cdb = { 0x12, 0, 0, 0, 36 } } },
	  64,
	  0x7ffffff00000 },
	{ "data in the local APIC",
	  { .operation = VSTOR_EXECUTE_SRB,
	    .srb = { .cdb_length = 6,
		     .data_in = VSTOR_DATA_IN,
		     .data_transfer_length = 36,
		     .cdb = { 0x12, 0, 0, 0, 36 } } },
	  64,
	  0xfee00000 },
	{ "4 GiB into one page",
	  { .operation = VSTOR_EXECUTE_SRB,
	    .srb = { .cdb_length = 16,
		     .data_in = VSTOR_DATA_IN,
		     .data_transfer_length = UINT32_MAX,
		     .cdb = { 0x88, [10] = 0xff } } },
	  64,
	  0x8000 },
};

static bool packet_row(struct chan *ch, size_t i)
{
	const struct vstor_packet *p = &packet_rows[i].p;
	size_t len = packet_rows[i].len;
	int r;

	if (storvsc_start(&controller, &guest_get()->bus, ch, 0, 0, 1))
		return false;
	if (packet_rows[i].data)
		r = chan_send_data(ch, 99, (void *)packet_rows[i].data, 512, p, len);
	else
		r = chan_send(ch, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED, 99, p, len);
	if (r)
		return false;
	let_it_be_taken(ch);
	return !storvsc_stop(&controller);
}

bool hostile_packet(void)
{
	struct chan *ch = find_controller();
	size_t i;

	for (i = 0; ch && i < sizeof(packet_rows) / sizeof(packet_rows[0]); i++) {
		if (!packet_row(ch, i)) {
			say("hostile packet: no start or stop: %s", packet_rows[i].what);
			return false;
		}
		if (!hostile_survived("packet", packet_rows[i].what))
			return false;
	}
	return ch;
}
