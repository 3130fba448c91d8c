#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Requests while the state folder's file system fails: at each single call, from one call on, full, read-only.

Each request is either answered and true, now and for the next vmms, or refused with one line and nothing is left of it.
FAULT_ALL=1 tries each error number at each call; otherwise they take turns.

usage: test_faults.py VMMS FAKE_VMWP FAULTFS [TEST…]
"""
import errno
import mmap
import os
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
from vmmslib import RpcError, drive, main  # noqa: E402

LIBRARY = os.path.abspath(sys.argv.pop(3))
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EIO)
IN_A_VM = {'config.json', 'vm.log', 'console.log', 'report.json'}
IN_STATE = {'vms', 'jobs', 'switches', 'vmms.lock', 'host.json', 'reservations'}


class Faults:
    """The page that the preloaded library looks into."""

    def __init__(self, path):
        with open(path, 'wb') as f:
            f.write(bytes(mmap.PAGESIZE))
        with open(path, 'r+b') as f:
            self.page = mmap.mmap(f.fileno(), 0)

    def arm(self, first, many, error):
        self.page[:16] = struct.pack('4i', first, many, error, 0)

    def disarm(self):
        """How many calls there were."""
        count = struct.unpack_from('4i', self.page)[3]
        self.page[:16] = bytes(16)
        return count


def preload(host):
    """From here on the host's vmms has the library."""
    faults = Faults(host.path('faults'))
    host.env = {'LD_PRELOAD': LIBRARY, 'FAULT_CONTROL': host.path('faults'), 'FAULT_PROGRAM': 'vmms',
                'FAULT_FOLDER': host.path('state')}
    return faults


# ---- what is there, as a client sees it ----

def model(c):
    """All that requests change, of every VM."""
    vms = {}
    for v in c.call('vm.list')['vms']:
        shown = c.call('vm.show', vm=v['id'])
        config = shown['config']
        vms[v['id']] = (v['name'], shown['state'], config['notes'], config['tags'], config['memory']['bytes'],
                        [(n, d['lun'], d['path']) for n, s in enumerate(config['scsi']) for d in s['drives']],
                        len(config['nics']), shown['pending'])
    return vms


def check_left(host, c):
    """That nothing half-made lies about."""
    vms = {v['id']: v['state'] for v in c.call('vm.list')['vms']}
    assert set(os.listdir(host.path('state/vms'))) == set(vms), os.listdir(host.path('state/vms'))
    for vm in vms:
        left = set(os.listdir(host.path(f'state/vms/{vm}'))) - IN_A_VM
        assert not left, left
    left = set(os.listdir(host.path('state'))) - IN_STATE
    assert not left, left
    up = {vm for vm, state in vms.items() if state != 'Off'}
    assert set(host.left_in_run_dir()) == up, (host.left_in_run_dir(), up)


# ---- the requests ----

def creates(host, c):
    c.call('vm.create', config=host.config('new'))


def sets(host, c):
    c.call('vm.set', vm='off', patch={'notes': 'n', 'tags': ['t'], 'memory': {'bytes': 16 << 20}})


def sets_running(host, c):
    c.call('vm.set', vm='up', patch={'notes': 'n', 'memory': {'bytes': 16 << 20}})


def renames(host, c):
    c.call('vm.set', vm='off', patch={'name': 'other'})


def deletes(host, c):
    c.call('vm.delete', vm='off')


def starts(host, c):
    c.call('vm.start', vm='off')


def stops(host, c):
    c.call('vm.stop', vm='up')


def turns_off(host, c):
    c.call('vm.stop', vm='up', force=True)


def attaches(host, c):
    c.call('disk.attach', vm='off', drive={'kind': 'disk', 'path': host.path('disk.img')})


def attaches_running(host, c):
    c.call('disk.attach', vm='up', drive={'kind': 'disk', 'path': host.path('disk2.img')})


def detaches(host, c):
    c.call('disk.detach', vm='off', controller=0, lun=0)


def detaches_running(host, c):
    c.call('disk.detach', vm='up', controller=0, lun=0)


def adds_nic(host, c):
    c.call('vm.set', vm='off', patch={'nics': [{'kind': 'none'}]})


REQUESTS = (creates, sets, sets_running, renames, deletes, starts, stops, turns_off, attaches, attaches_running, detaches,
            detaches_running, adds_nic)
RUNNING = (sets_running, stops, turns_off, attaches_running, detaches_running)


def prepare(host, c, running=True):
    """Two VMs, one of which runs where the request wants it."""
    for vm in c.call('vm.list')['vms']:
        if vm['state'] != 'Off':
            c.call('vm.stop', vm=vm['id'], force=True)
        c.call('vm.delete', vm=vm['id'])
    for n, name in enumerate(('off', 'up')):
        c.call('vm.create', config=host.config(name, scsi=[{'drives': [drive(0, host.path(f'{n}.img'))]}]))
    if running:
        c.call('vm.start', vm='up')


def one(host, faults, request, first, many, error):
    """One request with faults; whether any call failed."""
    c = host.clients[-1] if host.clients and host.clients[-1].sock.fileno() >= 0 else host.client()
    prepare(host, c, request in RUNNING)
    before = model(c)
    faults.arm(first, many, error)
    refused = None
    try:
        request(host, c)
    except RpcError as e:
        refused = e
        assert '\n' not in e.message and e.message, e.message
    count = faults.disarm()
    assert host.process.poll() is None, 'vmms has ended'
    after = model(c)
    where = f'{request.__name__}, call {first} of {count}, {many} fail with {errno.errorcode[error]}'
    # What a disk has no room for must not keep a VM from being stopped.
    assert not refused or request not in (stops, turns_off), f'{where}: {refused}'
    if refused:
        assert after == before, f'{where}: refused ({refused}), but {before} became {after}'
    else:
        assert after != before, f'{where}: answered, but nothing changed'
    host.kill()
    c.close()
    c = host.start()
    assert model(c) == after, f'{where}: {"refused" if refused else "answered"}: {after} became {model(c)}'
    check_left(host, c)
    return count >= first


def disks(host):
    for name in ('0.img', '1.img', 'disk.img', 'disk2.img'):
        host.file(name, bytes(1 << 20))


def every_call(request):
    def run(host):
        faults = preload(host)
        disks(host)
        host.start()
        first, failed = 1, True
        while failed:
            errors = ERRORS if os.environ.get('FAULT_ALL') else (ERRORS[first % len(ERRORS)],)
            for error in errors:
                failed = one(host, faults, request, first, 1, error)
                if failed:
                    one(host, faults, request, first, 1 << 20, error)
            first += 1
        assert first > 2, 'no call could be made to fail'
    run.__name__ = request.__name__
    run.__doc__ = 'each call that changes a file fails, alone and with all after it'
    return run


# ---- the real thing ----

def on_mount(host, argv, undo):
    """Makes the state folder a file system, or part of one, of its own."""
    subprocess.run(argv, check=True)
    host.undo.append(undo)


def try_all(host, c):
    """Every request, refused or answered; what was refused has changed nothing, what was answered holds. How many were refused."""
    refused = 0
    for request in (sets, sets_running, attaches, attaches_running, adds_nic, detaches_running, creates, starts):
        before = model(c)
        try:
            request(host, c)
        except RpcError as e:
            refused += 1
            assert '\n' not in e.message, e.message
            assert model(c) == before, f'{request.__name__} was refused: {e}'
    return refused


def full(host):
    """the state folder on a small tmpfs that is full: refused, with what to do; with room again all is done"""
    if os.geteuid() != 0:
        return
    os.makedirs(host.path('state'))
    on_mount(host, ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', host.path('state')], ['umount', '-l', host.path('state')])
    disks(host)
    c = host.start()
    prepare(host, c)
    filler = host.path('state/jobs/filler')
    with open(filler, 'wb', buffering=0) as f:
        try:
            while True:
                f.write(bytes(1 << 12))
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
    try:
        c.call('vm.set', vm='off', patch={'notes': 'x' * 4000})
        raise AssertionError('there was room')
    except RpcError as e:
        assert "file system is full; make room" in e.message, e.message
    assert try_all(host, c) > 0
    c.call('vm.stop', vm='up', force=True)
    before = model(c)
    host.kill()
    c = host.start()
    assert model(c) == before
    os.unlink(filler)
    prepare(host, c)
    assert try_all(host, c) == 0
    os.sync()


def read_only(host):
    """a state folder that is mounted read-only: vmms refuses to start, and says why; written again all is as before"""
    if os.geteuid() != 0:
        return
    disks(host)
    c = host.start()
    prepare(host, c)
    c.call('vm.stop', vm='up', force=True)
    before = model(c)
    host.kill()
    state = host.path('state')
    on_mount(host, ['mount', '--bind', state, state], ['umount', '-l', state])
    subprocess.run(['mount', '-o', 'remount,bind,ro', state], check=True)
    status, said = host.run_to_end()
    assert status == 1 and 'Read-only file system' in said and said.count('\n') == 1, (status, said)
    subprocess.run(['mount', '-o', 'remount,bind,rw', state], check=True)
    c = host.start()
    assert model(c) == before
    assert try_all(host, c) == 0


TESTS = [every_call(r) for r in REQUESTS] + [full, read_only]

if __name__ == '__main__':
    sys.exit(main(TESTS, *sys.argv[1:3]))
