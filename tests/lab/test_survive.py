#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""VMs outlive their vmms and each other: SIGKILL of vmms, then of one worker, while three stock guests run."""

import contextlib
import os
import re
import signal

import lablib
import labvmms

KERNEL = "6.1-cloud"
NAMES = ("one", "two", "three")


def states(vmms):
    """What `vmctl list` says: name to state."""
    return {vm["name"]: vm["state"] for vm in vmms.vmctl("list")["vms"]}


def kill_vmms(tap, vmms, vms):
    """The guests go on without it; the next one finds them, and their consoles and heartbeats."""
    before = {vm.name: vm.show()["worker_pid"] for vm in vms}
    vmms.kill()
    for vm in vms:
        tap.equal(vm.run("dd if=/dev/urandom of=/file bs=64k count=16 conv=fsync 2>/dev/null && echo still here"),
                  "still here", "%s goes on without vmms" % vm.name)
    vmms.start()
    tap.equal(states(vmms), {name: "Running" for name in NAMES}, "the next vmms lists all three as Running")
    tap.equal({vm.name: vm.show()["worker_pid"] for vm in vms}, before, "with the same workers")
    for vm in vms:
        tap.equal(vm.wait("heartbeat")["heartbeat"], "Ok", "%s has a heartbeat" % vm.name)


def kill_worker(tap, victim, others, whose, reason):
    """One VM is off and says why; the others do not notice."""
    before = {vm.name: vm.show()["worker_pid"] for vm in others}
    os.kill(victim.show()["worker_pid"], signal.SIGKILL)
    shown = victim.wait("off") and victim.show()
    tap.equal((shown["state"], shown["health"]), ("Off", "Critical"), whose + " worker was killed: the VM is Off and Critical")
    tap.ok(re.search(reason, shown["reason"] or ""), whose + " worker was killed: the VM's reason is what vmms knows",
           shown["reason"])
    for vm in others:
        tap.equal(vm.run("echo still here"), "still here", "%s goes on" % vm.name)
    after = {vm.name: vm.show() for vm in others}
    tap.equal({name: (shown["state"], shown["health"], shown["worker_pid"]) for name, shown in after.items()},
              {name: ("Running", "Ok", pid) for name, pid in before.items()}, "nothing happened to them")


def kill_workers(tap, _, vms):
    """A worker that an earlier vmms started, of which the host's kernel may or may not tell how it ended; then one of this
    vmms's own, of which it does."""
    victim, *others = vms
    kill_worker(tap, victim, others, "an earlier vmms's", "worker was killed by signal 9|how is not known")
    victim.start()
    kill_worker(tap, victim, others, "a", "worker was killed by signal 9")
    victim.boot()
    tap.equal(victim.wait("heartbeat")["heartbeat"], "Ok", "it can be started again, from the disk as it was left")


def stop_all(tap, vmms, vms):
    """Each stops when asked, while a vmms is there that started none of them."""
    vmms.kill()
    vmms.start()
    for vm in vms:
        vm.stop()
    tap.equal(states(vmms), {name: "Off" for name in NAMES}, "the third vmms can stop each")


def tests(tap):
    """Three guests."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms, contextlib.ExitStack() as stack:
        vms = [stack.enter_context(labvmms.Vm(vmms, name, KERNEL)) for name in NAMES]
        for vm in vms:
            vm.start()
        for vm in vms:
            vm.console.ready()
        for case in (kill_vmms, kill_workers, stop_all):
            tap.case(case.__name__, case, vmms, vms)


lablib.main(tests, [KERNEL])
