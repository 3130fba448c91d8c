/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of the synthetic SCSI controller: version and sub-channel negotiation, commands on any of its channels. proto/storvsp.h.
 *
 * Thread: start and stop on VP 0; a queue (one channel) on one VP at a time, any VP.
 */
#ifndef CORE_STORVSC_H
#define CORE_STORVSC_H

#include "core/chan.h"
#include "proto/storvsp.h"

#define STORVSC_QUEUES_MAX 8u
#define STORVSC_DEPTH 64u /* requests under way on one queue */
#define STORVSC_LUNS_MAX 64u
#define STORVSC_TIMEOUT_US 30000000u

struct storvsc_request {
	uint8_t lun;
	uint8_t cdb_length;
	uint8_t data_in; /* VSTOR_DATA_* */
	uint8_t cdb[VSTOR_CDB_BYTES];
	void *data; /* NULL without; else contiguous in virtual memory */
	uint32_t data_len;
	/* Filled when done. */
	bool done;
	uint32_t status;    /* VSTOR_STATUS_* */
	uint8_t srb_status; /* VSTOR_SRB_*, without VSTOR_SRB_AUTOSENSE_VALID */
	uint8_t scsi_status;
	uint8_t sense_len; /* 0: no sense */
	uint8_t sense[VSTOR_SENSE_BYTES];
	uint32_t transferred;
};

struct storvsc_queue {
	struct chan *ch;
	struct storvsc_request *slots[STORVSC_DEPTH];
	unsigned int outstanding;
};

struct storvsc {
	struct bus *bus;
	uint16_t version;          /* VSTOR_VERSION_* */
	uint16_t max_sub_channels; /* as the host says */
	uint32_t max_transfer_bytes;
	unsigned int queues;
	struct storvsc_queue queue[STORVSC_QUEUES_MAX];
	/* VSTOR_ENUMERATE_BUS and VSTOR_REMOVE_DEVICE packets that came: something about the LUNs changed. */
	unsigned int bus_changes;
};

/* Interface type of the offer, in wire order. */
extern const uint8_t storvsc_type[16];

/*
 * Opens `primary` on VP 0, negotiates (the newest version that both know, not above `max_version`, 0: any), asks for up to `subs` sub-channels and opens them,
 * queue i bound to VP i % vps. -EPROTO when the host does not keep to the protocol, -ETIMEDOUT, errors of chan_open().
 */
int storvsc_start(struct storvsc *s, struct bus *bus, struct chan *primary,
		  uint16_t max_version, unsigned int subs, unsigned int vps);
/* Closes all its channels; requests under way are forgotten. */
int storvsc_stop(struct storvsc *s);

/* Sends; req stays the queue's until it is done. -EAGAIN when the queue or its ring is full, -EINVAL, errors of chan_send_data(). */
int storvsc_submit(struct storvsc *s, unsigned int queue, struct storvsc_request *req);
/* Takes completions: how many, or -errno. */
int storvsc_poll(struct storvsc *s, unsigned int queue);
/* Submits and waits. 0 when it was done, whatever its status; -ETIMEDOUT; -errno. */
int storvsc_exec(struct storvsc *s, unsigned int queue, struct storvsc_request *req);

/* Commands (SPC-4, SBC-3); they execute. 0, or -EIO when the device says anything but good (req holds what), or errors of storvsc_exec(). */
int storvsc_inquiry(struct storvsc *s, unsigned int lun, void *buf, uint8_t len);
int storvsc_read_capacity(struct storvsc *s, unsigned int lun, uint64_t *ret_blocks,
			  uint32_t *ret_block_bytes);
int storvsc_report_luns(struct storvsc *s, uint64_t *ret_present);
int storvsc_flush(struct storvsc *s, unsigned int queue, unsigned int lun);
/* UNMAP of one range. */
int storvsc_unmap(struct storvsc *s, unsigned int lun, uint64_t lba, uint32_t blocks);
/* Fills in READ(16) or WRITE(16). */
void storvsc_prepare_rw(struct storvsc_request *req, unsigned int lun, bool write,
			uint64_t lba, uint32_t blocks, void *data, uint32_t data_len);

#endif
