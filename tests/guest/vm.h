/* SPDX-License-Identifier: BSD-2-Clause */
/* A partition with the script guest in it, for tests on a real KVM. Thread: the test's. */
#ifndef TESTS_GUEST_VM_H
#define TESTS_GUEST_VM_H

#include <pthread.h>
#include "guest/guestcode.h"
#include "vid/partition.h"

#define VM_MEMORY (8ull << 20)
#define VM_TOLD_MAX 4096u

struct vm {
	int kvm;
	int told; /* an eventfd: as many values wait */
	struct partition *p;
	/* under lock */
	pthread_mutex_t lock;
	uint32_t value[VM_TOLD_MAX];
	unsigned int first, n;
};

/* -errno of opening /dev/kvm or of partition_new(). */
int vm_new(struct vm *vm, unsigned int vps) __must_check;
void vm_free(struct vm *vm);
/* Writes code, tables and the script of a VP, and prepares it. */
void vm_script(struct vm *vm, unsigned int vp, const struct guest_step *steps, size_t n);
#define VM_SCRIPT(vm, vp, ...)                                      \
	do {                                                        \
		const struct guest_step steps_[] = { __VA_ARGS__ }; \
		vm_script(vm, vp, steps_, ARRAY_SIZE(steps_));      \
	} while (0)
/* Starts it, and the test fails if that does. */
void vm_start(struct vm *vm);
/* Waits for the next value that the guest tells; the test fails when the partition halts instead. */
uint32_t vm_told(struct vm *vm);
/* Waits for the next event. */
void vm_event(struct vm *vm, struct partition_event *ret);
uint32_t vm_peek(struct vm *vm, uint64_t gpa);

#endif
