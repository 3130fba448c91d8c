#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Stock Debian kernels boot from a disk behind hv_storvsc, with 1, 2 and 4 VPs; they restart and power off when asked."""

import sys

import labkit
import lablib
import labvmms

# [MS-HVSI] and drivers/hv: the class ids that a guest must find.
SERVICES = {
    "SCSI controller": "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f",
    "heartbeat": "57164f39-9115-4e78-ab55-382f3bd5422d",
    "shutdown": "0e0b6031-5213-4934-818b-38d90ced39db",
    "time synchronization": "9527e630-d0ae-497b-adce-e80ab0175caf",
}


def boots(tap, vmms, kernel, cpus):
    """One kernel with one count of VPs."""
    name = "%s, %d VP%s" % (kernel, cpus, "" if cpus == 1 else "s")
    with labvmms.Vm(vmms, "boot-%s-%d" % (kernel.replace(".", "-"), cpus), kernel, cpus=cpus) as vm:
        vm.boot()
        finds(tap, vm, name, cpus)
        if cpus == 2:
            restarts(tap, vm, name)
        vm.stop()
        tap.equal(vm.show()["state"], "Off", name + ": vmctl stop powers it off")
        vm.console.until_closed()
        tap.ok("LAB: poweroff" in vm.console.text, name + ": by the guest's own /sbin/poweroff", vm.console.text[-300:])


def finds(tap, vm, name, cpus):
    """What the guest and vmctl say of each other."""
    tap.equal(vm.run("uname -r"), vm.paths["release"], name + ": the kernel boots")
    tap.equal(vm.run("nproc"), str(cpus), name + ": all VPs are up")
    disk = vm.run("readlink -f /sys/class/block/$(sed -n 's|^/dev/\\([^ ]*\\) / ext4 .*|\\1|p' /proc/mounts)")
    controllers = vm.run("readlink -f /sys/bus/vmbus/drivers/hv_storvsc/*-*").split()
    tap.ok(any(disk.startswith(each + "/") for each in controllers), name + ": the root disk is hv_storvsc's",
           "%s is none of %s" % (disk, controllers))
    log = vm.run("dmesg | grep 'Vmbus version'")
    tap.ok("Vmbus version:5.3" in log, name + ": Vmbus version:5.3", log)
    found = vm.run("cat /sys/bus/vmbus/devices/*/class_id")
    for service, identity in SERVICES.items():
        tap.ok(identity in found, "%s: the %s is offered" % (name, service), found)
    shown = vm.wait("heartbeat") and vm.show()
    tap.equal(shown["heartbeat"], "Ok", name + ": vmctl show says heartbeat Ok")
    tap.equal(shown["status"]["vmbus_version"], "5.3", name + ": vmctl show says VMBus 5.3")
    tap.equal(bad_lines(vm), "", name + ": the guest's kernel complains of nothing")


def restarts(tap, vm, name):
    """vmctl restart boots the same VM again."""
    vm.run("touch /restarted && sync")
    vm.restart()
    vm.console.expect("^LAB: reboot$")
    vm.console.ready()
    tap.equal(vm.run("ls /restarted"), "/restarted", name + ": vmctl restart boots the same disk again")
    tap.equal(vm.show()["status"]["resets"], 1, name + ": the restart is counted")
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", name + ": the heartbeat is back")


def bad_lines(vm):
    """Warnings, oopses and lost disks in the guest's log; less what QEMU's emulation of XSAVE brings about."""
    return vm.run("dmesg | grep -E 'BUG:|WARNING: CPU|Oops|rcu.*stall|hv_storvsc.*(timed? ?out|abort)|I/O error|hung task' | "
                  "grep -v fpu/xstate.c || true")


def tests(tap):
    """Every kernel with 1, 2 and 4 VPs; a kernel's name as an argument chooses only that one."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        tap.side_by_side([("%s, %d VPs" % (kernel, cpus), boots, vmms, kernel, cpus)
                          for kernel in sys.argv[1:] or labkit.KERNELS for cpus in (1, 2, 4)])


lablib.main(tests)
