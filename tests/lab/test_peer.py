#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The lab proves itself: QEMU boots the stock guests under the lab host's KVM, with the same root disk and protocol."""

import lablib


def boots(tap, kernel, machine, device, root):
    """One guest: it answers, its disk is its root, its programs run, it powers off."""
    name = "%s on %s with %s" % (kernel, machine, device)
    with lablib.Workspace() as space:
        disk = lablib.copy_disk(lablib.images(kernel)["root.img"], space.file("root.img"))
        guest = lablib.Qemu(space, kernel, machine, disks=[(device, disk)])
        guest.console.ready()
        tap.equal(guest.console.run("uname -r"), guest.paths["release"], name + ": its kernel runs")
        tap.equal(guest.console.run("sed -n 's|^\\([^ ]*\\) / ext4 .*|\\1|p' /proc/mounts"), root, name + ": its root is the disk")
        tap.equal(guest.console.run("exit 3", check=False), (3, ""), name + ": an exit status comes back")
        tap.ok(guest.console.run("fio --version").startswith("fio-"), name + ": fio runs")
        tap.ok("kexec" in guest.console.run("kexec --version"), name + ": kexec runs")
        guest.console.send("poweroff")
        tap.equal(guest.wait(), 0, name + ": it powers off")


def tests(tap):
    """Each kernel once; each machine and disk once."""
    tap.side_by_side([("%s on %s" % (kernel, machine), boots, kernel, machine, device, root)
                      for kernel, machine, device, root in (
                          ("6.12-cloud", "q35", "virtio-blk", "/dev/vda"),
                          ("6.1-cloud", "microvm", "virtio-blk", "/dev/vda"),
                          ("6.1-generic", "q35", "virtio-scsi", "/dev/sda"))])


lablib.main(tests, mem=2048)
