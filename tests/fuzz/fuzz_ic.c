/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What guests answer to the integration services. The input is a list of commands, a byte each, some with bytes behind them: open,
 * close, agree on a version, answer well, answer with the last message changed, send raw bytes, let time pass, pause, shut
 * down, take a service back.
 */
#include "fuzz/fuzz.h"

#include "fuzz/input.h"
#include "unit/vsp/ic/fake_vsp.h"

static void on_done(void *opaque)
{
}

static void on_answer(void *opaque, int r, uint32_t status)
{
}

static void send_raw(struct vsp *v, struct input *in)
{
	uint8_t bytes[255], len = input_u8(in);
	uint16_t type = input_u8(in) & 1 ? VM_PKT_DATA_INBAND : VM_PKT_COMP;

	input_take(in, bytes, len);
	if (fake_packet(v, type, bytes, len) < 0)
		fake_close(v); /* as the VSP layer does with a channel that faulted */
}

static void send_changed(struct vsp *v, struct input *in)
{
	struct ic_header h = fake_header(v);

	h.flags = IC_FLAG_RESPONSE;
	for (uint8_t n = input_u8(in) & 7; n; n--)
		((uint8_t *)&h)[input_u8(in) % sizeof(h)] = input_u8(in);
	if (fake_answer_as(v, h) < 0)
		fake_close(v);
}

static void command(struct ic *ic, struct input *in)
{
	uint8_t c = input_u8(in);
	struct vsp *v = fake_count ? fake_vsps[(c >> 4) % fake_count] : NULL;
	int r = 0;

	if (v && !v->open && (c & 15) != 9) {
		r = fake_open(v);
		fake_advance_ms(1);
		return;
	}
	switch (v ? c & 15 : 9) {
	case 0:
		fake_close(v);
		break;
	case 1:
		r = fake_choose(v, input_u8(in) & 7, input_u8(in) & 3);
		break;
	case 2:
		r = fake_answer(v, input_u8(in) & 1 ? IC_STATUS_FAIL : 0);
		break;
	case 3:
		send_changed(v, in);
		return;
	case 4:
		send_raw(v, in);
		return;
	case 5:
		fake_advance_ms(input_u8(in) * 16u);
		break;
	case 6:
		ic_pause(ic, on_done, NULL);
		ic_resume(ic);
		break;
	case 7:
		if (ic_shutdown(ic, IC_SHUTDOWN_POWER_OFF, false, "x", on_answer, NULL) <
		    0)
			break;
		break;
	case 9:
		r = ic_enable(ic, input_u8(in) % IC_SERVICES, c >> 7);
		return;
	default:
		break;
	}
	if (r < 0)
		fake_close(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ic_env env = { .clock = &fake_clock,
				    .reference_time = fake_reference };
	struct input in = { data, size };
	struct ic *ic;

	fake_mono_ns = 1;
	if (ic_new(&env, 7, &ic) < 0)
		abort();
	for (int i = 0; i < 500 && in.left; i++)
		command(ic, &in);
	ic_remove(ic, on_done, NULL);
	if (fake_count)
		abort();
	return 0;
}
