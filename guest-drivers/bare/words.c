/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/words.h"

#include "bare/bench.h"
#include "bare/console.h"
#include "bare/crash.h"
#include "core/mem.h"
#include "bare/guest.h"
#include "bare/hostile.h"
#include "bare/net.h"
#include "bare/pages.h"
#include "bare/power.h"
#include "bare/pvh.h"
#include "bare/tests.h"
#include "bare/time.h"
#include "bare/vp.h"

#define AGREE_WAIT_US 10000000u

struct word {
	const char *name;
	/* true: it did what was asked */
	bool (*run)(struct args args);
};

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool args_next(struct args *a, struct arg *ret)
{
	const char *p = a->p;

	if (p >= a->end)
		return false;
	while (p < a->end && *p != ',')
		p++;
	*ret = (struct arg){ a->p, (size_t)(p - a->p) };
	a->p = p + 1;
	return true;
}

bool arg_is(struct arg a, const char *s)
{
	return a.len == length(s) && !memcmp(a.p, s, a.len);
}

uint64_t args_number(struct args a, const char *key, uint64_t otherwise)
{
	size_t n = length(key), i;
	struct arg arg;
	uint64_t v = 0;

	while (args_next(&a, &arg)) {
		if (arg.len <= n || arg.p[n] != '=' || memcmp(arg.p, key, n))
			continue;
		for (i = n + 1; i < arg.len && arg.p[i] >= '0' && arg.p[i] <= '9'; i++)
			v = v * 10 + (uint64_t)(arg.p[i] - '0');
		return v;
	}
	return otherwise;
}

static bool word_mem(struct args args)
{
	(void)args;
	say("mem ram=%luKiB end=0x%lx free=%luKiB", pvh_ram_bytes() / 1024, pvh_ram_end(),
	    pages_left() * 4);
	return true;
}

static bool word_vps(struct args args)
{
	unsigned int i;

	(void)args;
	for (i = 0; i < vp_count(); i++)
		say("vp %u apic=%u", i, vps[i].apic_id);
	say("vps %u", vp_count());
	return true;
}

/* Every service that was opened has its version: from here on the host can use it. */
static bool services_agreed(const struct guest *g)
{
	unsigned int i;

	for (i = 0; i < ICVSC_SERVICES; i++)
		if (g->ics[i].ch && !g->ics[i].message.major)
			return false;
	return true;
}

/* Until the host asks for a shutdown or restart; the services are served. */
static bool word_hold(struct args args)
{
	struct guest *g = guest_get();
	uint64_t until = time_now_us() + AGREE_WAIT_US;

	(void)args;
	while (g && !services_agreed(g) && time_now_us() < until)
		guest_wait(100000);
	say("hold");
	while (!g || !g->shutdown_asked) {
		if (g)
			guest_wait(0);
		else
			vp_wait(0);
	}
	say("shutdown asked flags=0x%x", g->shutdown_flags);
	return true;
}

static const struct word words[] = {
	{ "bench", word_bench }, { "crash", word_crash },     { "fetch", word_fetch },
	{ "hold", word_hold },   { "hostile", word_hostile }, { "mem", word_mem },
	{ "reset", word_reset }, { "serve", word_serve },     { "test", tests_run },
	{ "vps", word_vps },
};

/* One word, in [p, end). */
static bool run_word(const char *p, const char *end)
{
	const char *eq = p;
	struct arg name;
	size_t i;

	while (eq < end && *eq != '=')
		eq++;
	name = (struct arg){ p, (size_t)(eq - p) };
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (arg_is(name, words[i].name))
			return words[i].run((struct args){ eq + 1, end });
	}
	say("unknown word, see guest-drivers/README.md");
	return false;
}

unsigned int words_run(const char *line)
{
	unsigned int failed = 0;
	const char *end;

	while (*line) {
		for (end = line; *end && *end != ' '; end++)
			;
		if (end > line)
			failed += !run_word(line, end);
		line = *end ? end + 1 : end;
	}
	return failed;
}
