/* SPDX-License-Identifier: BSD-2-Clause */
#include "vid/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include "util/cleanup.h"
#include "util/io.h"
#include "vid/host_priv.h"

#define CPUINFO_MAX (16u << 20)
#define ITEMS_MAX 32u

/* What partition.c, vm.c and vp.c ask of KVM. */
static const struct {
	int cap;
	const char *name;
	const char *what;
} caps[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "guest memory" },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "interrupt controllers" },
	{ KVM_CAP_PIT2, "KVM_CAP_PIT2", "the interval timer" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "real mode on Intel" },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR",
	  "real mode on Intel" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "starting processors" },
	{ KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS", "hypercalls" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "doorbells" },
	{ KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", "interrupts of channels" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "pausing" },
	{ KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ", "time" },
	{ KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR",
	  "Hyper-V's registers (Linux 5.10)" },
	{ KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER",
	  "Hyper-V's registers (Linux 5.10)" },
};

struct report {
	struct host_check_item *item;
	size_t n;
	int root, kvm;
	char *flags; /* of the first processor in cpuinfo, "" when it says none */
};

__printf(4, 5) static void add(struct report *rep, const char *name,
			       enum host_check_result result, const char *fmt, ...)
{
	struct host_check_item *it = &rep->item[rep->n];
	va_list ap;

	if (rep->n == ITEMS_MAX)
		return;
	rep->n++;
	it->name = name;
	it->result = result;
	va_start(ap, fmt);
	vsnprintf(it->text, sizeof(it->text), fmt, ap);
	va_end(ap);
}

static int flags_read(struct report *rep)
{
	char *text = NULL, *line;
	int r = io_read_file(rep->root, "proc/cpuinfo", CPUINFO_MAX, &text, NULL);

	if (r == -ENOMEM)
		return r;
	line = r ? NULL : strstr(text, "\nflags");
	line = line ? strchr(line, ':') : NULL;
	rep->flags = strdup(line ? line + 1 : "");
	if (rep->flags)
		rep->flags[strcspn(rep->flags, "\n")] = '\0';
	free(text);
	return rep->flags ? 0 : -ENOMEM;
}

static bool has_flag(const struct report *rep, const char *flag)
{
	size_t len = strlen(flag);
	const char *at = rep->flags;

	while ((at = strstr(at, flag))) {
		if ((at == rep->flags || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
		at += len;
	}
	return false;
}

static bool module_there(const struct report *rep, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/module/%s", name);
	return faccessat(rep->root, path, F_OK, 0) == 0;
}

/* A boolean parameter of a module: 1, 0, or -1 when it cannot be read. */
static int module_flag(const struct report *rep, const char *path)
{
	cleanup_free char *text = NULL;

	if (io_read_file(rep->root, path, 16, &text, NULL))
		return -1;
	return text[0] == 'Y' || text[0] == '1';
}

static void check_machine(struct report *rep)
{
	struct utsname u;

	if (uname(&u) == 0 && strcmp(u.machine, "x86_64") == 0)
		add(rep, "x86-64", HOST_OK, "a 64-bit kernel on a 64-bit processor");
	else
		add(rep, "x86-64", HOST_MISSING,
		    "the kernel is not x86_64; install a 64-bit one");
}

static void check_virtualization(struct report *rep)
{
	if (has_flag(rep, "vmx"))
		add(rep, "virtualization", HOST_OK, "hardware: Intel VT-x");
	else if (has_flag(rep, "svm"))
		add(rep, "virtualization", HOST_OK, "hardware: AMD-V");
	else if (rep->kvm >= 0)
		add(rep, "virtualization", HOST_NOTE,
		    "neither VT-x nor AMD-V: a software KVM%s, under which a guest's "
		    "kernel is slow",
		    module_there(rep, "kvm_pvm") ? " (kvm_pvm)" : "");
	else
		add(rep, "virtualization", HOST_MISSING,
		    "neither VT-x nor AMD-V: turn it on in the firmware, or, in a VM, "
		    "let its "
		    "host pass it on (nested virtualization)");
}

static void check_translation(struct report *rep)
{
	bool intel = has_flag(rep, "vmx"), amd = has_flag(rep, "svm");
	const char *module = intel ? "kvm_intel" : "kvm_amd";
	const char *name = intel ? "ept" : "npt";
	char path[64];
	int on;

	if (!intel && !amd) {
		add(rep, "second-level translation",
		    rep->kvm >= 0 ? HOST_NOTE : HOST_MISSING,
		    "none: it comes with VT-x (EPT) or AMD-V (NPT)");
		return;
	}
	snprintf(path, sizeof(path), "sys/module/%s/parameters/%s", module, name);
	on = module_flag(rep, path);
	if (on < 0)
		on = has_flag(rep, name);
	if (on)
		add(rep, "second-level translation", HOST_OK, "%s",
		    intel ? "Intel EPT" : "AMD NPT");
	else
		add(rep, "second-level translation", HOST_NOTE,
		    "off, and guests are slow: load %s with %s=1, or use a processor "
		    "that has it",
		    module, name);
}

static void check_nx(struct report *rep)
{
	if (has_flag(rep, "nx"))
		add(rep, "no-execute", HOST_OK, "the processor has NX");
	else
		add(rep, "no-execute", HOST_MISSING,
		    "the processor does not show NX: turn \"execute disable\" on in the "
		    "firmware");
}

static void check_device(struct report *rep)
{
	switch (rep->kvm < 0 ? -rep->kvm : 0) {
	case 0:
		add(rep, "/dev/kvm", HOST_OK, "opens");
		break;
	case ENOENT:
	case ENODEV:
	case ENXIO:
		add(rep, "/dev/kvm", HOST_MISSING, "does not exist: load %s",
		    has_flag(rep, "vmx")   ? "kvm_intel (modprobe kvm_intel)"
		    : has_flag(rep, "svm") ? "kvm_amd (modprobe kvm_amd)"
					   : "the KVM module of the processor");
		break;
	case EACCES:
	case EPERM:
		add(rep, "/dev/kvm", HOST_MISSING,
		    "no permission: add the user to the group that owns it (usermod -aG "
		    "kvm USER) "
		    "and log in again");
		break;
	case EBUSY:
		add(rep, "/dev/kvm", HOST_MISSING,
		    "busy: another hypervisor holds the processor's virtualization; stop "
		    "it");
		break;
	default:
		add(rep, "/dev/kvm", HOST_MISSING, "does not open: %s",
		    strerror(-rep->kvm));
	}
}

static void check_kvm(struct report *rep)
{
	int version;

	if (rep->kvm < 0)
		return;
	version = ioctl(rep->kvm, KVM_GET_API_VERSION, 0ul);
	if (version != KVM_API_VERSION) {
		add(rep, "KVM API", HOST_MISSING, "version %d, and %d is needed: %s",
		    version, KVM_API_VERSION,
		    version < 0 ? "it is no KVM" : "use another kernel");
		return;
	}
	add(rep, "KVM API", HOST_OK, "version %d", version);
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		if (ioctl(rep->kvm, KVM_CHECK_EXTENSION, (unsigned long)caps[i].cap) > 0)
			add(rep, caps[i].name, HOST_OK, "there: %s", caps[i].what);
		else
			add(rep, caps[i].name, HOST_MISSING,
			    "not there, and needed for %s: use a newer kernel",
			    caps[i].what);
	}
}

int host_check_below(int root, int kvm, struct host_check_item **ret, size_t *ret_n)
{
	struct report rep = { .root = root, .kvm = kvm };
	int r;

	rep.item = calloc(ITEMS_MAX, sizeof(rep.item[0]));
	r = rep.item ? flags_read(&rep) : -ENOMEM;
	if (r) {
		free(rep.item);
		return r;
	}
	check_machine(&rep);
	check_virtualization(&rep);
	check_translation(&rep);
	check_nx(&rep);
	check_device(&rep);
	check_kvm(&rep);
	for (size_t i = 0; i < rep.n; i++) {
		if (rep.item[i].result == HOST_MISSING)
			r = 1;
	}
	free(rep.flags);
	*ret = rep.item;
	*ret_n = rep.n;
	return r;
}

int host_check(int kvm, struct host_check_item **ret, size_t *ret_n)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return -errno;
	return host_check_below(root, kvm, ret, ret_n);
}
