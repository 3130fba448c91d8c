#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that crashes says so to the host; a kernel that another one starts (kexec, kdump) finds VMBus as new."""

import labkit
import lablib
import labvmms


def panic(tap, vmms, kernel):
    """sysrq c: health Critical, the panic's text in the VM's log, and the VM can be started again."""
    vm = labvmms.Vm(vmms, "panic-" + kernel.replace(".", "-"), kernel, cpus=2, cmdline="panic=0").boot()
    vm.console.send("echo c >/proc/sysrq-trigger")
    shown = vm.wait_show(lambda show: show["health"] == "Critical", "health does not turn Critical")
    tap.ok(shown["reason"], kernel + ": health is Critical and says why", shown["reason"])
    tap.ok("sysrq triggered crash" in (shown["status"]["crash"]["text"] or ""),
           kernel + ": vmctl show has the panic's text", shown["status"]["crash"])
    log = labvmms.tail(vm.log, 200000)
    tap.ok("sysrq triggered crash" in log, kernel + ": so has the VM's log", log[-500:])
    vm.turn_off()
    tap.equal(vm.show()["state"], "Off", kernel + ": it can be turned off")
    vm.boot()
    tap.equal(vm.wait("heartbeat")["health"], "Ok", kernel + ": it starts again in good health")
    vm.turn_off()


def panic_reset(tap, vmms, kernel):
    """A guest that resets itself after a panic boots again."""
    vm = labvmms.Vm(vmms, "reset-" + kernel.replace(".", "-"), kernel, cpus=2, cmdline="panic=-1").boot()
    vm.console.send("echo c >/proc/sysrq-trigger")
    vm.console.ready()
    tap.equal(vm.wait("heartbeat")["state"], "Running", kernel + ": after a panic with panic=-1 it boots again")
    tap.equal(vm.show()["status"]["resets"], 1, kernel + ": the reset is counted")
    vm.turn_off()


def kexec(tap, vmms, kernel):
    """kexec -e: the next kernel has its root on the same controller."""
    vm = labvmms.Vm(vmms, "kexec-" + kernel.replace(".", "-"), kernel, cpus=2).boot()
    vm.run("kexec -l /boot/vmlinuz --initrd=/boot/initrd --command-line=\"$(cat /proc/cmdline) lab.second\"")
    vm.console.send("sync; kexec -e")
    vm.console.ready()
    tap.ok("lab.second" in vm.run("cat /proc/cmdline"), kernel + ": kexec starts the next kernel")
    tap.ok("Vmbus version:5.3" in vm.run("dmesg"), kernel + ": which connects to VMBus again")
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", kernel + ": and has a heartbeat")
    tap.equal(vm.show()["status"]["resets"], 0, kernel + ": without a reset")
    vm.stop()
    tap.equal(vm.show()["state"], "Off", kernel + ": and powers off when asked")


def kdump(tap, vmms, kernel):
    """A crash kernel takes over from a kernel that panicked, in the memory that it kept for it."""
    vm = labvmms.Vm(vmms, "kdump-" + kernel.replace(".", "-"), kernel, cpus=2, mem="640M",
                    cmdline="crashkernel=192M").boot()
    vm.run("kexec -p /boot/vmlinuz --initrd=/boot/initrd "
           "--command-line='console=ttyS0 quiet lab.second nr_cpus=1 reset_devices irqpoll'")
    vm.console.send("echo c >/proc/sysrq-trigger")
    vm.console.ready()
    tap.ok("lab.second" in vm.run("cat /proc/cmdline"), kernel + ": the crash kernel boots")
    tap.ok(vm.run("ls -l /proc/vmcore").startswith("-r"), kernel + ": it has the other's memory in /proc/vmcore")
    tap.ok(" / ext4 " in vm.run("cat /proc/mounts"), kernel + ": and its root on hv_storvsc")
    vm.turn_off()


def tests(tap):
    """Each kernel panics and starts another; the crash kernel is tried on one of each line."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        for kernel in labkit.KERNELS:
            tap.case(kernel + ": panic", panic, vmms, kernel)
            tap.case(kernel + ": kexec", kexec, vmms, kernel)
        tap.case("6.12-cloud: panic and reset", panic_reset, vmms, "6.12-cloud")
        for kernel in ("6.12-cloud", "6.1-generic"):
            tap.case(kernel + ": kdump", kdump, vmms, kernel)


lablib.main(tests, mem=4096)
