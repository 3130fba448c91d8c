/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor under a VMBus round trip: a KVM VM with nothing but memory, one VP, a serial port to print on, one ioeventfd and one
 * irqfd, and a thread between the two. The bare guest's word bench=rtfloor measures it from inside.
 *
 * usage: rtfloor BARE_ELF COUNT
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "proto/hv.h"
#include "proto/pvh.h"

#define RAM_BYTES (16u << 20)
#define START_INFO 0x6000u
#define CMDLINE 0x6100u
#define MEMMAP 0x6800u
#define UART 0x3f8u
#define UART_LSR 0x3fdu
#define UART_LSR_IDLE 0x60
#define GSI 24u
#define VECTOR_USER 0x43u /* layout.h of the bare guest */
#define MSI_ADDRESS 0xfee00000u
#define CPUID_MAX 256

static int kvm, vm, vcpu, doorbell, interrupt;
static uint8_t *ram;
static struct kvm_run *run;

static int must(int r, const char *what)
{
	if (r < 0)
		err(1, "%s", what);
	return r;
}

static void make_vm(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = RAM_BYTES };
	int bytes;

	kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	must(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul), "KVM_SET_TSS_ADDR");
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		   -1, 0);
	if (ram == MAP_FAILED)
		err(1, "mmap");
	region.userspace_addr = (uintptr_t)ram;
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "memory");
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	bytes = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap of the VP");
}

/* What KVM supports; its own signature goes, so that the guest sees no hypervisor interface. */
static void set_cpuid(void)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));

	if (!c)
		err(1, "memory");
	c->nent = CPUID_MAX;
	must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c), "KVM_GET_SUPPORTED_CPUID");
	must(ioctl(vcpu, KVM_SET_CPUID2, c), "KVM_SET_CPUID2");
	free(c);
}

static void make_crossings(void)
{
	struct kvm_ioeventfd out = {
		.datamatch = 1,
		.addr = HV_PORT_DOORBELL,
		.len = 4,
		.flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	struct kvm_irqfd in = { .gsi = GSI };
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routes = {
		.head.nr = 1,
		.entry = { .gsi = GSI,
			   .type = KVM_IRQ_ROUTING_MSI,
			   .u.msi = { .address_lo = MSI_ADDRESS, .data = VECTOR_USER } },
	};

	doorbell = must(eventfd(0, EFD_CLOEXEC), "eventfd");
	interrupt = must(eventfd(0, EFD_CLOEXEC), "eventfd");
	out.fd = doorbell;
	in.fd = (uint32_t)interrupt;
	must(ioctl(vm, KVM_SET_GSI_ROUTING, &routes), "KVM_SET_GSI_ROUTING");
	must(ioctl(vm, KVM_IOEVENTFD, &out), "KVM_IOEVENTFD");
	must(ioctl(vm, KVM_IRQFD, &in), "KVM_IRQFD");
}

/* The file is this build's own: no more is checked than that it is one. */
static uint64_t load(const char *path)
{
	int fd = must(open(path, O_RDONLY | O_CLOEXEC), path);
	off_t bytes = lseek(fd, 0, SEEK_END);
	const uint8_t *file = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	const Elf64_Ehdr *h = (const void *)file;
	const Elf64_Phdr *p;

	if (file == MAP_FAILED || memcmp(h->e_ident, ELFMAG, SELFMAG))
		errx(1, "%s is no ELF", path);
	p = (const void *)(file + h->e_phoff);
	for (int i = 0; i < h->e_phnum; i++) {
		if (p[i].p_type != PT_LOAD)
			continue;
		if (p[i].p_paddr + p[i].p_memsz > RAM_BYTES)
			errx(1, "%s does not fit", path);
		memcpy(ram + p[i].p_paddr, file + p[i].p_offset, p[i].p_filesz);
	}
	close(fd);
	return h->e_entry;
}

static void set_start_info(const char *count)
{
	const struct pvh_start_info info = {
		.magic = PVH_START_MAGIC,
		.version = PVH_START_VERSION,
		.cmdline_paddr = CMDLINE,
		.memmap_paddr = MEMMAP,
		.memmap_entries = 1,
	};
	const struct pvh_memmap_entry all = { .size = RAM_BYTES, .type = PVH_MEMMAP_RAM };
	int khz = must(ioctl(vcpu, KVM_GET_TSC_KHZ, 0), "KVM_GET_TSC_KHZ");

	memcpy(ram + START_INFO, &info, sizeof(info));
	memcpy(ram + MEMMAP, &all, sizeof(all));
	snprintf((char *)ram + CMDLINE, MEMMAP - CMDLINE,
		 "bench=rtfloor,n=%s,tsc_khz=%d,port=%u,value=1", count, khz,
		 HV_PORT_DOORBELL);
}

static void set_registers(uint64_t entry)
{
	const struct kvm_segment data = { .limit = UINT32_MAX,
					  .selector = 16,
					  .type = 3,
					  .present = 1,
					  .db = 1,
					  .s = 1,
					  .g = 1 };
	struct kvm_regs regs = { .rip = entry, .rbx = START_INFO, .rflags = 2 };
	struct kvm_sregs sregs;

	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.cr0 |= 1;
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

/* The host's end: as soon as the doorbell rings, interrupt. */
static void *answer(void *arg)
{
	const uint64_t one = 1;
	uint64_t n;

	while (read(doorbell, &n, sizeof(n)) == sizeof(n)) {
		if (write(interrupt, &one, sizeof(one)) != sizeof(one))
			err(1, "irqfd");
	}
	return NULL;
}

static void port_io(void)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	size_t bytes = (size_t)run->io.size * run->io.count;

	if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == UART)
		fwrite(data, 1, bytes, stdout);
	else if (run->io.direction == KVM_EXIT_IO_IN)
		memset(data, run->io.port == UART_LSR ? UART_LSR_IDLE : 0xff, bytes);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 3)
		errx(2, "usage: rtfloor BARE_ELF COUNT");
	make_vm();
	set_cpuid();
	make_crossings();
	set_registers(load(argv[1]));
	set_start_info(argv[2]);
	if (pthread_create(&thread, NULL, answer, NULL))
		errx(1, "no thread");
	for (;;) {
		must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
		if (run->exit_reason == KVM_EXIT_SHUTDOWN)
			return 0; /* a guest without ACPI ends by a triple fault */
		if (run->exit_reason == KVM_EXIT_IO)
			port_io();
		else if (run->exit_reason != KVM_EXIT_MMIO)
			errx(1, "exit %u", run->exit_reason);
	}
}
