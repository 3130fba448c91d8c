/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls (TLFS chapter 3): the code on the hypercall page and the decoder behind it.
 *
 * The page's code does an OUT, not VMCALL: it needs nothing of KVM, a doorbell's OUT ends in an ioeventfd inside the kernel, and a software KVM runs it from
 * any ring. Who may call is therefore decided as for every port: ring 0, or code that the guest's kernel gave IOPL 3 or the two
 * ports in its TSS; to others the OUT is a #GP, where VMCALL would have been a #UD. 64-bit callers only.
 */
#ifndef VID_HYPERCALL_H
#define VID_HYPERCALL_H

#include "util/macros.h"
#include "vid/guestmem.h"
#include "vid/synic.h"

/* Writes the code over the page at gpa. -EFAULT when it is not RAM. */
int hypercall_page_write(struct guestmem *mem, uint64_t gpa) __must_check;

/* One call: the guest's RCX and RDX (no call here has use for R8); returns its RAX. Any values. Thread: the VP's. */
uint64_t hypercall_run(struct synic *synic, struct guestmem *mem, unsigned int vp,
		       uint64_t rcx, uint64_t rdx);

#endif
