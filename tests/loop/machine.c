/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/machine.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "unit/test.h"

#define TIMEOUT_US 60000000u

static _Thread_local unsigned int this_vp;

/* ---- the guest's environment ---- */

static uint64_t env_rdmsr(void *opaque, uint32_t msr)
{
	struct machine *m = opaque;

	if (msr == HV_X64_MSR_VP_INDEX)
		return this_vp;
	if (msr == HV_X64_MSR_HYPERCALL)
		return m->env.gpa(m, m->hv.hypercall_page) | HV_MSR_ENABLE;
	return 0;
}

/* The pages of SIMP and SIEFP are the fake's own (machine_connect), so their MSRs say nothing here. */
static void env_wrmsr(void *opaque, uint32_t msr, uint64_t value)
{
	struct machine *m = opaque;

	if (msr == HV_X64_MSR_EOM)
		fake_synic_eom(&m->synic, this_vp);
}

static uint64_t env_hypercall(void *opaque, void *page, uint64_t control, uint64_t input,
			      uint64_t output)
{
	struct hv_input_post_message in;
	struct machine *m = opaque;

	if (control == (HVCALL_SIGNAL_EVENT | HV_HYPERCALL_FAST))
		return fake_synic_signal(&m->synic, (uint32_t)input);
	ck_assert_uint_eq(control, HVCALL_POST_MESSAGE);
	ck_assert_int_eq(guestmem_read(m->gm, input, &in, sizeof(in)), 0);
	return fake_synic_post(&m->synic, this_vp, in.connection_id, in.payload,
			       in.payload_size);
}

static void on_interrupt(void *opaque, unsigned int vp, unsigned int sint)
{
	struct machine *m = opaque;

	pthread_mutex_lock(&m->lock);
	m->interrupted[vp] = true;
	pthread_cond_broadcast(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

static void env_wait(void *opaque, uint64_t us)
{
	struct machine *m = opaque;
	struct timespec until;
	int r = 0;

	if (!us)
		us = TIMEOUT_US;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(us / 1000000);
	until.tv_nsec += (long)(us % 1000000) * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&m->lock);
	while (!m->interrupted[this_vp] && !r)
		r = pthread_cond_timedwait(&m->wake, &m->lock, &until);
	m->interrupted[this_vp] = false;
	pthread_mutex_unlock(&m->lock);
}

static uint64_t env_now_us(void *opaque)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t env_gpa(void *opaque, const void *p)
{
	const struct guestmem_bank *bank;
	struct machine *m = opaque;
	ptrdiff_t off;

	guestmem_banks(m->gm, &bank);
	off = (const char *)p - (const char *)bank->host;
	ck_assert(off >= 0 && (uint64_t)off < bank->bytes);
	return bank->gpa + (uint64_t)off;
}

static bool run_is_free(const struct machine *m, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (m->page_used[first + i])
			return false;
	}
	return true;
}

static void *env_pages_alloc(void *opaque, size_t n)
{
	struct machine *m = opaque;
	void *p = NULL;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i + n <= MACHINE_MEMORY_BYTES / CORE_PAGE_SIZE && !p; i++) {
		if (!run_is_free(m, i, n))
			continue;
		memset(m->page_used + i, 1, n);
		m->pages_in_use += n;
		p = guestmem_ptr(m->gm, i * CORE_PAGE_SIZE, n * CORE_PAGE_SIZE);
		memset(p, 0, n * CORE_PAGE_SIZE);
	}
	pthread_mutex_unlock(&m->lock);
	return p;
}

static void env_pages_free(void *opaque, void *p, size_t n)
{
	struct machine *m = opaque;
	size_t first;

	if (!p || (char *)p == (char *)m->synic.vp[this_vp].slots ||
	    (char *)p == (char *)m->synic.vp[this_vp].flags)
		return; /* the fake's own pages */
	first = env_gpa(m, p) / CORE_PAGE_SIZE;
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < n; i++)
		ck_assert(m->page_used[first + i]);
	memset(m->page_used + first, 0, n);
	m->pages_in_use -= n;
	pthread_mutex_unlock(&m->lock);
}

static void env_log(void *opaque, const char *fmt, va_list ap)
{
}

static const struct core_env env_ops = {
	.rdmsr = env_rdmsr,
	.wrmsr = env_wrmsr,
	.hypercall = env_hypercall,
	.wait = env_wait,
	.now_us = env_now_us,
	.gpa = env_gpa,
	.pages_alloc = env_pages_alloc,
	.pages_free = env_pages_free,
	.log = env_log,
};

/* ---- the host ---- */

static void on_ask(evutil_socket_t fd, short what, void *opaque)
{
	struct machine *m = opaque;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&m->lock);
	if (m->stop)
		event_base_loopbreak(m->loop);
	pthread_mutex_unlock(&m->lock);
	if (m->ask)
		m->ask(m, m->ask_arg);
	pthread_mutex_lock(&m->lock);
	m->ask = NULL;
	m->ask_done = true;
	pthread_cond_broadcast(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

static void *loop_main(void *opaque)
{
	struct machine *m = opaque;

	event_base_dispatch(m->loop);
	return NULL;
}

void machine_on_loop(struct machine *m, void (*fn)(struct machine *m, void *arg),
		     void *arg)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&m->lock);
	m->ask = fn;
	m->ask_arg = arg;
	m->ask_done = false;
	ck_assert_int_eq(write(m->ask_fd, &one, sizeof(one)), sizeof(one));
	while (!m->ask_done)
		pthread_cond_wait(&m->wake, &m->lock);
	pthread_mutex_unlock(&m->lock);
}

static void init_host(struct machine *m, unsigned int vps)
{
	struct vmbus_env env = {
		.synic_ops = &fake_synic_ops,
		.synic = &m->synic,
	};

	ck_assert_int_eq(guestmem_new(MACHINE_MEMORY_BYTES, &m->gm), 0);
	fake_synic_init(&m->synic, vps);
	m->synic.interrupt = on_interrupt;
	m->synic.interrupt_opaque = m;
	m->loop = event_base_new();
	ck_assert_ptr_nonnull(m->loop);
	m->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->ask_event = event_new(m->loop, m->ask_fd, EV_READ | EV_PERSIST, on_ask, m);
	ck_assert_int_eq(event_add(m->ask_event, NULL), 0);
	env.gm = m->gm;
	env.loop = m->loop;
	ck_assert_int_eq(vmbus_new(&env, &m->vmbus), 0);
}

void machine_init(struct machine *m, unsigned int vps)
{
	pthread_condattr_t attr;

	memset(m, 0, sizeof(*m));
	m->vps = vps;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->wake, &attr);
	pthread_condattr_destroy(&attr);
	m->page_used = calloc(MACHINE_MEMORY_BYTES / CORE_PAGE_SIZE, 1);
	ck_assert_ptr_nonnull(m->page_used);
	m->page_used[0] = 1; /* page 0 is nobody's */
	m->env = env_ops;
	m->env.opaque = m;
	init_host(m, vps);
	ck_assert_int_eq(pthread_create(&m->thread, NULL, loop_main, m), 0);
}

void machine_done(struct machine *m)
{
	ck_assert_uint_eq(m->pages_in_use, 0);
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_mutex_unlock(&m->lock);
	machine_on_loop(m, NULL, NULL);
	pthread_join(m->thread, NULL);
	vmbus_free(m->vmbus);
	event_free(m->ask_event);
	event_base_free(m->loop);
	close(m->ask_fd);
	fake_synic_done(&m->synic);
	guestmem_free(m->gm);
	free(m->page_used);
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->lock);
}

/* ---- the guest ---- */

void machine_be_vp(unsigned int vp)
{
	this_vp = vp;
}

/* The library's own pages are swapped for those that the fake delivers into. */
static void synic_on(struct machine *m, unsigned int vp)
{
	struct hv_vp *v = &m->hv.vps[vp];

	this_vp = vp;
	ck_assert_int_eq(hv_synic_on(&m->hv, vp, VMBUS_MESSAGE_SINT, 0x40), 0);
	env_pages_free(m, v->messages, 1);
	env_pages_free(m, v->events, 1);
	v->messages = m->synic.vp[vp].slots;
	v->events = (void *)m->synic.vp[vp].flags;
}

void machine_connect(struct machine *m, uint32_t version)
{
	static const struct bus_hooks hooks;

	ck_assert_int_eq(hv_init(&m->hv, &m->env), 0);
	for (unsigned int i = m->vps; i > 0; i--)
		synic_on(m, i - 1);
	ck_assert_int_eq(bus_init(&m->bus, &m->hv, &hooks), 0);
	if (version)
		ck_assert_int_eq(bus_connect(&m->bus, &version, 1), 0);
	else
		ck_assert_int_eq(bus_connect(&m->bus, bus_versions, bus_versions_n), 0);
	ck_assert_int_eq(bus_request_offers(&m->bus), 0);
}

void machine_disconnect(struct machine *m)
{
	ck_assert_int_eq(bus_unload(&m->bus), 0);
	bus_done(&m->bus);
	for (unsigned int i = m->vps; i > 0; i--) {
		this_vp = i - 1;
		hv_synic_off(&m->hv, i - 1, VMBUS_MESSAGE_SINT);
	}
	hv_done(&m->hv);
}

void machine_step(struct machine *m)
{
	bus_wait(&m->bus, 0, 10000);
}

void machine_until(struct machine *m, bool (*cond)(void *arg), void *arg)
{
	uint64_t until = env_now_us(m) + TIMEOUT_US;

	bus_poll(&m->bus);
	bus_events(&m->bus, 0);
	while (!cond(arg)) {
		ck_assert(env_now_us(m) < until);
		machine_step(m);
	}
}
