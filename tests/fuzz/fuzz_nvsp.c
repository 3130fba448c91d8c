/* SPDX-License-Identifier: BSD-2-Clause */
/* NVSP messages, one behind the other: a byte of length, a byte that says whether what is wanted works, the message. */
#include "fuzz/fuzz.h"

#include <stdlib.h>

#include "fuzz/input.h"
#include "vsp/netvsp/nvsp.h"

static void act(struct nvsp *s, struct nvsp_result *res, bool works)
{
	if (res->want == NVSP_WANT_RECEIVE_BUFFER)
		nvsp_receive_buffer(s, res, 1664, works ? 100 : 0);
	else if (res->want == NVSP_WANT_SEND_BUFFER)
		nvsp_send_buffer(s, res, works ? 6144 : 0);
	else if (res->want == NVSP_WANT_SUB_CHANNELS)
		nvsp_sub_channels(s, res, works ? res->sub_channels : 0);
	if (res->answer_bytes > sizeof(res->answer))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct nvsp_result res;
	uint8_t message[255];
	struct nvsp s;

	nvsp_reset(&s, 7);
	for (int i = 0; i < 100 && in.left; i++) {
		uint8_t len = input_u8(&in), works = input_u8(&in);

		input_take(&in, message, len);
		if (nvsp_packet(&s, message, len, &res) == 0)
			act(&s, &res, works & 1);
		if (s.frame_bytes < NVSP_FRAME_DEFAULT || s.frame_bytes > NVSP_FRAME_MAX)
			abort();
	}
	return 0;
}
