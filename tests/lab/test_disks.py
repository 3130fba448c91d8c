#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drives of a stock guest that runs: hot add and remove, another DVD, another size, room given back, a host without room."""

import fcntl
import hashlib
import os
import struct
import subprocess
import sys

import labkit
import lablib
import labvmms

DISK_BYTES = 64 << 20
GROWN_BYTES = 96 << 20
SMALL_BYTES = 24 << 20
WRITE_MIB = 40


def empty(space, name, size):
    """A file with nothing in it."""
    path = space.file(name)
    with open(path, "wb") as image:
        image.truncate(size)
    return path


def is_free(path):
    """Whether nothing holds a lock on a file: an open file description lock (F_OFD_SETLK is 37) can be taken."""
    with open(path, "r+b") as image:
        try:
            fcntl.fcntl(image, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            return True
        except OSError:
            return False


def place(drive):
    """As vmctl takes it."""
    return "%d:%d" % (drive["controller"], drive["lun"])


def device(vm, drive):
    """The guest's name of a drive, once it has found it."""
    folder = "/sys/class/scsi_device/*:0:0:%d/device/block" % drive["lun"]
    vm.until("ls %s >/dev/null 2>&1" % folder)
    return vm.run("ls %s" % folder).strip()


def hot(tap, vm, space, name):
    """A disk comes, is used, and goes; then its file is nobody's."""
    path = empty(space, "hot.img", DISK_BYTES)
    drive = vm.vmms.vmctl("disk", "attach", vm.name, path)
    block = device(vm, drive)
    tap.equal(int(vm.run("cat /sys/block/%s/size" % block)) * 512, DISK_BYTES, name + ": the guest finds a disk")
    serial = vm.run("tr -cd '0-9a-f' </sys/block/%s/device/vpd_pg80; echo" % block).strip()
    tap.ok(drive["drive"]["serial"] in serial, name + ": with its serial number", serial)
    vm.run("fio --name=hot --filename=/dev/%s --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite --bs=64k --size=8M "
           "--verify=crc32c --do_verify=1 --verify_fatal=1 --minimal >/dev/null" % block, seconds=300)
    tap.ok(not is_free(path), name + ": its file is locked")
    vm.vmms.vmctl("disk", "detach", vm.name, place(drive))
    tap.ok(is_free(path), name + ": once it is detached its file is free")
    vm.until("! [ -e /sys/block/%s ]" % block)
    tap.ok(True, name + ": the guest sees it gone")
    for _ in range(5):
        drive = vm.vmms.vmctl("disk", "attach", vm.name, path)
        block = device(vm, drive)
        vm.run("dd if=/dev/%s of=/dev/null bs=1M count=8 iflag=direct 2>/dev/null" % block)
        vm.vmms.vmctl("disk", "detach", vm.name, path)
        vm.until("! [ -e /sys/block/%s ]" % block)
    tap.ok(is_free(path), name + ": again and again")
    os.unlink(path)


def grows(tap, vm, space, name):
    """A guest sees another size at once, by vmctl's hand or by another's."""
    path = empty(space, "grows.img", DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)
    drive = vm.vmms.vmctl("disk", "attach", vm.name, path)
    block = device(vm, drive)
    vm.run("mount -t ext4 /dev/%s /mnt" % block)
    vm.vmms.vmctl("disk", "resize", vm.name, place(drive), "--size", GROWN_BYTES)
    vm.until("[ $(cat /sys/block/%s/size) = %d ]" % (block, GROWN_BYTES // 512))
    tap.ok(True, name + ": a mounted disk is larger")
    os.truncate(path, GROWN_BYTES + DISK_BYTES)
    vm.vmms.vmctl("disk", "resize", vm.name, place(drive))
    vm.until("[ $(cat /sys/block/%s/size) = %d ]" % (block, (GROWN_BYTES + DISK_BYTES) // 512))
    tap.ok(True, name + ": and after its file was made larger")
    trims(tap, vm, path, name)
    vm.run("umount /mnt")
    vm.vmms.vmctl("disk", "detach", vm.name, place(drive))
    os.unlink(path)


def trims(tap, vm, path, name):
    """What a file system gives back is given back to the host."""
    vm.run("dd if=/dev/urandom of=/mnt/x bs=1M count=30 2>/dev/null && sync")
    full = os.stat(path).st_blocks * 512
    vm.run("rm /mnt/x && sync && fstrim /mnt && sync")
    trimmed = os.stat(path).st_blocks * 512
    tap.ok(full - trimmed >= 24 << 20, name + ": fstrim makes the image smaller", (full, trimmed))


def dvd(tap, vm, space, name):
    """One medium after another in one drive."""
    images = []
    for number in range(2):
        folder = space.file("dvd%d" % number)
        os.mkdir(folder)
        with open(os.path.join(folder, "name"), "w", encoding="ascii") as out:
            out.write("medium %d\n" % number)
        images.append(space.file("dvd%d.iso" % number))
        subprocess.run(["genisoimage", "-quiet", "-R", "-o", images[-1], folder], check=True)
    drive = vm.vmms.vmctl("disk", "attach", vm.name, images[0], "--dvd")
    block = device(vm, drive)
    for number in (0, 1, 0):
        vm.vmms.vmctl("dvd", "insert", vm.name, images[number])
        vm.run("mount -t iso9660 -o ro /dev/%s /mnt" % block)
        tap.equal(vm.run("cat /mnt/name").strip(), "medium %d" % number, name + ": medium %d is read" % number)
        vm.run("umount /mnt")
    vm.vmms.vmctl("dvd", "eject", vm.name, "--force")  # udev may look at it just now
    tap.ok(vm.run("mount -t iso9660 -o ro /dev/%s /mnt 2>/dev/null" % block, check=False)[0] != 0,
           name + ": without a medium there is none")
    tap.ok(is_free(images[0]), name + ": its file is free")
    vm.vmms.vmctl("disk", "detach", vm.name, place(drive))


def no_room(tap, vm, space, name):
    """A host's file system runs full under the guest, which sees nothing of it but time."""
    folder = space.file("small")
    os.mkdir(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % SMALL_BYTES, "tmpfs", folder], check=True)
    try:
        path = os.path.join(folder, "thin.img")
        with open(path, "wb") as image:
            image.truncate(DISK_BYTES)
        drive = vm.vmms.vmctl("disk", "attach", vm.name, path)
        block = device(vm, drive)
        vm.run("mkdir -p /tmp/t && mount -t tmpfs tmpfs /tmp/t && dd if=/dev/urandom of=/tmp/t/in bs=1M count=%d 2>/dev/null"
               % WRITE_MIB)
        digest = vm.run("md5sum </tmp/t/in").split()[0]
        vm.console.send("(dd if=/tmp/t/in of=/dev/%s bs=64k oflag=direct 2>/tmp/t/err; echo $? >/tmp/t/rc) & true" % block)
        shown = vm.wait_show(lambda vm: vm["state"] == "Paused" and vm["health"] == "Critical", "it is not paused")
        tap.ok("No space left" in shown["reason"] and path in shown["reason"], name + ": it is Paused and Critical",
               shown["reason"])
        subprocess.run(["mount", "-o", "remount,size=%d" % (2 * DISK_BYTES), folder], check=True)
        shown = vm.vmms.vmctl("resume", vm.name)
        tap.equal((shown["state"], shown["health"]), ("Running", "Ok"), name + ": with room it goes on")
        vm.console.expect(r"^LAB: rc=(\d+)$")  # of the command that was sent
        vm.until("[ -s /tmp/t/rc ]")
        tap.equal(vm.run("cat /tmp/t/rc").strip(), "0", name + ": the guest had no error")
        tap.equal(vm.run("dmesg | grep -ci 'i/o error'", check=False)[1].strip(), "0", name + ": nor its kernel")
        with open(path, "rb") as image:
            tap.equal(hashlib.md5(image.read(WRITE_MIB << 20)).hexdigest(), digest, name + ": every byte is there")
        vm.vmms.vmctl("disk", "detach", vm.name, place(drive))
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def one(tap, vmms, kernel):
    """One guest for all of it."""
    with labvmms.Vm(vmms, "disks-" + kernel.replace(".", "-"), kernel, cpus=1) as vm:
        vm.boot()
        for what in (hot, grows, dvd, no_room):
            tap.case(kernel + ": " + what.__name__, what, vm, vmms.space, kernel)
        vm.stop()
        tap.equal(vm.show()["state"], "Off", kernel + ": it powers off when asked")


def tests(tap):
    """The newest kernel, or those that are named."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        for kernel in sys.argv[1:] or labkit.KERNELS[:1]:
            one(tap, vmms, kernel)


lablib.main(tests)
