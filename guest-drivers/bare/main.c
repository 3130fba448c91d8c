/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bare guest, in ring 3, on VP 0: takes stock, runs the words of its command line, reports, ends.
 */
#include "bare/main.h"

#include "bare/console.h"
#include "bare/pvh.h"
#include "bare/vp.h"
#include "bare/words.h"

void bare_main(void)
{
	unsigned int failed;

	vp_init_first();
	console_init();
	pvh_init();
	say("start cmdline=\"%s\"", pvh_cmdline());
	failed = words_run(pvh_cmdline());
	say("done rc=%u", failed);
	vp_triple_fault();
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
