/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes AML, the byte code of ACPI's definition blocks: just what the DSDT here needs. Objects that enclose others are opened and
 * closed; a buffer too small or a nesting too deep is remembered, nothing is written past the end, and aml_done() says so.
 * Source: ACPI 6.4, chapters 20 (AML encoding) and 6.4 (resource descriptors).
 */
#ifndef CHIPSET_AML_H
#define CHIPSET_AML_H

#include <sys/types.h>
#include "util/macros.h"

#define AML_DEPTH_MAX 8u

struct aml {
	uint8_t *buf;
	size_t size, len;
	size_t open[AML_DEPTH_MAX]; /* where the contents of each open object begin */
	unsigned int depth;
	bool failed;
};

void aml_init(struct aml *a, void *buf, size_t size);
/* The count of bytes; -ENOSPC when they did not fit or an object is still open. */
ssize_t aml_done(const struct aml *a) __must_check;

/* Names are one segment of 1 to 4 characters, with a leading '\' for the root. Each of these is ended by aml_close(). */
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned int args);
void aml_package(struct aml *a, uint8_t count);
/* Name(_CRS, ResourceTemplate(){…}) of up to 255 bytes, to be ended by aml_resources_end(). */
void aml_resources(struct aml *a);
void aml_resources_end(struct aml *a);
void aml_close(struct aml *a);

/* Name(name, …): the object's value follows. */
void aml_name(struct aml *a, const char *name);
void aml_integer(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *s);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0501" */

/* Resource descriptors. */
void aml_io(struct aml *a, uint16_t base, uint8_t len);
void aml_irq(struct aml *a, unsigned int irq);
/* A window that the device hands on to its children; cacheable says what may be mapped there. */
void aml_memory_window(struct aml *a, uint64_t base, uint64_t len, bool cacheable);

#endif
