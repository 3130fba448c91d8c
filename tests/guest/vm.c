/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/vm.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GATE_INTERRUPT 0x8e00u

static uint64_t tell_read(void *opaque, uint64_t off, unsigned int len)
{
	return UINT64_MAX;
}

static void tell_write(void *opaque, uint64_t off, unsigned int len, uint64_t value)
{
	struct vm *vm = opaque;

	pthread_mutex_lock(&vm->lock);
	if (vm->n < VM_TOLD_MAX)
		vm->value[(vm->first + vm->n++) % VM_TOLD_MAX] = (uint32_t)value;
	pthread_mutex_unlock(&vm->lock);
	eventfd_write(vm->told, 1);
}

static const struct iobus_ops tell_ops = { tell_read, tell_write };

int vm_new(struct vm *vm, unsigned int vps)
{
	struct partition_config config = { .vps = vps, .memory_bytes = VM_MEMORY };
	int r;

	memset(vm, 0, sizeof(*vm));
	pthread_mutex_init(&vm->lock, NULL);
	vm->told = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return -errno;
	config.kvm_fd = vm->kvm;
	r = partition_new(&config, &vm->p);
	if (!r)
		r = iobus_add(partition_bus(vm->p), IOBUS_PIO, PORT_TELL, 4, "tell",
			      &tell_ops, vm);
	return r;
}

void vm_free(struct vm *vm)
{
	partition_free(vm->p);
	if (vm->kvm >= 0)
		close(vm->kvm);
	close(vm->told);
	vm->p = NULL;
	vm->kvm = vm->told = -1;
}

static void put(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
	ck_assert_int_eq(guestmem_write(partition_mem(vm->p), gpa, buf, len), 0);
}

static void gate_put(struct vm *vm, unsigned int vector, const uint8_t *handler)
{
	uint32_t to = GUEST_ENTRY + (uint32_t)(handler - guestcode);
	const uint32_t gate[] = { 0x10u << 16 | (to & 0xffff),
				  (to & 0xffff0000) | GATE_INTERRUPT };

	put(vm, GUEST_TABLES + 8 * vector, gate, sizeof(gate));
}

static void tables_put(struct vm *vm)
{
	/* At 0x10 flat 32-bit code, at 0x18 flat data. */
	const uint64_t gdt[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	const struct {
		uint16_t limit;
		uint16_t base_low, base_high, pad;
	} registers[] = {
		{ sizeof(gdt) - 1, (GUEST_TABLES + 0xe00) & 0xffff,
		  (GUEST_TABLES + 0xe00) >> 16, 0 },
		{ 0x7ff, GUEST_TABLES & 0xffff, GUEST_TABLES >> 16, 0 },
		{ 0, 0, 0, 0 },
	};

	put(vm, GUEST_TABLES + 0xe00, gdt, sizeof(gdt));
	put(vm, GUEST_TABLES + 0xf00, registers, sizeof(registers));
	gate_put(vm, 13, guestcode_gp);
	gate_put(vm, 0x40, guestcode_irq40);
	gate_put(vm, 0xf3, guestcode_irqf3);
}

void vm_script(struct vm *vm, unsigned int vp, const struct guest_step *steps, size_t n)
{
	const struct vp_start start = {
		.mode = VP_MODE_PROTECTED,
		.rip = GUEST_ENTRY,
		.rsp = GUEST_STACK - 0x400 * vp,
		.rbx = GUEST_SCRIPT + 0x1000 * vp,
	};

	put(vm, GUEST_ENTRY, guestcode, (size_t)(guestcode_end - guestcode));
	tables_put(vm);
	put(vm, start.rbx, steps, n * sizeof(*steps));
	ck_assert_int_eq(partition_prepare(vm->p, vp, &start), 0);
}

void vm_start(struct vm *vm)
{
	ck_assert_int_eq(partition_start(vm->p), 0);
}

uint32_t vm_told(struct vm *vm)
{
	struct pollfd pfd[] = {
		{ .fd = vm->told, .events = POLLIN },
		{ .fd = partition_event_fd(vm->p), .events = POLLIN },
	};
	struct partition_event e;
	eventfd_t one;
	uint32_t value;

	do {
		ck_assert_int_ge(poll(pfd, ARRAY_SIZE(pfd), -1), 1);
		/* A crash report does not keep the guest from telling more. */
		if (!pfd[0].revents && partition_event_next(vm->p, &e))
			ck_assert_msg(e.type == PARTITION_CRASHED, "event %d: %s", e.type,
				      e.text);
	} while (!pfd[0].revents);
	ck_assert_int_eq(eventfd_read(vm->told, &one), 0);
	pthread_mutex_lock(&vm->lock);
	value = vm->value[vm->first];
	vm->first = (vm->first + 1) % VM_TOLD_MAX;
	vm->n--;
	pthread_mutex_unlock(&vm->lock);
	return value;
}

void vm_event(struct vm *vm, struct partition_event *ret)
{
	struct pollfd pfd = { .fd = partition_event_fd(vm->p), .events = POLLIN };

	ck_assert_int_eq(poll(&pfd, 1, -1), 1);
	ck_assert(partition_event_next(vm->p, ret));
}

uint32_t vm_peek(struct vm *vm, uint64_t gpa)
{
	uint32_t value;

	ck_assert_int_eq(guestmem_read(partition_mem(vm->p), gpa, &value, sizeof(value)),
			 0);
	return value;
}
