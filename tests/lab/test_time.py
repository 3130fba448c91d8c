#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests keep time: over a minute their clocks drift less than 50 ms against the host's."""

import contextlib
import time

import labkit
import lablib
import labvmms

MINUTE_S = 60
BOUND_S = 0.050
# The clock chip counts whole seconds: without the time synchronization service a guest would start further off.
WALL_BOUND_S = 0.25
# Looks at a guest's clocks: so many, and on a busy machine more, until one is good enough or it is enough of them.
SAMPLES = 20
SAMPLES_MOST = 400
GOOD_S = 0.010


def clocks(vm):
    """The best of several looks at the guest's clocks: (its monotonic time less the host's, its wall-clock time less the
    host's, by how much the look may be off), in seconds. A look is as good as its round trip is short."""
    best = None
    for number in range(SAMPLES_MOST):
        if number >= SAMPLES and best[2] < GOOD_S:
            break
        monotonic, wall = time.monotonic(), time.time()
        said = vm.run("now")
        trip = time.monotonic() - monotonic
        words = said.split()
        look = (int(words[1]) / 1e9 - monotonic - trip / 2, float(words[0]) - wall - trip / 2, trip / 2)
        if best is None or look[2] < best[2]:
            best = look
    return best


def tests(tap):
    """All kernels side by side, so that it takes one minute."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms, contextlib.ExitStack() as stack:
        vms = [stack.enter_context(labvmms.Vm(vmms, "time-" + kernel.replace(".", "-"), kernel, cpus=2))
               for kernel in labkit.KERNELS]
        for vm in vms:
            vm.boot()
        before = [clocks(vm) for vm in vms]
        # A minute has to pass: that is what is measured.
        time.sleep(MINUTE_S)
        for vm, kernel, first in zip(vms, labkit.KERNELS, before):
            then = clocks(vm)
            slack = first[2] + then[2]
            drift = then[0] - first[0]
            tap.note("%s: drift %.1f ms, wall clock off by %.1f ms, both to within %.1f ms" % (
                kernel, drift * 1e3, then[1] * 1e3, slack * 1e3))
            tap.ok(slack < BOUND_S, kernel + ": the clocks can be read well enough", "to within %.1f ms" % (slack * 1e3))
            tap.ok(abs(drift) < BOUND_S + slack, kernel + ": under 50 ms of drift in a minute", "%.1f ms" % (drift * 1e3))
            tap.ok(abs(then[1]) < WALL_BOUND_S + then[2], kernel + ": its wall clock is the host's", "%.3f s off" % then[1])
            tap.equal(vm.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"),
                      "hyperv_clocksource_tsc_page", kernel + ": its clock is the reference TSC page")


lablib.main(tests)
