/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that sends any packets on two channels of a SCSI controller with two disks and a DVD drive, while units come and go: every request that
 * asks for a completion gets one, of a size that was negotiated, and nothing stays under way. The serving thread (vsp.h) is
 * played by this file, so that a packet costs no system call.
 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "fuzz/input.h"
#include "proto/storvsp.h"
#include "unit/back/fake_disk.h"
#include "vid/guestmem.h"
#include "vsp/storvsp/storvsp.h"

#define RAM_BYTES (2u << 20)
#define DISK_BYTES (16u << 10)
#define PACKETS_MAX 64u
#define RANGES_MAX 4u
#define PAGES_MAX 300u

#define MUST(cond)                                           \
	do {                                                 \
		if (!(cond)) {                               \
			fprintf(stderr, "not: %s\n", #cond); \
			abort();                             \
		}                                            \
	} while (0)

/* ---- the serving side ---- */

struct vsp_channel {
	unsigned int index;
	void *state;
};

static struct guestmem *gm; /* made once; emptied by each call */
static struct vsp_channel channels[2];
static const struct vsp_ops *ops;
static void *dev;
static unsigned int completions;

int vsp_new(struct vmbus *bus, struct event_base *loop,
	    const struct vmbus_offer_params *params, unsigned int flags,
	    const struct vsp_ops *ops_, void *dev_, struct vsp **ret)
{
	ops = ops_;
	dev = dev_;
	*ret = NULL;
	return 0;
}

void vsp_remove(struct vsp *v, void (*done)(void *opaque), void *opaque)
{
	done(opaque);
}

void vsp_kick(struct vsp *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(channels); i++)
		ops->kicked(channels[i].state);
}

void vsp_channel_kick(struct vsp_channel *vc)
{
	ops->kicked(vc->state);
}

struct vmbus_channel *vsp_channel_vmbus(struct vsp_channel *vc)
{
	return (struct vmbus_channel *)(void *)vc;
}

void vsp_watch(struct vsp_channel *vc, int fd)
{
}

void vsp_timer(struct vsp_channel *vc, uint64_t deadline_ns)
{
}

void vsp_timer_by(struct vsp_channel *vc, uint64_t deadline_ns)
{
}

bool vsp_runs(const struct vsp_channel *vc)
{
	return true;
}

void vsp_resume(struct vsp *v)
{
}

void vsp_complete(struct vsp_channel *vc, uint64_t transaction_id, const void *payload,
		  size_t len)
{
	struct vstor_packet p = { 0 };

	MUST(transaction_id == vc->index);
	MUST(len == VSTOR_PACKET_BYTES || len == VSTOR_PACKET_BYTES_WIN7);
	memcpy(&p, payload, len);
	MUST(p.operation == VSTOR_COMPLETE_IO);
	completions++;
}

void vsp_send(struct vsp_channel *vc, uint16_t flags, uint64_t transaction_id,
	      const void *payload, size_t len)
{
	MUST(vc->index == 0 && transaction_id == 0);
}

const struct guestmem *channel_guestmem(const struct vmbus_channel *ch)
{
	return gm;
}

unsigned int channel_sub_index(const struct vmbus_channel *ch)
{
	return ((const struct vsp_channel *)(const void *)ch)->index;
}

int channel_request_subs(struct vmbus_channel *ch, unsigned int count)
{
	MUST(count && count <= 1);
	return (int)count;
}

/* ---- the guest ---- */

static struct storvsp *s;

static void deliver(unsigned int ch, const void *buf, size_t len)
{
	struct packet p;
	int r;

	if (packet_parse(buf, len, &p) < 0)
		return;
	p.transaction_id = ch;
	completions = 0;
	r = ops->packet(channels[ch].state, &p);
	ops->flush(channels[ch].state);
	MUST(r == 0 || r == -EPROTO);
	MUST(ops->outstanding(channels[ch].state) == 0);
	if (r == 0 && p.type != VM_PKT_COMP)
		MUST(completions == (packet_wants_completion(&p) ? 1 : 0));
}

/* A range that is sane but for what the input says; its size in the packet. */
static size_t put_range(struct input *in, uint8_t *to)
{
	struct vmbus_gpa_range range = { .byte_count = input_u32(in) & 0x1fffff };
	uint64_t pfn = input_u32(in) & 0x3ff;
	size_t pages;

	range.byte_offset = (pfn & 1) ? input_u32(in) & 0xfff : 0;
	pages = (range.byte_offset + range.byte_count + 4095) / 4096;
	pages = MIN(pages, (size_t)PAGES_MAX);
	memcpy(to, &range, sizeof(range));
	for (size_t i = 0; i < pages; i++, pfn++)
		memcpy(to + sizeof(range) + 8 * i, &pfn, 8);
	return sizeof(range) + 8 * pages;
}

static void send_packet(struct input *in, unsigned int ch, uint8_t ctl)
{
	_Alignas(8) static uint8_t buf[24 + RANGES_MAX * (8 + 8 * PAGES_MAX) + 64];
	struct vmbus_packet_gpa_direct d = { .packet = { .type = VM_PKT_DATA_INBAND } };
	size_t len = sizeof(d.packet);
	struct vstor_packet p;

	d.packet.flags = ctl & 2 ? 0 : VMBUS_PACKET_FLAG_COMPLETION_REQUESTED;
	if (ctl & 4) {
		d.packet.type = VM_PKT_DATA_USING_GPA_DIRECT;
		d.range_count = 1 + (ctl >> 3 & 3);
		len = sizeof(d);
		for (unsigned int i = 0; i < d.range_count; i++)
			len += put_range(in, buf + len);
	}
	input_take(in, &p, sizeof(p));
	p.operation &= 0x1f;
	d.packet.offset8 = (uint16_t)(len / 8);
	memcpy(buf + len, &p, sizeof(p));
	len += ctl & 0x20 ? VSTOR_PACKET_BYTES_WIN7 : VSTOR_PACKET_BYTES;
	d.packet.len8 = (uint16_t)(len / 8);
	memcpy(buf, &d, ctl & 4 ? sizeof(d) : sizeof(d.packet));
	deliver(ch, buf, len);
}

static void send_raw(struct input *in, unsigned int ch)
{
	_Alignas(8) static uint8_t buf[512];
	size_t len = (input_u8(in) + 1u) * 2;

	input_take(in, buf, len);
	deliver(ch, buf, len);
}

static void poke(struct input *in)
{
	uint8_t bytes[64];
	size_t n = 1 + (input_u8(in) & 63);

	input_take(in, bytes, n);
	MUST(guestmem_write(gm, input_u32(in) & 0xfffff, bytes, n) == 0);
}

/* ---- the host ---- */

static void attach(unsigned int lun, struct scsi_dev *d)
{
	if (storvsp_attach(s, lun, d) < 0)
		scsi_dev_unref(d);
}

static void attach_disk(unsigned int lun, const struct disk_info *info)
{
	struct scsi_dev *d;

	MUST(scsi_disk_new(&fake_disk_new(DISK_BYTES, info)->disk, &d) == 0);
	attach(lun, d);
}

static void change_medium(bool in)
{
	struct disk *medium = in ? &fake_disk_new(DISK_BYTES, NULL)->disk : NULL;

	if (storvsp_change_medium(s, 2, medium) < 0)
		disk_unref(medium);
}

static void change_units(uint8_t how)
{
	int r = 0;

	if (how & 1)
		change_medium(how & 2);
	else if (how & 2)
		attach_disk(1, NULL);
	else
		r = storvsp_detach(s, how >> 2 & 7);
	MUST(r == 0 || r == -ENOENT);
}

static void negotiate(uint16_t version)
{
	static const uint32_t order[] = { VSTOR_BEGIN_INITIALIZATION,
					  VSTOR_QUERY_PROTOCOL_VERSION,
					  VSTOR_QUERY_PROPERTIES,
					  VSTOR_END_INITIALIZATION };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct {
			struct vmbus_packet d;
			struct vstor_packet p;
		} m = { .d = { VM_PKT_DATA_INBAND, 2, 10, 1, 0 },
			.p = { .operation = order[i], .version.major_minor = version } };

		deliver(0, &m, sizeof(m));
	}
}

static void begin(void)
{
	const struct storvsp_params params = { .max_sub_channels = 1,
					       .engine = AIO_THREADS };
	const struct disk_info read_only = { .logical_bytes = 4096,
					     .physical_bytes = 4096,
					     .read_only = true };
	struct scsi_dev *dvd;

	if (!gm)
		MUST(guestmem_new(RAM_BYTES, &gm) == 0);
	MUST(guestmem_discard(gm) == 0);
	MUST(storvsp_new(&params, &s) == 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(channels); i++) {
		channels[i].index = i;
		MUST(ops->open(dev, &channels[i], &channels[i].state) == 0);
	}
	attach_disk(0, NULL);
	attach_disk(3, &read_only);
	MUST(scsi_dvd_new(NULL, &(struct guid){ { 1 } }, &dvd) == 0);
	attach(2, dvd);
}

static void end(void)
{
	for (size_t i = ARRAY_SIZE(channels); i-- > 0;)
		ops->close(channels[i].state);
	storvsp_remove(s, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t versions[] = { VSTOR_VERSION_WIN10, VSTOR_VERSION_WIN8,
					     VSTOR_VERSION_WIN7, VSTOR_VERSION_WIN6 };
	struct input in = { data, size };
	uint8_t how = input_u8(&in);

	begin();
	if (!(how & 4))
		negotiate(versions[how & 3]);
	for (unsigned int i = 0; i < PACKETS_MAX && in.left; i++) {
		uint8_t ctl = input_u8(&in);

		if ((ctl & 0xc0) == 0x80)
			poke(&in);
		else if ((ctl & 0xc0) == 0xc0)
			change_units(ctl);
		else if ((ctl & 0xc0) == 0x40 && (ctl & 2))
			send_raw(&in, ctl & 1);
		else
			send_packet(&in, ctl & 1, ctl);
	}
	end();
	return 0;
}
