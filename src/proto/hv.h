/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's guest interface on x86-64: CPUID leaves, synthetic MSRs, hypercalls, SynIC pages.
 * Source: Hypervisor Top-Level Functional Specification (TLFS) 6.0b, sections named below. Little-endian.
 */
#ifndef PROTO_HV_H
#define PROTO_HV_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define HV_PAGE_SIZE 4096u

/* TLFS 2.4: CPUID leaves. */
#define HV_CPUID_VENDOR_AND_MAX 0x40000000u
#define HV_CPUID_INTERFACE 0x40000001u
#define HV_CPUID_VERSION 0x40000002u
#define HV_CPUID_FEATURES 0x40000003u
#define HV_CPUID_ENLIGHTENMENTS 0x40000004u
#define HV_CPUID_LIMITS 0x40000005u
#define HV_CPUID_HARDWARE 0x40000006u

/* TLFS 4.2.2: HV_PARTITION_PRIVILEGE_MASK, leaf 0x40000003 EAX (low) and EBX (high). */
#define HV_PRIV_VP_RUNTIME_MSR (1u << 0)
#define HV_PRIV_TIME_REF_COUNT (1u << 1)
#define HV_PRIV_SYNIC_MSRS (1u << 2)
#define HV_PRIV_SYNTHETIC_TIMER_MSRS (1u << 3)
#define HV_PRIV_APIC_MSRS (1u << 4)
#define HV_PRIV_HYPERCALL_MSRS (1u << 5)
#define HV_PRIV_VP_INDEX_MSR (1u << 6)
#define HV_PRIV_RESET_MSR (1u << 7)
#define HV_PRIV_REFERENCE_TSC (1u << 9)
#define HV_PRIV_FREQUENCY_MSRS (1u << 11)
#define HV_PRIV_EBX_POST_MESSAGES (1u << 4)
#define HV_PRIV_EBX_SIGNAL_EVENTS (1u << 5)
/* Leaf 0x40000003 EDX. */
#define HV_FEAT_EDX_FREQUENCY_MSRS (1u << 8)
#define HV_FEAT_EDX_CRASH_MSRS (1u << 10)
#define HV_FEAT_EDX_STIMER_DIRECT (1u << 19)
/* Leaf 0x40000004 EAX. */
#define HV_HINT_APIC_MSRS (1u << 3)
#define HV_HINT_RELAXED_TIMING (1u << 5)
#define HV_HINT_DEPRECATE_AUTO_EOI (1u << 9)

/* TLFS appendix F: synthetic MSRs. */
#define HV_X64_MSR_GUEST_OS_ID 0x40000000u
#define HV_X64_MSR_HYPERCALL 0x40000001u
#define HV_X64_MSR_VP_INDEX 0x40000002u
#define HV_X64_MSR_RESET 0x40000003u
#define HV_X64_MSR_VP_RUNTIME 0x40000010u
#define HV_X64_MSR_TIME_REF_COUNT 0x40000020u
#define HV_X64_MSR_REFERENCE_TSC 0x40000021u
#define HV_X64_MSR_TSC_FREQUENCY 0x40000022u
#define HV_X64_MSR_APIC_FREQUENCY 0x40000023u
#define HV_X64_MSR_EOI 0x40000070u
#define HV_X64_MSR_ICR 0x40000071u
#define HV_X64_MSR_TPR 0x40000072u
#define HV_X64_MSR_VP_ASSIST_PAGE 0x40000073u
#define HV_X64_MSR_SCONTROL 0x40000080u
#define HV_X64_MSR_SVERSION 0x40000081u
#define HV_X64_MSR_SIEFP 0x40000082u
#define HV_X64_MSR_SIMP 0x40000083u
#define HV_X64_MSR_EOM 0x40000084u
#define HV_X64_MSR_SINT0 0x40000090u
#define HV_X64_MSR_STIMER0_CONFIG 0x400000b0u
#define HV_X64_MSR_CRASH_P0 0x40000100u
#define HV_X64_MSR_CRASH_P4 0x40000104u
#define HV_X64_MSR_CRASH_CTL 0x40000105u
#define HV_MSR_FIRST 0x40000000u
#define HV_MSR_LAST 0x400001ffu

#define HV_MSR_ENABLE \
	1ull /* HYPERCALL, REFERENCE_TSC, SIMP, SIEFP, VP_ASSIST_PAGE, SCONTROL: bit 0 */
#define HV_MSR_HYPERCALL_LOCKED 2ull

/* TLFS 11.8.6: SINTx. */
#define HV_SINT_COUNT 16u
#define HV_SINT_VECTOR_MASK 0xffull
#define HV_SINT_MASKED (1ull << 16)
#define HV_SINT_AUTO_EOI (1ull << 17)
#define HV_SINT_POLLING (1ull << 18)
#define HV_SYNIC_VERSION_1 1u

/* Guest crash MSRs: CRASH_CTL. */
#define HV_CRASH_CTL_NOTIFY (1ull << 63)
#define HV_CRASH_CTL_NOTIFY_MSG \
	(1ull << 62) /* P3 = gpa, P4 = bytes of the guest's message */
#define HV_CRASH_MESSAGE_MAX 4096u

/* TLFS 3.7: the hypercall input value. */
#define HV_HYPERCALL_CODE_MASK 0xffffull
#define HV_HYPERCALL_FAST (1ull << 16)
#define HVCALL_NOTIFY_LONG_SPIN_WAIT 0x0008u
#define HVCALL_POST_MESSAGE 0x005cu
#define HVCALL_SIGNAL_EVENT 0x005du

/* TLFS appendix B: status codes. */
#define HV_STATUS_SUCCESS 0x0000u
#define HV_STATUS_INVALID_HYPERCALL_CODE 0x0002u
#define HV_STATUS_INVALID_HYPERCALL_INPUT 0x0003u
#define HV_STATUS_INVALID_ALIGNMENT 0x0004u
#define HV_STATUS_INVALID_PARAMETER 0x0005u
#define HV_STATUS_ACCESS_DENIED 0x0006u
#define HV_STATUS_OPERATION_DENIED 0x0008u
#define HV_STATUS_INSUFFICIENT_MEMORY 0x000bu
#define HV_STATUS_INVALID_VP_INDEX 0x000eu
#define HV_STATUS_INVALID_PORT_ID 0x0011u
#define HV_STATUS_INVALID_CONNECTION_ID 0x0012u
#define HV_STATUS_INSUFFICIENT_BUFFERS 0x0013u

/* TLFS 11.8.3: one slot of the message page; 16 of them, one a SINT. */
#define HV_MESSAGE_PAYLOAD_MAX 240u
#define HV_MESSAGE_FLAG_PENDING 1u

#define HVMSG_NONE 0x00000000u
#define HVMSG_CHANNEL 0x00000001u /* the type of VMBus' messages, in both directions */
#define HVMSG_TIMER_EXPIRED 0x80000010u

struct hv_message {
	uint32_t message_type;
	uint8_t payload_size;
	uint8_t message_flags;
	uint8_t reserved[2];
	uint64_t sender;
	uint8_t payload[HV_MESSAGE_PAYLOAD_MAX];
};
static_assert(sizeof(struct hv_message) == 256, "TLFS 11.8.3");
static_assert(offsetof(struct hv_message, payload) == 16, "TLFS 11.8.3");

/* TLFS 11.8.4: event flags of a SINT, 2048 bits; 16 of them make the page. */
#define HV_EVENT_FLAGS_COUNT 2048u
#define HV_EVENT_FLAGS_BYTES (HV_EVENT_FLAGS_COUNT / 8)

/* TLFS 11.11.2: HvCallPostMessage's input. */
struct hv_input_post_message {
	uint32_t connection_id;
	uint32_t reserved;
	uint32_t message_type;
	uint32_t payload_size;
	uint8_t payload[HV_MESSAGE_PAYLOAD_MAX];
};
static_assert(sizeof(struct hv_input_post_message) == 256, "TLFS 11.11.2");

/* TLFS 11.11.3: HvCallSignalEvent's input; in the fast form it is RDX. */
struct hv_input_signal_event {
	uint32_t connection_id;
	uint16_t flag_number;
	uint16_t reserved;
};
static_assert(sizeof(struct hv_input_signal_event) == 8, "TLFS 11.11.3");

/* TLFS 12.7: time = ((tsc * scale) >> 64) + offset, in 100 ns; sequence 0 means: do not use. */
struct hv_reference_tsc_page {
	uint32_t tsc_sequence;
	uint32_t reserved;
	uint64_t tsc_scale;
	int64_t tsc_offset;
};
static_assert(sizeof(struct hv_reference_tsc_page) == 24, "TLFS 12.7");

/*
 * Ours, not the TLFS': the ports that the code on the hypercall page writes to (any guest may, it gains
 * nothing). DOORBELL takes a connection id (32 bits) and is matched in the kernel by ioeventfds; HYPERCALL exits
 * to the worker, which reads RCX, RDX, R8 and answers in RAX.
 */
#define HV_PORT_DOORBELL 0xe0u
#define HV_PORT_HYPERCALL 0xe4u

#endif
