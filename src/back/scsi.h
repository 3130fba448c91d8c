/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SCSI devices behind any front-end: a command descriptor block, a LUN and iovecs of data go in; status, sense and
 * a count of bytes come out. storvsp, and whatever else speaks SCSI or ATAPI to a guest, stands in front of this.
 *
 * A device is used by several threads at once, each with its own aio; a command completes on the thread that executed it,
 * perhaps before the call returns. Everything in a command is the guest's word: CDB bytes and data are checked here; bulk data is
 * never looked at.
 * Sources: SAM-5, SPC-4, SBC-3, MMC-6.
 */
#ifndef BACK_SCSI_H
#define BACK_SCSI_H

#include <stdatomic.h>
#include "back/throttle.h"
#include "proto/scsi.h"
#include "vhd/disk.h"

struct scsi_dev;

#define SCSI_SERIAL_MAX 32u

enum scsi_data { SCSI_DATA_NONE, SCSI_DATA_IN /* to the guest */, SCSI_DATA_OUT };

/* One command, inside the front-end's own structure; nothing is allocated for it. */
struct scsi_cmd {
	/* The front-end's: set before scsi_target_execute(), unchanged until `done`. */
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t cdb_bytes;
	uint8_t lun;
	enum scsi_data data;
	/* The iovec covers data_bytes, in at most IOV_MAX elements, none empty. The array may be changed until `done`. */
	uint32_t data_bytes;
	unsigned int iovcnt;
	struct iovec *iov;
	struct aio *aio;
	void (*done)(struct scsi_cmd *cmd);
	/*
	 * Keeps the command, to be executed anew from its beginning: not before this CLOCK_MONOTONIC time in ns, or with 0 when the operator lets
	 * the VM go on (scsi_dev.stalled). It holds no device meanwhile. NULL: nothing is ever held, errors are reported and no rate is kept.
	 */
	void (*hold)(struct scsi_cmd *cmd, uint64_t until_ns);
	struct iovec *spare; /* with hold: room for as many elements as iov has */
	/* Both false (0) before the first scsi_target_execute(); the rest of what a held command remembers. */
	bool admitted; /* its units were taken from the rate */
	uint8_t phase; /* of a command that waits for others */

	/* The answer, good in `done`. */
	uint8_t status; /* enum scsi_status */
	bool no_lun;    /* there is no such logical unit */
	bool has_sense;
	struct scsi_sense_fixed sense;
	uint32_t transferred; /* of data_bytes */

	/* The device's, until `done`. */
	struct scsi_dev *dev;
	struct disk_req req;
	unsigned int saved; /* elements in `spare` */
	unsigned int step, steps;
	bool entered; /* scsi_dev_ops.left() is due */
	bool submitting, done_inline;
	int result;
};

struct scsi_dev_ops {
	/* Ends by one of the functions below, exactly once, then or later. */
	void (*execute)(struct scsi_dev *dev, struct scsi_cmd *cmd);
	/* The last reference went. Any thread. */
	void (*free)(struct scsi_dev *dev);
	/*
	 * Whether the command meets a reservation of another initiator, or its device has something to tell first, and was ended so; otherwise sets
	 * cmd->entered when left() is to be called once the device has nothing to do with it any more. Both optional. Any thread.
	 */
	bool (*reserved)(struct scsi_dev *dev, struct scsi_cmd *cmd);
	void (*left)(struct scsi_dev *dev);
	/* Bytes of the medium, 0 when there is none. Any thread. */
	uint64_t (*bytes)(struct scsi_dev *dev);
};

/* Unit attentions that wait for the next command: SAM-5 5.14. The highest goes first. */
#define SCSI_UA_RESET 1u
#define SCSI_UA_MEDIUM_CHANGED 2u
#define SCSI_UA_CAPACITY_CHANGED 4u
#define SCSI_UA_LUNS_CHANGED 8u
#define SCSI_UA_RESERVATIONS_PREEMPTED 16u
#define SCSI_UA_RESERVATIONS_RELEASED 32u
#define SCSI_UA_REGISTRATIONS_PREEMPTED 64u

struct scsi_dev {
	/* Fixed after init. */
	const struct scsi_dev_ops *ops;
	uint8_t type; /* SCSI_TYPE_* */
	const char *product;
	struct guid id; /* null: no serial number and no identification */
	/* Fixed before it is attached. */
	char serial[SCSI_SERIAL_MAX +
		    1]; /* VPD page 80h; by init, id in hexadecimal digits */
	/*
	 * A command met an error (-errno) that the guest is not to see, and is held: the VM is to be paused. NULL: errors are reported. Any
	 * thread, the device alive.
	 */
	void (*stalled)(void *opaque, int r);
	/* The guest took the medium out; before that is closed. May be NULL. Any thread. */
	void (*ejected)(void *opaque);
	void *told_opaque; /* of both */
	/* Any thread. */
	atomic_bool stalls_on_io_error; /* not only on a full file system */
	atomic_bool
		was_idle; /* no command was under way at some moment; for who clears it */
	struct throttle limit;
	atomic_uint refs;   /* the owner's, and one a command under way */
	atomic_uint active; /* commands under way */
	atomic_uint ua;
};

/* refs = 1. `product`: up to 16 characters, kept by reference. */
void scsi_dev_init(struct scsi_dev *dev, const struct scsi_dev_ops *ops, uint8_t type,
		   const char *product, const struct guid *id);
struct scsi_dev *scsi_dev_ref(struct scsi_dev *dev);
void scsi_dev_unref(struct scsi_dev *dev);
/* Raises SCSI_UA_* for the guest's next command. */
void scsi_dev_attention(struct scsi_dev *dev, unsigned int ua);

/*
 * A disk as a direct-access block device, or as a DVD in a removable drive. Each takes over the caller's reference on the disk on
 * success. -ENOMEM; -EINVAL for a DVD of less than one sector of 2048 bytes.
 */
int scsi_disk_new(struct disk *disk, struct scsi_dev **ret) __must_check;
/*
 * Makes a disk one that several VMs have: its reservations are common to them by the file `fd`, which is taken over on success. Before it is attached. Errors of
 * scsi_reserve_new().
 */
int scsi_disk_share(struct scsi_dev *dev, const struct guid *initiator,
		    int fd) __must_check;
/* The disk of a direct-access device, borrowed from it; NULL when it is none. */
struct disk *scsi_disk_disk(struct scsi_dev *dev);
/* `medium` NULL: the drive is empty. `id` is the drive's. */
int scsi_dvd_new(struct disk *medium, const struct guid *id,
		 struct scsi_dev **ret) __must_check;
/*
 * Changes the medium, NULL takes it out; the guest sees it by a unit attention and events. It goes even when the guest
 * prevents removal: the operator's hand at the drive. -EINVAL when dev is no DVD or the medium too small. Any thread.
 */
int scsi_dvd_change(struct scsi_dev *dev, struct disk *medium) __must_check;
/*
 * The button of the drive. 0 when the medium may be taken out; -EBUSY when the guest has locked the tray: it hears of the wish by an event (MMC-6 6.6.2.7,
 * EjectRequest), which Linux answers by unmounting. Any thread.
 */
int scsi_dvd_ask_eject(struct scsi_dev *dev) __must_check;
/* False when the guest ejected it, or there never was one. */
bool scsi_dvd_loaded(struct scsi_dev *dev);

/* ---- for devices: each ends the command, but for scsi_fetch ---- */

void scsi_good(struct scsi_cmd *cmd, uint32_t transferred);
void scsi_fail(struct scsi_cmd *cmd, enum scsi_sense sense);
/* Without data and sense: SCSI_BUSY, SCSI_RESERVATION_CONFLICT. */
void scsi_status(struct scsi_cmd *cmd, enum scsi_status status);
/* Keeps what the command's iovec is before it is cut to fit, for scsi_fail_errno(). */
void scsi_save(struct scsi_cmd *cmd);
/* Does not end the command, but gives it back to its front-end until then: see scsi_cmd.hold, which must be there. */
void scsi_hold(struct scsi_cmd *cmd, uint64_t until_ns);
/* From a disk's -errno; or holds the command, where the device's policy is that. */
void scsi_fail_errno(struct scsi_cmd *cmd, int r, bool is_write);
/* Data for the guest: of `len` bytes at most `allocated` (the CDB's allocation length) and what the guest has room for. */
void scsi_reply(struct scsi_cmd *cmd, const void *data, size_t len, size_t allocated);
/* A private copy of the guest's data. -EINVAL when there is less, or none. */
int scsi_fetch(const struct scsi_cmd *cmd, size_t off, void *buf,
	       size_t len) __must_check;

struct scsi_op {
	void (*run)(struct scsi_dev *dev, struct scsi_cmd *cmd);
	uint8_t cdb_bytes;
	bool ignores_ua; /* SPC-4: INQUIRY, REPORT LUNS, REQUEST SENSE */
};
/* Ends a command by the unit attention that waits; false when there is none. */
bool scsi_fail_attention(struct scsi_cmd *cmd);
/* Runs the opcode's entry of a table of 256 after what is checked for all: length, control byte, unit attention. */
void scsi_dispatch(struct scsi_dev *dev, const struct scsi_op ops[256],
		   struct scsi_cmd *cmd);

/* REQUEST SENSE, for every device. */
void scsi_request_sense(struct scsi_dev *dev, struct scsi_cmd *cmd);
/* What a command to a logical unit that is not there is told. */
void scsi_no_lun(struct scsi_cmd *cmd);

/* INQUIRY with the pages of a device beside those that all have (00h, 80h, 83h). `fill` writes a whole page and returns its size. */
#define SCSI_VPD_MAX 128u
struct scsi_vpd_page {
	uint8_t page;
	size_t (*fill)(struct scsi_dev *dev, uint8_t buf[SCSI_VPD_MAX]);
};
void scsi_inquiry(struct scsi_dev *dev, struct scsi_cmd *cmd,
		  const struct scsi_vpd_page *pages, size_t n);

/* MODE SENSE (6) and (10). A page begins with its code and length; what can be changed is nothing. */
#define SCSI_MODE_PAGE_MAX 24u
struct scsi_mode {
	uint8_t device_specific;
	uint64_t
		blocks; /* with block_bytes for the block descriptor; block_bytes 0: none */
	uint32_t block_bytes;
	const uint8_t (*pages)[SCSI_MODE_PAGE_MAX];
	size_t n;
};
void scsi_mode_sense(struct scsi_cmd *cmd, const struct scsi_mode *mode);

#endif
