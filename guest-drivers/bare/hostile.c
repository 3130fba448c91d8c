/* SPDX-License-Identifier: BSD-2-Clause */
#include "bare/hostile.h"

#include "bare/console.h"
#include "bare/guest.h"
#include "bare/pages.h"

static struct storvsc controller;

static bool bus_answers(struct guest *g)
{
	struct chan *ch = bus_find(&g->bus, NULL, NULL);
	uint32_t gpadl;
	void *page;
	bool ok;

	if (!ch)
		return false;
	page = pages_alloc(1);
	ok = !bus_gpadl_create(&g->bus, ch->offer.child_relid, page, CORE_PAGE_SIZE,
			       &gpadl) &&
	     !bus_gpadl_teardown(&g->bus, ch->offer.child_relid, gpadl);
	if (ok)
		pages_free(page, 1);
	return ok;
}

static bool controller_answers(struct guest *g)
{
	struct chan *ch = bus_find(&g->bus, storvsc_type, NULL);
	uint64_t luns;
	bool ok;

	if (!ch)
		return true;
	if (storvsc_start(&controller, &g->bus, ch, 0, 0, 1))
		return false;
	ok = !storvsc_report_luns(&controller, &luns);
	return !storvsc_stop(&controller) && ok;
}

bool hostile_survived(const char *table, const char *what)
{
	if (!bus_answers(guest_get()))
		say("hostile %s: the bus does not answer after: %s", table, what);
	else if (!controller_answers(guest_get()))
		say("hostile %s: the controller does not answer after: %s", table, what);
	else
		return true;
	return false;
}

bool word_hostile(struct args args)
{
	static const struct {
		const char *name;
		bool (*run)(void);
	} tables[] = {
		{ "control", hostile_control },
		{ "hypercall", hostile_hypercall },
		{ "packet", hostile_packet },
		{ "ring", hostile_ring },
	};
	struct arg name;
	bool ok = true, good;
	size_t i;

	if (!guest_get()) {
		say("hostile needs the hypervisor interface");
		return false;
	}
	while (args_next(&args, &name)) {
		good = false;
		for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
			if (!arg_is(name, tables[i].name))
				continue;
			good = tables[i].run();
			say("hostile %s %s", tables[i].name,
			    good ? "survived" : "failed");
		}
		ok &= good;
	}
	return ok;
}
