#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What verbs send and print, against a fake vmms: params, tables, pages, --json."""
import json
import os
import pty
import socket
import subprocess
import tempfile
import termios
import threading

import cli
from cli import FakeVmms, complete, equal, golden, main, test, vmctl, vmctl_on_terminal

WEB1 = {'id': '5e2b3c1a-0d5f-4a7e-9b51-1f6f6f2b7a01', 'name': 'web1', 'state': 'Running', 'health': 'Ok',
        'reason': None, 'heartbeat': 'Ok', 'processors': 2, 'memory_bytes': 2 << 30, 'uptime_us': 15600000000}
LONG = {**WEB1, 'id': '5e2b3c1a-0d5f-4a7e-9b51-1f6f6f2b7a02', 'name': 'database-of-the-accounting-department',
        'state': 'Off', 'health': 'Critical', 'reason': 'The worker ended by signal 9.', 'heartbeat': None,
        'processors': 16, 'memory_bytes': 1536 << 20, 'uptime_us': 0}
CHANNEL = {'name': 'SCSI controller 0', 'type': 'ba6163d9-04a1-4d29-b605-72e2ffb1dc7f', 'instance': WEB1['id'],
           'sub_channel': 0, 'state': 'Open', 'vp': 1, 'packets_in': 1234, 'packets_out': 1233, 'interrupts': 40,
           'faults': 0}
CONFIG = {'schema': 1, 'name': 'web1', 'notes': 'the shop', 'processors': {'count': 2}, 'memory': {'bytes': 2 << 30},
          'boot': {'kernel': '/srv/vmlinuz', 'initrd': None, 'cmdline': 'root=/dev/sda'},
          'scsi': [{'drives': [{'lun': 0, 'kind': 'disk', 'path': '/srv/web1.img', 'read_only': False},
                               {'lun': 1, 'kind': 'dvd', 'path': None, 'read_only': True}]}],
          'integration': {'heartbeat': True, 'shutdown': True, 'time_sync': False}, 'disk_channels': 0, 'on_triple_fault': 'reset'}
STATUS = {'state': 'Running', 'health': 'Ok', 'reason': None, 'uptime_us': 15600000000, 'vmbus_version': '5.3',
          'heartbeat': 'Ok',
          'integration': {'heartbeat': {'enabled': True, 'version': '3.0'},
                          'shutdown': {'enabled': True, 'version': '3.2'},
                          'time_sync': {'enabled': False, 'version': None}},
          'drives': [{'controller': 0, 'lun': 0, 'below_minimum': True}],
          'crash': None, 'channels': [CHANNEL, {**CHANNEL, 'name': 'Heartbeat', 'vp': 0, 'packets_in': 7}],
          'vps': [], 'resets': 0}
SHOW = {**WEB1, 'config': CONFIG, 'worker_pid': 4711, 'console_socket': '/run/vmms/vms/x/console.sock',
        'console_pty': '/dev/pts/7', 'log': '/var/lib/vmms/vms/x/vm.log', 'status': STATUS}
DISK = {'controller': 0, 'lun': 1, 'drive': {
    'lun': 1, 'kind': 'disk', 'path': '/usr/data.img', 'read_only': False, 'serial': '0123456789abcdef0123456789abcdef',
    'cache': 'writeback', 'min_iops': 0, 'max_iops': 2000, 'on_error': 'report', 'shared': False},
    'bytes': 10 << 30, 'units': 3, 'below_minimum': False}
EVENT = {'seq': 3, 'time': '2026-11-21T09:14:05Z', 'type': 'state', 'id': WEB1['id'], 'name': 'web1',
         'state': 'Running', 'health': 'Ok', 'message': 'web1 is Running'}
METER = {'id': WEB1['id'], 'name': 'web1', 'since': '2026-11-21T09:00:00Z', 'running_us': 0, 'cpu_us': 0}
CHECKS = [{'name': 'kvm device', 'result': 'ok', 'text': 'API version 12'},
          {'name': 'nx', 'result': 'missing', 'text': 'turn it on in the firmware'}]



def answer(method, result, *argv, status=0):
    """Runs vmctl with one canned answer; (standard output, the params it sent)."""
    with FakeVmms({method: result}) as fake:
        got, out, err = vmctl(*argv, sock=fake.path)
        equal((got, err), (status, ''), argv)
        equal([m for m, _ in fake.calls], [method])
        return out, fake.calls[0][1]


@test
def lists():
    """list: a table; golden"""
    out, params = answer('vm.list', {'vms': [WEB1, LONG]}, 'list')
    equal(params, {})
    golden('list.txt', out)


@test
def lists_narrow():
    """list on a terminal of 72 columns: nothing wraps"""
    with FakeVmms({'vm.list': {'vms': [WEB1, LONG]}}) as fake:
        out = vmctl_on_terminal(72, 'list', sock=fake.path)
    assert max(len(line) for line in out.split('\n')) <= 72, out
    golden('list-72.txt', out)


@test
def lists_nothing():
    """list without a VM says how to make one"""
    out, _ = answer('vm.list', {'vms': []}, 'list')
    equal(out, 'There is no VM. To make one: vmctl create --help\n')


@test
def shows():
    """show: a page; golden"""
    out, params = answer('vm.show', SHOW, 'show', 'web1')
    equal(params, {'vm': 'web1'})
    golden('show.txt', out)


@test
def shows_off():
    """show of a VM that is off: golden"""
    off = {**LONG, 'config': {**CONFIG, 'name': LONG['name'], 'scsi': []}, 'worker_pid': None, 'console_socket': None,
           'console_pty': None, 'log': '/var/lib/vmms/vms/x/vm.log', 'status': None}
    out, _ = answer('vm.show', off, 'show', LONG['name'])
    golden('show-off.txt', out)


@test
def shows_crash():
    """show of a crash: the guest's words, with nothing in them that moves the cursor"""
    crash = {'count': 1, 'params': ['0x0'] * 5, 'text': 'Kernel panic\n\x1b[2J\x9b31mboo\x07'}
    out, _ = answer('vm.show', {**SHOW, 'health': 'Critical', 'status': {**STATUS, 'crash': crash}}, 'show', 'web1')
    assert out.endswith('The guest crashed (1 times). Its last words:\nKernel panic\n?[2J?31mboo?\n'), out


def told(method, result, *argv):
    """Standard output of a verb that may be told of a job's changes."""
    with FakeVmms({method: result, 'events.subscribe': {'seq': 1, 'lost': False}}) as fake:
        status, out, err = vmctl(*argv, sock=fake.path)
        equal((status, err), (0, ''), argv)
        return out


INFO = {'path': '/vm/a.vhdx', 'format': 'VHDX', 'type': 'dynamic', 'disk_bytes': 1 << 30, 'file_bytes': 4 << 20,
        'allocated_bytes': 1 << 20, 'block_bytes': 32 << 20, 'logical_bytes': 512, 'physical_bytes': 4096, 'id': None,
        'needs_replay': False, 'parents': [], 'problem': None, 'warning': None}
JOB = {'job': 7, 'kind': 'vhd.create', 'path': '/vm/a.vhdx', 'state': 'Completed', 'done': 1, 'total': 1,
       'started': '2026-11-21T12:00:00Z', 'ended': '2026-11-21T12:00:01Z', 'result': INFO, 'error': None}
SWITCH = {'name': 'default', 'type': 'internal', 'interface': None, 'addresses': ['192.168.90.1/24', 'fd90::1/64'], 'nat': True, 'dhcp': True,
          'mtu': 1500, 'id': '9c1f9d2e-0d3a-4c0f-8a61-5a8b0c4b7c11', 'state': 'Up', 'reason': None, 'bridge': 'vs9c1f9d2e', 'vlans': True,
          'ports': [{'vm': 'web1', 'number': 0, 'tap': 'vt1b2c3d4e-0', 'mac': '00:15:5d:01:02:03', 'port': {'vlan': 0}}]}
WORLD = {**SWITCH, 'name': 'world', 'type': 'external', 'interface': 'eth0', 'addresses': [], 'nat': False, 'dhcp': False, 'state': 'Down',
         'reason': 'there is no interface eth0', 'vlans': False, 'ports': []}
CHECKED = {**JOB, 'kind': 'vhd.check', 'result': {'path': '/vm/a.vhdx', 'blocks': 1, 'errors': 0, 'repaired': 0,
                                                  'lost_bytes': 0, 'first': None}}


@test
def switches():
    """switch list, show, create, set, delete: golden; what is asked of vmms"""
    out, _ = answer('switch.list', {'switches': [SWITCH, WORLD]}, 'switch', 'list')
    golden('switch-list.txt', out)
    out, params = answer('switch.show', SWITCH, 'switch', 'show', 'default')
    equal(params, {'switch': 'default'})
    golden('switch-show.txt', out)
    out, _ = answer('switch.show', WORLD, 'switch', 'show', 'world')
    assert '\nState:      Down: there is no interface eth0\n' in out, out
    out, params = answer('switch.create', SWITCH, 'switch', 'create', 'default', '--type', 'internal', '--address', '192.168.90.1/24',
                         '--address', 'fd90::1/64', '--nat', 'on', '--dhcp', 'off', '--mtu', '1400')
    equal(params, {'config': {'name': 'default', 'type': 'internal', 'mtu': 1400, 'nat': True, 'dhcp': False,
                              'addresses': ['192.168.90.1/24', 'fd90::1/64']}})
    equal(out, 'switch default is created: internal, bridge vs9c1f9d2e\n')
    _, params = answer('switch.set', SWITCH, 'switch', 'set', 'default', '--address', 'none')
    equal(params, {'switch': 'default', 'patch': {'addresses': []}})
    out, _ = answer('switch.delete', {}, 'switch', 'delete', 'default')
    equal(out, 'switch default is deleted\n')
    out, _ = answer('switch.list', {'switches': []}, 'switch', 'list')
    equal(out, 'No virtual switches. To make one: vmctl switch create NAME --type private\n')


@test
def ports():
    """nic set: a port's options as a merge patch; what is no VLAN, rate or rule is refused"""
    doc = {'number': 0, 'mac': '00:15:5d:01:02:03', 'nic': {}}
    _, params = answer('nic.set', doc, 'nic', 'set', 'web1', '0', '--switch', 'lan', '--vlan', '10', '--trunk', '20-29', '--mac-spoofing', 'on',
                       '--dhcp-guard', 'on', '--router-guard', 'off', '--mirror', 'source', '--max', '100M', '--acl', 'allow:out:10.0.0.0/8',
                       '--acl', 'deny:both:fd00::/8')
    equal(params['patch'], {'kind': 'switch', 'tap': None, 'switch': 'lan', 'port': {
        'mac_spoofing': True, 'dhcp_guard': True, 'router_guard': False, 'mirror': 'source', 'trunk': '20-29', 'vlan': 10, 'max_bps': 100000000,
        'acls': [{'action': 'allow', 'direction': 'out', 'remote': '10.0.0.0/8'}, {'action': 'deny', 'direction': 'both', 'remote': 'fd00::/8'}]}})
    _, params = answer('nic.set', doc, 'nic', 'set', 'web1', '0', '--vlan', 'none', '--trunk', 'none', '--max', 'none', '--acl', 'none')
    equal(params['patch'], {'port': {'vlan': 0, 'trunk': None, 'max_bps': 0, 'acls': []}})
    for option, value, why in (('--vlan', 'access', 'must be a number'), ('--vlan', '1x', 'must be a number'),
                               ('--max', '10Q', 'must be bits a second'), ('--max', '-1', 'must be bits a second'),
                               ('--max', '99999999999999999999', 'must be bits a second'), ('--max', '2T', 'must be bits a second'),
                               ('--acl', 'deny', 'must be allow|deny'), ('--mirror', 'both', 'none|source|destination')):
        status, out, err = vmctl('nic', 'set', 'web1', '0', option, value)
        equal((status, out, err.count('\n')), (2, '', 1), value)
        assert why in err, err


@test
def documents():
    """--json prints the result as it is, each verb"""
    rows = [('vm.list', {'vms': [WEB1]}, ['list']), ('vm.show', SHOW, ['show', 'web1']),
            ('vm.start', WEB1, ['start', 'web1']), ('vm.stop', LONG, ['stop', 'web1']),
            ('vm.restart', WEB1, ['restart', 'web1']), ('vm.pause', WEB1, ['pause', 'web1']),
            ('vm.resume', WEB1, ['resume', 'web1']), ('vm.create', WEB1, ['create', 'web1']),
            ('vm.set', {**WEB1, 'applied': ['processors'], 'pending': []}, ['set', 'web1', '--cpus', '2']),
            ('vm.set', {**WEB1, 'applied': ['name'], 'pending': ['memory']}, ['rename', 'web0', 'web1']), ('vm.delete', {}, ['delete', 'web1']),
            ('vm.wait', WEB1, ['wait', 'web1', 'off']),
            ('vm.console', {'socket': '/x', 'pty': '/y'}, ['console', 'web1']),
            ('vm.log', {'lines': ['a', 'b']}, ['log', 'web1']),
            ('events.next', {'events': [EVENT], 'seq': 3, 'lost': False}, ['events']),
            ('disk.list', {'drives': [DISK]}, ['disk', 'list', 'web1']),
            ('disk.attach', DISK, ['disk', 'attach', 'web1', '/x.img']),
            ('disk.detach', {}, ['disk', 'detach', 'web1', '0:1']),
            ('disk.set', DISK, ['disk', 'set', 'web1', '0:1', '--max-iops', 'none']),
            ('disk.resize', {'bytes': 1 << 30}, ['disk', 'resize', 'web1', '0:1']),
            ('dvd.insert', DISK, ['dvd', 'insert', 'web1', '/x.iso']),
            ('dvd.eject', DISK, ['dvd', 'eject', 'web1']),
            ('host.check', {'ok': True, 'checks': CHECKS[:1]}, ['host', 'check']),
            ('host.info', {'version': '1', 'vms': 0}, ['host', 'info']),
            ('host.stop_vms', {'vms': [{'id': WEB1['id'], 'name': 'web1', 'how': 'turned_off'}]}, ['host', 'stop-vms']),
            ('vhd.info', INFO, ['vhd', 'info', 'a.vhdx']), ('vhd.create', JOB, ['vhd', 'create', 'a.vhdx']),
            ('vhd.convert', JOB, ['vhd', 'convert', 'a.vhdx', 'b.vhd']), ('vhd.check', CHECKED, ['vhd', 'check', 'a.vhdx']),
            ('vhd.repair', CHECKED, ['vhd', 'repair', 'a.vhdx']), ('vhd.compact', JOB, ['vhd', 'compact', 'a.vhdx']),
            ('vhd.resize', JOB, ['vhd', 'resize', 'a.vhdx', '--size', '2G']),
            ('vhd.merge', {**JOB, 'result': {}}, ['vhd', 'merge', 'a.vhdx']),
            ('vhd.set_parent', JOB, ['vhd', 'set-parent', 'a.vhdx', 'b.vhdx']),
            ('switch.list', {'switches': [SWITCH]}, ['switch', 'list']), ('switch.show', SWITCH, ['switch', 'show', 'default']),
            ('switch.create', SWITCH, ['switch', 'create', 'default', '--type', 'internal']),
            ('switch.set', SWITCH, ['switch', 'set', 'default', '--nat', 'on']), ('switch.delete', {}, ['switch', 'delete', 'default']),
            ('meter.enable', METER, ['meter', 'enable', 'web1']), ('meter.show', METER, ['meter', 'show', 'web1']),
            ('meter.reset', METER, ['meter', 'reset', 'web1']), ('meter.disable', {}, ['meter', 'disable', 'web1']),
            ('job.list', {'jobs': [JOB]}, ['job', 'list']), ('job.show', JOB, ['job', 'show', '7']),
            ('job.cancel', JOB, ['job', 'cancel', '7']), ('job.wait', JOB, ['job', 'wait', '7'])]
    covered = {' '.join(argv[:2]) if argv[0] in cli.nouns() else argv[0] for _, _, argv in rows}
    covered |= {'proxy', 'perf'}  # no document of their own: test_remote.py; test_perf.py
    covered |= {'nic list', 'nic add', 'nic set', 'nic remove'}  # of parts of what vmms answers: test_vmms.py
    equal(covered, set(cli.verbs()))
    for method, result, argv in rows:
        out = told(method, result, *argv, '--json')
        equal(json.loads(out), result, argv)
        equal(list(json.loads(out)), list(result), 'the order of members')


@test
def disk_images():
    """vhd and job: what is said of an image, of its check, of a job; golden"""
    chain = {**INFO, 'type': 'differencing', 'parents': ['/vm/b.vhdx', '/vm/c.vhd'], 'needs_replay': True,
             'id': '930d6020-272e-4102-899a-3cc913ae0e04', 'problem': '/vm/b.vhdx was changed',
             'warning': '/vm/c.vhd was modified'}
    bad = {**CHECKED, 'result': {**CHECKED['result'], 'errors': 2, 'first': 'block 7 overlaps', 'lost_bytes': 4096}}
    failed = {**JOB, 'job': 8, 'state': 'Failed', 'done': 3, 'total': 8, 'result': None,
              'error': {'code': -32000, 'message': '/vm/a.vhdx is damaged'}}
    page = told('vhd.info', chain, 'vhd', 'info', 'a') + told('vhd.create', JOB, 'vhd', 'create', 'a')
    page += told('vhd.create', {**JOB, 'state': 'Running'}, 'vhd', 'create', 'a', '--detach')
    page += told('job.list', {'jobs': [JOB, failed]}, 'job', 'list') + told('job.show', failed, 'job', 'show', '8')
    golden('vhd.txt', page)
    with FakeVmms({'vhd.check': bad, 'vhd.create': failed, 'events.subscribe': {'seq': 1, 'lost': False}}) as fake:
        equal(vmctl('vhd', 'check', 'a', sock=fake.path),
              (1, '/vm/a.vhdx: errors: 2, the first: block 7 overlaps\n'
                  '/vm/a.vhdx: 4 KiB of the file are used by nothing: harmless\n', ''))
        equal(vmctl('vhd', 'create', 'a', sock=fake.path), (1, '', 'vmctl vhd create: /vm/a.vhdx is damaged\n'))


@test
def drives():
    """the disk and dvd verbs: what they ask for and what they print"""
    at = {'vm': 'web1', 'controller': 1, 'lun': 63}
    rows = [
        (['disk', 'attach', 'web1', '/x.img'], 'disk.attach', DISK, 'web1: drive 0:1 is attached',
         {'vm': 'web1', 'drive': {'kind': 'disk', 'path': '/x.img'}}),
        (['disk', 'attach', 'web1', '/x.iso', '--dvd', '--at', '1:63', '--read-only', '--serial', 'A-1', '--cache', 'none',
          '--min-iops', '5', '--max-iops', '70', '--on-error', 'pause', '--shared'], 'disk.attach', DISK,
         'web1: drive 0:1 is attached',
         {'vm': 'web1', 'controller': 1, 'drive': {
             'kind': 'dvd', 'path': '/x.iso', 'lun': 63, 'read_only': True, 'serial': 'A-1', 'cache': 'none',
             'min_iops': 5, 'max_iops': 70, 'on_error': 'pause', 'shared': True}}),
        (['disk', 'detach', 'web1', '1:63'], 'disk.detach', {}, 'web1: drive 1:63 is detached', at),
        (['disk', 'set', 'web1', '1:63', '--max-iops', 'none'], 'disk.set', DISK, 'web1: drive 0:1 is changed',
         dict(at, patch={'max_iops': 0})),
        (['disk', 'resize', 'web1', '1:63', '--size', '1G'], 'disk.resize', {'bytes': 1 << 30},
         'web1: drive 1:63 has 1 GiB', dict(at, bytes=1 << 30)),
        (['disk', 'resize', 'web1', '1:63'], 'disk.resize', {'bytes': 1536}, 'web1: drive 1:63 has 1.5 KiB', at),
        (['dvd', 'insert', 'web1', '/x.iso'], 'dvd.insert', DISK, 'web1: drive 0:1 has the medium',
         {'vm': 'web1', 'path': '/x.iso'}),
        (['dvd', 'insert', 'web1', '/x.iso', '--at', '1:63'], 'dvd.insert', DISK, 'web1: drive 0:1 has the medium',
         dict(at, path='/x.iso')),
        (['dvd', 'eject', 'web1', '--at', '1:63'], 'dvd.eject', DISK, 'web1: drive 0:1 is empty', at),
        (['dvd', 'eject', 'web1', '--force'], 'dvd.eject', DISK, 'web1: drive 0:1 is empty', {'vm': 'web1', 'force': True}),
    ]
    for argv, method, result, line, params in rows:
        with FakeVmms({method: result}) as fake:
            equal(vmctl(*argv, sock=fake.path), (0, line + '\n', ''), argv)
            equal(fake.calls, [(method, params)], argv)


@test
def drives_by_file():
    """a drive that is named by its file is looked for by its absolute path"""
    with FakeVmms({'disk.list': {'drives': [DISK]}, 'disk.detach': {}}) as fake:
        equal(vmctl('disk', 'detach', 'web1', 'data.img', sock=fake.path, cwd='/usr')[:2],
              (0, 'web1: drive 0:1 is detached\n'))
        equal(fake.calls[1], ('disk.detach', {'vm': 'web1', 'controller': 0, 'lun': 1}))
        equal(vmctl('disk', 'detach', 'web1', 'other.img', sock=fake.path, cwd='/usr'),
              (1, '', "vmctl disk detach: web1 has no drive with /usr/other.img; 'vmctl disk list web1' says what it has\n"))


@test
def lists_drives():
    """disk list"""
    empty = dict(DISK, lun=2, bytes=None, drive=dict(DISK['drive'], kind='dvd', path=None, serial=None, max_iops=0,
                                                     read_only=True))
    low = dict(DISK, lun=3, drive=dict(DISK['drive'], min_iops=500, max_iops=0), below_minimum=True)
    out, _ = answer('disk.list', {'drives': [DISK, empty, low]}, 'disk', 'list', 'web1')
    golden('disk-list.txt', out)


@test
def creates():
    """create: sizes, absolute paths, drives in their order"""
    with tempfile.TemporaryDirectory() as folder, FakeVmms({'vm.create': WEB1}) as fake:
        for name in ('a.img', 'c.iso', 'b.img'):
            open(os.path.join(folder, name), 'w', encoding='utf-8').close()
        folder = os.path.realpath(folder)
        status, out, err = vmctl('create', 'web1', '--memory', '64M', '--cpus', '2', '--kernel', 'k', '--cmdline',
                                 'a=b "c"', '--disk', 'a.img', '--dvd', 'c.iso', '--disk', f'{folder}/b.img',
                                 '--time-sync', 'off', '--disk-channels', '2', '--on-triple-fault', 'off', sock=fake.path, cwd=folder)
        equal((status, out, err), (0, 'web1 is made; to start it: vmctl start web1\n', ''))
        equal(fake.calls, [('vm.create', {'config': {
            'schema': 1, 'name': 'web1', 'memory': {'bytes': 64 << 20}, 'processors': {'count': 2},
            'boot': {'kernel': f'{folder}/k', 'cmdline': 'a=b "c"'}, 'integration': {'time_sync': False},
            'disk_channels': 2, 'on_triple_fault': 'off',
            'scsi': [{'drives': [{'lun': 0, 'kind': 'disk', 'path': f'{folder}/a.img'},
                                 {'lun': 1, 'kind': 'dvd', 'path': f'{folder}/c.iso'},
                                 {'lun': 2, 'kind': 'disk', 'path': f'{folder}/b.img'}]}],
            'nics': [{'kind': 'user'}]}})])


@test
def creates_disks():
    """create --disk FILE,size=SIZE has vmms make the images"""
    with FakeVmms({'vm.create': WEB1}) as fake:
        equal(vmctl('create', 'web1', '--disk', '/vm/a,b.vhdx,size=20G', '--disk', '/dev/null', '--disk', 'c.img,size=512',
                    sock=fake.path, cwd='/usr')[0], 0)
        params = fake.calls[0][1]
    equal([d['path'] for d in params['config']['scsi'][0]['drives']], ['/vm/a,b.vhdx', '/dev/null', '/usr/c.img'])
    equal(params['new_disks'], [{'path': '/vm/a,b.vhdx', 'size_bytes': 20 << 30}, {'path': '/usr/c.img', 'size_bytes': 512}])


@test
def creates_many_drives():
    """create with 130 disks fills three controllers"""
    with FakeVmms({'vm.create': WEB1}) as fake:
        equal(vmctl('create', 'web1', *(['--disk', '/dev/null'] * 130), sock=fake.path)[0], 0)
        scsi = fake.calls[0][1]['config']['scsi']
    equal([len(c['drives']) for c in scsi], [64, 64, 2])
    equal([d['lun'] for d in scsi[2]['drives']], [0, 1])


@test
def sets():
    """set sends a patch of what was said and nothing else"""
    _, params = answer('vm.set', WEB1, 'set', 'web1', '--name', 'www', '--memory', '4G', '--heartbeat', 'on')
    equal(params, {'vm': 'web1', 'patch': {'name': 'www', 'memory': {'bytes': 4 << 30},
                                           'integration': {'heartbeat': True}}})


@test
def starts_and_waits():
    """start --wait heartbeat starts, then waits as long as it may"""
    with FakeVmms({'vm.start': WEB1, 'vm.wait': WEB1}) as fake:
        equal(vmctl('start', 'web1', '--wait', 'heartbeat', '--timeout', '9', sock=fake.path),
              (0, 'web1 is Running\n', ''))
        equal(fake.calls, [('vm.start', {'vm': 'web1'}), ('vm.wait', {'vm': 'web1', 'for': 'heartbeat', 'timeout_s': 9})])
    answer('vm.start', WEB1, 'start', 'web1', '--wait', 'running')


@test
def stops():
    """stop and restart pass on force and timeout"""
    equal(answer('vm.stop', LONG, 'stop', 'x', '--timeout', '5'),
          (f'{LONG["name"]} is Off\n', {'vm': 'x', 'force': False, 'timeout_s': 5}))
    equal(answer('vm.restart', WEB1, 'restart', 'x', '--force')[1], {'vm': 'x', 'force': True})


@test
def checks_host():
    """host check: what is missing and what to do; exit status 1"""
    out, _ = answer('host.check', {'ok': False, 'checks': CHECKS}, 'host', 'check', status=1)
    golden('host-check.txt', out)
    out, _ = answer('host.check', {'ok': True, 'checks': CHECKS[:1]}, 'host', 'check')
    assert out.endswith('This host can run VMs.\n'), out


@test
def events():
    """events: a line each; --since passes its number"""
    out, params = answer('events.next', {'events': [EVENT], 'seq': 3, 'lost': False}, 'events', '--since', '2')
    equal(out, '2026-11-21T09:14:05  state      web1: web1 is Running\n')
    equal(params, {'after': 2, 'timeout_s': 0})


@test
def follows_events():
    """events --follow asks on from where it stands, until vmms goes"""
    rounds = [{'events': [EVENT], 'seq': 3, 'lost': False}, {'events': [], 'seq': 3, 'lost': False}, None]
    with FakeVmms({'events.next': lambda params: rounds.pop(0)}) as fake:
        status, out, _ = vmctl('events', '--follow', '--json', sock=fake.path)
        equal(status, 1)
        equal([json.loads(line) for line in out.split('\n')[:1]], [EVENT])
        equal([p['after'] for _, p in fake.calls], [0, 3, 3])


@test
def log():
    """log prints lines, cleaned"""
    equal(answer('vm.log', {'lines': ['one', 't\x1bwo']}, 'log', 'x', '--lines', '2'),
          ('one\nt?wo\n', {'vm': 'x', 'lines': 2}))


@test
def console():
    """console: bytes both ways until the VM closes it"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'console.sock')
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(1)

        def serve():
            conn, _ = listener.accept()
            with conn:
                conn.sendall(b'login: ')
                while not conn.recv(100).endswith(b'\n'):
                    pass
                conn.sendall(b'\x1b[1mwelcome\r\n')

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with FakeVmms({'vm.console': {'socket': path, 'pty': '/y'}}) as fake:
            run = subprocess.run([cli.VMCTL, '--socket', fake.path, 'console', 'web1'], input=b'root\n',
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        thread.join(10)
        listener.close()
    equal((run.returncode, run.stdout, run.stderr), (0, b'login: \x1b[1mwelcome\r\n', b''))


@test
def console_on_a_terminal():
    """console on a terminal: keys go to the guest, Ctrl-] leaves, the terminal is as before"""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        path = os.path.join(folder, 'console.sock')
        listener.bind(path)
        listener.listen(1)
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        with FakeVmms({'vm.console': {'socket': path, 'pty': '/y'}}) as fake:
            child = subprocess.Popen([cli.VMCTL, '--socket', fake.path, 'console', 'web1'], stdin=slave, stdout=slave,
                                     stderr=slave)
            conn, _ = listener.accept()
            conn.settimeout(60)
            # Raw mode is on by the time that what it prints after its greeting comes.
            conn.sendall(b'login: ')
            seen = b''
            while not seen.endswith(b'login: '):
                seen += os.read(master, 100)
            os.write(master, b'a\x03\r\x1db')
            got = b''
            while len(got) < 3:
                got += conn.recv(100)
            equal(child.wait(60), 0)
            equal(got + conn.recv(100), b'a\x03\r')
            conn.close()
        equal(termios.tcgetattr(slave), before)
        os.close(slave)
        os.close(master)


@test
def console_of_nothing():
    """console whose socket is gone: what to look at"""
    with FakeVmms({'vm.console': {'socket': '/nonexistent/c', 'pty': '/y'}}) as fake:
        status, _, err = vmctl('console', 'web1', sock=fake.path)
    equal((status, err), (1, 'vmctl console: /nonexistent/c: No such file or directory; is the VM still on? '
                             '(vmctl list)\n'))


@test
def completes_vms():
    """completion offers the names of VMs"""
    with FakeVmms({'vm.list': {'vms': [WEB1, LONG]}}) as fake:
        equal(complete('--socket', fake.path, 'show', ''), ['web1', LONG['name']])
        equal(complete('--socket', fake.path, 'show', 'w'), ['web1'])
        equal(complete('--socket', fake.path, 'show', 'web1', ''), [])


@test
def completes_in_bash():
    """the bash function offers the same"""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../completions/vmctl')
    program = f'''. {script}; COMP_WORDS=({cli.VMCTL} start --wa); COMP_CWORD=2; _vmctl; echo "${{COMPREPLY[*]}}"
COMP_WORDS=({cli.VMCTL} create x --kernel {script}); COMP_CWORD=4; _vmctl; echo "${{COMPREPLY[*]}}"'''
    out = subprocess.run(['bash', '-c', program], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    equal(out, f'--wait\n{script}\n')


main()
