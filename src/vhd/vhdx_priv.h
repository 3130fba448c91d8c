/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of VHDX: headers (vhdx_header.c), regions and metadata (vhdx_layout.c), the log's entries written (vhdx_log.c) and replayed
 * (vhdx_replay.c), the block allocation table in pages (vhdx_bat.c), the thread that changes it (vhdx_meta.c), reads and writes (vhdx_rw.c).
 */
#ifndef VHD_VHDX_PRIV_H
#define VHD_VHDX_PRIV_H

#include <pthread.h>
#include "proto/vhdx.h"
#include "vhd/vhdx.h"

#define VHDX_LOG_BYTES_MAX (16u << 20) /* longer ones are refused; Hyper-V makes 1 MiB */
#define VHDX_LOCATOR_BYTES_MAX (1u << 20) /* longer parent locators are refused */
#define VHDX_PAGE_ENTRIES (VHDX_SECTOR_BYTES / sizeof(uint64_t))
#define VHDX_CACHE_PAGES 2048u /* 8 MiB */
#define VHDX_DIRTY_MAX ((unsigned int)VHDX_LOG_FIRST_DESCRIPTORS)

/* A page of the BAT in memory. */
struct vhdx_page {
	uint64_t index;
	bool dirty; /* differs from the file, and is not in the log */
	bool used;  /* since the hand passed */
	uint64_t entries[VHDX_PAGE_ENTRIES];
};

/* Where the regions are, and what the disk is: fixed after open. */
struct vhdx_layout {
	uint64_t bat_offset, bat_bytes;
	uint64_t metadata_offset, metadata_bytes;
	uint64_t log_offset;
	uint32_t log_bytes;
	uint64_t disk_bytes;
	uint32_t logical_bytes, physical_bytes;
	uint32_t block_bytes;
	unsigned int chunk_shift; /* payload blocks a chunk: 1 << chunk_shift */
	bool leave_allocated;     /* a fixed image */
	bool has_parent;
	uint64_t locator_offset; /* in the file; of an image without parent 0 */
	uint32_t locator_bytes;
	struct guid disk_id;
};

/* What the header that counts says, and which of the two it is. */
struct vhdx_headers {
	struct vhdx_header current;
	unsigned int slot;
};

enum vhdx_op { VHDX_LOAD, VHDX_PREPARE, VHDX_COMMIT, VHDX_ZERO };

/* A request's own room (disk_req.state). disk_req.bounce links it in the queue of the image's thread. */
struct vhdx_piece {
	uint64_t done;
	uint64_t cut_len; /* the last element's own length, which is cut to the piece */
	uint32_t iovs;    /* elements of the piece */
	uint32_t bytes;
	uint8_t op; /* enum vhdx_op */
	bool commit;
};
static_assert(sizeof(struct vhdx_piece) <= sizeof(((struct disk_req *)0)->state),
	      "a piece lives in the request");

struct vhdx {
	struct disk disk;
	/* Fixed after init. */
	int fd;
	bool unsafe, can_punch;
	struct vhdx_layout layout;

	/* Under lock. The image's thread alone changes pages; it may read them without. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct disk_req *queue, **queue_end;
	bool started, stop;
	bool begun; /* the GUIDs of this session are in the header */
	int failed; /* a sync failed: what is on stable storage is not known any more */
	uint64_t file_bytes;
	unsigned int dirty_n;
	struct vhdx_page **pages; /* by index; NULL: not in memory */
	struct vhdx_page *cache[VHDX_CACHE_PAGES];
	unsigned int cache_n, hand;

	/* Owner: the image's thread, and open and close. */
	pthread_t thread;
	struct vhdx_headers headers;
	struct guid log_guid;
	uint64_t log_sequence;
	uint32_t log_head;
	uint8_t *log_buffer;
	struct vhdx_page *dirty[VHDX_DIRTY_MAX];
};

/* What a block of the disk is, and where. */
enum vhdx_kind { VHDX_MISS, VHDX_ABSENT, VHDX_PRESENT, VHDX_BAD };
struct vhdx_extent {
	enum vhdx_kind kind;
	bool dirty; /* the entry is not durable yet */
	uint64_t file_offset;
	uint64_t bytes; /* from the asked offset, all of it so */
};

static inline struct vhdx *vhdx_of(const struct disk_req *req)
{
	return container_of(req->disk, struct vhdx, disk);
}

static inline struct vhdx_piece *vhdx_piece(struct disk_req *req)
{
	return (struct vhdx_piece *)req->state;
}

static inline uint64_t vhdx_blocks(const struct vhdx_layout *l)
{
	return (l->disk_bytes + l->block_bytes - 1) / l->block_bytes;
}

/* The place of a payload block's entry: every chunk is followed by the entry of its sector bitmap (2.5). */
static inline uint64_t vhdx_bat_index(const struct vhdx_layout *l, uint64_t block)
{
	return block + (block >> l->chunk_shift);
}

static inline uint64_t vhdx_bat_entries(const struct vhdx_layout *l)
{
	return vhdx_bat_index(l, vhdx_blocks(l) - 1) + 1;
}

/* ---- vhdx.c ---- */
/* Headers, layout and file_bytes of an image, after its log was replayed; allocates nothing. */
int vhdx_read_all(int fd, bool read_only, struct vhdx *v,
		  struct image_error *error) __must_check;

/* ---- vhdx_header.c ---- */
uint32_t vhdx_checksum(const void *buf, size_t len, size_t field);
int vhdx_headers_read(int fd, struct vhdx_headers *ret,
		      struct image_error *error) __must_check;
/* Writes `current` with a new sequence number to both places, each synced before the other is touched. */
int vhdx_headers_write(int fd, struct vhdx_headers *h, bool sync) __must_check;

/* ---- vhdx_layout.c ---- */
/* Region tables and metadata, all within file_bytes. */
int vhdx_layout_read(int fd, uint64_t file_bytes, const struct vhdx_header *h,
		     struct vhdx_layout *ret, struct image_error *error) __must_check;

/* What the format allows: the block, sectors and size of `l`; sets chunk_shift. */
int vhdx_layout_check(struct vhdx_layout *l, struct image_error *error) __must_check;

/* ---- vhdx_locator.c ---- */
/* What a layout with a parent says of it. */
int vhdx_locator_read(int fd, const struct vhdx_layout *l, struct image_parent *ret,
		      struct image_error *error) __must_check;

/* ---- vhdx_replay.c ---- */
/* The log of `h` into the file, durably; *file_bytes follows. */
int vhdx_replay(int fd, const struct vhdx_header *h, uint64_t *file_bytes,
		struct image_error *error) __must_check;

/* ---- vhdx_log.c: the image's thread ---- */
/* All dirty pages, and all data written before, to stable storage. */
int vhdx_commit(struct vhdx *v) __must_check;
/* 0, or why the image takes no more writes. */
int vhdx_failed(struct vhdx *v);
/* The header's GUIDs for a session that writes; fails for an image that takes none. */
int vhdx_begin(struct vhdx *v) __must_check;
/* Leaves an image that needs no replay. */
int vhdx_finish(struct vhdx *v) __must_check;

/* ---- vhdx_bat.c ---- */
struct vhdx_extent vhdx_lookup_locked(struct vhdx *v, uint64_t off, uint64_t len);
/* The rest: the image's thread, without the lock. */
int vhdx_bat_load(struct vhdx *v, uint64_t block) __must_check;
/* The entry of a loaded block. */
uint64_t vhdx_bat_get(const struct vhdx *v, uint64_t block);
/* The page must be loaded, and fewer than VHDX_DIRTY_MAX dirty or this one. */
void vhdx_bat_set(struct vhdx *v, uint64_t block, uint64_t entry);
bool vhdx_bat_is_dirty(const struct vhdx *v, uint64_t block);
/* Whether the entry's block lies in the file, clear of all else. Also under the lock. */
bool vhdx_bat_is_sound(const struct vhdx *v, uint64_t block, uint64_t entry);
void vhdx_bat_free(struct vhdx *v);

/* ---- vhdx_meta.c ---- */
/* Hands req to the image's thread, which ends it or, for LOAD and PREPARE, lets vhdx_next() go on. On the aio's thread. */
void vhdx_ask(struct vhdx *v, struct disk_req *req, enum vhdx_op op);
/* Ends the thread, which has nothing to do. */
void vhdx_meta_stop(struct vhdx *v);

/* ---- vhdx_rw.c ---- */
void vhdx_submit(struct disk *d, struct disk_req *req);
/* Goes on with a read or write. */
void vhdx_next(struct disk_req *req);

#endif
