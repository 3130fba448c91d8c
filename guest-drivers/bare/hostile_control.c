/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages and hypercalls that no driver posts. */
#include "bare/console.h"
#include "bare/guest.h"
#include "bare/hostile.h"
#include "bare/pages.h"
#include "bare/vp.h"
#include "core/mem.h"

#define GPADL 0x77u /* a handle that the bus driver does not use */
#define UNFINISHED 200u

/* A message: its type and the words behind the header; REAL stands for the id of a channel that is offered. */
#define REAL 0xffff0001u
struct control_row {
	const char *what;
	uint32_t type;
	size_t len;
	uint32_t words[8];
};

static const struct control_row control_rows[] = {
	{ "no byte", CHANNELMSG_REQUESTOFFERS, 0, { 0 } },
	{ "one byte", CHANNELMSG_REQUESTOFFERS, 1, { 0 } },
	{ "half a header", CHANNELMSG_REQUESTOFFERS, 4, { 0 } },
	{ "header less one", CHANNELMSG_REQUESTOFFERS, 7, { 0 } },
	{ "type 0", CHANNELMSG_INVALID, 40, { 0 } },
	{ "an offer", CHANNELMSG_OFFERCHANNEL, 196, { 0 } },
	{ "a rescind", CHANNELMSG_RESCIND_CHANNELOFFER, 12, { REAL } },
	{ "all offers", CHANNELMSG_ALLOFFERS_DELIVERED, 8, { 0 } },
	{ "an open's answer", CHANNELMSG_OPENCHANNEL_RESULT, 20, { REAL } },
	{ "a version's answer", CHANNELMSG_VERSION_RESPONSE, 16, { 1 } },
	{ "type 25", 25, 40, { 0 } },
	{ "type huge", UINT32_MAX, 240, { 0 } },
	{ "contact cut short", CHANNELMSG_INITIATE_CONTACT, 12, { 0x50003 } },
	{ "offers again", CHANNELMSG_REQUESTOFFERS, 8, { 0 } },
	{ "open cut short", CHANNELMSG_OPENCHANNEL, 20, { REAL } },
	{ "open of channel 0", CHANNELMSG_OPENCHANNEL, 148, { 0, 0, 1, 0, 1 } },
	{ "open of channel 2047", CHANNELMSG_OPENCHANNEL, 148, { 2047, 0, 1, 0, 1 } },
	{ "open of channel 2048", CHANNELMSG_OPENCHANNEL, 148, { 2048, 0, 1, 0, 1 } },
	{ "open of channel -1", CHANNELMSG_OPENCHANNEL, 148, { UINT32_MAX, 0, 1, 0, 1 } },
	{ "open without a GPADL", CHANNELMSG_OPENCHANNEL, 148, { REAL, 0, 0xbad, 0, 1 } },
	{ "open on VP -1", CHANNELMSG_OPENCHANNEL, 148, { REAL, 0, 1, UINT32_MAX, 1 } },
	{ "close of channel -1", CHANNELMSG_CLOSECHANNEL, 12, { UINT32_MAX } },
	{ "close cut short", CHANNELMSG_CLOSECHANNEL, 8, { 0 } },
	{ "release of channel 9999", CHANNELMSG_RELID_RELEASED, 12, { 9999 } },
	{ "GPADL without ranges", CHANNELMSG_GPADL_HEADER, 20, { REAL, GPADL, 0 } },
	{ "GPADL of 65535 ranges",
	  CHANNELMSG_GPADL_HEADER,
	  36,
	  { REAL, GPADL, 0xffff0010, 4096, 0, 1, 0 } },
	{ "GPADL of 4 GiB in one page",
	  CHANNELMSG_GPADL_HEADER,
	  36,
	  { REAL, GPADL, 0x10010, UINT32_MAX, 0, 1, 0 } },
	{ "GPADL with an offset beyond its page",
	  CHANNELMSG_GPADL_HEADER,
	  36,
	  { REAL, GPADL, 0x10010, 4096, UINT32_MAX, 1, 0 } },
	{ "GPADL beyond memory",
	  CHANNELMSG_GPADL_HEADER,
	  36,
	  { REAL, GPADL, 0x10010, 4096, 0, UINT32_MAX, UINT32_MAX } },
	{ "GPADL of handle 0",
	  CHANNELMSG_GPADL_HEADER,
	  36,
	  { REAL, 0, 0x10010, 4096, 0, 1, 0 } },
	{ "GPADL of channel -1",
	  CHANNELMSG_GPADL_HEADER,
	  36,
	  { UINT32_MAX, GPADL, 0x10010, 4096, 0, 1, 0 } },
	{ "GPADL cut short", CHANNELMSG_GPADL_HEADER, 16, { REAL, GPADL } },
	{ "body of no GPADL", CHANNELMSG_GPADL_BODY, 240, { 1, 0xbad } },
	{ "body cut short", CHANNELMSG_GPADL_BODY, 12, { 1 } },
	{ "teardown of no GPADL", CHANNELMSG_GPADL_TEARDOWN, 16, { REAL, 0xbad } },
	{ "teardown on channel -1", CHANNELMSG_GPADL_TEARDOWN, 16, { UINT32_MAX, 1 } },
	{ "modify of channel -1", CHANNELMSG_MODIFYCHANNEL, 16, { UINT32_MAX, 0 } },
	{ "modify of a closed channel", CHANNELMSG_MODIFYCHANNEL, 16, { REAL, 0 } },
	{ "modify to VP -1", CHANNELMSG_MODIFYCHANNEL, 16, { REAL, UINT32_MAX } },
	{ "connect to a socket", CHANNELMSG_TL_CONNECT_REQUEST, 72, { 0 } },
};

/* The channel that rows are about: the controller, which is closed between tests; else any. */
static uint32_t real_relid(struct bus *bus)
{
	struct chan *ch = bus_find(bus, storvsc_type, NULL);

	ch = ch ? ch : bus_find(bus, NULL, NULL);
	return ch ? ch->offer.child_relid : 1;
}

static void post_row(struct bus *bus, const struct control_row *row)
{
	uint32_t msg[VMBUS_MESSAGE_MAX / 4] = { row->type };
	unsigned int i;

	memcpy(msg + 2, row->words, sizeof(row->words));
	for (i = 0; i < 8; i++) {
		if (row->words[i] == REAL)
			msg[2 + i] = real_relid(bus);
	}
	/* refused at once or answered by a failure: both are fine */
	if (bus_post(bus, msg, row->len))
		bus_poll(bus);
}

/* GPADLs that are begun and never ended; a host that keeps them keeps them within bounds, and forgets them at the teardown. */
static void unfinished_gpadls(struct bus *bus)
{
	struct control_row header = { "",
				      CHANNELMSG_GPADL_HEADER,
				      36,
				      { REAL, 0, 0x1ff00, 4096 * 8000, 0, 1, 0 } };
	struct control_row teardown = { "", CHANNELMSG_GPADL_TEARDOWN, 16, { REAL, 0 } };
	uint32_t i;

	for (i = 0; i < UNFINISHED; i++) {
		header.words[1] = 0x10000 + i;
		post_row(bus, &header);
		bus_poll(bus);
	}
	for (i = 0; i < UNFINISHED; i++) {
		teardown.words[1] = 0x10000 + i;
		post_row(bus, &teardown);
		bus_poll(bus);
	}
}

bool hostile_control(void)
{
	struct bus *bus = &guest_get()->bus;
	size_t i;

	for (i = 0; i < sizeof(control_rows) / sizeof(control_rows[0]); i++) {
		post_row(bus, &control_rows[i]);
		if (!hostile_survived("control", control_rows[i].what))
			return false;
	}
	unfinished_gpadls(bus);
	return hostile_survived("control", "unfinished GPADLs");
}

/* `post`: what the input page holds; the row's own input address counts when it is not 0. */
static const struct {
	const char *what;
	uint64_t control, input;
	struct hv_input_post_message post;
} hypercall_rows[] = {
	{ "code 0", 0, 0, { 0 } },
	{ "code 0xffff", 0xffff, 0, { 0 } },
	{ "all ones", UINT64_MAX, UINT64_MAX, { 0 } },
	{ "post beyond memory", HVCALL_POST_MESSAGE, 0x7ffffffff000, { 0 } },
	{ "post at the end of everything", HVCALL_POST_MESSAGE, UINT64_MAX - 7, { 0 } },
	{ "post out of device memory", HVCALL_POST_MESSAGE, 0xfee00000, { 0 } },
	{ "post to connection 0", HVCALL_POST_MESSAGE, 0, { 0, 0, 1, 8, { 3 } } },
	{ "post to connection -1",
	  HVCALL_POST_MESSAGE,
	  0,
	  { UINT32_MAX, 0, 1, 8, { 3 } } },
	{ "post of 241 bytes", HVCALL_POST_MESSAGE, 0, { 1, 0, 1, 241, { 3 } } },
	{ "post of 4 GiB", HVCALL_POST_MESSAGE, 0, { 1, 0, 1, UINT32_MAX, { 3 } } },
	{ "slow signal beyond memory", HVCALL_SIGNAL_EVENT, 0x7ffffffff000, { 0 } },
};

bool hostile_hypercall(void)
{
	struct hv *hv = &guest_get()->hv;
	struct hv_input_post_message *page = pages_alloc(1);
	bool ok = true;
	uint64_t input;
	size_t i;

	for (i = 0; page && i < sizeof(hypercall_rows) / sizeof(hypercall_rows[0]); i++) {
		*page = hypercall_rows[i].post;
		input = hypercall_rows[i].input ? hypercall_rows[i].input
						: (uintptr_t)page;
		if (!(uint16_t)guest_env.hypercall(NULL, hv->hypercall_page,
						   hypercall_rows[i].control, input, 0)) {
			say("hostile hypercall: taken: %s", hypercall_rows[i].what);
			ok = false;
		}
		ok &= hostile_survived("hypercall", hypercall_rows[i].what);
	}
	/* doorbells of nobody: their status says nothing, for the fast path does not wait for an answer */
	for (i = 0; i < 1000; i++) {
		outl(HV_PORT_DOORBELL, (uint32_t)i * 0x9e3779b9u);
		hv_signal(hv, (uint32_t)i * 0x9e3779b9u);
	}
	pages_free(page, 1);
	return ok && hostile_survived("hypercall", "doorbells of nobody");
}
