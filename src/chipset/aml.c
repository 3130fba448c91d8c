/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An enclosing object is opcode, PkgLength, contents, and the PkgLength counts itself. Its size is known at the end only: contents
 * are written right behind the opcode, and aml_close() moves them up by the one to four bytes that their PkgLength takes.
 */
#include "chipset/aml.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#define AML_ZERO 0x00u
#define AML_ONE 0x01u
#define AML_NAME 0x08u
#define AML_BYTE 0x0au
#define AML_WORD 0x0bu
#define AML_DWORD 0x0cu
#define AML_STRING 0x0du
#define AML_QWORD 0x0eu
#define AML_SCOPE 0x10u
#define AML_BUFFER 0x11u
#define AML_PACKAGE 0x12u
#define AML_METHOD 0x14u
#define AML_EXT 0x5bu
#define AML_EXT_DEVICE 0x82u

/* 6.4.2, 6.4.3 */
#define RES_IRQ_NO_FLAGS 0x22u
#define RES_IO 0x47u
#define RES_END 0x79u
#define RES_QWORD_SPACE 0x8au
#define RES_QWORD_BYTES 0x2bu
#define RES_SPACE_MEMORY 0x00u
#define RES_SPACE_PRODUCER_FIXED 0x0cu /* producer, positive decode, both ends fixed */
#define RES_MEMORY_WRITABLE 0x01u
#define RES_MEMORY_CACHEABLE 0x02u

void aml_init(struct aml *a, void *buf, size_t size)
{
	*a = (struct aml){ .buf = buf, .size = size };
}

ssize_t aml_done(const struct aml *a)
{
	return a->failed || a->depth ? -ENOSPC : (ssize_t)a->len;
}

static void put(struct aml *a, const void *p, size_t len)
{
	if (a->failed || len > a->size - a->len) {
		a->failed = true;
		return;
	}
	memcpy(a->buf + a->len, p, len);
	a->len += len;
}

static void put8(struct aml *a, unsigned int v)
{
	uint8_t b = (uint8_t)v;

	put(a, &b, 1);
}

static void put_le(struct aml *a, uint64_t v, unsigned int bytes)
{
	for (; bytes; bytes--, v >>= 8)
		put8(a, (unsigned int)v);
}

static void put_name(struct aml *a, const char *name)
{
	size_t len;

	if (*name == '\\')
		put8(a, (unsigned int)*name++);
	len = strlen(name);
	if (len == 0 || len > 4) {
		a->failed = true;
		return;
	}
	put(a, name, len);
	put(a, "____", 4 - len);
}

static void begin(struct aml *a)
{
	if (a->depth == AML_DEPTH_MAX) {
		a->failed = true;
		return;
	}
	a->open[a->depth++] = a->len;
}

/* 20.2.4: one byte up to 63, else the low four bits and one to three bytes more. */
static unsigned int pkg_length(size_t contents, uint8_t out[4])
{
	unsigned int n = 1;
	size_t v;

	if (contents + 1 <= 63) {
		out[0] = (uint8_t)(contents + 1);
		return 1;
	}
	do {
		n++;
		v = contents + n;
	} while (n < 4 && v >> (4 + 8 * (n - 1)));
	out[0] = (uint8_t)((n - 1) << 6 | (v & 15));
	for (unsigned int i = 1; i < n; i++)
		out[i] = (uint8_t)(v >> (4 + 8 * (i - 1)));
	return n;
}

void aml_close(struct aml *a)
{
	uint8_t head[4];
	unsigned int n;
	size_t at;

	if (a->failed || a->depth == 0) {
		a->failed = true;
		return;
	}
	at = a->open[--a->depth];
	n = pkg_length(a->len - at, head);
	put(a, head, n); /* makes room, or fails */
	if (a->failed)
		return;
	memmove(a->buf + at + n, a->buf + at, a->len - n - at);
	memcpy(a->buf + at, head, n);
}

void aml_scope(struct aml *a, const char *name)
{
	put8(a, AML_SCOPE);
	begin(a);
	put_name(a, name);
}

void aml_device(struct aml *a, const char *name)
{
	put8(a, AML_EXT);
	put8(a, AML_EXT_DEVICE);
	begin(a);
	put_name(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned int args)
{
	put8(a, AML_METHOD);
	begin(a);
	put_name(a, name);
	put8(a, args & 7);
}

void aml_package(struct aml *a, uint8_t count)
{
	put8(a, AML_PACKAGE);
	begin(a);
	put8(a, count);
}

/* A buffer states its size before its bytes: a byte is kept free for it, which aml_resources_end() fills. */
void aml_resources(struct aml *a)
{
	aml_name(a, "_CRS");
	put8(a, AML_BUFFER);
	begin(a);
	put8(a, AML_BYTE);
	put8(a, 0);
}

void aml_resources_end(struct aml *a)
{
	size_t at, bytes;

	put8(a, RES_END);
	put8(a, 0); /* a checksum of 0 counts as right */
	if (a->failed || a->depth == 0) {
		a->failed = true;
		return;
	}
	at = a->open[a->depth - 1];
	bytes = a->len - at - 2;
	if (bytes > UINT8_MAX)
		a->failed = true;
	else
		a->buf[at + 1] = (uint8_t)bytes;
	aml_close(a);
}

void aml_name(struct aml *a, const char *name)
{
	put8(a, AML_NAME);
	put_name(a, name);
}

void aml_integer(struct aml *a, uint64_t v)
{
	if (v <= 1) {
		put8(a, v ? AML_ONE : AML_ZERO);
	} else if (v <= 0xff) {
		put8(a, AML_BYTE);
		put_le(a, v, 1);
	} else if (v <= 0xffff) {
		put8(a, AML_WORD);
		put_le(a, v, 2);
	} else if (v <= 0xffffffff) {
		put8(a, AML_DWORD);
		put_le(a, v, 4);
	} else {
		put8(a, AML_QWORD);
		put_le(a, v, 8);
	}
}

void aml_string(struct aml *a, const char *s)
{
	put8(a, AML_STRING);
	put(a, s, strlen(s) + 1);
}

static unsigned int hex(char c)
{
	return c <= '9' ? (unsigned int)(c - '0') : (unsigned int)(c - 'A' + 10);
}

/* 19.3.4 (EISAID): three letters of five bits and four hexadecimal digits, big-endian in a DWord. */
void aml_eisaid(struct aml *a, const char *id)
{
	uint32_t v = 0;

	if (strlen(id) != 7) {
		a->failed = true;
		return;
	}
	for (int i = 0; i < 3; i++)
		v = v << 5 | (uint32_t)(id[i] - '@');
	for (int i = 3; i < 7; i++)
		v = v << 4 | hex(id[i]);
	put8(a, AML_DWORD);
	put_le(a, __builtin_bswap32(v), 4);
}

void aml_io(struct aml *a, uint16_t base, uint8_t len)
{
	put8(a, RES_IO);
	put8(a, 1); /* decodes 16 bits */
	put_le(a, base, 2);
	put_le(a, base, 2);
	put8(a, 1); /* alignment */
	put8(a, len);
}

void aml_irq(struct aml *a, unsigned int irq)
{
	put8(a, RES_IRQ_NO_FLAGS);
	put_le(a, 1u << irq, 2);
}

void aml_memory_window(struct aml *a, uint64_t base, uint64_t len, bool cacheable)
{
	put8(a, RES_QWORD_SPACE);
	put_le(a, RES_QWORD_BYTES, 2);
	put8(a, RES_SPACE_MEMORY);
	put8(a, RES_SPACE_PRODUCER_FIXED);
	put8(a, RES_MEMORY_WRITABLE | (cacheable ? RES_MEMORY_CACHEABLE : 0));
	put_le(a, 0, 8); /* granularity */
	put_le(a, base, 8);
	put_le(a, base + len - 1, 8);
	put_le(a, 0, 8); /* translation */
	put_le(a, len, 8);
}
