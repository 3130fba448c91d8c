/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message slot is ours once its type is not zero; to give it back the type becomes zero, and only then does message_flags
 * tell whether another message waits, for which the host wants the EOM MSR written (TLFS 11.8.3, 11.9). Read the other way round, a
 * message that came in between would wait for ever.
 */
#include "core/hv.h"

#include <errno.h>
#include "core/mem.h"

/* "BARE", not an operating system that the TLFS knows: open source (bit 63), type 0x10. TLFS 2.6. */
#define GUEST_OS_ID 0x9042415245000001ull
#define POST_FAIL_US 1000000u
#define POST_RETRY_US 100u

int hv_init(struct hv *hv, const struct core_env *env)
{
	uint64_t msr;

	memset(hv, 0, sizeof(*hv));
	hv->env = env;
	hv->hypercall_page = env->pages_alloc(env->opaque, 1);
	hv->post = env->pages_alloc(env->opaque, 1);
	if (!hv->hypercall_page || !hv->post)
		return -ENOMEM;
	env->wrmsr(env->opaque, HV_X64_MSR_GUEST_OS_ID, GUEST_OS_ID);
	msr = env->gpa(env->opaque, hv->hypercall_page) | HV_MSR_ENABLE;
	env->wrmsr(env->opaque, HV_X64_MSR_HYPERCALL, msr);
	if (env->rdmsr(env->opaque, HV_X64_MSR_HYPERCALL) != msr)
		return -ENODEV;
	return 0;
}

void hv_done(struct hv *hv)
{
	const struct core_env *env = hv->env;

	env->wrmsr(env->opaque, HV_X64_MSR_HYPERCALL, 0);
	env->wrmsr(env->opaque, HV_X64_MSR_GUEST_OS_ID, 0);
	env->pages_free(env->opaque, hv->hypercall_page, 1);
	env->pages_free(env->opaque, hv->post, 1);
}

int hv_synic_on(struct hv *hv, unsigned int vp, unsigned int sint, uint8_t vector)
{
	const struct core_env *env = hv->env;
	struct hv_vp *v;

	if (vp >= HV_VPS_MAX || sint >= HV_SINT_COUNT || hv->vps[vp].messages)
		return -EINVAL;
	v = &hv->vps[vp];
	v->messages = env->pages_alloc(env->opaque, 1);
	v->events = env->pages_alloc(env->opaque, 1);
	if (!v->messages || !v->events)
		return -ENOMEM;
	v->index = (uint32_t)env->rdmsr(env->opaque, HV_X64_MSR_VP_INDEX);
	env->wrmsr(env->opaque, HV_X64_MSR_SIMP,
		   env->gpa(env->opaque, v->messages) | HV_MSR_ENABLE);
	env->wrmsr(env->opaque, HV_X64_MSR_SIEFP,
		   env->gpa(env->opaque, v->events) | HV_MSR_ENABLE);
	env->wrmsr(env->opaque, HV_X64_MSR_SINT0 + sint, vector);
	env->wrmsr(env->opaque, HV_X64_MSR_SCONTROL, HV_MSR_ENABLE);
	return 0;
}

void hv_synic_off(struct hv *hv, unsigned int vp, unsigned int sint)
{
	const struct core_env *env = hv->env;
	struct hv_vp *v = &hv->vps[vp];

	if (!v->messages)
		return;
	env->wrmsr(env->opaque, HV_X64_MSR_SINT0 + sint, HV_SINT_MASKED);
	env->wrmsr(env->opaque, HV_X64_MSR_SCONTROL, 0);
	env->wrmsr(env->opaque, HV_X64_MSR_SIMP, 0);
	env->wrmsr(env->opaque, HV_X64_MSR_SIEFP, 0);
	env->pages_free(env->opaque, v->messages, 1);
	env->pages_free(env->opaque, v->events, 1);
	memset(v, 0, sizeof(*v));
}

/* Not env->wait: an interrupt that came meanwhile is for others to take. */
static void pause_us(const struct core_env *env, uint64_t us)
{
	uint64_t until = env->now_us(env->opaque) + us;

	while (env->now_us(env->opaque) < until)
		;
}

int hv_post(struct hv *hv, uint32_t connection_id, const void *payload, size_t len)
{
	const struct core_env *env = hv->env;
	uint64_t until = env->now_us(env->opaque) + POST_FAIL_US;
	uint16_t status;

	if (len > HV_MESSAGE_PAYLOAD_MAX)
		return -EMSGSIZE;
	hv->post->connection_id = connection_id;
	hv->post->reserved = 0;
	hv->post->message_type = HVMSG_CHANNEL;
	hv->post->payload_size = (uint32_t)len;
	memcpy(hv->post->payload, payload, len);
	do {
		status = (uint16_t)env->hypercall(env->opaque, hv->hypercall_page,
						  HVCALL_POST_MESSAGE,
						  env->gpa(env->opaque, hv->post), 0);
		if (status == HV_STATUS_SUCCESS)
			return 0;
		if (status != HV_STATUS_INSUFFICIENT_BUFFERS &&
		    status != HV_STATUS_INSUFFICIENT_MEMORY)
			return -EIO;
		pause_us(env, POST_RETRY_US);
	} while (env->now_us(env->opaque) < until);
	return -EAGAIN;
}

uint16_t hv_signal(struct hv *hv, uint32_t connection_id)
{
	return (uint16_t)hv->env->hypercall(hv->env->opaque, hv->hypercall_page,
					    HVCALL_SIGNAL_EVENT | HV_HYPERCALL_FAST,
					    connection_id, 0);
}

bool hv_message(struct hv *hv, unsigned int vp, unsigned int sint, struct hv_message *ret)
{
	struct hv_message *slot;

	if (!hv->vps[vp].messages)
		return false;
	slot = &hv->vps[vp].messages[sint];
	if (__atomic_load_n(&slot->message_type, __ATOMIC_ACQUIRE) == HVMSG_NONE)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->message_type = slot->message_type;
	ret->payload_size = slot->payload_size < HV_MESSAGE_PAYLOAD_MAX
				    ? slot->payload_size
				    : HV_MESSAGE_PAYLOAD_MAX;
	memcpy(ret->payload, slot->payload, ret->payload_size);
	__atomic_store_n(&slot->message_type, HVMSG_NONE, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&slot->message_flags, __ATOMIC_SEQ_CST) &
	    HV_MESSAGE_FLAG_PENDING)
		hv->env->wrmsr(hv->env->opaque, HV_X64_MSR_EOM, 0);
	return true;
}

void hv_events(struct hv *hv, unsigned int vp, unsigned int sint,
	       void (*fn)(void *opaque, unsigned int flag), void *opaque)
{
	uint64_t *words, bits;
	unsigned int i;

	if (!hv->vps[vp].events)
		return;
	words = (uint64_t *)(void *)(hv->vps[vp].events + sint * HV_EVENT_FLAGS_BYTES);
	for (i = 0; i < HV_EVENT_FLAGS_COUNT / 64; i++) {
		if (!__atomic_load_n(&words[i], __ATOMIC_RELAXED))
			continue;
		bits = __atomic_exchange_n(&words[i], 0, __ATOMIC_ACQ_REL);
		for (; bits; bits &= bits - 1)
			fn(opaque, i * 64 + (unsigned int)__builtin_ctzll(bits));
	}
}
