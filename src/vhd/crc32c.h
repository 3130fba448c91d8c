/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), as VHDX has it. Thread: any. */
#ifndef VHD_CRC32C_H
#define VHD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* `crc` is 0, or what the bytes before gave. */
uint32_t crc32c(uint32_t crc, const void *buf, size_t len);

#endif
