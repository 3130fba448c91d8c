/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of VHD: footers (vhd_footer.c), the dynamic header and what is where (vhd_layout.c), parent locators (vhd_locator.c), the block
 * allocation table and the sector bitmaps in memory (vhd_bat.c, vhd_bits.c), where things are (vhd_map.c), changes of the file's structures
 * (vhd_alloc.c, vhd_commit.c), writes and what else the image's thread asks (vhd_rw.c). The thread is keeper.h's, reads are walk.h's.
 */
#ifndef VHD_VHD_PRIV_H
#define VHD_VHD_PRIV_H

#include "proto/vhd.h"
#include "vhd/keeper.h"
#include "vhd/vhd.h"

/* Hyper-V makes 2 MiB and 512 KiB. A power of two, says the specification. */
#define VHD_BLOCK_BYTES_MIN 4096u
#define VHD_BLOCK_BYTES_MAX (256u << 20)

#define VHD_PAGE_BYTES 4096u
#define VHD_PAGE_ENTRIES (VHD_PAGE_BYTES / 4)
#define VHD_CACHE_PAGES 2048u /* 8 MiB of the table */
#define VHD_PAGES_DIRTY_MAX 64u
/* A sector of bitmap, and how much of the disk it is for. */
#define VHD_BITS_BYTES 512u
#define VHD_WINDOW_BYTES (VHD_BITS_BYTES * 8u * VHD_SECTOR_BYTES)
#define VHD_CACHE_BITS 8192u /* 5 MiB in memory, for 16 GiB of blocks that are not full */
#define VHD_BITS_DIRTY_MAX 2048u
#define VHD_HASH 4096u

/* A page of the table in memory. */
struct vhd_page {
	uint64_t index;
	bool used;  /* since the hand passed */
	bool dirty; /* its entries are not durable yet */
	be32_t entries[VHD_PAGE_ENTRIES];
	/* A block whose bitmap is known to be all ones, durably if the page is not dirty. */
	uint64_t full[VHD_PAGE_ENTRIES / 64];
};

/* A sector of a block's bitmap in memory. */
struct vhd_bits {
	uint64_t key; /* block * windows of a block + window; UINT64_MAX: nothing */
	struct vhd_bits *next; /* of the same hash */
	struct vhd_bits *next_dirty;
	uint64_t file_offset;
	uint32_t generation; /* of its changes */
	uint32_t written;    /* the generation that a commit writes */
	uint32_t pins;       /* writes in flight that will set bits of it */
	bool used, dirty;
	uint8_t bits[VHD_BITS_BYTES];
};

/* What the disk is, and where its structures are. */
struct vhd_layout {
	enum vhd_type type;
	uint64_t disk_bytes;
	uint64_t file_bytes;
	uint64_t
		end; /* blocks lie before it: the footer at the file's end, or where that is to be */
	bool footer_bad; /* at the file's end; the copy at the start is in use */
	bool copy_bad;   /* damaged; never in a fixed image */
	bool copy_old; /* good, and not as the footer: a change was cut off between them */
	struct vhd_footer footer; /* the good one */
	/* Of a dynamic or differencing image. */
	struct vhd_header header;
	uint64_t header_offset;
	uint64_t table_offset, table_bytes; /* as much as the disk needs, whole sectors */
	uint64_t blocks;
	uint32_t block_bytes;
	uint32_t bitmap_bytes;
	uint32_t windows; /* of a block: sectors of its bitmap */
};

struct vhd {
	struct keeper keeper;
	/* Fixed after init. */
	bool can_punch;
	struct vhd_layout layout; /* but for `end` and `file_bytes`: under the lock */

	/* Under the keeper's lock. The image's thread alone changes pages and bitmaps' keys; it may read them without. */
	bool begun;              /* the footers are good, and `free` is known */
	struct vhd_page **pages; /* by index; NULL: not in memory */
	struct vhd_page *cache[VHD_CACHE_PAGES];
	unsigned int cache_n, hand;
	struct vhd_bits *hash[VHD_HASH];
	struct vhd_bits *bits[VHD_CACHE_BITS];
	unsigned int bits_n, bits_hand;
	struct vhd_bits *dirty_bits;
	unsigned int dirty_bits_n;
	unsigned int dirty_pages_n;

	/* Owner: the image's thread, and open and close. */
	uint64_t free;  /* where the next block can go */
	uint64_t fresh; /* the file is zeros from here on, but for the footer */
	struct vhd_page *dirty_pages[VHD_PAGES_DIRTY_MAX];
};

/* What a part of the disk is, and where. */
enum vhd_kind { VHD_MISS, VHD_ABSENT, VHD_PRESENT, VHD_BAD };
struct vhd_extent {
	enum vhd_kind kind;
	uint64_t file_offset;
	uint64_t bytes; /* from the asked offset, all of it so */
};

/* How a write can go on. */
enum vhd_way { VHD_WAY_WRITE, VHD_WAY_ASK, VHD_WAY_BAD };
struct vhd_target {
	enum vhd_way way;
	bool dirty; /* what makes the data count is not durable yet */
	uint64_t file_offset, bytes;
	struct vhd_bits
		*bits; /* pinned: give them back by vhd_written(); NULL: none to set */
};

static inline struct vhd *vhd_of(struct keeper *k)
{
	return container_of(k, struct vhd, keeper);
}

static inline bool vhd_is_child(const struct vhd *v)
{
	return v->layout.type == VHD_DIFFERENCING;
}

/* As much of the block as the disk has. */
static inline uint64_t vhd_block_len(const struct vhd_layout *l, uint64_t block)
{
	return MIN((uint64_t)l->block_bytes, l->disk_bytes - block * l->block_bytes);
}

/* ---- vhd_footer.c ---- */
/* Of a struct that was summed with its checksum field as 0. */
uint32_t vhd_checksum(const void *buf, size_t len, size_t field);
struct vhd_geometry vhd_geometry(uint64_t disk_bytes);
/* Cookie, version and checksum are right. */
bool vhd_footer_is_good(const struct vhd_footer *f);
void vhd_footer_seal(struct vhd_footer *f);
/* Of seconds from 1970, as far as the format has them. */
uint32_t vhd_time_stamp(int64_t seconds);
/* A new image's. */
void vhd_footer_make(struct vhd_footer *ret, enum vhd_type type, uint64_t disk_bytes);
void vhd_footer_set_size(struct vhd_footer *f, uint64_t disk_bytes);
/* The footer that counts: sets footer, footer_bad, copy_bad, file_bytes, end, type and disk_bytes. */
int vhd_footer_read(int fd, struct vhd_layout *l, struct image_error *error) __must_check;

/* ---- vhd_layout.c ---- */
/* Footer, header, and where all is; allocates nothing. */
int vhd_layout_read(int fd, struct vhd_layout *ret,
		    struct image_error *error) __must_check;
/* Block size and table for the size of the disk: false when the format has no such. */
bool vhd_layout_set_blocks(struct vhd_layout *l, uint32_t block_bytes);
void vhd_header_seal(struct vhd_header *h);
/* Whether the entry's block lies between the structures and `end`. */
bool vhd_entry_is_sound(const struct vhd_layout *l, uint64_t block, uint32_t entry);
/* Behind header, table and locators. */
uint64_t vhd_layout_structures_end(const struct vhd_layout *l);

/* ---- vhd_change.c: each step is durable, and a power cut before or after it leaves a good image ---- */
/* Both footers, as the one that counts is. */
int vhd_heal(int fd, struct vhd_layout *l) __must_check;
/* The footer, which was changed and sealed, to the file's end and then its copy. */
int vhd_write_footers(int fd, struct vhd_layout *l) __must_check;
/* Moves the footer further on; what was between is zeros, and nobody's. */
int vhd_move_end(int fd, struct vhd_layout *l, uint64_t end) __must_check;
/* The file has all of the last block, and not only what the disk has of it: before another block is put behind it, or the disk grows. */
int vhd_complete_last(int fd, struct vhd_layout *l) __must_check;
/* Ends the file with a footer at `end`, behind which nothing is used. */
int vhd_cut_end(int fd, struct vhd_layout *l, uint64_t end) __must_check;
/* The header's first sector, in which alone it was changed, and sealed. */
int vhd_write_header(int fd, const struct vhd_layout *l) __must_check;
/* The layout of an image that is to be changed, its footers healed. */
int vhd_change_begin(int fd, struct vhd_layout *ret,
		     struct image_error *error) __must_check;

/* ---- vhd_blocks.c: what is in blocks, for changes of whole images ---- */
/* Whether the range of a block that has a place holds nothing: zeros, or in a child no sector. 1, 0 or -errno. `buf`: VHD_COPY_BYTES. */
#define VHD_COPY_BYTES (1u << 20)
int vhd_block_is_empty(int fd, const struct vhd_layout *l, uint32_t entry,
		       uint64_t within, uint64_t len, uint8_t *buf) __must_check;
/* All of a block, to a place that is free. Holes stay holes. */
int vhd_block_copy(int fd, const struct vhd_layout *l, uint32_t from, uint32_t to,
		   uint8_t *buf) __must_check;
bool vhd_is_zero(const uint8_t *p, size_t n);

/* ---- vhd_locator.c ---- */
/* Candidates for the parent's path, and its identity. */
void vhd_locators_read(int fd, const struct vhd_layout *l, struct image_parent *ret);
/* The sectors of a new child's locators, to be written at `offset`, and their entries in `h`. */
struct vhd_locator_data {
	uint8_t *bytes; /* malloc'd */
	size_t len;     /* whole sectors */
};
int vhd_locators_make(struct vhd_header *h, uint64_t offset, const char *relative,
		      const char *absolute, struct vhd_locator_data *ret) __must_check;

/* ---- vhd_bat.c ---- */
/* With the lock, or on the image's thread. The page of the block's entry; NULL: not in memory. */
struct vhd_page *vhd_page_of(const struct vhd *v, uint64_t block);
static inline uint32_t vhd_page_entry(const struct vhd_page *p, uint64_t block)
{
	return be32_get(&p->entries[block % VHD_PAGE_ENTRIES]);
}
static inline bool vhd_page_is_full(const struct vhd_page *p, uint64_t block)
{
	return p->full[block % VHD_PAGE_ENTRIES / 64] >> block % 64 & 1;
}
void vhd_page_set_full_locked(struct vhd_page *p, uint64_t block);
/* The rest: the image's thread, without the lock. */
int vhd_bat_load(struct vhd *v, uint64_t block) __must_check;
/* The page is loaded, and fewer than VHD_PAGES_DIRTY_MAX are dirty or this one is. */
void vhd_bat_set(struct vhd *v, uint64_t block, uint32_t entry, bool full);
/* Bytes of the table in its page `index`: whole sectors. */
size_t vhd_page_bytes(const struct vhd_layout *l, uint64_t index);
void vhd_bat_free(struct vhd *v);

/* ---- vhd_bits.c ---- */
struct vhd_bits *vhd_bits_find_locked(const struct vhd *v, uint64_t key);
/* Sectors from `first` on that are as it, at most n; *ret_set: whether they are set. */
uint32_t vhd_bits_run(const uint8_t *bits, uint32_t first, uint32_t n, bool *ret_set);
void vhd_bits_set_locked(struct vhd *v, struct vhd_bits *b, uint32_t first, uint32_t n);
/* The first n bits are ones. */
bool vhd_bits_are_set(const uint8_t *bits, uint32_t n);
/* The rest: the image's thread, without the lock. Brings the bitmap's sector to memory. */
int vhd_bits_load(struct vhd *v, uint64_t key, uint64_t file_offset) __must_check;
void vhd_bits_free(struct vhd *v);

/* ---- vhd_map.c ---- */
struct vhd_extent vhd_lookup_locked(struct vhd *v, uint64_t off, uint64_t len);
struct disk_extent vhd_map(struct disk *d, uint64_t off, uint64_t len);
/* Where a write of the range begins to go; pins what it will change. */
struct vhd_target vhd_target(struct vhd *v, uint64_t off, uint64_t len);
/* A piece of a write ended; with `ok` its sectors count from here on. */
void vhd_written(struct vhd *v, struct vhd_bits *bits, uint64_t off, uint64_t len,
		 bool ok);

/* ---- vhd_alloc.c: the image's thread ---- */
/* Table and bitmap of the block at `off`, as far as there are any. */
int vhd_load_at(struct vhd *v, uint64_t off) __must_check;
/* Every block that the range touches has a place, and the bitmap of its start is in memory. */
int vhd_prepare(struct vhd *v, uint64_t off, uint64_t len) __must_check;
/* DISK_DISCARD and DISK_WRITE_ZEROES, from p->done on, in turns: KEEPER_AGAIN until the end. */
int vhd_zero(struct vhd *v, const struct disk_req *req,
	     struct keeper_piece *p) __must_check;
/* The footer goes to the end of what is used, and the file ends behind it. */
int vhd_trim(struct vhd *v) __must_check;

/* ---- vhd_commit.c: the image's thread ---- */
/* All that was written, and what makes it count, to stable storage. */
int vhd_commit(struct vhd *v) __must_check;

/* ---- vhd_rw.c ---- */
extern const struct keeper_ops vhd_keeper_ops;

#endif
