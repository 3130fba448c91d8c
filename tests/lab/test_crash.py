#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that crashes says so to the host; a kernel that another one starts (kexec, kdump) finds VMBus as new."""

import sys

import labkit
import lablib
import labvmms

CRASH = "echo c >/proc/sysrq-trigger"


def kexec(tap, vm, name):
    """kexec -e: the next kernel has its root on the same controller."""
    vm.run("kexec -l /boot/vmlinuz --initrd=/boot/initrd --command-line=\"$(cat /proc/cmdline) lab.second\"")
    vm.console.send("sync; kexec -e")
    vm.console.ready()
    tap.ok("lab.second" in vm.run("cat /proc/cmdline"), name + ": kexec starts the next kernel")
    tap.ok("Vmbus version:5.3" in vm.run("dmesg"), name + ": which connects to VMBus again")
    tap.ok(" / ext4 " in vm.run("cat /proc/mounts"), name + ": and has its root on hv_storvsc")
    tap.equal(vm.run("nproc"), "2", name + ": and all VPs")
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", name + ": and has a heartbeat")
    tap.equal(vm.show()["status"]["resets"], 0, name + ": without a reset")


def kdump(tap, vm, name):
    """A crash kernel takes over from one that panicked, in the memory that it kept for it."""
    vm.run("kexec -p /boot/vmlinuz --initrd=/boot/initrd "
           "--command-line='console=ttyS0 quiet panic=0 lab.third nr_cpus=1 reset_devices irqpoll'")
    vm.console.send(CRASH)
    vm.console.ready()
    tap.ok("lab.third" in vm.run("cat /proc/cmdline"), name + ": kdump: the crash kernel boots")
    tap.ok(vm.run("ls -l /proc/vmcore").startswith("-r"), name + ": kdump: it has the other's memory in /proc/vmcore")
    tap.ok("Vmbus version:5.3" in vm.run("dmesg"), name + ": kdump: it connects to VMBus")
    tap.ok(" / ext4 " in vm.run("cat /proc/mounts"), name + ": kdump: and has its root on hv_storvsc")
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", name + ": kdump: and a heartbeat")


def panic(tap, vm, name):
    """sysrq c: health Critical, the panic's text in the VM's log."""
    vm.console.send(CRASH)
    shown = vm.wait_show(lambda show: show["health"] == "Critical", "health does not turn Critical")
    tap.ok(shown["reason"], name + ": panic: health is Critical and says why", shown["reason"])
    tap.ok("sysrq triggered crash" in (shown["status"]["crash"]["text"] or ""),
           name + ": panic: vmctl show has its text", shown["status"]["crash"])
    log = labvmms.tail(vm.log, 200000)
    tap.ok("sysrq triggered crash" in log, name + ": panic: so has the VM's log", log[-500:])
    vm.turn_off()
    tap.equal(vm.show()["state"], "Off", name + ": panic: it can be turned off")
    vm.start()
    tap.equal(vm.show()["health"], "Ok", name + ": panic: and starts again in good health")


def one_after_the_other(tap, vmms, kernel):
    """One VM: its kernel starts another by kexec, that panics into a crash kernel, which panics for good."""
    with labvmms.Vm(vmms, "crash-" + kernel.replace(".", "-"), kernel, cpus=2, mem="640M",
                    cmdline="panic=0 crashkernel=192M") as vm:
        vm.boot()
        for subject in (kexec, kdump, panic):
            subject(tap, vm, kernel)


def panic_reset(tap, vmms, kernel):
    """A guest that resets itself after a panic boots again."""
    with labvmms.Vm(vmms, "reset-" + kernel.replace(".", "-"), kernel, cpus=2, cmdline="panic=-1") as vm:
        vm.boot()
        vm.console.send(CRASH)
        vm.console.ready()
        shown = vm.wait("heartbeat") and vm.show()
        tap.equal((shown["state"], shown["health"]), ("Running", "Ok"), kernel + ": after a panic with panic=-1 it boots again")
        tap.equal(shown["status"]["resets"], 1, kernel + ": the reset is counted")
        log = labvmms.tail(vm.log, 200000)
        tap.ok("sysrq triggered crash" in log, kernel + ": the VM's log has the panic's text", log[-500:])
        vm.stop()
        tap.equal(vm.show()["state"], "Off", kernel + ": and it powers off when asked")


def tests(tap):
    """Each kernel (or those named as arguments) crashes in every way; one of them is left to reset itself."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        cases = [(kernel, one_after_the_other, vmms, kernel) for kernel in sys.argv[1:] or labkit.KERNELS]
        cases.append(("panic and reset", panic_reset, vmms, "6.1-cloud"))
        tap.side_by_side(cases)


lablib.main(tests, mem=4096)
