/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/hypercall.h"

#include <errno.h>
#include <string.h>

/* The input value, TLFS 3.7: all but code and fast bit is for calls that we do not have. */
#define INPUT_KNOWN (HV_HYPERCALL_CODE_MASK | HV_HYPERCALL_FAST)
#define CONNECTION_ID_MASK 0xffffffu /* TLFS 11.5: 24 bits */
#define MESSAGE_TYPE_HYPERVISOR 0x80000000u

/* RCX of HvCallSignalEvent in its fast form; the immediate of the comparison below. */
#define FAST_SIGNAL (HVCALL_SIGNAL_EVENT | HV_HYPERCALL_FAST)

/* clang-format off */
static const uint8_t code[] = {
	0xf3, 0x0f, 0x1e, 0xfa,                         /* endbr64: Linux calls here with IBT on */
	0x81, 0xf9, FAST_SIGNAL & 0xff, FAST_SIGNAL >> 8 & 0xff,
	FAST_SIGNAL >> 16 & 0xff, FAST_SIGNAL >> 24,    /* cmp $FAST_SIGNAL, %ecx */
	0x75, 0x07,                                     /* jne 1f */
	0x89, 0xd0,                                     /* mov %edx, %eax: the connection */
	0xe7, HV_PORT_DOORBELL,                         /* out %eax, $HV_PORT_DOORBELL */
	0x31, 0xc0,                                     /* xor %eax, %eax: HV_STATUS_SUCCESS */
	0xc3,                                           /* ret */
	0xe7, HV_PORT_HYPERCALL,                        /* 1: out %eax, $HV_PORT_HYPERCALL */
	0xc3,                                           /* ret */
};
/* clang-format on */

int hypercall_page_write(struct guestmem *mem, uint64_t gpa)
{
	uint8_t *page = guestmem_ptr(mem, gpa, HV_PAGE_SIZE);

	if (!page)
		return -EFAULT;
	memset(page, 0xcc, HV_PAGE_SIZE); /* int3: a jump beside the code is seen */
	memcpy(page, code, sizeof(code));
	return 0;
}

/* The slow form's input: 8-byte aligned, within one page, in RAM; anything else is INVALID_ALIGNMENT (TLFS 3.8). */
static uint16_t input_read(struct guestmem *mem, uint64_t gpa, void *in, size_t len)
{
	if (!is_aligned(gpa, 8) || (gpa & (HV_PAGE_SIZE - 1)) + len > HV_PAGE_SIZE)
		return HV_STATUS_INVALID_ALIGNMENT;
	return guestmem_read(mem, gpa, in, len) ? HV_STATUS_INVALID_ALIGNMENT
						: HV_STATUS_SUCCESS;
}

/*
 * TLFS 11.11.2. The input is the header and as much payload as it says, so a short message may stand at the end of
 * a page; the fast form cannot hold it.
 */
static uint16_t post_message(struct synic *synic, struct guestmem *mem, unsigned int vp,
			     bool fast, uint64_t gpa)
{
	const size_t head = offsetof(struct hv_input_post_message, payload);
	struct hv_input_post_message in;
	uint16_t status;

	if (fast)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	status = input_read(mem, gpa, &in, head);
	if (status)
		return status;
	if (in.payload_size > HV_MESSAGE_PAYLOAD_MAX)
		return HV_STATUS_INVALID_PARAMETER;
	if (in.message_type == HVMSG_NONE || in.message_type & MESSAGE_TYPE_HYPERVISOR)
		return HV_STATUS_INVALID_PARAMETER;
	if (in.connection_id & ~CONNECTION_ID_MASK)
		return HV_STATUS_INVALID_CONNECTION_ID;
	if (in.payload_size > HV_PAGE_SIZE - head - (gpa & (HV_PAGE_SIZE - 1)))
		return HV_STATUS_INVALID_ALIGNMENT;
	if (guestmem_read(mem, gpa + head, in.payload, in.payload_size))
		return HV_STATUS_INVALID_ALIGNMENT;
	return synic_post_message(synic, vp, in.connection_id, in.message_type,
				  in.payload, in.payload_size);
}

/* TLFS 11.11.3. Every connection here has one flag, number 0. */
static uint16_t signal_event(struct synic *synic, struct guestmem *mem, bool fast,
			     uint64_t param)
{
	struct hv_input_signal_event in;
	uint16_t status;

	if (fast) {
		memcpy(&in, &param, sizeof(in));
	} else {
		status = input_read(mem, param, &in, sizeof(in));
		if (status)
			return status;
	}
	if (in.connection_id & ~CONNECTION_ID_MASK)
		return HV_STATUS_INVALID_CONNECTION_ID;
	if (in.flag_number)
		return HV_STATUS_INVALID_PARAMETER;
	return synic_doorbell(synic, in.connection_id);
}

uint64_t hypercall_run(struct synic *synic, struct guestmem *mem, unsigned int vp,
		       uint64_t rcx, uint64_t rdx)
{
	bool fast = rcx & HV_HYPERCALL_FAST;

	switch (rcx & HV_HYPERCALL_CODE_MASK) {
	case HVCALL_POST_MESSAGE:
	case HVCALL_SIGNAL_EVENT:
		break;
	default:
		return HV_STATUS_INVALID_HYPERCALL_CODE;
	}
	/* Repetitions, a variable header, the nested bit, reserved bits. */
	if (rcx & ~INPUT_KNOWN)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	if ((rcx & HV_HYPERCALL_CODE_MASK) == HVCALL_POST_MESSAGE)
		return post_message(synic, mem, vp, fast, rdx);
	return signal_event(synic, mem, fast, rdx);
}
