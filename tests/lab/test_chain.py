#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest with its root on a differencing VHDX over a dynamic VHDX over a fixed VHD.

fio verifies what it reads while room is given back, the disk becomes larger, a VHD comes and goes, and the host runs full. After a
restart all is there, each file is sound, and the parents are as they were.
"""

import hashlib
import os
import subprocess
import sys

import lablib
import labvmms

KERNELS = ("6.12-cloud", "6.1-generic")
MIB = 1 << 20
GROWS_BYTES = 32 * MIB
TRIM_MIB = 30
FILL_MIB = 24
SPARE_BYTES = 8 * MIB  # that the host has left for it
VHD_BYTES = 64 * MIB

FIO = "fio --direct=1 --ioengine=libaio --iodepth=4 --rw=randwrite --bs=16k --verify=crc32c --verify_fatal=1 --minimal "
# Again and again, beside all that is done to the disk, until it is told to stop.
LOAD = ("(while ! [ -e /run/stop ]; do " + FIO + "--name=load --filename=/load.dat --size=2M --do_verify=1 >/run/load 2>&1 "
        "|| { mv /run/load /run/bad; break; }; echo >>/run/rounds; done; echo >/run/stopped) & true")


class Chain:
    """The three files, in a file system of their own whose size can be set."""

    def __init__(self, vmms, kernel):
        self.vmms = vmms
        self.folder = vmms.space.file("chain")
        self.image = lablib.images(kernel)["root.img"]
        self.base = self.at("base.vhd")
        self.middle = self.at("middle.vhdx")
        self.leaf = self.at("leaf.avhdx")

    def __enter__(self):
        os.mkdir(self.folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1G", "tmpfs", self.folder], check=True)
        self.vmms.job("vhd", "convert", self.image, self.base, "--type", "fixed")
        self.vmms.job("vhd", "create", self.middle, "--parent", self.base)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], check=False)
        os.rmdir(self.folder)

    def at(self, name):
        """A path in the folder."""
        return os.path.join(self.folder, name)

    def add_leaf(self):
        """From now on the middle one is a parent."""
        self.vmms.job("vhd", "create", self.leaf, "--parent", self.middle)

    def room(self, spare):
        """Leave so many bytes free."""
        system = os.statvfs(self.folder)
        used = (system.f_blocks - system.f_bfree) * system.f_frsize
        subprocess.run(["mount", "-o", "remount,size=%d" % (used + spare), self.folder], check=True)

    def digests(self):
        """Of the parents."""
        found = {}
        for path in (self.base, self.middle):
            with open(path, "rb") as image:
                found[path] = hashlib.md5(image.read()).hexdigest()
        return found

    def check(self, tap, name):
        """No file of it is damaged."""
        for path in (self.base, self.middle, self.leaf):
            found = self.vmms.job("vhd", "check", path)
            tap.equal((found["errors"], found["first"]), (0, None),
                      "%s: vhd check of %s finds nothing" % (name, os.path.basename(path)))


def allocated(path):
    """Bytes that a file takes on the host."""
    return os.stat(path).st_blocks * 512


def kept(tap, vm, name, when):
    """What was written first is there."""
    vm.run("echo 3 >/proc/sys/vm/drop_caches")
    status, said = vm.run(FIO + "--name=keep --filename=/keep.dat --size=8M --verify_only", check=False)
    tap.ok(status == 0, "%s: what was written is there %s" % (name, when), said[-1000:])


def complaints(vm):
    """How many lines of the guest's kernel tell of a bad disk."""
    return vm.run("dmesg | grep -ciE 'i/o error|ext4-fs error'", check=False)[1].strip()


def root_disk(vm):
    """The guest's name of it."""
    return vm.run("ls /sys/class/scsi_device/*:0:0:0/device/block").strip()


def trims(tap, vm, chain, name):
    """What the root file system gives back is given back to the host."""
    vm.run("dd if=/dev/urandom of=/big bs=1M count=%d conv=fsync 2>/dev/null" % TRIM_MIB)
    full = allocated(chain.leaf)
    vm.run("rm /big && sync && fstrim / && sync")
    trimmed = allocated(chain.leaf)
    tap.ok(full - trimmed >= (TRIM_MIB - 6) * MIB, name + ": fstrim makes the leaf smaller", (full, trimmed))


def fills_end(vm, block, size, new_size):
    """Write and verify the beginning of a part of a disk."""
    vm.run(FIO + "--name=end --filename=/dev/%s --offset=%d --size=%d --do_verify=1 >/dev/null" % (
        block, size, min(new_size - size, 4 * MIB)))


def grows(tap, vm, chain, name):
    """The mounted root disk becomes larger, and the guest sees it."""
    block = root_disk(vm)
    size = int(vm.run("cat /sys/block/%s/size" % block)) * 512
    vm.vmms.vmctl("disk", "resize", vm.name, "0:0", "--size", size + GROWS_BYTES)
    vm.until("[ $(cat /sys/block/%s/size) = %d ]" % (block, (size + GROWS_BYTES) // 512))
    tap.equal(chain.vmms.vmctl("vhd", "info", chain.base)["disk_bytes"], size,
              name + ": the root disk is larger, its parents are not")
    fills_end(vm, block, size, size + GROWS_BYTES)
    tap.ok(True, name + ": what it got is written and verified")


def vhd(tap, vm, chain, name):
    """A VHD comes, is made larger, and goes, without a restart."""
    path = chain.at("data.vhd")
    chain.vmms.job("vhd", "create", path, "--size", VHD_BYTES)
    drive = vm.vmms.vmctl("disk", "attach", vm.name, path)
    size = VHD_BYTES
    for _ in range(2):
        place = "%d:%d" % (drive["controller"], drive["lun"])
        folder = "/sys/class/scsi_device/*:0:0:%d/device/block" % drive["lun"]
        vm.until("ls %s >/dev/null 2>&1" % folder)
        block = vm.run("ls " + folder).strip()
        tap.equal(int(vm.run("cat /sys/block/%s/size" % block)) * 512, size,
                  name + ": the guest sees a VHD of %d MiB" % (size // MIB))
        fills_end(vm, block, size - 4 * MIB, size)
        vm.vmms.vmctl("disk", "detach", vm.name, place)
        vm.until("! [ -e /sys/block/%s ]" % block)
        if size > VHD_BYTES:
            break
        size += GROWS_BYTES
        chain.vmms.job("vhd", "resize", path, "--size", size)
        drive = vm.vmms.vmctl("disk", "attach", vm.name, path)
    tap.equal(chain.vmms.job("vhd", "check", path)["errors"], 0, name + ": vhd check of it finds nothing")
    os.unlink(path)


def no_room(tap, vm, chain, name):
    """The host's file system runs full under the root disk."""
    vm.run("dd if=/dev/urandom of=/run/in bs=1M count=%d 2>/dev/null" % FILL_MIB)
    digest = vm.run("md5sum </run/in").split()[0]
    chain.room(SPARE_BYTES)
    vm.console.send("(dd if=/run/in of=/filled bs=256k conv=fsync 2>/run/err; echo $? >/run/rc) & true")
    shown = vm.wait_show(lambda vm: vm["state"] == "Paused" and vm["health"] == "Critical", "it is not paused")
    tap.ok("No space left" in shown["reason"] and chain.leaf in shown["reason"], name + ": a full host pauses it", shown["reason"])
    chain.room(256 * MIB)
    shown = vm.vmms.vmctl("resume", vm.name)
    tap.equal((shown["state"], shown["health"]), ("Running", "Ok"), name + ": with room it goes on")
    vm.console.expect(r"^LAB: rc=(\d+)$")  # of the command that was sent
    vm.until("[ -s /run/rc ]")
    tap.equal(vm.run("cat /run/rc").strip(), "0", name + ": the guest had no error")
    tap.equal(complaints(vm), "0", name + ": nor its kernel")
    vm.run("rm /run/in; echo 3 >/proc/sys/vm/drop_caches")
    tap.equal(vm.run("md5sum </filled").split()[0], digest, name + ": every byte is there")


def through_all(tap, vm, chain, name):
    """All of it, on the leaf, with the load beside it."""
    kept(tap, vm, name, "in the middle of the chain")
    vm.run(FIO + "--name=keep --filename=/keep.dat --size=8M --do_verify=0 >/dev/null")
    vm.console.send(LOAD)
    vm.console.expect(r"^LAB: rc=0$")
    for what in (trims, grows, vhd, no_room):
        tap.case("%s: %s" % (name, what.__name__), what, vm, chain, name)
    vm.until("[ -s /run/rounds ] || [ -e /run/bad ]")
    vm.run("touch /run/stop")
    vm.until("[ -e /run/stopped ]")
    status, said = vm.run("cat /run/bad", check=False)
    tap.ok(status != 0, name + ": fio verified all that it wrote beside it", said[-1000:])
    kept(tap, vm, name, "after all of it")


def restarts(tap, vm, name):
    """The same disk, and nothing in memory of before."""
    vm.restart()
    vm.console.expect("^LAB: reboot$")
    vm.console.ready()
    kept(tap, vm, name, "after a restart")
    tap.equal(complaints(vm), "0", name + ": its kernel has no complaint")


def one(tap, vmms, kernel):
    """A chain and its guest: once on its middle, so that there is something, then on the leaf."""
    name = "chain-" + kernel.replace(".", "-")
    with Chain(vmms, kernel) as chain:
        with labvmms.Vm(vmms, name, kernel, root=chain.middle) as vm:
            vm.boot()
            vm.run(FIO + "--name=keep --filename=/keep.dat --size=8M --do_verify=0 >/dev/null && sync")
            vm.stop()
        chain.add_leaf()
        before = chain.digests()
        with labvmms.Vm(vmms, name, kernel, root=chain.leaf) as vm:
            vm.boot()
            through_all(tap, vm, chain, kernel)
            restarts(tap, vm, kernel)
            vm.stop()
        chain.check(tap, kernel)
        tap.equal(chain.digests(), before, kernel + ": the parents are as they were")


def tests(tap):
    """The kernels that are named, or those above."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        for kernel in sys.argv[1:] or KERNELS:
            tap.case(kernel, one, vmms, kernel)


lablib.main(tests, KERNELS)
