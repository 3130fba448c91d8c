/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's VM: interrupt controllers and PIT in the kernel, the MSR filter, memory slots. Source of the ioctls: Linux,
 * Documentation/virt/kvm/api.rst.
 *
 * MSIs go by KVM_SIGNAL_MSI. Measured against an irqfd with an MSI route (software KVM, Linux 6.18, one VP): into a VP that runs 0.8 us a call
 * against 0.9 to 1.6; into one that halts 2.2 to 2.9 against 2.1 to 2.4, and 26 us against 25 until its handler runs: the same within
 * the noise. The ioctl needs no eventfd a VP and SINT, and no route to be rewritten when a guest writes a SINT.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "vid/partition_priv.h"

/* Below the BIOS, in the hole, where nothing else stands: VMX needs four pages of its own for real mode. */
#define IDENTITY_MAP_GPA 0xfeffc000ull
#define TSS_GPA 0xfeffd000ul

#define MSI_ADDRESS 0xfee00000ull
#define MSI_DESTINATION_SHIFT 12

int vm_call(int fd, unsigned long request, unsigned long arg)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int vm_ioctl(int fd, unsigned long request, const void *arg)
{
	int r = vm_call(fd, request, (unsigned long)arg);

	return MIN(r, 0);
}

static int controllers_make(int fd)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = IDENTITY_MAP_GPA;
	int r = vm_ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);

	if (!r)
		r = MIN(vm_call(fd, KVM_SET_TSS_ADDR, TSS_GPA), 0);
	if (!r)
		r = vm_ioctl(fd, KVM_CREATE_IRQCHIP, NULL);
	if (!r)
		r = vm_ioctl(fd, KVM_CREATE_PIT2, &pit);
	return r;
}

static void msr_leave(uint8_t *bitmap, uint32_t msr)
{
	bitmap[(msr - HV_MSR_FIRST) / 8] |= (uint8_t)(1u << (msr - HV_MSR_FIRST) % 8);
}

/*
 * The synthetic MSRs come to us, whatever KVM itself would make of them: with CONFIG_KVM_HYPERV it would answer some. The local APIC's are left to
 * it where it has them, for that APIC is KVM's. MSRs that KVM does not know come too, and are answered with the #GP that KVM would give; they
 * are counted.
 */
static int msrs_take(const struct partition *p, int fd)
{
	uint8_t left[(HV_MSR_LAST - HV_MSR_FIRST + 1) / 8] = { 0 };
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER | KVM_MSR_EXIT_REASON_UNKNOWN |
			  KVM_MSR_EXIT_REASON_INVAL },
	};
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges = { {
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = HV_MSR_FIRST,
			.nmsrs = HV_MSR_LAST - HV_MSR_FIRST + 1,
			.bitmap = left,
		} },
	};
	int r = vm_ioctl(fd, KVM_ENABLE_CAP, &cap);

	if (p->lazy_eoi) {
		msr_leave(left, HV_X64_MSR_EOI);
		msr_leave(left, HV_X64_MSR_ICR);
		msr_leave(left, HV_X64_MSR_TPR);
	}
	return r ? r : vm_ioctl(fd, KVM_X86_SET_MSR_FILTER, &filter);
}

static int slots_set(const struct partition *p, int fd)
{
	const struct guestmem_bank *bank;
	size_t n = guestmem_banks(p->mem, &bank);
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = (uint32_t)i,
			.guest_phys_addr = bank[i].gpa,
			.memory_size = bank[i].bytes,
			.userspace_addr = (uintptr_t)bank[i].host,
		};

		r = vm_ioctl(fd, KVM_SET_USER_MEMORY_REGION, &slot);
	}
	return r;
}

int vm_open(struct partition *p)
{
	cleanup_fd int fd = vm_call(p->config.kvm_fd, KVM_CREATE_VM, 0);
	int r;

	if (fd < 0)
		return fd;
	/*
	 * The order is a matter of milliseconds. Filter and slots each wait for a grace period of the VM's SRCU: on a VM that is still idle they cost
	 * 0.05 ms each, but 14 ms for the filter once slots have been set, and 7 ms for the slots once the controllers have put
	 * themselves on the I/O buses (measured on Linux 6.18).
	 */
	r = msrs_take(p, fd);
	if (!r)
		r = slots_set(p, fd);
	if (!r)
		r = controllers_make(fd);
	if (r)
		return r;
	if (p->vm_fd < 0)
		p->vm_fd = take_fd(&fd);
	else if (dup3(fd, p->vm_fd, O_CLOEXEC) < 0)
		return -errno;
	return 0;
}

void vm_irq_set(void *opaque, unsigned int gsi, bool level)
{
	const struct partition *p = opaque;
	struct kvm_irq_level irq = { .irq = gsi, .level = level };

	/* Only an input that does not exist fails, and a machine has none such. */
	(void)vm_ioctl(p->vm_fd, KVM_IRQ_LINE, &irq);
}

int vm_irq_msi(void *opaque, uint64_t address, uint32_t data)
{
	const struct partition *p = opaque;
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};

	return vm_ioctl(p->vm_fd, KVM_SIGNAL_MSI, &msi);
}

void vm_inject(void *opaque, unsigned int vp, uint8_t vector)
{
	(void)vm_irq_msi(opaque, MSI_ADDRESS | (uint64_t)vp << MSI_DESTINATION_SHIFT,
			 vector);
}

int vm_doorbell(void *opaque, uint32_t connection_id, int eventfd, bool add)
{
	const struct partition *p = opaque;
	struct kvm_ioeventfd io = {
		.datamatch = connection_id,
		.addr = HV_PORT_DOORBELL,
		.len = 4,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH |
			 (add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return vm_ioctl(p->vm_fd, KVM_IOEVENTFD, &io);
}
