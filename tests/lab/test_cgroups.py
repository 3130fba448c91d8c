#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Control groups of the kernel's own: a worker is in one, its limits hold while it runs, and it goes with the worker."""

import os
import select
import signal

import lablib
import labvmms

KERNEL = "6.1-cloud"
ROOT = "/sys/fs/cgroup/vmms"


def read(vm, name):
    """A file of a VM's group."""
    with open("%s/%s/%s" % (ROOT, vm.id, name), encoding="utf-8") as text:
        return text.read().strip()


def throttled(vm):
    """How often its limit has held it back."""
    return int(dict(line.split() for line in read(vm, "cpu.stat").split("\n"))["nr_throttled"])


def limits(tap, vmms, vm):
    """What the settings say is what the kernel has."""
    checks = {check["name"]: check for check in vmms.vmctl("host", "check")["checks"]}
    tap.equal(checks["control groups"]["result"], "ok", "host check finds control groups")
    tap.equal(read(vm, "cgroup.procs"), str(vm.show()["worker_pid"]), "the worker is alone in its group")
    tap.equal((read(vm, "cpu.weight"), read(vm, "cpu.max"), read(vm, "memory.max")), ("300", "max 100000", str(1 << 30)),
              "its limits are those of its settings")
    vm.run("while :; do :; done & true")
    vmms.vmctl("set", "one", "--cpu-limit", 20, "--cpu-weight", 50, "--memory-reserve", "4M")
    tap.equal((read(vm, "cpu.weight"), read(vm, "cpu.max"), read(vm, "memory.low")), ("50", "20000 100000", str(4 << 20)),
              "others hold at once")
    before = throttled(vm)
    vm.run("for i in 1 2 3 4 5; do sleep 0.1; done; echo still here")
    tap.ok(throttled(vm) > before, "a busy guest is held back", read(vm, "cpu.stat"))
    vmms.vmctl("set", "one", "--cpu-limit", 100)
    tap.equal(read(vm, "cpu.max"), "max 100000", "and no longer")


def ends(tap, vmms, vm):
    """A group goes with its worker, whoever is there to see."""
    vmms.kill()
    worker = os.pidfd_open(int(read(vm, "cgroup.procs")))
    signal.pidfd_send_signal(worker, signal.SIGKILL)
    select.select([worker], [], [], lablib.PATIENCE)
    os.close(worker)
    tap.equal(os.listdir(ROOT).count(vm.id), 1, "without a vmms the group of a dead worker stays")
    vmms.start()
    vm.wait("off")
    tap.equal(os.listdir(ROOT).count(vm.id), 0, "the next vmms removes it")
    vm.start()
    tap.equal(os.listdir(ROOT).count(vm.id), 1, "a start makes it again")
    vm.turn_off()
    tap.equal(os.listdir(ROOT).count(vm.id), 0, "the end of the VM removes it")


def tests(tap):
    """One guest."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms, labvmms.Vm(vmms, "one", KERNEL, root=False) as vm:
        vmms.vmctl("set", "one", "--cpu-weight", 300, "--memory-limit", "1G")
        vm.boot()
        tap.case("limits", limits, vmms, vm)
        tap.case("ends", ends, vmms, vm)


lablib.main(tests, [KERNEL])
