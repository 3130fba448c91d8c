#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The methods on drives, over workers without a VM: what is on disk, what the worker is told, what happens when it fails. TAP.

usage: test_disks.py VMMS FAKE_VMWP [TEST…]
"""
import fcntl
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
from vmmslib import drive, fails, main  # noqa: E402

FAILED, INVALID, NOT_FOUND, EXISTS, WRONG_STATE, LOCKED = -32000, -32602, -32001, -32002, -32004, -32005


def on_disk(host, vm_id):
    """The drives of a VM's configuration, as the next vmms would read them."""
    with open(host.path(f'state/vms/{vm_id}/config.json'), encoding='utf-8') as f:
        config = json.load(f)
    return {(c, d['lun']): d for c, s in enumerate(config['scsi']) for d in s['drives']}


def free(path):
    """Whether nothing holds a lock on a file."""
    with open(path, 'r+b') as f:
        try:
            fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
            return True
        except OSError:
            return False


def make(host, c, name, *paths, run=True, **more):
    """A VM with these disks, running or not; its id."""
    vm = c.call('vm.create', config=host.config(
        name, scsi=[{'drives': [drive(n, p) for n, p in enumerate(paths)]}], **more))
    if run:
        c.call('vm.start', vm=name)
    return vm['id']


def off(host):
    """drives of a VM that is off: only its configuration changes"""
    c = host.start()
    a, b = host.file('a.img'), host.file('b.img')
    vm = make(host, c, 't', a, run=False)
    serial = on_disk(host, vm)[0, 0]['serial']
    assert len(serial) == 32, serial
    got = c.call('disk.attach', vm='t', drive={'kind': 'disk', 'path': b, 'max_iops': 100})
    assert (got['controller'], got['lun'], got['bytes']) == (0, 1, None), got
    assert on_disk(host, vm)[0, 1] == got['drive']
    assert got['drive']['serial'] not in (None, serial)
    c.call('disk.set', vm='t', controller=0, lun=1, patch={'max_iops': None, 'read_only': True})
    assert on_disk(host, vm)[0, 1] == dict(got['drive'], max_iops=0, read_only=True)
    c.call('disk.attach', vm='t', drive={'kind': 'dvd', 'lun': 63}, controller=3)
    c.call('dvd.insert', vm='t', path=b)
    assert on_disk(host, vm)[3, 63]['path'] == b
    c.call('dvd.eject', vm='t', controller=3, lun=63)
    assert on_disk(host, vm)[3, 63]['path'] is None
    assert c.call('disk.resize', vm='t', controller=0, lun=0, bytes=1 << 20) == {'bytes': 1 << 20}
    assert os.path.getsize(a) == 1 << 20
    c.call('disk.detach', vm='t', controller=0, lun=1)
    assert sorted(on_disk(host, vm)) == [(0, 0), (3, 63)]
    assert on_disk(host, vm)[0, 0]['serial'] == serial
    assert free(a) and free(b)


def wrong(host):
    """what cannot be: one line, and the configuration is as before"""
    c = host.start()
    a = host.file('a.img')
    vm = make(host, c, 't', a, run=False)
    before = on_disk(host, vm)

    def no(code, words, method, **params):
        fails(code, words, c.call, method, vm='t', **params)
        assert on_disk(host, vm) == before

    place = {'controller': 0, 'lun': 0}
    no(EXISTS, 'there is a drive at 0:0 already', 'disk.attach', drive=drive(0, a))
    no(INVALID, 'lun: must be an integer', 'disk.attach', drive=drive(64, a))
    no(INVALID, 'drives[1].there: there is no such member', 'disk.attach', drive=drive(1, a, there=1))
    no(NOT_FOUND, 'none cannot be opened: No such file', 'disk.attach', drive=drive(1, host.path('none')))
    no(INVALID, 'controller', 'disk.attach', drive=drive(1, a), controller=4)
    no(NOT_FOUND, 'there is no drive at 0:9', 'disk.detach', controller=0, lun=9)
    no(NOT_FOUND, 'there is no drive at 1:0', 'disk.set', controller=1, lun=0, patch={})
    no(INVALID, 'place cannot change', 'disk.set', **place, patch={'lun': 5})
    no(INVALID, 'max_iops', 'disk.set', **place, patch={'max_iops': -1})
    no(INVALID, 'min_iops: 6 is above max_iops, 5', 'disk.set', **place, patch={'min_iops': 6, 'max_iops': 5})
    no(INVALID, 'serial: must be 1 to 32', 'disk.set', **place, patch={'serial': 'a b'})
    no(INVALID, 'a shared disk can not be', 'disk.set', **place, patch={'shared': True, 'cache': 'unsafe'})
    no(NOT_FOUND, 'has no DVD drive; to add one', 'dvd.insert', path=a)
    no(NOT_FOUND, 'there is no drive at 2:2', 'disk.resize', controller=2, lun=2)
    no(INVALID, 'is larger than that', 'disk.resize', **place, bytes=512)
    no(INVALID, 'multiple of 512', 'disk.resize', **place, bytes=(1 << 20) + 1)
    assert os.path.getsize(a) == 4096


def hot(host):
    """a running VM: written first, the worker told, an answer when that has done it"""
    c = host.start()
    a, b, iso = host.file('a.img'), host.file('b.img'), host.file('c.iso')
    vm = make(host, c, 't', a)
    w = host.worker(vm)
    c.call('disk.attach', vm='t', drive={'kind': 'disk', 'path': b})
    assert not free(b)
    told = w.call('test.facts')['drives'][-1]
    assert told[0] == 'drive.attach' and told[1]['fds'] == ['scsi/0/1'], told
    assert told[1]['drive'] == on_disk(host, vm)[0, 1]
    fails(INVALID, 'the drives 0:1 and 0:2 are the same file', c.call, 'disk.attach', vm='t', drive={'kind': 'disk', 'path': b})
    c.call('disk.set', vm='t', controller=0, lun=1, patch={'max_iops': 7, 'on_error': 'pause'})
    assert w.call('test.facts')['drives'][-1][1]['drive']['max_iops'] == 7
    fails(WRONG_STATE, 'only min_iops, max_iops and on_error can change now', c.call, 'disk.set', vm='t', controller=0,
          lun=1, patch={'read_only': True})
    assert c.call('disk.resize', vm='t', controller=0, lun=1, bytes=8192) == {'bytes': 8192}
    c.call('disk.attach', vm='t', drive={'kind': 'dvd', 'path': iso})
    c.call('dvd.eject', vm='t')
    assert w.call('test.facts')['drives'][-1][1]['fds'] == []
    assert free(iso)
    c.call('dvd.insert', vm='t', path=iso)
    c.call('disk.detach', vm='t', controller=0, lun=1)
    assert free(b) and not free(iso) and sorted(on_disk(host, vm)) == [(0, 0), (0, 2)]
    assert [d['lun'] for d in c.call('disk.list', vm='t')['drives']] == [0, 2]
    c.call('vm.stop', vm='t', force=True)
    assert free(iso)


def undone(host):
    """a worker that can not: the error is its own, the configuration and the locks are as before"""
    c = host.start()
    a, b = host.file('a.img'), host.file('b.img')
    vm = make(host, c, 'diskless', a)
    before = on_disk(host, vm)
    fails(FAILED, 'cannot attach a drive to diskless: the fake cannot', c.call, 'disk.attach', vm='diskless',
          drive={'kind': 'disk', 'path': b})
    assert on_disk(host, vm) == before and free(b)
    fails(FAILED, 'cannot change a drive of diskless: the fake cannot', c.call, 'disk.set', vm='diskless', controller=0,
          lun=0, patch={'max_iops': 9})
    assert on_disk(host, vm) == before
    fails(FAILED, 'cannot resize a disk of diskless: the fake cannot', c.call, 'disk.resize', vm='diskless',
          controller=0, lun=0, bytes=8192)
    fails(FAILED, 'cannot detach a drive from diskless: the fake cannot', c.call, 'disk.detach', vm='diskless',
          controller=0, lun=0)
    assert on_disk(host, vm) == before


def shared(host):
    """a shared disk: two VMs have it, one file of reservations; who does not say so has it not"""
    c = host.start()
    a = host.file('a.img')
    ids = [make(host, c, name) for name in ('t1', 't2', 't3')]
    for name in ('t1', 't2'):
        c.call('disk.attach', vm=name, drive={'kind': 'disk', 'path': a, 'shared': True})
    assert host.worker(ids[0]).call('test.facts')['drives'][-1][1]['fds'] == ['scsi/0/0', 'pr/0/0']
    assert len(os.listdir(host.path('state/reservations'))) == 1
    for more in ({}, {'read_only': True}):
        fails(LOCKED, 'in use by the VM t', c.call, 'disk.attach', vm='t3',
              drive=dict({'kind': 'disk', 'path': a}, **more))
    fails(INVALID, 'only a raw image or a block device can be shared', c.call, 'disk.attach', vm='t3',
          drive={'kind': 'disk', 'path': '/x.VHDX', 'shared': True})
    kept = os.listdir(host.path('state/reservations'))
    c.call('disk.detach', vm='t1', controller=0, lun=0)
    c.call('vm.set', vm='t2', patch={'notes': 'x'})
    assert os.listdir(host.path('state/reservations')) == kept
    c.call('disk.detach', vm='t2', controller=0, lun=0)
    assert free(a)
    assert os.listdir(host.path('state/reservations')) == []


def shared_resize(host):
    """a shared disk that was resized by one VM: the workers of all others that have it look, and only they"""
    c = host.start()
    a, b = host.file('a.img'), host.file('b.img')
    link = host.path('link.img')
    os.symlink(a, link)

    def told(vm):
        return [p for m, p in host.worker(vm).call('test.facts')['drives'] if m == 'drive.resize']

    share = {'kind': 'disk', 'shared': True}
    ids = [make(host, c, name) for name in ('t1', 't2', 'diskless', 't4')]
    off_one = make(host, c, 'off', run=False)
    for name, path in (('t1', a), ('t2', link), ('t4', b)):
        c.call('disk.attach', vm=name, drive=dict(share, path=path), controller=1)
    c.call('vm.stop', vm='diskless', force=True)
    for name in ('diskless', 'off'):
        c.call('disk.attach', vm=name, drive=dict(share, path=a))
    c.call('vm.start', vm='diskless')
    assert c.call('disk.resize', vm='t1', controller=1, lun=0, bytes=8192) == {'bytes': 8192}
    assert told(ids[0]) == [{'controller': 1, 'lun': 0, 'bytes': 8192}]
    assert told(ids[1]) == [{'controller': 1, 'lun': 0}]
    assert told(ids[2]) == [{'controller': 0, 'lun': 0}]  # it cannot: a line in the log, no error to who asked
    assert told(ids[3]) == []
    assert "diskless: its guest does not see the new size of 0:0: the fake cannot; tell it with 'vmctl disk resize " \
        "diskless 0:0'" in host.logged()
    assert off_one and c.call('disk.resize', vm='off', controller=0, lun=0, bytes=16384) == {'bytes': 16384}
    assert [len(told(i)) for i in ids] == [2, 2, 2, 0] and os.path.getsize(a) == 16384


def reservations(host):
    """files of reservations: they go with the last configuration, and what a killed vmms left goes at the next start"""
    c = host.start()
    a, b = host.file('a.img'), host.file('b.img')
    share = [{'drives': [drive(0, a, shared=True)]}]

    def there():
        return sorted(os.listdir(host.path('state/reservations')))

    for name in ('t1', 't2', 't3'):
        c.call('vm.create', config=host.config(name, scsi=share))
    c.call('vm.start', vm='t1')
    name, = there()
    c.call('vm.stop', vm='t1', force=True)
    c.call('vm.delete', vm='t1')
    c.call('vm.set', vm='t2', patch={'scsi': []})
    assert there() == [name]
    host.kill()
    for more in ('file-1-2', 'block-77', 'other', 'file-3-4'):
        host.file('state/reservations/' + more, b'')
    os.rename(a, a + '.away')
    with open(host.path('state/reservations/file-3-4'), 'r+b') as worker:
        fcntl.fcntl(worker, fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 1, 1, 0))
        c = host.start()
        assert there() == ['block-77', 'file-1-2', 'file-3-4', name, 'other']  # it may be any of them
        os.rename(a + '.away', a)
        host.kill()
        c = host.start()
        assert there() == ['file-3-4', name, 'other']
    c.call('vm.delete', vm='t2')
    assert there() == [name, 'other']
    c.call('vm.set', vm='t3', patch={'scsi': [{'drives': [drive(0, b)]}]})
    assert there() == ['other']


def twice(host):
    """one file as two drives of a VM is refused when it is asked for, by whatever name; two readers may have it"""
    c = host.start()
    a, b, iso = host.file('a.img'), host.file('b.img'), host.file('c.iso')
    link, gone = host.path('link.img'), host.path('gone.img')
    os.symlink(a, link)
    words = '0:0 and 0:1 are the same file, '
    for first, second in ((a, a), (a, link), (gone, gone)):
        fails(INVALID, words + second, c.call, 'vm.create',
              config=host.config('no', scsi=[{'drives': [drive(0, first), drive(1, second)]}]))
    fails(INVALID, words + a, c.call, 'vm.create', config=host.config(
        'no', scsi=[{'drives': [drive(0, a), drive(1, a, read_only=True)]}]))
    fails(INVALID, words + a, c.call, 'vm.create', config=host.config(
        'no', scsi=[{'drives': [drive(0, a, shared=True), drive(1, a, shared=True)]}]))
    assert c.call('vm.list')['vms'] == []
    vm = make(host, c, 't', a, b, run=False)
    c.call('disk.attach', vm='t', drive={'kind': 'dvd', 'path': iso})
    c.call('disk.attach', vm='t', drive={'kind': 'dvd', 'path': iso})
    before = on_disk(host, vm)
    fails(INVALID, '0:0 and 1:0 are', c.call, 'disk.attach', vm='t', drive={'kind': 'disk', 'path': link}, controller=1)
    fails(INVALID, words, c.call, 'disk.set', vm='t', controller=0, lun=1, patch={'path': link})
    fails(INVALID, '0:0 and 0:2', c.call, 'dvd.insert', vm='t', path=a)
    fails(INVALID, words, c.call, 'vm.set', vm='t', patch={'scsi': [{'drives': [drive(0, b), drive(1, b)]}]})
    assert on_disk(host, vm) == before
    # Two VMs may name it; the second to start is refused.
    make(host, c, 'u', a)
    fails(LOCKED, 'in use by the VM u', c.call, 'vm.start', vm='t')
    c.call('disk.set', vm='t', controller=0, lun=0, patch={'max_iops': 5})


def cut_short(host):
    """vmms killed while a worker is asked to change a drive: the next one undoes an attach, and finishes what else there is"""
    c = host.start()
    first, second = host.file('a.img'), host.file('b.img')
    ids = {name: make(host, c, name, first if name == 'slowdetach-1' else host.file(name)) for name in ('slowdisk-1', 'slowdetach-1')}
    c.send('disk.attach', {'vm': 'slowdisk-1', 'drive': {'kind': 'disk', 'path': second}})
    other = host.client()
    other.send('disk.detach', {'vm': 'slowdetach-1', 'controller': 0, 'lun': 0})
    workers = {name: host.worker(vm) for name, vm in ids.items()}
    for name in ids:
        while len(workers[name].call('test.facts')['drives']) < 1:
            pass
    assert len(on_disk(host, ids['slowdisk-1'])) == 2 and not on_disk(host, ids['slowdetach-1'])
    host.kill()
    c = host.start()
    for name, left in (('slowdisk-1', 1), ('slowdetach-1', 0)):
        while any(d[0] != 'drive.detach' for d in workers[name].call('test.facts')['drives'][1:]) or \
                os.path.exists(host.path(f'run/vms/{ids[name]}/drive.json')):
            pass
        assert len(c.call('disk.list', vm=name)['drives']) == len(on_disk(host, ids[name])) == left, name
    assert free(first)
    assert [d[0] for d in workers['slowdisk-1'].call('test.facts')['drives']] == ['drive.attach', 'drive.detach']
    c.call('disk.detach', vm='slowdisk-1', controller=0, lun=0)


def news(c, after):
    """The next events about disks, and the number to go on from."""
    while True:
        got = c.call('events.next', after=after, timeout_s=20)
        after = got['seq']
        found = [e['message'] for e in got['events'] if e['type'] == 'disk']
        if found:
            return found, after


def minimum(host):
    """a disk below its minimum: one event when it begins and one when it ends; the list tells"""
    c = host.start()
    a, b = host.file('a.img'), host.file('b.img')
    vm = make(host, c, 't', a, b, run=False)
    c.call('disk.set', vm='t', controller=0, lun=1, patch={'min_iops': 50})
    c.call('vm.start', vm='t')
    w, after = host.worker(vm), c.call('events.next', after=0, timeout_s=0)['seq']
    low = {'controller': 0, 'lun': 1, 'below_minimum': True}
    for _ in range(2):
        w.call('test.changed', drives=[{'controller': 0, 'lun': 0, 'below_minimum': False}, low])
    found, after = news(c, after)
    assert found == [f't: the disk 0:1, {b}, gets less than its minimum of 50 IOPS; its storage has more to do than '
                     'it can'], found
    assert [d['below_minimum'] for d in c.call('disk.list', vm='t')['drives']] == [False, True]
    host.kill()
    c = host.start()
    assert [d['below_minimum'] for d in c.call('disk.list', vm='t')['drives']] == [False, True]
    after = c.call('events.next', after=0, timeout_s=0)['seq']
    w.call('test.changed', drives=[dict(low, below_minimum=False)])
    found, after = news(c, after)
    assert found == [f't: the disk 0:1, {b}, is not below its minimum any more'], found
    w.call('test.changed', drives=[low])
    assert 'gets less' in news(c, after)[0][0]
    c.call('vm.stop', vm='t', force=True)
    assert [d['below_minimum'] for d in c.call('disk.list', vm='t')['drives']] == [False, False]


def ejected(host):
    """a medium that the guest ejects leaves the configuration, also by way of a vmms that is killed or busy"""
    c = host.start()
    iso, b = host.file('a.iso'), host.file('b.img')
    dvd = [{'drives': [{'lun': 2, 'kind': 'dvd', 'path': iso}, drive(3, host.file('c.img'))]}]
    out = [{'controller': 0, 'lun': 2, 'ejected': True}, {'controller': 0, 'lun': 3, 'ejected': True}]

    def state(vm):
        return on_disk(host, vm)[0, 2]['path']

    ids = [c.call('vm.create', config=host.config(name, scsi=dvd))['id'] for name in ('t', 'slowdisk', 'locked')]
    c.call('vm.start', vm='t')
    w, after = host.worker(ids[0]), c.call('events.next', after=0, timeout_s=0)['seq']
    w.call('test.changed', drives=out)
    found, after = news(c, after)
    assert found == [f't: the guest ejected {iso} from the DVD drive 0:2'], found
    assert state(ids[0]) is None and on_disk(host, ids[0])[0, 3]['path']
    c.call('dvd.insert', vm='t', path=b)
    # What the worker said before does not take the new one out; what it says then does.
    assert state(ids[0]) == b
    w.call('test.changed', drives=[])
    w.call('test.changed', drives=out)
    assert b in news(c, after)[0][0] and state(ids[0]) is None
    c.call('vm.stop', vm='t', force=True)
    c.call('disk.detach', vm='t', controller=0, lun=3)
    c.call('vm.start', vm='slowdisk')
    other = host.client()
    other.send('disk.attach', {'vm': 'slowdisk', 'drive': {'kind': 'disk', 'path': b}})
    w = host.worker(ids[1])
    while not w.call('test.facts')['drives']:
        pass
    w.call('test.changed', drives=out)
    c.call('disk.list', vm='slowdisk')
    assert state(ids[1]) == iso
    host.kill()
    c = host.start()
    assert 'slowdisk: the guest ejected' in news(c, 0)[0][0]
    assert state(ids[1]) is None
    c.call('vm.stop', vm='slowdisk', force=True)
    c.call('vm.start', vm='locked')
    fails(WRONG_STATE, 'cannot eject the medium of locked: the guest has locked the tray', c.call, 'dvd.eject', vm='locked')
    assert state(ids[2]) == iso
    c.call('dvd.insert', vm='locked', path=iso)
    c.call('dvd.eject', vm='locked', force=True)
    assert state(ids[2]) is None


TESTS = [cut_short, off, wrong, hot, undone, shared, shared_resize, reservations, twice, minimum, ejected]

if __name__ == '__main__':
    sys.exit(main(TESTS, *sys.argv[1:3]))
