/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's guest interface: synthetic MSRs, hypercalls and doorbells of two VPs in any order and with any values, stores to the
 * pages that they name, and posts and signals of the host in between.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include "fuzz/input.h"
#include "vid/hvmsr.h"
#include "vid/hypercall.h"

#define VPS 2u
#define RAM (2ull << 20)
#define STEPS 256

struct machine {
	struct guestmem *mem;
	struct synic *synic;
	struct reftime reftime;
	struct hvmsr *hvmsr;
};

static uint64_t tsc_value;

static uint64_t tsc(void)
{
	return tsc_value += 1000;
}

static void inject(void *opaque, unsigned int vp, uint8_t vector)
{
	if (vp >= VPS || vector < 16)
		abort();
}

static void crash(void *opaque, unsigned int vp, const uint64_t params[5],
		  const char *text, size_t len)
{
	static volatile char sink;

	for (size_t i = 0; i < len; i++)
		sink = text[i];
	(void)sink;
}

static void reset(void *opaque, unsigned int vp)
{
}

static uint64_t runtime(void *opaque, unsigned int vp)
{
	return 0;
}

static uint16_t take(void *opaque, unsigned int vp, uint32_t type, const void *payload,
		     size_t len)
{
	if (len > HV_MESSAGE_PAYLOAD_MAX || type == HVMSG_NONE)
		abort();
	return HV_STATUS_SUCCESS;
}

static void machine_make(struct machine *m)
{
	struct synic_env env = { .inject = inject };
	struct hvmsr_config config = {
		.reftime = &m->reftime,
		.vps = VPS,
		.tsc_hz = 1000000000,
		.apic_hz = 1000000000,
		.crash = crash,
		.reset = reset,
		.runtime = runtime,
	};

	if (guestmem_new(RAM, &m->mem))
		abort();
	env.mem = config.mem = m->mem;
	if (synic_new(&env, VPS, &m->synic) || reftime_init(&m->reftime, 1000000, tsc))
		abort();
	config.synic = m->synic;
	if (hvmsr_new(&config, &m->hvmsr) ||
	    synic_ops.message_port(m->synic, 4, take, NULL))
		abort();
	reftime_start(&m->reftime);
	hvmsr_time_started(m->hvmsr, true);
}

static void machine_done(struct machine *m)
{
	hvmsr_free(m->hvmsr);
	synic_free(m->synic);
	reftime_done(&m->reftime);
	guestmem_free(m->mem);
}

/* Addresses are near the ends of RAM and pages more often than chance has it. */
static uint64_t value_take(struct input *in)
{
	uint64_t v = 0;

	switch (input_u8(in) % 4) {
	case 0:
		return (input_u32(in) & (RAM - 1)) | 1;
	case 1:
		return RAM - input_u8(in);
	case 2:
		return input_u8(in);
	default:
		input_take(in, &v, sizeof(v));
		return v;
	}
}

static void step(struct machine *m, struct input *in)
{
	const struct hv_message msg = { .message_type = 1, .payload_size = 240 };
	unsigned int vp = input_u8(in) % VPS;
	uint32_t msr = HV_MSR_FIRST + (input_u8(in) | (input_u8(in) & 1) << 8);
	uint64_t value = value_take(in);
	uint8_t bytes[16];

	switch (input_u8(in) % 6) {
	case 0:
		(void)hvmsr_write(m->hvmsr, vp, msr, value);
		break;
	case 1:
		(void)hvmsr_read(m->hvmsr, vp, msr, &value);
		break;
	case 2:
		(void)hypercall_run(m->synic, m->mem, vp, value_take(in), value);
		break;
	case 3:
		input_take(in, bytes, sizeof(bytes));
		(void)!guestmem_write(m->mem, value, bytes, sizeof(bytes));
		break;
	case 4:
		(void)synic_ops.post(m->synic, vp, msr & 31, &msg);
		break;
	default:
		(void)synic_ops.signal(m->synic, vp, msr & 31, (unsigned int)value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct machine m;

	machine_make(&m);
	for (unsigned int i = 0; i < STEPS && in.left; i++)
		step(&m, &in);
	machine_done(&m);
	return 0;
}
