/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmwp/media.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vhd/image.h"

struct medium {
	struct list link;
	struct machine *m;
	struct machine_op closed_op;
	struct medium **slot; /* who keeps it; NULL: nobody */
	atomic_bool closed;   /* any thread */
	unsigned int n;
	int fds[]; /* of the same descriptions as the disk's */
};

/* Any thread: the disk is no more. */
static void on_closed(void *opaque)
{
	struct medium *medium = opaque;
	int asked_fd = medium->m->asked_fd;

	/* From here on the loop may free it. */
	atomic_store(&medium->closed, true);
	eventfd_write(asked_fd, 1);
}

static enum disk_cache cache_of(const struct drive_config *drive)
{
	switch (drive->cache) {
	case DRIVE_UNCACHED:
		return DISK_CACHE_NONE;
	case DRIVE_UNSAFE:
		return DISK_CACHE_UNSAFE;
	default:
		return DISK_CACHE_WRITEBACK;
	}
}

void drive_files_close(struct drive_files *files)
{
	for (unsigned int i = 0; i < files->n; i++)
		close(files->fds[i]);
	files->n = 0;
	if (files->reservations >= 0)
		close(files->reservations);
	files->reservations = -1;
}

static int open_disk(const struct guid *id, const struct drive_files *files,
		     const struct drive_config *drive, struct disk **ret,
		     struct machine_error *error)
{
	bool dvd = drive->kind == DRIVE_DVD;
	struct image_file chain[DRIVE_FILES_MAX];
	const struct image_params params = { .files = chain,
					     .nfiles = files->n,
					     .read_only = dvd || drive->read_only,
					     .cache = cache_of(drive),
					     .id = *id };
	struct image_error e = { "" };
	int r;

	for (unsigned int i = 0; i < files->n; i++)
		chain[i] = (struct image_file){
			.fd = files->fds[i],
			.format = dvd ? IMAGE_RAW : image_format_of(files->names[i])
		};
	r = image_open(&params, ret, &e);
	return r < 0 ? machine_fail(error, r, "%s %s",
				    files->names[MIN(e.file, files->n - 1)], e.message)
		     : 0;
}

static void medium_free(struct medium *medium)
{
	const struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	for (unsigned int i = 0; i < medium->n; i++) {
		if (fcntl(medium->fds[i], F_OFD_SETLK, &none) < 0)
			log_debug("a lock could not be dropped: %s", strerror(errno));
		close(medium->fds[i]);
	}
	list_del(&medium->link);
	if (medium->slot)
		*medium->slot = NULL;
	machine_finish(&medium->closed_op, 0, NULL);
	free(medium);
}

static struct medium *medium_new(struct machine *m, const struct drive_files *files)
{
	struct medium *medium =
		calloc(1, sizeof(*medium) + files->n * sizeof(medium->fds[0]));

	if (!medium)
		return NULL;
	medium->m = m;
	list_add_tail(&m->media, &medium->link);
	for (; medium->n < files->n; medium->n++) {
		int fd = fcntl(files->fds[medium->n], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			medium_free(medium);
			return NULL;
		}
		medium->fds[medium->n] = fd;
	}
	return medium;
}

int medium_open(struct machine *m, const struct guid *id, struct drive_files *files,
		const struct drive_config *drive, struct disk **ret_disk,
		struct medium **ret, struct machine_error *error)
{
	struct medium *medium = medium_new(m, files);
	int r = medium ? open_disk(id, files, drive, ret_disk, error)
		       : machine_fail(error, -ENOMEM, "no memory or descriptors for %s",
				      files->names[0]);

	if (r < 0) {
		if (medium)
			medium_free(medium);
		return r;
	}
	files->n = 0; /* the disk's; the rest is the device's */
	(*ret_disk)->closed = on_closed;
	(*ret_disk)->closed_opaque = medium;
	*ret = medium;
	return 0;
}

void medium_keep(struct medium *medium, struct medium **slot)
{
	if (medium)
		medium->slot = slot;
}

void medium_await(struct medium *medium, machine_done_fn done, void *opaque)
{
	struct machine_op now = { done, opaque };

	if (!medium) {
		machine_finish(&now, 0, NULL);
		return;
	}
	medium->closed_op = now;
	if (atomic_load(&medium->closed))
		medium_free(medium);
}

void media_collect(struct machine *m, bool all)
{
	struct medium *medium, *next;

	list_for_each_safe (medium, next, &m->media, link) {
		if (all || atomic_load(&medium->closed))
			medium_free(medium);
	}
}
