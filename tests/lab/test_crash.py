#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that crashes says so to the host; a kernel that another one starts (kexec, kdump) finds VMBus as new."""

import labkit
import lablib
import labvmms


def panic(tap, vm, name):
    """sysrq c: health Critical, the panic's text in the VM's log."""
    vm.boot()
    vm.console.send("echo c >/proc/sysrq-trigger")
    shown = vm.wait_show(lambda show: show["health"] == "Critical", "health does not turn Critical")
    tap.ok(shown["reason"], name + ": health is Critical and says why", shown["reason"])
    tap.ok("sysrq triggered crash" in (shown["status"]["crash"]["text"] or ""),
           name + ": vmctl show has the panic's text", shown["status"]["crash"])
    log = labvmms.tail(vm.log, 200000)
    tap.ok("sysrq triggered crash" in log, name + ": so has the VM's log", log[-500:])
    vm.turn_off()
    tap.equal(vm.show()["state"], "Off", name + ": it can be turned off")


def kexec(tap, vm, name):
    """kexec -e: the next kernel has its root on the same controller."""
    vm.boot()
    tap.equal(vm.wait("heartbeat")["health"], "Ok", name + ": it starts again in good health")
    vm.run("kexec -l /boot/vmlinuz --initrd=/boot/initrd --command-line=\"$(cat /proc/cmdline) lab.second\"")
    vm.console.send("sync; kexec -e")
    vm.console.ready()
    tap.ok("lab.second" in vm.run("cat /proc/cmdline"), name + ": kexec starts the next kernel")
    tap.ok("Vmbus version:5.3" in vm.run("dmesg"), name + ": which connects to VMBus again")
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", name + ": and has a heartbeat")
    tap.equal(vm.show()["status"]["resets"], 0, name + ": without a reset")
    vm.stop()
    tap.equal(vm.show()["state"], "Off", name + ": and powers off when asked")


def panic_and_kexec(tap, vmms, kernel):
    """Both in one VM, whose root disk must survive the first."""
    with labvmms.Vm(vmms, "crash-" + kernel.replace(".", "-"), kernel, cpus=2, cmdline="panic=0") as vm:
        tap.case(kernel + ": panic", panic, vm, kernel)
        tap.case(kernel + ": kexec", kexec, vm, kernel)


def panic_reset(tap, vmms, kernel):
    """A guest that resets itself after a panic boots again."""
    with labvmms.Vm(vmms, "reset-" + kernel.replace(".", "-"), kernel, cpus=2, cmdline="panic=-1") as vm:
        vm.boot()
        vm.console.send("echo c >/proc/sysrq-trigger")
        vm.console.ready()
        tap.equal(vm.wait("heartbeat")["state"], "Running", kernel + ": after a panic with panic=-1 it boots again")
        tap.equal(vm.show()["status"]["resets"], 1, kernel + ": the reset is counted")


def kdump(tap, vmms, kernel):
    """A crash kernel takes over from a kernel that panicked, in the memory that it kept for it."""
    with labvmms.Vm(vmms, "kdump-" + kernel.replace(".", "-"), kernel, cpus=2, mem="640M",
                    cmdline="crashkernel=192M") as vm:
        vm.boot()
        vm.run("kexec -p /boot/vmlinuz --initrd=/boot/initrd "
               "--command-line='console=ttyS0 quiet lab.second nr_cpus=1 reset_devices irqpoll'")
        vm.console.send("echo c >/proc/sysrq-trigger")
        vm.console.ready()
        tap.ok("lab.second" in vm.run("cat /proc/cmdline"), kernel + ": the crash kernel boots")
        tap.ok(vm.run("ls -l /proc/vmcore").startswith("-r"), kernel + ": it has the other's memory in /proc/vmcore")
        tap.ok(" / ext4 " in vm.run("cat /proc/mounts"), kernel + ": and its root on hv_storvsc")


def tests(tap):
    """Each kernel panics and starts another; the two ways out of a panic are tried on one kernel each."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        cases = [(kernel, panic_and_kexec, vmms, kernel) for kernel in labkit.KERNELS]
        cases.append(("panic and reset", panic_reset, vmms, "6.1-cloud"))
        cases.append(("kdump", kdump, vmms, "6.12-cloud"))
        tap.side_by_side(cases)


lablib.main(tests, mem=4096)
