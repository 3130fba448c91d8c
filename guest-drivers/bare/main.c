/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bare guest, in ring 3, on VP 0: takes stock, runs the words of its command line, reports, ends.
 */
#include "bare/main.h"

#include "bare/acpi.h"
#include "bare/console.h"
#include "bare/guest.h"
#include "bare/pages.h"
#include "bare/power.h"
#include "bare/pvh.h"
#include "bare/vp.h"
#include "bare/words.h"

/* Power off or restart: as the host asked, else off. */
static void __attribute__((noreturn)) end(void)
{
	const struct guest *g = guest_get();
	bool restart =
		g && g->shutdown_asked && g->shutdown_flags & IC_SHUTDOWN_FLAG_RESTART;

	if (guest_disconnect())
		say("unload not answered");
	if (restart)
		power_reset();
	power_off();
}

void bare_main(void)
{
	unsigned int failed = 0;
	bool hv;

	vp_init_first();
	console_init();
	pvh_init();
	pages_init();
	acpi_init(pvh_rsdp());
	say("start cmdline=\"%s\"", pvh_cmdline());
	hv = guest_detect();
	vp_start_others(acpi_get()->apic_ids, acpi_get()->apics);
	say("vps %u", vp_count());
	if (!hv)
		say("no hypervisor interface");
	else
		failed += guest_connect() != 0;
	failed += words_run(pvh_cmdline());
	say("done rc=%u", failed);
	end();
}

void bare_fault(void)
{
	const struct vp_fault *f = &vp_self()->fault;

	console_break_lock();
	say("fault vp=%lu vector=%lu error=0x%lx rip=0x%lx rsp=0x%lx cr2=0x%lx "
	    "flags=0x%lx",
	    vp_self()->index, f->vector, f->error, f->rip, f->rsp, f->cr2, f->flags);
	vp_triple_fault();
}
