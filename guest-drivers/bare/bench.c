/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/bench.h"

#include "bare/console.h"
#include "bare/guest.h"
#include "bare/pages.h"
#include "bare/time.h"
#include "bare/vp.h"

#define SAMPLES_MAX 100000u
#define WARM_UP 100u
#define FLOOR_TIMEOUT_US 1000000u

struct samples {
	uint32_t *ns;
	size_t n, pages;
};

static struct storvsc controller;

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t t = *a;

	*a = *b;
	*b = t;
}

static void sift(uint32_t *v, size_t i, size_t n)
{
	size_t child;

	for (; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && v[child + 1] > v[child])
			child++;
		if (v[i] >= v[child])
			return;
		swap(&v[i], &v[child]);
	}
}

static void heap_sort(uint32_t *v, size_t n)
{
	size_t i;

	for (i = n / 2; i > 0; i--)
		sift(v, i - 1, n);
	for (i = n; i > 1; i--) {
		swap(&v[0], &v[i - 1]);
		sift(v, 0, i - 1);
	}
}

static bool samples_init(struct samples *s, uint64_t n)
{
	s->n = n < 1 ? 1 : n > SAMPLES_MAX ? SAMPLES_MAX : n;
	s->pages = (s->n * sizeof(s->ns[0]) + CORE_PAGE_SIZE - 1) / CORE_PAGE_SIZE;
	s->ns = pages_alloc(s->pages);
	return s->ns;
}

static void samples_report(struct samples *s, const char *name)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < s->n; i++)
		sum += s->ns[i];
	heap_sort(s->ns, s->n);
	say("%s n=%lu min=%uns p50=%uns p90=%uns p99=%uns max=%uns mean=%luns", name,
	    (uint64_t)s->n, s->ns[0], s->ns[s->n / 2], s->ns[s->n * 9 / 10],
	    s->ns[s->n * 99 / 100], s->ns[s->n - 1], sum / s->n);
	pages_free(s->ns, s->pages);
}

/* Takes one sample by `once`, after some that warm up; false when one fails. */
static bool take(struct samples *s, bool (*once)(struct args args), struct args args)
{
	uint64_t t0;
	size_t i;

	for (i = 0; i < WARM_UP; i++) {
		if (!once(args))
			return false;
	}
	for (i = 0; i < s->n; i++) {
		t0 = rdtsc();
		if (!once(args))
			return false;
		s->ns[i] = (uint32_t)time_tsc_to_ns(rdtsc() - t0);
	}
	return true;
}

static bool roundtrip_once(struct args args)
{
	struct storvsc_request req = { .cdb_length = 6, .data_in = VSTOR_DATA_NONE };

	(void)args;
	return !storvsc_exec(&controller, 0, &req);
}

static bool roundtrip(struct samples *s, struct args args)
{
	struct chan *ch =
		guest_get() ? bus_find(&guest_get()->bus, storvsc_type, NULL) : NULL;
	bool ok;

	if (!ch || storvsc_start(&controller, &guest_get()->bus, ch, 0, 0, 1)) {
		say("roundtrip needs a SCSI controller");
		return false;
	}
	ok = take(s, roundtrip_once, args);
	return !storvsc_stop(&controller) && ok;
}

static struct {
	uint16_t port;
	uint32_t value;
} door;

static bool floor_once(struct args args)
{
	uint64_t until = time_now_us() + FLOOR_TIMEOUT_US;

	outl(door.port, door.value);
	while (!(vp_take() & PENDING_USER)) {
		if (time_now_us() >= until)
			return false;
		vp_wait(FLOOR_TIMEOUT_US);
	}
	return true;
}

static bool rtfloor(struct samples *s, struct args args)
{
	door.port = (uint16_t)args_number(args, "port", HV_PORT_DOORBELL);
	door.value = (uint32_t)args_number(args, "value", 1);
	return take(s, floor_once, args);
}

static const struct {
	const char *name;
	bool (*run)(struct samples *s, struct args args);
} benches[] = { { "roundtrip", roundtrip }, { "rtfloor", rtfloor } };

bool word_bench(struct args args)
{
	struct samples s;
	struct arg name;
	size_t i;

	if (!args_next(&args, &name))
		return false;
	for (i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		if (!arg_is(name, benches[i].name))
			continue;
		if (!samples_init(&s, args_number(args, "n", 10000)))
			return false;
		/* for a harness without the hypervisor's frequency MSRs */
		time_init(args_number(args, "tsc_khz", 0) * 1000, 0);
		if (benches[i].run(&s, args)) {
			samples_report(&s, benches[i].name);
			return true;
		}
		say("%s failed", benches[i].name);
		return false;
	}
	say("unknown bench");
	return false;
}
