/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of VHDX: headers (vhdx_header.c), regions and metadata (vhdx_layout.c), the parent locator (vhdx_locator.c), the log's entries
 * written (vhdx_log.c) and replayed (vhdx_replay.c), pages of tables in memory (vhdx_page.c), what the block allocation table and the sector bitmaps
 * say (vhdx_bat.c, vhdx_bitmap.c), changes of them (vhdx_change.c), what the image's thread asks (vhdx_meta.c), writes
 * (vhdx_rw.c). The thread is keeper.h's, reads are walk.h's.
 */
#ifndef VHD_VHDX_PRIV_H
#define VHD_VHDX_PRIV_H

#include "proto/vhdx.h"
#include "vhd/keeper.h"
#include "vhd/vhdx.h"

#define VHDX_LOG_BYTES_MAX (16u << 20) /* longer ones are refused; Hyper-V makes 1 MiB */
#define VHDX_FILE_BYTES_MAX (2 * VHDX_DISK_BYTES_MAX) /* no file of a VHDX is longer */
#define VHDX_LOCATOR_BYTES_MAX (1u << 20)   /* longer parent locators are refused */
#define VHDX_LOCATOR_BYTES_OURS (32u << 10) /* room for two paths of IMAGE_PATH_BYTES */
#define VHDX_PAGE_ENTRIES (VHDX_SECTOR_BYTES / sizeof(uint64_t))
#define VHDX_CACHE_PAGES 2048u /* 8 MiB */
#define VHDX_DIRTY_MAX ((unsigned int)VHDX_LOG_FIRST_DESCRIPTORS)

/*
 * A page of the BAT or of the sector bitmaps in memory. What it is: VHDX_KEY_BAT(n) for the table's page n, VHDX_KEY_BITMAP(n) for the bits of
 * VHDX_PAGE_BITS sectors from n times that on.
 */
#define VHDX_PAGE_BITS (VHDX_SECTOR_BYTES * 8u)
#define VHDX_KEY_BAT(n) (2 * (uint64_t)(n))
#define VHDX_KEY_BITMAP(n) (2 * (uint64_t)(n) + 1)
#define VHDX_KEY_AT(offset) (1ull << 63 | (offset)) /* of regions and metadata */
#define VHDX_KEY_IS_BAT(key) (!((key) >> 63) && !((key)&1))
#define VHDX_KEY_NONE UINT64_MAX
#define VHDX_BUCKETS 4096u
struct vhdx_page {
	uint64_t key;
	uint64_t offset;        /* in the file */
	bool dirty;             /* differs from the file, and is not in the log */
	bool used;              /* since the hand passed */
	struct vhdx_page *next; /* in its bucket */
	uint64_t words[VHDX_PAGE_ENTRIES];
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
	uint64_t size_at;        /* the metadata item of disk_bytes, in the file */
	uint64_t locator_offset; /* in the file; of an image without parent 0 */
	uint32_t locator_bytes;
	struct guid disk_id;
};

/* What the header that counts says, and which of the two it is. */
struct vhdx_headers {
	struct vhdx_header current;
	unsigned int slot;
};

struct vhdx {
	struct keeper keeper;
	/* Fixed after init. */
	bool can_punch, keep_content_id;
	struct vhdx_layout layout;

	/* Under the keeper's lock. The image's thread alone changes pages; it may read them without. */
	bool begun;      /* the GUIDs of this session are in the header: of the file, */
	bool data_begun; /* and of what the guest sees */
	bool may_write;  /* the guest's data may be written */
	uint64_t file_bytes;
	unsigned int dirty_n;
	struct vhdx_page *buckets[VHDX_BUCKETS];
	struct vhdx_page *cache[VHDX_CACHE_PAGES];
	unsigned int cache_n, hand;

	/* Owner: the image's thread, and open and close. */
	struct vhdx_headers headers;
	struct guid log_guid;
	uint64_t log_sequence;
	uint32_t log_head;
	uint8_t *log_buffer;
	struct vhdx_page *dirty[VHDX_DIRTY_MAX];
};

/* What a block of the disk is, and where. */
enum vhdx_kind {
	VHDX_MISS,
	VHDX_ABSENT, /* zeros */
	VHDX_PRESENT,
	VHDX_PARENT, /* as the parent has it */
	VHDX_PARTIAL, /* asked for writing: the place is there, some of the sectors are the parent's */
	VHDX_BAD,
};
struct vhdx_extent {
	enum vhdx_kind kind;
	bool dirty; /* the entry is not durable yet */
	uint64_t file_offset;
	uint64_t bytes; /* from the asked offset, all of it so */
};

static inline struct vhdx *vhdx_of(struct keeper *k)
{
	return container_of(k, struct vhdx, keeper);
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

/* The place of the sector bitmap's entry of a payload block. */
static inline uint64_t vhdx_bitmap_index(const struct vhdx_layout *l, uint64_t block)
{
	return (((block >> l->chunk_shift) + 1) << l->chunk_shift) +
	       (block >> l->chunk_shift);
}

/* A differencing image's table goes up to its last sector bitmap's. */
static inline uint64_t vhdx_bat_entries(const struct vhdx_layout *l)
{
	uint64_t last = vhdx_blocks(l) - 1;

	return (l->has_parent ? vhdx_bitmap_index(l, last) : vhdx_bat_index(l, last)) + 1;
}

/* Bytes of the disk in this block: the last may have fewer. */
static inline uint64_t vhdx_block_len(const struct vhdx_layout *l, uint64_t block)
{
	return MIN((uint64_t)l->block_bytes, l->disk_bytes - block * l->block_bytes);
}

/* ---- vhdx.c ---- */
/* Nothing open yet; NULL without memory. vhdx_free() leaves the descriptor. */
struct vhdx *vhdx_new(void);
void vhdx_free(struct vhdx *v);
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
/* The region table that is valid, in VHDX_REGION_TABLE_BYTES. -EUCLEAN: neither is. */
int vhdx_region_table_read(int fd, char *ret) __must_check;
/* Region tables and metadata, all within file_bytes. */
int vhdx_layout_read(int fd, uint64_t file_bytes, const struct vhdx_header *h,
		     struct vhdx_layout *ret, struct image_error *error) __must_check;

/* What the format allows: the block, sectors and size of `l`; sets chunk_shift. */
int vhdx_layout_check(struct vhdx_layout *l, struct image_error *error) __must_check;

/* ---- vhdx_locator.c ---- */
/* What a layout with a parent says of it. */
int vhdx_locator_read(int fd, const struct vhdx_layout *l, struct image_parent *ret,
		      struct image_error *error) __must_check;

/* Into VHDX_LOCATOR_BYTES_OURS at ret. A path may be NULL. -EINVAL, -ENAMETOOLONG: winpath_from_host(). */
int vhdx_locator_build(const struct guid *parent, const char *relative,
		       const char *absolute, void *ret, uint32_t *ret_bytes) __must_check;

/* ---- vhdx_replay.c ---- */
/* The log of `h` into the file, durably; *file_bytes follows. */
int vhdx_replay(int fd, const struct vhdx_header *h, uint64_t *file_bytes,
		struct image_error *error) __must_check;

/* ---- vhdx_log.c: the image's thread ---- */
/* All dirty pages, and all data written before, to stable storage. */
int vhdx_commit(struct vhdx *v) __must_check;
/* The header's GUIDs for a session that writes, `data`: what the guest sees; fails for an image that takes no writes. */
int vhdx_begin(struct vhdx *v, bool data) __must_check;
/* Leaves an image that needs no replay. */
int vhdx_finish(struct vhdx *v) __must_check;

/* ---- vhdx_page.c ---- */
/* NULL: not in memory. */
struct vhdx_page *vhdx_page_find_locked(struct vhdx *v, uint64_t key);
/* The rest: the image's thread, without the lock. A page that was found stays until the next load. */
struct vhdx_page *vhdx_page_find(const struct vhdx *v, uint64_t key);
int vhdx_page_load(struct vhdx *v, uint64_t key, uint64_t offset,
		   struct vhdx_page **ret) __must_check;
/* The page may be changed: it is dirty, or fewer than VHDX_DIRTY_MAX are. May commit. */
int vhdx_page_room(struct vhdx *v, const struct vhdx_page *p) __must_check;
/* After room: the word gets this value. */
void vhdx_page_set(struct vhdx *v, struct vhdx_page *p, unsigned int word,
		   uint64_t value);
void vhdx_page_free(struct vhdx *v);

/* ---- vhdx_bat.c ---- */
struct vhdx_extent vhdx_lookup_locked(struct vhdx *v, uint64_t off, uint64_t len,
				      bool for_write);
/* disk_ops.map() */
struct disk_extent vhdx_map(struct disk *d, uint64_t off, uint64_t len);
/* The rest: the image's thread, without the lock. */
/* All that vhdx_lookup_locked() needs at this place of the disk. */
int vhdx_load_at(struct vhdx *v, uint64_t off) __must_check;
int vhdx_entry_get(struct vhdx *v, uint64_t index, uint64_t *ret) __must_check;
int vhdx_entry_set(struct vhdx *v, uint64_t index, uint64_t entry) __must_check;
/* Whether a block of `len` bytes there lies in the file, clear of all else. Also under the lock. */
bool vhdx_place_is_sound(const struct vhdx *v, uint64_t entry, uint64_t len);
bool vhdx_bat_is_sound(const struct vhdx *v, uint64_t block, uint64_t entry);

/* ---- vhdx_bitmap.c: differencing images ---- */
/* The bits of up to `n` sectors from `sector` on, in one page: whether the first is set, and how many are as it is. */
bool vhdx_bits_run(const struct vhdx_page *p, uint64_t sector, uint64_t n, uint64_t *ret);
/* The page of a sector's bit; -EIO where the chunk has no sound bitmap. */
int vhdx_bits_load(struct vhdx *v, uint64_t sector, struct vhdx_page **ret) __must_check;
/* Makes the chunk's bitmap and all of the block's bits clear; the block is not PARTIALLY_PRESENT yet. */
int vhdx_bits_prepare(struct vhdx *v, uint64_t block) __must_check;
/* The sectors of this range are the file's now; a block that is full becomes FULLY_PRESENT. */
int vhdx_bits_mark(struct vhdx *v, uint64_t off, uint64_t len) __must_check;

/* ---- vhdx_change.c: the image's thread ---- */
/* 1: the block has a place with data; 0: it has not; -EIO: its entry is damaged. */
int vhdx_is_present(const struct vhdx *v, uint64_t block, uint64_t entry);
/* The file is at least this long. */
int vhdx_extend(struct vhdx *v, uint64_t bytes) __must_check;
/* `bytes` more at the file's end, at a megabyte. */
int vhdx_grow(struct vhdx *v, uint64_t bytes, uint64_t *ret) __must_check;
/* Every block that this part of the disk touches has a place. */
int vhdx_prepare(struct vhdx *v, uint64_t off, uint64_t len) __must_check;
/* DISK_DISCARD and DISK_WRITE_ZEROES of a part of one block. */
int vhdx_zero(struct vhdx *v, const struct disk_req *req, uint64_t off,
	      uint64_t len) __must_check;

/* ---- vhdx_meta.c ---- */
extern const struct keeper_ops vhdx_keeper_ops;

/* ---- vhdx_session.c: for operations on an image that nobody uses ---- */
/* After a replay; `fd` stays the caller's, who is the image's thread. */
int vhdx_session_open(int fd, struct vhdx **ret, struct image_error *error) __must_check;
/* Commits, leaves an empty log, frees; r, or what went wrong after it. */
int vhdx_session_close(struct vhdx *v, int r, struct image_error *error) __must_check;
/* Bytes of regions or metadata, into pages that the next commit writes. At most VHDX_DIRTY_MAX pages between commits are one entry. */
int vhdx_put(struct vhdx *v, uint64_t offset, const void *data, size_t len) __must_check;
/* The BAT's place into both region tables, likewise. */
int vhdx_put_bat_region(struct vhdx *v, uint64_t offset, uint64_t bytes) __must_check;
/* From one place of the file to another, unsynced; holes stay holes. */
int vhdx_copy(int fd, uint64_t from, uint64_t to, uint64_t len) __must_check;
/* 1: all zeros, 0: not; holes are not read. */
int vhdx_is_zero(int fd, uint64_t off, uint64_t len) __must_check;

/* ---- vhdx_resize.c: the image's thread ---- */
int vhdx_move_table(struct vhdx *v, uint64_t to, uint64_t bytes) __must_check;
int vhdx_resize(struct vhdx *v, uint64_t bytes, bool shrink,
		struct image_error *error) __must_check;

/* ---- operations on files: image_ops.h ---- */
int vhdx_resize_file(int fd, uint64_t bytes, bool shrink,
		     struct image_error *error) __must_check;
int vhdx_compact_file(int fd, const struct image_progress *progress,
		      struct image_error *error) __must_check;
int vhdx_set_parent_file(int fd, const struct image_new_parent *parent,
			 struct image_error *error) __must_check;
int vhdx_repair_file(int fd, struct image_check *ret,
		     const struct image_progress *progress,
		     struct image_error *error) __must_check;
int vhdx_set_content_id_file(int fd, const struct guid *id,
			     struct image_error *error) __must_check;

/* ---- vhdx_rw.c ---- */
/* keeper_ops.write() */
void vhdx_write(struct keeper *k, struct disk_req *req);

#endif
