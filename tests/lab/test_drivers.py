#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest's Hyper-V drivers go and come back; a device that the host withdraws goes, and comes back too."""

import sys

import labkit
import lablib
import labvmms

PATTERN_DISK_BYTES = 16 << 20
HEARTBEAT = "57164f39-9115-4e78-ab55-382f3bd5422d"


def storage(tap, vm, name):
    """rmmod and insmod of hv_storvsc, under a data disk."""
    for turn in (1, 2):
        disk = vm.disk(0)
        vm.run("dd if=/dev/urandom of=%s bs=64k count=64 conv=fsync && dd if=%s bs=64k count=64 | md5sum >/sum" % (
            disk, disk))
        vm.run("rmmod hv_storvsc")
        tap.equal(vm.run("ls /sys/class/block | grep -c '^sd' || true"), "0", "%s: rmmod hv_storvsc takes the disk away (%d)" % (
            name, turn))
        vm.run("modprobe hv_storvsc")
        vm.until("[ -e %s ]" % disk)
        vm.run("echo 3 >/proc/sys/vm/drop_caches")
        tap.equal(vm.run("dd if=%s bs=64k count=64 | md5sum | cmp - /sum" % vm.disk(0), check=False)[0], 0,
                  "%s: modprobe brings the same disk back (%d)" % (name, turn))


def services(tap, vm, name):
    """rmmod and insmod of hv_utils: heartbeat stops and is there again, shutdown still works afterwards."""
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", name + ": the heartbeat is Ok")
    vm.run("rmmod hv_utils")
    shown = vm.wait_show(lambda show: show["heartbeat"] != "Ok", "heartbeat is still Ok without hv_utils")
    tap.note("without hv_utils: " + shown["heartbeat"])
    vm.run("modprobe hv_utils")
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", name + ": the heartbeat is Ok again after rmmod and modprobe")


def rescind(tap, vm, name):
    """A service that the host turns off is rescinded, and offered again when it is turned on."""
    count = "cat /sys/bus/vmbus/devices/*/class_id | grep -c %s || true" % HEARTBEAT
    vm.vmms.vmctl("set", vm.name, "--heartbeat", "off")
    vm.until("[ $(%s) = 0 ]" % count)
    tap.ok(True, name + ": a service that is turned off leaves the guest's bus")
    vm.vmms.vmctl("set", vm.name, "--heartbeat", "on")
    vm.until("[ $(%s) = 1 ]" % count)
    tap.ok(True, name + ": and comes back when it is turned on")
    tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", name + ": and works")


def one(tap, vmms, kernel):
    """All of it in one guest whose root is its initramfs."""
    disk = vmms.space.file("data-%s.img" % kernel)
    with open(disk, "wb") as image:
        image.truncate(PATTERN_DISK_BYTES)
    with labvmms.Vm(vmms, "drv-" + kernel.replace(".", "-"), kernel, cpus=2, disks=[disk], root=False) as vm:
        vm.boot()
        for subject in (storage, services, rescind):
            tap.case("%s: %s" % (kernel, subject.__name__), subject, vm, kernel)
        vm.stop()
        tap.equal(vm.show()["state"], "Off", kernel + ": it still powers off when asked")


def tests(tap):
    """Each kernel; a kernel's name as an argument chooses only that one."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        tap.side_by_side([(kernel, one, vmms, kernel) for kernel in sys.argv[1:] or labkit.KERNELS])


lablib.main(tests)
