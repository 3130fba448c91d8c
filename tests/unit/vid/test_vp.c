/* SPDX-License-Identifier: BSD-2-Clause */
/* The barrier and the exits, over a KVM that is a function. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include "kvmfake.h"
#include "unit/test.h"
#include "vid/partition_priv.h"

#define VPS 4u

static struct partition *p;
static struct partition_config config = { .kvm_fd = 0,
					  .vps = VPS,
					  .memory_bytes = 2 << 20 };
static const struct vp_start start = { .mode = VP_MODE_PROTECTED };

static int run_block(unsigned int vp, struct kvm_run *run)
{
	return KVMFAKE_BLOCK;
}

static void setup(void)
{
	memset(&kvmfake, 0, sizeof(kvmfake));
	kvmfake.run = run_block;
	ck_assert_int_eq(partition_new(&config, &p), 0);
	ck_assert_int_eq(partition_prepare(p, 0, &start), 0);
}

static void teardown(void)
{
	partition_free(p);
}

static void event_wait(struct partition_event *ret)
{
	struct pollfd pfd = { .fd = partition_event_fd(p), .events = POLLIN };

	ck_assert_int_eq(poll(&pfd, 1, -1), 1);
	ck_assert(partition_event_next(p, ret));
}

/* What KVM tells of a VP; where a name or a size is not as it should be, nothing. */
#define NAMES                                                               \
	{                                                                   \
		"exits", "halt_exits", "irq_injections", "pf_taken", "more" \
	}
#define HEADER(names, n)                                              \
	{                                                             \
		.name_size = names, .num_desc = n, .desc_offset = 24, \
		.data_offset = 1024                                   \
	}
static const struct {
	struct kvmfake_stats stats;
	bool told;
} kernels[] = {
	{ { HEADER(KVMFAKE_NAME_BYTES, 5), NAMES, 100 }, true },
	{ { HEADER(KVMFAKE_NAME_BYTES, 3), NAMES, 100 }, false },
	{ { HEADER(0, 5), NAMES, 100 }, false },
	{ { HEADER(1, 5), NAMES, 100 }, false },
	{ { HEADER(UINT32_MAX, 5), NAMES, 100 }, false },
	{ { HEADER(KVMFAKE_NAME_BYTES, UINT32_MAX), NAMES, 100 }, false },
	{ { HEADER(KVMFAKE_NAME_BYTES, 512), NAMES, 100 }, false },
	{ { HEADER(KVMFAKE_NAME_BYTES, 5), { "exits", "pf_taken" }, 100 }, false },
};

START_TEST(kernel_statistics)
{
	struct vp_kernel_stats k;
	struct partition *q;

	ck_assert(!partition_vp_kernel_stats(p, 0, &k)); /* this one's KVM has none */
	kvmfake.stats = &kernels[_i].stats;
	ck_assert_int_eq(partition_new(&config, &q), 0);
	ck_assert_int_eq(partition_vp_kernel_stats(q, 1, &k), kernels[_i].told);
	if (kernels[_i].told) {
		ck_assert_uint_eq(k.exits, 100);
		ck_assert_uint_eq(k.hlt, 101);
		ck_assert_uint_eq(k.interrupts, 102);
		ck_assert_uint_eq(k.page_faults, 103);
		/* A reset's new VP begins at what KVM says; what the old one had is kept. */
		ck_assert_int_eq(partition_reset(q), 0);
		ck_assert(partition_vp_kernel_stats(q, 1, &k));
		ck_assert_uint_eq(k.exits, 200);
		ck_assert_uint_eq(k.page_faults, 206);
	}
	partition_free(q);
}
END_TEST

/* Whichever step fails, everything is given back (the sanitizers and the descriptors say so). */
static const struct {
	unsigned long request;
	int err, r;
} failures[] = {
	{ KVM_GET_API_VERSION, ENOTTY, -ENOTTY },
	{ KVM_GET_VCPU_MMAP_SIZE, EINVAL, -EINVAL },
	{ KVM_GET_SUPPORTED_CPUID, E2BIG, -E2BIG },
	{ KVM_CREATE_VM, ENOMEM, -ENOMEM },
	{ KVM_ENABLE_CAP, EINVAL, -EINVAL },
	{ KVM_X86_SET_MSR_FILTER, EINVAL, -EINVAL },
	{ KVM_SET_USER_MEMORY_REGION, ENOMEM, -ENOMEM },
	{ KVM_CREATE_IRQCHIP, EEXIST, -EEXIST },
	{ KVM_CREATE_PIT2, ENXIO, -ENXIO },
	{ KVM_CREATE_VCPU, EMFILE, -EMFILE },
	{ KVM_SET_CPUID2, EINVAL, -EINVAL },
	{ KVM_SET_MSRS, EFAULT, -EFAULT },
	{ KVM_GET_TSC_KHZ, EIO, -EOPNOTSUPP },
};

START_TEST(failed_start_leaves_nothing)
{
	struct partition *other = NULL;
	int before = dup(0), after;

	close(before);
	kvmfake.fail_request = failures[_i].request;
	kvmfake.fail_errno = failures[_i].err;
	ck_assert_int_eq(partition_new(&config, &other), failures[_i].r);
	ck_assert_ptr_null(other);
	after = dup(0);
	/* The fake keeps no descriptor; one that stays was lost by the partition. */
	ck_assert_int_eq(after, before);
	close(after);
}
END_TEST

static const unsigned long interruptible[] = { KVM_CREATE_VM, KVM_CREATE_VCPU,
					       KVM_SET_USER_MEMORY_REGION,
					       KVM_CREATE_PIT2 };

/* Seen with KVM_CREATE_VM: a signal that waits for the thread must not cost the guest its reset. */
START_TEST(interrupted_reset_goes_on)
{
	ck_assert_int_eq(partition_start(p), 0);
	ck_assert_int_eq(partition_pause(p), 0);
	kvmfake.fail_request = interruptible[_i];
	kvmfake.fail_times = 3;
	kvmfake.fail_errno = EINTR;
	ck_assert_int_eq(partition_reset(p), 0);
	ck_assert_int_eq(kvmfake.fail_errno, 0);
	ck_assert_int_eq(partition_prepare(p, 0, &start), 0);
	ck_assert_int_eq(partition_start(p), 0);
}
END_TEST

/* A partition whose reset failed stands, and can be reset again or freed. */
START_TEST(failed_reset_can_be_repeated)
{
	ck_assert_int_eq(partition_start(p), 0);
	ck_assert_int_eq(partition_pause(p), 0);
	kvmfake.fail_request = failures[_i].request;
	kvmfake.fail_errno = failures[_i].err;
	if (partition_reset(p)) {
		ck_assert_int_eq(partition_start(p), -EINVAL);
		ck_assert_int_eq(partition_resume(p), -EINVAL);
	}
	kvmfake.fail_errno = 0;
	ck_assert_int_eq(partition_reset(p), 0);
	ck_assert_int_eq(partition_prepare(p, 0, &start), 0);
	ck_assert_int_eq(partition_start(p), 0);
}
END_TEST

static _Atomic unsigned int handled;

/* A port write on each entry: VPs that leave guest code all the time. */
static int run_pio(unsigned int vp, struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.size = 1;
	run->io.port = 0x80;
	run->io.count = 1;
	run->io.data_offset = 4096;
	return 0;
}

/* Guest code that is left at times only. */
static int run_mixed(unsigned int vp, struct kvm_run *run)
{
	static _Atomic unsigned int n;

	return n++ % 3 ? KVMFAKE_BLOCK : run_pio(vp, run);
}

static uint64_t port_read(void *opaque, uint64_t off, unsigned int len)
{
	return 0;
}

static _Atomic bool standing;

static void port_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	ck_assert(!standing);
	handled++;
}

static const struct iobus_ops port_ops = { port_read, port_write };

static int (*const runs[])(unsigned int, struct kvm_run *) = { run_block, run_pio,
							       run_mixed };

START_TEST(barrier_holds_and_no_kick_is_lost)
{
	kvmfake.run = runs[_i];
	ck_assert_int_eq(
		iobus_add(partition_bus(p), IOBUS_PIO, 0x80, 1, "x", &port_ops, NULL), 0);
	ck_assert_int_eq(partition_start(p), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		unsigned int before;

		ck_assert_int_eq(partition_pause(p), 0);
		standing = true;
		before = kvmfake.runs;
		ck_assert_uint_eq(kvmfake.inside, 0);
		if (i % 16 == 0)
			sched_yield();
		ck_assert_uint_eq(kvmfake.runs, before);
		standing = false;
		ck_assert_int_eq(partition_resume(p), 0);
		while (i % 64 == 0 && kvmfake.runs == before)
			sched_yield();
	}
}
END_TEST

/* Someone reads the status and the time all along. */
static _Atomic bool reader_stop;

static void *reader(void *opaque)
{
	struct vp_stats stats;
	uint64_t last = 0, now;

	while (!reader_stop) {
		for (unsigned int i = 0; i < VPS; i++)
			partition_vp_stats(p, i, &stats);
		now = partition_reference_time(p);
		ck_assert_uint_ge(now, last);
		last = now;
	}
	return NULL;
}

START_TEST(status_while_paused_and_resumed)
{
	struct vp_stats stats;
	pthread_t thread;

	reader_stop = false;
	kvmfake.run = run_pio;
	ck_assert_int_eq(partition_start(p), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, reader, NULL), 0);
	for (unsigned int i = 0; i < 500; i++) {
		ck_assert_int_eq(partition_pause(p), 0);
		ck_assert_int_eq(partition_resume(p), 0);
	}
	do
		partition_vp_stats(p, 0, &stats);
	while (!stats.pio);
	reader_stop = true;
	pthread_join(thread, NULL);
	partition_stop(p);
	partition_vp_stats(p, 0, &stats);
	ck_assert_uint_eq(stats.exits, stats.pio + stats.interrupted);
}
END_TEST

/* What KVM may say when it can not go on, and the words that must be in the event. */
static int error_case;

static const struct {
	int err;
	uint32_t reason, sub, flags;
	uint8_t insn_size;
	enum partition_event_type type;
	const char *text;
} errors[] = {
	{ EFAULT, 0, 0, 0, 0, PARTITION_VP_ERROR, "KVM_RUN: Bad address" },
	{ ENOMEM, 0, 0, 0, 0, PARTITION_VP_ERROR, "KVM_RUN: Cannot allocate" },
	{ 0, KVM_EXIT_UNKNOWN, 0, 0, 0, PARTITION_VP_ERROR, "unknown exit" },
	{ 0, KVM_EXIT_FAIL_ENTRY, 0, 0, 0, PARTITION_VP_ERROR, "refused to enter" },
	{ 0, KVM_EXIT_INTERNAL_ERROR, 1, 1, 15, PARTITION_VP_ERROR,
	  "cannot emulate the instruction aa aa" },
	{ 0, KVM_EXIT_INTERNAL_ERROR, 1, 1, 255, PARTITION_VP_ERROR, "internal error 1" },
	{ 0, KVM_EXIT_INTERNAL_ERROR, 1, 0, 15, PARTITION_VP_ERROR,
	  "internal error 1\n" },
	{ 0, KVM_EXIT_INTERNAL_ERROR, UINT32_MAX, 1, 0, PARTITION_VP_ERROR,
	  "internal error 4294967295" },
	{ 0, KVM_EXIT_SYSTEM_EVENT, KVM_SYSTEM_EVENT_CRASH, 0, 0, PARTITION_VP_ERROR,
	  "system event 3" },
	{ 0, KVM_EXIT_SYSTEM_EVENT, KVM_SYSTEM_EVENT_RESET, 0, 0, PARTITION_RESET_ASKED,
	  "reset" },
	{ 0, KVM_EXIT_HLT, 0, 0, 0, PARTITION_VP_ERROR, "exit 5" },
	{ 0, UINT32_MAX, 0, 0, 0, PARTITION_VP_ERROR, "exit 4294967295" },
	{ 0, KVM_EXIT_SHUTDOWN, 0, 0, 0, PARTITION_TRIPLE_FAULT, "triple fault" },
};

static int run_error(unsigned int vp, struct kvm_run *run)
{
	run->exit_reason = errors[error_case].reason;
	if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT) {
		run->system_event.type = errors[error_case].sub;
	} else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		memset(&run->emulation_failure, 0xaa, sizeof(run->emulation_failure));
		run->emulation_failure.suberror = errors[error_case].sub;
		run->emulation_failure.ndata = 3;
		run->emulation_failure.flags = errors[error_case].flags;
		run->emulation_failure.insn_size = errors[error_case].insn_size;
	}
	return errors[error_case].err;
}

/* All VPs fail at once: one event, and everybody stands. */
START_TEST(errors_halt_the_partition)
{
	struct partition_event e;

	error_case = _i;
	kvmfake.run = run_error;
	ck_assert_int_eq(partition_start(p), 0);
	event_wait(&e);
	ck_assert_int_eq(e.type, errors[_i].type);
	ck_assert_ptr_nonnull(strstr(e.text, errors[_i].text));
	ck_assert_ptr_nonnull(strstr(e.text, "cr0="));
	ck_assert_int_eq(partition_pause(p), 0);
	ck_assert(!partition_event_next(p, &e));
	ck_assert_int_eq(partition_resume(p), -ESHUTDOWN);
	ck_assert(!partition_running(p));

	kvmfake.run = run_block;
	ck_assert_int_eq(partition_reset(p), 0);
	ck_assert_int_eq(partition_prepare(p, 0, &start), 0);
	ck_assert_int_eq(partition_start(p), 0);
	ck_assert(partition_running(p));
	ck_assert(!partition_event_next(p, &e));
}
END_TEST

/* A guest that reports crashes without end fills the queue to its bound, and its reset still comes through. */
static int run_crashes(unsigned int vp, struct kvm_run *run)
{
	static _Atomic unsigned int n;

	run->exit_reason = KVM_EXIT_X86_WRMSR;
	run->msr.index = HV_X64_MSR_CRASH_CTL;
	run->msr.data = HV_CRASH_CTL_NOTIFY;
	if (++n > 1000) {
		run->msr.index = HV_X64_MSR_RESET;
		run->msr.data = 1;
	}
	return 0;
}

START_TEST(crash_flood_is_bounded)
{
	struct partition_event e;
	unsigned int crashes = 0;

	kvmfake.run = run_crashes;
	ck_assert_int_eq(partition_start(p), 0);
	while (atomic_load(&p->want) == VP_RUN)
		sched_yield();
	for (;;) {
		event_wait(&e);
		if (e.type != PARTITION_CRASHED)
			break;
		crashes++;
	}
	ck_assert_int_eq(e.type, PARTITION_RESET_ASKED);
	ck_assert_uint_ge(crashes, EVENTS_MAX - 1);
	ck_assert_uint_le(crashes, EVENTS_MAX + 1);
}
END_TEST

#define TSC_PAGE 0x1000u

static uint32_t page_sequence(void)
{
	const struct hv_reference_tsc_page *page =
		guestmem_ptr(partition_mem(p), TSC_PAGE, HV_PAGE_SIZE);

	ck_assert_ptr_nonnull(page);
	return atomic_load((const _Atomic uint32_t *)&page->tsc_sequence);
}

static void page_enable(void)
{
	ck_assert(hvmsr_write(p->hvmsr, 0, HV_X64_MSR_REFERENCE_TSC,
			      TSC_PAGE | HV_MSR_ENABLE));
}

/* TSCs that come apart, before the start and while it runs: no page, and the reference time goes on without a step. */
START_TEST(lost_tsc_takes_the_page)
{
	uint64_t before, after;

	kvmfake.run = run_pio;
	ck_assert_int_eq(partition_start(p), 0);
	page_enable();
	ck_assert_uint_ne(page_sequence(), 0);
	before = partition_reference_time(p);
	kvmfake.tsc_offset = -1000000000;
	while (page_sequence())
		sched_yield();
	after = partition_reference_time(p);
	ck_assert_uint_ge(after, before);
	ck_assert_uint_lt(after - before, 60 * 10000000ull);
	ck_assert_uint_ge(partition_reference_time(p), after);
	ck_assert_int_eq(partition_pause(p), 0);
	ck_assert_int_eq(partition_resume(p), 0);
	ck_assert_uint_eq(page_sequence(), 0);

	ck_assert_int_eq(partition_reset(p), 0);
	ck_assert_int_eq(partition_prepare(p, 0, &start), 0);
	ck_assert_int_eq(partition_start(p), 0);
	page_enable();
	ck_assert_uint_eq(page_sequence(), 0);

	kvmfake.tsc_offset = 0;
	ck_assert_int_eq(partition_reset(p), 0);
	ck_assert_int_eq(partition_prepare(p, 0, &start), 0);
	ck_assert_int_eq(partition_start(p), 0);
	page_enable();
	ck_assert_uint_ne(page_sequence(), 0);
}
END_TEST

/* An MSR that is not there is a #GP; the answer is written where KVM looks for it. */
static _Atomic int msr_error = -1;

static int run_msr(unsigned int vp, struct kvm_run *run)
{
	static _Thread_local bool asked;

	if (asked) {
		msr_error = run->msr.error;
		return KVMFAKE_BLOCK;
	}
	asked = true;
	run->exit_reason = KVM_EXIT_X86_RDMSR;
	run->msr.index = 0x1234;
	run->msr.error = 0;
	return 0;
}

START_TEST(unknown_msr_is_gp)
{
	kvmfake.run = run_msr;
	ck_assert_int_eq(partition_start(p), 0);
	while (msr_error < 0)
		sched_yield();
	ck_assert_int_eq(msr_error, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vp");
	TCase *t = tcase_create("vp");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, failed_start_leaves_nothing, 0, (int)ARRAY_SIZE(failures));
	tcase_add_loop_test(t, failed_reset_can_be_repeated, 0,
			    (int)ARRAY_SIZE(failures));
	tcase_add_loop_test(t, interrupted_reset_goes_on, 0, ARRAY_SIZE(interruptible));
	tcase_add_loop_test(t, barrier_holds_and_no_kick_is_lost, 0,
			    (int)ARRAY_SIZE(runs));
	tcase_add_loop_test(t, kernel_statistics, 0, ARRAY_SIZE(kernels));
	tcase_add_test(t, status_while_paused_and_resumed);
	tcase_add_loop_test(t, errors_halt_the_partition, 0, (int)ARRAY_SIZE(errors));
	tcase_add_test(t, crash_flood_is_bounded);
	tcase_add_test(t, lost_tsc_takes_the_page);
	tcase_add_test(t, unknown_msr_is_gp);
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
