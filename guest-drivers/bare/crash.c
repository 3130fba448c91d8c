/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/crash.h"

#include "bare/console.h"
#include "bare/guest.h"
#include "bare/pages.h"
#include "bare/vp.h"
#include "core/mem.h"

/* TLFS: HV_X64_MSR_CRASH_P0..P4 and _CTL. With a text, P3 and P4 say where it is and how long. */
bool word_crash(struct args args)
{
	static const char text[] = "bare: crash on request\nthe second line";
	char *page;
	unsigned int i;

	(void)args;
	if (!guest_detect() || !(vp_rdmsr(HV_X64_MSR_CRASH_CTL) & HV_CRASH_CTL_NOTIFY)) {
		say("crash: the host takes none");
		return false;
	}
	page = pages_alloc(1);
	if (!page)
		return false;
	memcpy(page, text, sizeof(text));
	for (i = 0; i < 3; i++)
		vp_wrmsr(HV_X64_MSR_CRASH_P0 + i, 0xc0de0000 + i);
	vp_wrmsr(HV_X64_MSR_CRASH_P0 + 3, (uintptr_t)page);
	vp_wrmsr(HV_X64_MSR_CRASH_P0 + 4, sizeof(text) - 1);
	vp_wrmsr(HV_X64_MSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_NOTIFY_MSG);
	pages_free(page, 1);
	say("crash reported");
	return true;
}
