#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""CPU, memory and I/O settings of VMs, from vm.json(5) to a folder that stands for a control group.

usage: test_limits.py VMMS FAKE_VMWP [TEST]...
"""
import os
import sys

import vmmslib
from vmmslib import fails

FILES = ('cpu.weight', 'cpu.max', 'memory.max', 'memory.low', 'io.weight', 'cgroup.procs')
BUSY, INVALID = -32004, -32602
CPUS = os.sysconf('SC_NPROCESSORS_ONLN')


class Groups:
    """A folder like a control group's, for the VMs that are told to it before."""

    def __init__(self, host):
        self.root = host.path('cgroup')
        os.makedirs(f'{self.root}/vmms')
        for name in ('cgroup.procs', 'cgroup.subtree_control'):
            open(f'{self.root}/{name}', 'w', encoding='utf-8').close()
        host.settings(kvm_device='/dev/null', cgroups=self.root)

    def of(self, vm):
        os.mkdir(f'{self.root}/vmms/{vm}')
        for name in FILES:
            open(f'{self.root}/vmms/{vm}/{name}', 'w', encoding='utf-8').close()

    def read(self, vm, name):
        with open(f'{self.root}/vmms/{vm}/{name}', encoding='utf-8') as f:
            return f.read()


def a_life(host):
    """a worker is in its group, with its limits, before it runs; changes come at once; the next vmms sets them again"""
    groups = Groups(host)
    c = host.start()
    vm = c.call('vm.create', config=host.config('a', processors={'count': 2}, io={'weight': 5},
                                                cpu={'weight': 300, 'limit': 25}))['id']
    groups.of(vm)
    c.call('vm.start', vm='a')
    pid = c.call('vm.show', vm='a')['worker_pid']
    assert [groups.read(vm, f) for f in FILES] == ['300', '50000 100000', 'max', '0', '5', str(pid)]
    c.call('vm.set', vm='a', patch={'cpu': {'limit': 100, 'weight': 1}, 'host_memory': {'limit': 1 << 30, 'reserve': 4096}})
    assert [groups.read(vm, f) for f in FILES] == ['1', 'max', str(1 << 30), '4096', '5', str(pid)]
    fails(INVALID, 'cpu.limit', c.call, 'vm.set', vm='a', patch={'cpu': {'limit': 0}})
    assert groups.read(vm, 'cpu.max') == 'max'
    host.kill()
    with open(f'{groups.root}/vmms/{vm}/cpu.weight', 'w', encoding='utf-8'):
        pass
    c = host.start()
    assert groups.read(vm, 'cpu.weight') == '1'


def reserves(host):
    """reserves become weights, of all VMs that run; more than there is is refused, at a start and while it runs"""
    groups = Groups(host)
    c = host.start()
    percent = 50
    ids = {}
    for name in 'abc':
        ids[name] = c.call('vm.create', config=host.config(
            name, processors={'count': CPUS}, cpu={'reserve': percent if name != 'c' else 0}))['id']
        groups.of(ids[name])
    c.call('vm.start', vm='c')
    assert groups.read(ids['c'], 'cpu.weight') == '100'
    c.call('vm.start', vm='a')
    assert (groups.read(ids['a'], 'cpu.weight'), groups.read(ids['c'], 'cpu.weight')) == ('7500', '2500')
    c.call('vm.set', vm='b', patch={'cpu': {'reserve': 60}})
    fails(BUSY, 'reserves 60% of the host', c.call, 'vm.start', vm='b')
    assert c.call('vm.show', vm='b')['state'] == 'Off'
    c.call('vm.set', vm='b', patch={'cpu': {'reserve': 50}})
    c.call('vm.start', vm='b')
    fails(BUSY, 'reserves 51% of the host', c.call, 'vm.set', vm='a', patch={'cpu': {'reserve': 51}})
    c.call('vm.set', vm='a', patch={'cpu': {'reserve': 10}})
    c.call('vm.stop', vm='b', force=True)
    c.call('vm.stop', vm='a', force=True)
    assert groups.read(ids['c'], 'cpu.weight') == '100'


def without(host):
    """a group that cannot be made: the VM runs all the same, and the log says why"""
    groups = Groups(host)
    c = host.start()
    c.call('vm.create', config=host.config('a'))
    c.call('vm.start', vm='a')
    assert 'a: its worker has no control group, and so no limits' in host.logged()
    assert os.listdir(f'{groups.root}/vmms') == []
    c.call('vm.set', vm='a', patch={'cpu': {'weight': 7}})


TESTS = (a_life, reserves, without)

if __name__ == '__main__':
    sys.exit(vmmslib.main(TESTS, sys.argv[1], sys.argv[2]))
