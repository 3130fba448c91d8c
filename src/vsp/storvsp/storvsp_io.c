/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One channel. EXECUTE_SRB: the packet's copy gives CDB, unit and direction, its GPA ranges become an iovec into guest memory, and the
 * command goes to its unit; nothing is allocated and no data copied. Commands of a turn are submitted to the host together when the
 * guest's ring is drained; what the page cache could answer is complete right after, so its completions leave with the same
 * interrupt.
 *
 * A reset waits until the unit's commands have ended, on all channels, and stops this channel's ring meanwhile: the packet is
 * held and tried again by time, for the last command may end on another thread.
 */
#include "vsp/storvsp/storvsp_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RESET_POLL_NS 1000000ull

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- requests ---- */

/* One that was never used; NULL when the channel has all that it may have, or the host no memory. */
static struct storvsp_request *first_use(struct storvsp_channel *ch)
{
	struct storvsp_request **chunk = &ch->chunks[ch->used / STORVSP_CHUNK];

	if (ch->used == STORVSP_DEPTH)
		return NULL;
	if (!*chunk)
		*chunk = malloc(STORVSP_CHUNK * sizeof(**chunk));
	return *chunk ? &(*chunk)[ch->used++ % STORVSP_CHUNK] : NULL;
}

static struct storvsp_request *take_request(struct storvsp_channel *ch)
{
	struct storvsp_request *req = ch->free;

	if (req)
		ch->free = req->next;
	else
		req = first_use(ch);
	if (req)
		ch->active++;
	else
		ch->starved = true;
	return req;
}

static void put_request(struct storvsp_channel *ch, struct storvsp_request *req)
{
	if (req->packet.srb.lun < SCSI_LUNS)
		ch->unit_active[req->packet.srb.lun]--;
	req->next = ch->free;
	ch->free = req;
	ch->active--;
}

static void send_answer(struct storvsp_channel *ch, const struct packet *p,
			const struct vstor_packet *answer, size_t len)
{
	if (packet_wants_completion(p))
		vsp_complete(ch->vc, p->transaction_id, answer, len);
}

static bool is_capacity_change(const struct scsi_cmd *cmd)
{
	return cmd->sense.asc == (SCSI_CAPACITY_CHANGED >> 8 & 0xff) &&
	       cmd->sense.ascq == (SCSI_CAPACITY_CHANGED & 0xff);
}

/* What Linux' storvsc and Windows' storport do with a command depends on the SRB's status first. */
static void fill_status(struct vstor_packet *p, const struct scsi_cmd *cmd)
{
	struct vstor_srb *srb = &p->srb;

	srb->scsi_status = cmd->status;
	srb->data_transfer_length = cmd->transferred;
	p->status = VSTOR_STATUS_IO_DEVICE_ERROR;
	if (cmd->status == SCSI_GOOD) {
		p->status = VSTOR_STATUS_SUCCESS;
		srb->srb_status = VSTOR_SRB_SUCCESS;
	} else if (cmd->no_lun) {
		/* Without sense: older Linux compares the whole byte to know that a unit has gone. */
		p->status = VSTOR_STATUS_DEVICE_DOES_NOT_EXIST;
		srb->srb_status = VSTOR_SRB_INVALID_LUN;
	} else if (cmd->has_sense && is_capacity_change(cmd)) {
		/* Linux before 5.14 looks for a change of the size behind "aborted" only. */
		srb->srb_status = VSTOR_SRB_ABORTED;
	} else if (cmd->status == SCSI_BUSY) {
		p->status = VSTOR_STATUS_DEVICE_BUSY;
		srb->srb_status = VSTOR_SRB_BUSY;
	} else {
		srb->srb_status = VSTOR_SRB_ERROR;
	}
}

static void fill_sense(struct vstor_srb *srb, const struct scsi_cmd *cmd,
		       uint8_t room_bytes)
{
	size_t n = MIN((size_t)room_bytes, sizeof(cmd->sense));

	memset(srb->sense_data, 0, sizeof(srb->sense_data));
	srb->sense_info_length = 0;
	if (!cmd->has_sense || cmd->no_lun || !n)
		return;
	memcpy(srb->sense_data, &cmd->sense, n);
	srb->sense_info_length = (uint8_t)n;
	srb->srb_status |= VSTOR_SRB_AUTOSENSE_VALID;
}

static void command_done(struct scsi_cmd *cmd)
{
	struct storvsp_request *req = container_of(cmd, struct storvsp_request, cmd);
	struct vstor_packet *p = &req->packet;

	p->operation = VSTOR_COMPLETE_IO;
	storvsp_count_end(req->ch, req);
	fill_status(p, cmd);
	fill_sense(&p->srb, cmd, p->srb.sense_info_length);
	if (req->wants_completion)
		vsp_complete(req->ch->vc, req->transaction_id, p, req->packet_bytes);
	put_request(req->ch, req);
}

/* The pages beside the packet as the command's data. False: they are none that can be used. */
static bool take_data(struct storvsp_request *req, const struct packet *p)
{
	struct scsi_cmd *cmd = &req->cmd;
	const struct vstor_srb *srb = &req->packet.srb;
	uint64_t bytes = packet_range_bytes(p);

	cmd->data = SCSI_DATA_NONE;
	cmd->data_bytes = 0;
	cmd->iovcnt = 0;
	cmd->iov = req->iov;
	if (!bytes)
		return true;
	if (bytes > STORVSP_TRANSFER_MAX || srb->data_in > VSTOR_DATA_IN)
		return false;
	if (packet_iov(p, req->ch->gm, req->iov, STORVSP_IOVS, &cmd->iovcnt) < 0)
		return false;
	cmd->data = srb->data_in == VSTOR_DATA_IN ? SCSI_DATA_IN : SCSI_DATA_OUT;
	cmd->data_bytes = (uint32_t)bytes;
	return true;
}

/* Guests before Windows 8 and Linux 6 leave data_transfer_length unset without data; with data it never says more than the ranges. */
static void limit_data(struct scsi_cmd *cmd, uint32_t want)
{
	uint32_t left = want;
	unsigned int n = 0;

	if (want >= cmd->data_bytes)
		return;
	for (; left; n++) {
		if (cmd->iov[n].iov_len > left)
			cmd->iov[n].iov_len = left;
		left -= (uint32_t)cmd->iov[n].iov_len;
	}
	cmd->iovcnt = n;
	cmd->data_bytes = want;
}

static void refuse(struct storvsp_request *req, uint8_t srb_status)
{
	struct vstor_packet *p = &req->packet;

	p->operation = VSTOR_COMPLETE_IO;
	p->status = VSTOR_STATUS_INVALID_PARAMETER;
	p->srb.srb_status = srb_status;
	p->srb.scsi_status = 0;
	p->srb.data_transfer_length = 0;
	p->srb.sense_info_length = 0;
	if (req->wants_completion)
		vsp_complete(req->ch->vc, req->transaction_id, p, req->packet_bytes);
	put_request(req->ch, req);
}

static struct scsi_target *find_target(struct storvsp *s, const struct vstor_srb *srb)
{
	return srb->path_id || srb->target_id ? &s->nowhere : &s->target;
}

void storvsp_execute(struct storvsp_request *req)
{
	scsi_target_execute(find_target(req->ch->s, &req->packet.srb), &req->cmd);
}

static void refuse_busy(struct storvsp_request *req)
{
	req->cmd.dev = NULL;
	req->cmd.no_lun = req->cmd.has_sense = req->cmd.entered = false;
	scsi_status(&req->cmd, SCSI_BUSY);
}

/* Counts the command for its unit; false when that has its share of the channel. */
static bool within_quota(struct storvsp_channel *ch, unsigned int lun)
{
	return lun >= SCSI_LUNS || ch->unit_active[lun]++ < STORVSP_UNIT_QUOTA;
}

static int execute(struct storvsp_channel *ch, const struct packet *p,
		   const struct vstor_packet *copy, size_t len)
{
	struct storvsp_request *req = take_request(ch);
	const struct vstor_srb *srb = &copy->srb;
	bool fits;

	if (!req)
		return -EAGAIN;
	req->ch = ch;
	req->transaction_id = p->transaction_id;
	req->wants_completion = packet_wants_completion(p);
	req->packet = *copy;
	req->packet_bytes = len;
	req->began_ns = now_ns();
	fits = within_quota(ch, srb->lun);
	if (!srb->cdb_length || srb->cdb_length > VSTOR_CDB_BYTES || !take_data(req, p)) {
		refuse(req, VSTOR_SRB_INVALID_REQUEST);
		return 0;
	}
	limit_data(&req->cmd, srb->data_transfer_length);
	memcpy(req->cmd.cdb, srb->cdb, sizeof(req->cmd.cdb));
	req->cmd.cdb_bytes = srb->cdb_length;
	req->cmd.lun = srb->lun;
	req->cmd.aio = ch->aio;
	req->cmd.done = command_done;
	req->cmd.hold = storvsp_hold;
	req->cmd.spare = req->spare;
	req->cmd.admitted = false;
	req->cmd.phase = 0;
	if (fits)
		storvsp_execute(req);
	else
		refuse_busy(req);
	return 0;
}

/* ---- packets ---- */

/* A held command is executed in the end, and must not come after a reset. `lun` as of scsi_target_reset(). */
static bool any_held(struct storvsp *s, unsigned int lun)
{
	for (unsigned int i = 0; i < SCSI_LUNS; i++) {
		if ((lun == i || lun >= SCSI_LUNS) && atomic_load(&s->held[i]))
			return true;
	}
	return false;
}

static int reset(struct storvsp_channel *ch, const struct packet *p,
		 struct vstor_packet *copy, size_t len)
{
	unsigned int lun = SCSI_LUNS;

	if (copy->operation == VSTOR_RESET_LUN) {
		lun = copy->srb.lun;
		if (lun >= SCSI_LUNS ||
		    find_target(ch->s, &copy->srb) != &ch->s->target) {
			copy->operation = VSTOR_COMPLETE_IO;
			copy->status = VSTOR_STATUS_DEVICE_DOES_NOT_EXIST;
			copy->srb.srb_status = VSTOR_SRB_INVALID_LUN;
			send_answer(ch, p, copy, len);
			return 0;
		}
	}
	if (any_held(ch->s, lun) || !scsi_target_reset(&ch->s->target, lun)) {
		vsp_timer_by(ch->vc, now_ns() + RESET_POLL_NS);
		return -EAGAIN;
	}
	copy->operation = VSTOR_COMPLETE_IO;
	copy->status = VSTOR_STATUS_SUCCESS;
	copy->srb.srb_status = VSTOR_SRB_SUCCESS;
	send_answer(ch, p, copy, len);
	return 0;
}

static void negotiate(struct storvsp_channel *ch, const struct packet *p,
		      struct vstor_packet *copy, size_t len)
{
	struct storvsp *s = ch->s;
	unsigned int subs;

	storvsp_init_packet(&s->init, copy, &subs);
	if (subs && channel_request_subs(vsp_channel_vmbus(ch->vc), subs) < 0)
		storvsp_init_no_subs(copy);
	/* Whatever came before is found by the scan that follows. */
	if (s->init.phase == STORVSP_READY && !atomic_load(&s->ready)) {
		atomic_store(&s->rescan, false);
		atomic_store(&s->ready, true);
	}
	send_answer(ch, p, copy, len);
}

static int on_packet(void *state, const struct packet *p)
{
	struct storvsp_channel *ch = state;
	struct vstor_packet copy = { 0 };
	size_t len;

	if (p->type != VM_PKT_DATA_INBAND && p->type != VM_PKT_DATA_USING_GPA_DIRECT)
		return p->type == VM_PKT_COMP ? 0 : -EPROTO;
	if (p->payload_bytes < VSTOR_PACKET_BYTES_WIN7)
		return -EPROTO;
	len = p->payload_bytes < VSTOR_PACKET_BYTES ? VSTOR_PACKET_BYTES_WIN7
						    : VSTOR_PACKET_BYTES;
	memcpy(&copy, p->payload, len);
	if (atomic_load_explicit(&ch->s->ready, memory_order_acquire)) {
		if (copy.operation == VSTOR_EXECUTE_SRB)
			return execute(ch, p, &copy, len);
		if (copy.operation >= VSTOR_RESET_LUN &&
		    copy.operation <= VSTOR_RESET_BUS)
			return reset(ch, p, &copy, len);
	}
	if (ch->is_primary) {
		negotiate(ch, p, &copy, len);
		return 0;
	}
	copy.operation = VSTOR_COMPLETE_IO;
	copy.status = VSTOR_STATUS_INVALID_DEVICE_STATE;
	send_answer(ch, p, &copy, len);
	return 0;
}

/* ---- the channel ---- */

static void on_io(void *state)
{
	struct storvsp_channel *ch = state;

	aio_reap(ch->aio, 0);
}

static void on_flush(void *state)
{
	struct storvsp_channel *ch = state;

	if (ch->active == ch->held)
		return;
	aio_submit(ch->aio);
	if (aio_reap(ch->aio, 0) && ch->starved) {
		/* A packet waits for what has just become free, and perhaps no completion will come any more. */
		ch->starved = false;
		vsp_channel_kick(ch->vc);
	}
}

static void on_timer(void *state)
{
	storvsp_hold_run(state);
}

/* Hot add and remove: the guest scans again. Older drivers than Windows 7's do not know the packet, and learn it with their next command. */
static void rescan(struct storvsp_channel *ch)
{
	struct vstor_packet p = { .operation = VSTOR_ENUMERATE_BUS };
	size_t len = VSTOR_PACKET_BYTES;

	if (!ch->is_primary || !atomic_load(&ch->s->ready) ||
	    !atomic_exchange(&ch->s->rescan, false))
		return;
	if (ch->s->init.version < VSTOR_VERSION_WIN8)
		len = VSTOR_PACKET_BYTES_WIN7;
	if (ch->s->init.version >= VSTOR_VERSION_WIN7)
		vsp_send(ch->vc, 0, 0, &p, len);
	else
		scsi_target_attention(&ch->s->target, SCSI_UA_LUNS_CHANGED);
}

static void on_kicked(void *state)
{
	rescan(state);
	storvsp_hold_run(state);
}

static unsigned int outstanding(void *state)
{
	const struct storvsp_channel *ch = state;

	return ch->active - ch->held;
}

static int on_open(void *dev, struct vsp_channel *vc, void **ret_state)
{
	struct storvsp *s = dev;
	struct aio_params params = { .engine = s->engine, .depth = STORVSP_DEPTH };
	struct storvsp_channel *ch = calloc(1, sizeof(*ch));
	struct vmbus_channel *vmbus = vsp_channel_vmbus(vc);
	int r;

	if (!ch)
		return -ENOMEM;
	r = aio_new(&params, &ch->aio);
	if (r < 0) {
		free(ch);
		return r;
	}
	ch->s = s;
	ch->vc = vc;
	ch->gm = channel_guestmem(vmbus);
	ch->is_primary = channel_sub_index(vmbus) == 0;
	storvsp_hold_init(ch);
	storvsp_count_open(ch);
	if (ch->is_primary) {
		storvsp_init_reset(&s->init, s->max_sub_channels);
		atomic_store(&s->ready, false);
	}
	vsp_watch(vc, aio_fd(ch->aio));
	*ret_state = ch;
	return 0;
}

static void on_close(void *state)
{
	struct storvsp_channel *ch = state;

	if (ch->is_primary)
		atomic_store(&ch->s->ready, false);
	storvsp_count_close(ch);
	storvsp_hold_drop(ch);
	aio_free(ch->aio);
	for (size_t i = 0; i < ARRAY_SIZE(ch->chunks); i++)
		free(ch->chunks[i]);
	free(ch);
}

const struct vsp_ops storvsp_ops = {
	.open = on_open,
	.packet = on_packet,
	.flush = on_flush,
	.io = on_io,
	.timer = on_timer,
	.kicked = on_kicked,
	.outstanding = outstanding,
	.close = on_close,
};
