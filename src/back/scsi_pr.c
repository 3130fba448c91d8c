/* SPDX-License-Identifier: BSD-2-Clause */
#include "back/scsi_pr.h"

#include <string.h>

#define MAGIC 0x31767265736572ull /* "reserv1" */

enum { READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS };

void scsi_pr_init(struct scsi_pr *pr)
{
	*pr = (struct scsi_pr){ .magic = MAGIC };
}

static bool is_type(unsigned int type)
{
	return type == SCSI_PR_WRITE_EXCLUSIVE || type == SCSI_PR_EXCLUSIVE_ACCESS ||
	       (type >= SCSI_PR_WRITE_EXCLUSIVE_REGISTRANTS &&
		type <= SCSI_PR_EXCLUSIVE_ACCESS_ALL);
}

/* Every registrant holds it. */
static bool is_all(unsigned int type)
{
	return type == SCSI_PR_WRITE_EXCLUSIVE_ALL ||
	       type == SCSI_PR_EXCLUSIVE_ACCESS_ALL;
}

/* Every registrant has access, and hears when it ends. */
static bool is_for_registrants(unsigned int type)
{
	return type >= SCSI_PR_WRITE_EXCLUSIVE_REGISTRANTS;
}

bool scsi_pr_is_sane(const struct scsi_pr *pr)
{
	if (pr->magic != MAGIC || (pr->type && !is_type(pr->type)))
		return false;
	if (!pr->type || is_all(pr->type))
		return true;
	return pr->holder < SCSI_PR_SLOTS && pr->slots[pr->holder].key;
}

/* ---- slots ---- */

static struct scsi_pr_slot *slot_find(const struct scsi_pr *pr,
				      const struct guid *initiator)
{
	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++) {
		if (memcmp(&pr->slots[i].initiator, initiator, sizeof(*initiator)) == 0)
			return (struct scsi_pr_slot *)(uintptr_t)&pr->slots[i];
	}
	return NULL;
}

/* One for a new registrant: free, or of one that is gone but has not been told. */
static struct scsi_pr_slot *slot_new(struct scsi_pr *pr, const struct guid *initiator)
{
	struct scsi_pr_slot *s = slot_find(pr, initiator);

	for (unsigned int i = 0; !s && i < SCSI_PR_SLOTS; i++) {
		if (guid_is_null(&pr->slots[i].initiator))
			s = &pr->slots[i];
	}
	for (unsigned int i = 0; !s && i < SCSI_PR_SLOTS; i++) {
		if (!pr->slots[i].key)
			s = &pr->slots[i];
	}
	if (s && memcmp(&s->initiator, initiator, sizeof(*initiator)) != 0)
		*s = (struct scsi_pr_slot){ .initiator = *initiator };
	return s;
}

static void slot_drop(struct scsi_pr_slot *s)
{
	s->key = 0;
	if (!s->ua)
		*s = (struct scsi_pr_slot){ 0 };
}

static unsigned int registrants(const struct scsi_pr *pr)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++)
		n += pr->slots[i].key != 0;
	return n;
}

static bool is_holder(const struct scsi_pr *pr, const struct scsi_pr_slot *s)
{
	return pr->type && s->key && (is_all(pr->type) || s == &pr->slots[pr->holder]);
}

/* Every registrant but one is to hear of something. */
static void tell_others(struct scsi_pr *pr, const struct scsi_pr_slot *but,
			unsigned int ua)
{
	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++) {
		if (&pr->slots[i] != but && pr->slots[i].key)
			pr->slots[i].ua |= ua;
	}
}

/* The reservation ends by its holder's own hand: SPC-4 5.12.11.2. */
static void release(struct scsi_pr *pr, const struct scsi_pr_slot *by)
{
	if (is_for_registrants(pr->type))
		tell_others(pr, by, SCSI_UA_RESERVATIONS_RELEASED);
	pr->type = SCSI_PR_NONE;
	pr->holder = 0;
}

/* ---- service actions ---- */

static void do_register(struct scsi_pr *pr, const struct guid *initiator,
			const struct scsi_pr_out *out, struct scsi_pr_result *ret)
{
	struct scsi_pr_slot *s = slot_find(pr, initiator);
	uint64_t has = s ? s->key : 0;

	if (out->action == SCSI_PR_REGISTER && out->key != has) {
		ret->conflict = true;
		return;
	}
	if (out->action_key) {
		s = slot_new(pr, initiator);
		if (!s) {
			ret->sense = SCSI_INSUFFICIENT_REGISTRATION_RESOURCES;
			return;
		}
		s->key = out->action_key;
	} else if (has) {
		/* For all registrants it ends with the last of them. */
		if (is_holder(pr, s) && (!is_all(pr->type) || registrants(pr) == 1))
			release(pr, s);
		slot_drop(s);
	}
	pr->aptpl = out->aptpl;
	pr->generation++;
}

static void do_reserve(struct scsi_pr *pr, const struct scsi_pr_slot *s,
		       const struct scsi_pr_out *out, struct scsi_pr_result *ret)
{
	if (out->scope || !is_type(out->type)) {
		ret->sense = SCSI_INVALID_FIELD_IN_CDB;
	} else if (!pr->type) {
		pr->type = out->type;
		pr->holder = (uint8_t)(s - pr->slots);
	} else if (!is_holder(pr, s) || pr->type != out->type) {
		ret->conflict = true;
	}
}

static void do_release(struct scsi_pr *pr, const struct scsi_pr_slot *s,
		       const struct scsi_pr_out *out, struct scsi_pr_result *ret)
{
	if (!is_holder(pr, s))
		return;
	if (out->scope || out->type != pr->type)
		ret->sense = SCSI_INVALID_RELEASE;
	else
		release(pr, s);
}

static void do_clear(struct scsi_pr *pr, const struct scsi_pr_slot *by)
{
	tell_others(pr, by, SCSI_UA_RESERVATIONS_PREEMPTED);
	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++)
		slot_drop(&pr->slots[i]);
	pr->type = SCSI_PR_NONE;
	pr->holder = 0;
	pr->generation++;
}

/* Removes registrations with a key, 0 for all, but the preempter's own. How many. */
static unsigned int remove_key(struct scsi_pr *pr, const struct scsi_pr_slot *by,
			       uint64_t key, struct scsi_pr_result *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++) {
		struct scsi_pr_slot *s = &pr->slots[i];

		if (s == by || !s->key || (key && s->key != key))
			continue;
		s->ua |= SCSI_UA_REGISTRATIONS_PREEMPTED;
		s->key = 0;
		ret->victims[ret->victim_count++] = s->initiator;
		n++;
	}
	return n;
}

/* SPC-4 5.12.11.4: what it does depends on whether the key is the holder's. */
static void do_preempt(struct scsi_pr *pr, struct scsi_pr_slot *s,
		       const struct scsi_pr_out *out, struct scsi_pr_result *ret)
{
	bool takes_over = pr->type && (is_all(pr->type) ? !out->action_key
							: pr->slots[pr->holder].key ==
								  out->action_key);
	uint8_t before = pr->type;

	if (takes_over && (out->scope || !is_type(out->type))) {
		ret->sense = SCSI_INVALID_FIELD_IN_CDB;
		return;
	}
	if (!takes_over && !out->action_key) {
		ret->sense = SCSI_INVALID_FIELD_IN_PARAMETERS;
		return;
	}
	if (!remove_key(pr, s, out->action_key, ret) && !takes_over &&
	    s->key != out->action_key) {
		ret->conflict = true;
		return;
	}
	if (takes_over) {
		pr->type = out->type;
		pr->holder = (uint8_t)(s - pr->slots);
		if (before != out->type && is_for_registrants(before))
			tell_others(pr, s, SCSI_UA_RESERVATIONS_RELEASED);
	}
	pr->generation++;
}

void scsi_pr_out(struct scsi_pr *pr, const struct guid *initiator,
		 const struct scsi_pr_out *out, bool persists, struct scsi_pr_result *ret)
{
	struct scsi_pr_slot *s = slot_find(pr, initiator);

	*ret = (struct scsi_pr_result){ .sense = SCSI_NO_SENSE };
	if (out->aptpl && !persists &&
	    (out->action == SCSI_PR_REGISTER ||
	     out->action == SCSI_PR_REGISTER_AND_IGNORE)) {
		ret->sense = SCSI_INVALID_FIELD_IN_PARAMETERS;
		return;
	}
	if (out->action == SCSI_PR_REGISTER ||
	    out->action == SCSI_PR_REGISTER_AND_IGNORE) {
		do_register(pr, initiator, out, ret);
	} else if (!s || !s->key || s->key != out->key) {
		ret->conflict = true;
	} else if (out->action == SCSI_PR_RESERVE) {
		do_reserve(pr, s, out, ret);
	} else if (out->action == SCSI_PR_RELEASE) {
		do_release(pr, s, out, ret);
	} else if (out->action == SCSI_PR_CLEAR) {
		do_clear(pr, s);
	} else {
		do_preempt(pr, s, out, ret);
	}
	if (!ret->conflict && !ret->sense)
		pr->changes++;
}

/* ---- PERSISTENT RESERVE IN ---- */

static void put32(uint8_t *p, uint32_t v)
{
	be32_t b = be32(v);

	memcpy(p, &b, sizeof(b));
}

static void put64(uint8_t *p, uint64_t v)
{
	be64_t b = be64(v);

	memcpy(p, &b, sizeof(b));
}

static size_t read_keys(const struct scsi_pr *pr, uint8_t *buf)
{
	size_t n = 8;

	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++) {
		if (!pr->slots[i].key)
			continue;
		put64(buf + n, pr->slots[i].key);
		n += 8;
	}
	put32(buf + 4, (uint32_t)n - 8);
	return n;
}

static size_t read_reservation(const struct scsi_pr *pr, uint8_t *buf)
{
	if (!pr->type)
		return 8;
	put32(buf + 4, 16);
	/* Where all registrants hold it, no key stands for it. */
	put64(buf + 8, is_all(pr->type) ? 0 : pr->slots[pr->holder].key);
	buf[21] = pr->type;
	return 24;
}

/* SPC-4 6.15.4: the types that there are, and whether APTPL can be. */
static size_t report_capabilities(const struct scsi_pr *pr, bool persists, uint8_t *buf)
{
	memset(buf, 0, 8);
	buf[1] = 8;
	buf[2] = persists ? 0x01 : 0;           /* PTPL_C */
	buf[3] = 0x80 | (pr->aptpl ? 0x01 : 0); /* TMV, PTPL_A */
	buf[4] = 0xea; /* WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX */
	buf[5] = 0x01; /* EX_AC_AR */
	return 8;
}

/* SPC-4 6.15.5: each with a transport id, of the form of SAS (7.5.4.7), which has room for 8 bytes of who it is. */
static size_t read_full_status(const struct scsi_pr *pr, uint8_t *buf)
{
	size_t n = 8;

	for (unsigned int i = 0; i < SCSI_PR_SLOTS; i++) {
		const struct scsi_pr_slot *s = &pr->slots[i];
		uint8_t *p = buf + n;

		if (!s->key)
			continue;
		memset(p, 0, 48);
		put64(p, s->key);
		if (is_holder(pr, s)) {
			p[12] = 0x01; /* R_HOLDER */
			p[13] = pr->type;
		}
		p[19] = 1; /* relative target port */
		put32(p + 20, 24);
		p[24] = 0x06;
		memcpy(p + 28, s->initiator.b, 8);
		n += 48;
	}
	put32(buf + 4, (uint32_t)n - 8);
	return n;
}

size_t scsi_pr_in(const struct scsi_pr *pr, unsigned int action, bool persists,
		  uint8_t *buf)
{
	memset(buf, 0, 24);
	put32(buf, pr->generation);
	switch (action) {
	case READ_KEYS:
		return read_keys(pr, buf);
	case READ_RESERVATION:
		return read_reservation(pr, buf);
	case REPORT_CAPABILITIES:
		return report_capabilities(pr, persists, buf);
	case READ_FULL_STATUS:
		return read_full_status(pr, buf);
	default:
		return 0;
	}
}

/* ---- other commands ---- */

enum access { ALWAYS, READS, WRITES };

/* What a command does to a reservation of another: SPC-4 table 48, SBC-3 table 13. */
static enum access access_of(const uint8_t *cdb)
{
	switch (cdb[0]) {
	case SCSI_INQUIRY:
	case SCSI_REQUEST_SENSE:
	case SCSI_TEST_UNIT_READY:
	case SCSI_READ_CAPACITY_10:
	case SCSI_PERSISTENT_RESERVE_IN:
	case SCSI_PERSISTENT_RESERVE_OUT:
	case SCSI_REPORT_LUNS:
		return ALWAYS;
	case SCSI_SERVICE_ACTION_IN_16:
		return (cdb[1] & 0x1f) == SCSI_SA_READ_CAPACITY_16 ? ALWAYS : READS;
	case SCSI_START_STOP_UNIT:
		return cdb[4] & SCSI_START ? ALWAYS : WRITES;
	case SCSI_PREVENT_ALLOW_MEDIUM_REMOVAL:
		return cdb[4] & 1 ? WRITES : ALWAYS;
	case SCSI_READ_6:
	case SCSI_READ_10:
	case SCSI_READ_12:
	case SCSI_READ_16:
	case SCSI_VERIFY_10:
	case SCSI_VERIFY_16:
		return READS;
	default:
		return WRITES;
	}
}

static bool excludes_reads(unsigned int type)
{
	return type == SCSI_PR_EXCLUSIVE_ACCESS ||
	       type == SCSI_PR_EXCLUSIVE_ACCESS_REGISTRANTS ||
	       type == SCSI_PR_EXCLUSIVE_ACCESS_ALL;
}

bool scsi_pr_conflicts(const struct scsi_pr *pr, const struct guid *initiator,
		       const uint8_t *cdb)
{
	enum access access = access_of(cdb);
	const struct scsi_pr_slot *s;

	if (!pr->type || access == ALWAYS)
		return false;
	s = slot_find(pr, initiator);
	if (s && s->key && (is_for_registrants(pr->type) || is_holder(pr, s)))
		return false;
	return access == WRITES || excludes_reads(pr->type);
}

bool scsi_pr_has_ua(const struct scsi_pr *pr, const struct guid *initiator)
{
	const struct scsi_pr_slot *s = slot_find(pr, initiator);

	return s && s->ua;
}

unsigned int scsi_pr_take_ua(struct scsi_pr *pr, const struct guid *initiator)
{
	struct scsi_pr_slot *s = slot_find(pr, initiator);
	unsigned int ua;

	if (!s || !s->ua)
		return 0;
	ua = s->ua;
	s->ua = 0;
	if (!s->key)
		*s = (struct scsi_pr_slot){ 0 };
	pr->changes++;
	return ua;
}
