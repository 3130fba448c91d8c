#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""perf: rates out of two readings, tables, --json, against a fake vmms."""
import json
import subprocess

import cli
from cli import FakeVmms, equal, golden, main, test, vmctl, vmctl_on_terminal


def reading(second, name='web1'):
    """A reading so many seconds after the first; all counters rise evenly."""
    def sets(name, instance, **counters):
        return {'set': name, 'instance': instance, 'counters': counters}
    n = second
    return {'time_us': 5000000 + n * 1000000, 'host': [], 'silent': [], 'vms': [{
        'id': '5e2b3c1a-0d5f-4a7e-9b51-1f6f6f2b7a01', 'name': name, 'time_us': 5000000 + n * 1000000, 'sets': [
            sets('vp', '0', run_time_us=250000 * n, intercepts=12345 * n, hlt=7 * n, io=3 * n, mmio=0, msr=0,
                 hypercalls=2 * n, interrupts=900 * n, page_faults=0, kicks=0),
            sets('vp', '1', run_time_us=1000000 * n, intercepts=5 * n, io=0, mmio=0, msr=0, hypercalls=0, kicks=0),
            sets('vmbus', 'SCSI controller 0', interrupts_received=100 * n, interrupts_sent=90 * n,
                 packets_received=1000 * n, packets_sent=1000 * n, throttles=0, faults=0),
            sets('storage', '0:0', read_bytes=(3 << 20) * n, write_bytes=4096 * n, read_operations=800 * n,
                 write_operations=n, flushes=n, operations=802 * n, errors=0, latency_us=802 * 350 * n, queue_length=4,
                 normalized_operations=900 * n),
            sets('storage', '0:1', read_bytes=100 - n, write_bytes=0, read_operations=0, write_operations=0,
                 operations=0, errors=0, latency_us=0, queue_length=0),
            sets('network', '0', received_bytes=1500 * n, sent_bytes=60 * n, received_packets=n, sent_packets=n,
                 dropped_received=0, dropped_sent=0),
            sets('memory', '', guest_visible_bytes=1 << 30, physical_bytes=300 << 20)]}]}


def readings():
    """An answer for FakeVmms: each call is a second later."""
    count = iter(range(10 ** 6))
    return lambda params: reading(next(count))


@test
def one_table_a_set():
    """perf: rates of one interval by set, also where a counter is not told or began anew; golden"""
    with FakeVmms({'perf.get': readings()}) as fake:
        status, out, err = vmctl('perf', 'web1', sock=fake.path)
        equal((status, err), (0, ''))
        equal(fake.calls, [('perf.get', {'vm': 'web1'})] * 2)
    golden('perf.txt', out)


@test
def fits_a_terminal():
    """perf on a terminal of 80 columns: nothing wraps"""
    with FakeVmms({'perf.get': readings()}) as fake:
        out = vmctl_on_terminal(80, 'perf', 'web1', sock=fake.path)
    assert max(len(line) for line in out.split('\n')) <= 80, out


@test
def json_is_one_reading():
    """perf --json: the totals as vmms gave them"""
    with FakeVmms({'perf.get': reading(3)}) as fake:
        status, out, err = vmctl('perf', 'web1', '--json', sock=fake.path)
        equal((status, err, len(fake.calls)), (0, '', 1))
    equal(json.loads(out), reading(3))


@test
def watch_goes_on():
    """perf --watch --json: a line for each reading, until who reads them is gone"""
    with FakeVmms({'perf.get': readings()}) as fake:
        p = subprocess.Popen([cli.VMCTL, '--socket', fake.path, 'perf', 'web1', '--watch', '--json'],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for n in range(3):
            equal(json.loads(p.stdout.readline()), reading(n))
        p.stdout.close()
        p.wait(60)
        p.stderr.close()


@test
def silent_worker():
    """perf of a VM whose worker does not answer: one line"""
    empty = {'time_us': 1, 'host': [], 'vms': [], 'silent': ['web1']}
    with FakeVmms({'perf.get': empty}) as fake:
        status, out, err = vmctl('perf', 'web1', sock=fake.path)
        equal((status, out), (1, ''))
        assert err.count('\n') == 1 and 'does not answer' in err, err


METER = {'id': '5e2b3c1a-0d5f-4a7e-9b51-1f6f6f2b7a01', 'name': 'web1', 'since': '2026-11-21T09:00:00Z',
         'running_us': 7200 * 10 ** 6, 'cpu_us': 900 * 10 ** 6, 'memory_min_bytes': 100 << 20,
         'memory_average_bytes': 300 << 20, 'memory_max_bytes': 1 << 30, 'read_bytes': 5 << 30, 'write_bytes': 3 << 20,
         'operations': 1000000, 'normalized_operations': 1440000, 'latency_us': 250000000, 'received_bytes': 7 << 20,
         'sent_bytes': 12}


@test
def meter():
    """meter: each verb calls its method; show's page is golden"""
    for verb in ('enable', 'show', 'reset'):
        with FakeVmms({f'meter.{verb}': METER}) as fake:
            status, out, err = vmctl('meter', verb, 'web1', sock=fake.path)
            equal((status, err, fake.calls), (0, '', [(f'meter.{verb}', {'vm': 'web1'})]))
        golden('meter.txt', out)
    new = {k: v if k in ('id', 'name', 'since') else 0 for k, v in METER.items()}
    with FakeVmms({'meter.show': new}) as fake:
        golden('meter-new.txt', vmctl('meter', 'show', 'web1', sock=fake.path)[1])
        equal(json.loads(vmctl('meter', 'show', 'web1', '--json', sock=fake.path)[1]), new)
    with FakeVmms({'meter.disable': {}}) as fake:
        equal(vmctl('meter', 'disable', 'web1', sock=fake.path), (0, 'web1 is metered no more\n', ''))


main()
