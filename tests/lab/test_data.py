#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a stock guest writes is what the host has: a whole disk by fio's verify, over all sub-channels; a DVD reads back."""

import hashlib
import os
import struct
import subprocess
import sys

import labkit
import lablib
import labvmms

DISK_BYTES = 32 << 20
BLOCK_BYTES = 64 << 10
DVD_BYTES = 3 << 20


def first_difference(path):
    """The first block whose bytes are not its own offset, little-endian, over and over; None if there is none."""
    with open(path, "rb") as image:
        for offset in range(0, DISK_BYTES, BLOCK_BYTES):
            if image.read(BLOCK_BYTES) != struct.pack("<Q", offset) * (BLOCK_BYTES // 8):
                return offset
    return None


def whole_disk(tap, vm, path, name):
    """fio writes every block in random order, reads all back and verifies; the host finds the same in the image."""
    vm.run("fio --name=all --filename=%s --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --bs=%d "
           "--verify=pattern --verify_pattern=%%o --do_verify=1 --verify_fatal=1 --minimal >/dev/null" % (
               vm.disk(0), BLOCK_BYTES), seconds=300)
    tap.ok(True, name + ": fio wrote and verified the whole disk")
    tap.equal(first_difference(path), None, name + ": the image on the host has the same bytes")


def small_blocks(tap, vm, name):
    """Small blocks at odd places from every VP at once, with checksums."""
    vm.run("fio --name=small --filename=%s --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite --bsrange=512-16k "
           "--bs_unaligned=0 --numjobs=4 --size=2M --offset_increment=8M --verify=crc32c --do_verify=1 --verify_fatal=1 "
           "--minimal >/dev/null" % vm.disk(0), seconds=300)
    tap.ok(True, name + ": blocks of 512 bytes to 16 KiB from four jobs verify")


def sub_channels(tap, vm, name):
    """Requests went over more than one channel."""
    counts = vm.run("for c in /sys/bus/vmbus/devices/*/channels/*; do [ \"$(cat $c/../../class_id)\" != "
                    "'{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}' ] || cat $c/interrupts; done").split()
    tap.ok(len(counts) > 1, name + ": the controller has sub-channels", counts)
    tap.ok(sum(int(count) > 0 for count in counts) > 1, name + ": more than one is in use", counts)
    shown = [channel for channel in vm.show()["status"]["channels"] if channel["name"].startswith("SCSI")]
    tap.equal(len([channel for channel in shown if channel["state"] == "Open"]), len(counts),
              name + ": vmctl show has them too")


def dvd(tap, vm, digest, name):
    """The DVD is there, reads back whole, and takes no write."""
    vm.run("mount -t iso9660 -o ro /dev/sr0 /mnt")
    tap.equal(vm.run("md5sum </mnt/data.bin").split()[0], digest, name + ": a file on the DVD reads back")
    vm.run("umount /mnt")
    tap.ok(vm.run("dd if=/dev/zero of=/dev/sr0 bs=2048 count=1 2>/dev/null", check=False)[0] != 0,
           name + ": the DVD takes no write")


def make_dvd(space):
    """An ISO image with one file of random bytes; return its path and the file's digest."""
    data = os.urandom(DVD_BYTES)
    os.mkdir(space.file("dvd"))
    with open(space.file("dvd/data.bin"), "wb") as out:
        out.write(data)
    subprocess.run(["genisoimage", "-quiet", "-R", "-o", space.file("data.iso"), space.file("dvd")], check=True)
    return space.file("data.iso"), hashlib.md5(data).hexdigest()


def one(tap, vmms, kernel, iso, digest):
    """One kernel with 4 VPs, a data disk and a DVD."""
    path = vmms.space.file("data-%s.img" % kernel)
    with open(path, "wb") as image:
        image.truncate(DISK_BYTES)
    with labvmms.Vm(vmms, "data-" + kernel.replace(".", "-"), kernel, cpus=4, channels=4, disks=[path],
                    dvd=iso) as vm:
        vm.boot()
        tap.case(kernel + ": whole disk", whole_disk, vm, path, kernel)
        tap.case(kernel + ": small blocks", small_blocks, vm, kernel)
        tap.case(kernel + ": sub-channels", sub_channels, vm, kernel)
        tap.case(kernel + ": DVD", dvd, vm, digest, kernel)
        vm.stop()
        tap.equal(vm.show()["state"], "Off", kernel + ": it powers off when asked")
    os.unlink(path)


def tests(tap):
    """Each kernel; a kernel's name as an argument chooses only that one."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        iso, digest = make_dvd(space)
        tap.side_by_side([(kernel, one, vmms, kernel, iso, digest) for kernel in sys.argv[1:] or labkit.KERNELS])


lablib.main(tests)
