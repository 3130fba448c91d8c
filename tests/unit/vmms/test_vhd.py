#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Disk images and jobs as vmms has them, over a process that reads none (fake_vmvhd.py), and over the real one.

usage: test_vhd.py VMMS VMWP VMVHD [TEST]...
"""
import fcntl
import json
import os
import select
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmmslib import TIMEOUT, drive, fails, main  # noqa: E402

VMVHD = None  # the real process, from the command line
HERE = os.path.dirname(os.path.abspath(__file__))
FAKE = os.path.join(HERE, 'fake_vmvhd.py')
NOT_FOUND, EXISTS, DENIED, WRONG_STATE, LOCKED, TIMED_OUT = -32001, -32002, -32003, -32004, -32005, -32006
FAILED, LIMIT, GONE, CANCELLED, INVALID = -32000, -32007, -32008, -32011, -32602


def start(host, **settings):
    """vmms over the fake process; a folder "vm" for images."""
    os.makedirs(host.path('vm'), exist_ok=True)
    host.settings(**{'kvm_device': '/dev/null', 'vmvhd': FAKE, **settings})
    return host.start()


def image(host, name, **says):
    """A file that tells the fake process what to do."""
    return host.file(f'vm/{name}', json.dumps(says).encode())


def listing(host):
    """All that is in the folder of images, hidden files too."""
    return sorted(os.listdir(host.path('vm')))


def ended(c, job, state):
    doc = c.call('job.wait', job=job['job'], timeout_s=20)
    assert doc['state'] == state, doc
    return doc


def running_process(host):
    """Processes that work for this vmms on a file of its folder, by what they have open."""
    found = []
    for pid in os.listdir('/proc'):
        if not pid.isdigit() or int(pid) in (os.getpid(), host.process.pid):
            continue
        try:
            names = [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
        except OSError:
            continue
        if any(n.startswith(host.path('vm')) for n in names):
            found.append(int(pid))
    return found


def wait_for_note(c, job, fits):
    """The first notification of a job that fits."""
    while True:
        note = c.note()
        if note['method'] == 'job' and note['params']['job'] == job['job'] and fits(note['params']):
            return note['params']


# ---- jobs ----

def a_job(host):
    """begin, progress, cancel, wait: as answered, as notified, as kept over a restart"""
    c, watcher = start(host), host.client()
    watcher.call('events.subscribe')
    path = image(host, 'a', do='hold')
    job = c.call('vhd.convert', path=path, target=host.path('vm/b'))
    assert (job['state'], job['kind'], job['path'], job['job']) == ('Running', 'vhd.convert', path, 1), job
    wait_for_note(watcher, job, lambda j: (j['done'], j['total']) == (1, 4))
    assert listing(host) == ['a']
    assert [j['state'] for j in c.call('job.list')['jobs']] == ['Running']
    fails(TIMED_OUT, 'still runs', c.call, 'job.wait', job=1, timeout_s=0)
    waiter = host.client()
    waiting = waiter.send('job.wait', {'job': 1})
    assert c.call('job.cancel', job=1)['state'] == 'Cancelling'
    doc = waiter.answer(waiting)['result']
    assert (doc['state'], doc['error']['code'], doc['result']) == ('Cancelled', CANCELLED, None), doc
    assert wait_for_note(watcher, job, lambda j: j['ended'])['state'] == 'Cancelled'
    fails(WRONG_STATE, 'has ended', c.call, 'job.cancel', job=1)
    fails(NOT_FOUND, 'no job 2', c.call, 'job.show', job=2)
    assert listing(host) == ['a'] and running_process(host) == []
    events = [e for e in c.call('events.next', after=0, timeout_s=0)['events'] if e['type'] == 'job']
    assert len(events) == 2 and 'Cancelled' in events[1]['message'] and events[1]['id'] is None, events
    host.stop()
    c = start(host)
    assert c.call('job.show', job=1) == doc
    assert c.call('vhd.check', path=path)['job'] == 2


def bad_processes(host):
    """a process that dies, says nonsense, lies or asks for nothing: the job fails in one line, nothing is left"""
    rows = {'die': (GONE, 'status 3'), 'garbage': (FAILED, 'not in its protocol'),
            'lie': (FAILED, 'an answer that is none'), 'stray': (FAILED, 'parent of no file')}
    c = start(host)
    for do, (_, words) in rows.items():
        path = image(host, do, do=do)
        job = c.call('vhd.convert', path=path, target=host.path('vm/new'))
        doc = ended(c, job, 'Failed')
        assert words in doc['error']['message'] and doc['error']['message'].startswith(path + ': '), doc
        assert '\n' not in doc['error']['message']
    assert listing(host) == sorted(rows) and running_process(host) == []
    host.settings(kvm_device='/dev/null', vmvhd='/nonexistent')
    host.stop()
    c = host.start()
    fails(NOT_FOUND, 'vmvhd in vmms.conf(5)', c.call, 'vhd.convert', path=host.path('vm/die'), target=host.path('vm/new'))
    assert listing(host) == sorted(rows)


def flood(host):
    """a process that talks without end costs nobody else anything, and can be cancelled"""
    c = start(host)
    job = c.call('vhd.check', path=image(host, 'a', do='flood'))
    for _ in range(50):
        c.call('vm.list')
    c.call('job.cancel', job=job['job'])
    ended(c, job, 'Cancelled')


def too_many(host):
    """a bound on jobs at once"""
    c = start(host)
    jobs = [c.call('vhd.check', path=image(host, f'h{i}', do='hold')) for i in range(16)]
    fails(LIMIT, 'wait until one has ended', c.call, 'vhd.check', path=image(host, 'more', do='hold'))
    for job in jobs:
        c.call('job.cancel', job=job['job'])
    for job in jobs:
        ended(c, job, 'Cancelled')


def vmms_is_killed(host):
    """SIGKILL of vmms: its process ends by itself, nothing is left, the next vmms knows that the job failed"""
    c = start(host)
    c.call('events.subscribe')
    job = c.call('vhd.convert', path=image(host, 'a', do='hold'), target=host.path('vm/b'))
    wait_for_note(c, job, lambda j: j['done'] == 1)
    pids = [os.pidfd_open(p) for p in running_process(host)]
    assert len(pids) == 1
    host.kill()
    assert select.select(pids, [], [], TIMEOUT)[0] == pids
    os.close(pids[0])
    assert listing(host) == ['a']
    c = start(host)
    doc = c.call('job.show', job=job['job'])
    assert doc['state'] == 'Failed' and 'vmms ended while it ran' in doc['error']['message'], doc


def records(host):
    """records that are no records, and what a crash left beside them"""
    c = start(host)
    hidden = host.file('vm/.vmms-left')
    host.stop()
    doc = {'job': 5, 'kind': 'vhd.create', 'path': '/a', 'state': 'Running', 'done': 0, 'total': 0,
           'started': '2026-11-21T12:00:00Z', 'ended': None, 'result': None, 'error': None}
    for name, text in (('5.json', json.dumps({'job': doc, 'leftover': hidden})), ('6.json', '{'), ('7.json', '[]'),
                       ('8.json', json.dumps({'job': dict(doc, job=9)})), ('x.json', 'x'), ('5.json.new', 'half'),
                       ('010.json', json.dumps({'job': dict(doc, job=10)}))):
        host.file('state/jobs/' + name, text.encode())
    c = start(host)
    jobs = c.call('job.list')['jobs']
    assert [(j['job'], j['state']) for j in jobs] == [(5, 'Failed')], jobs
    assert listing(host) == [] and not os.path.exists(host.path('state/jobs/5.json.new'))
    assert c.call('vhd.check', path=image(host, 'a'))['job'] == 9


# ---- parents ----

def chain_of(host, *names):
    """Files, each of which names the next its parent; the first one's path."""
    for name, parent in zip(names, names[1:] + (None,)):
        image(host, name, **({'parents': [parent]} if parent else {}))
    return host.path('vm/' + names[0])


def circle(host, *names):
    """The same, and the last names the first."""
    path = chain_of(host, *names)
    image(host, names[-1], parents=[names[0]])
    return path


def parents(host):
    """a chain: found beside the image, refused outside, in a circle, too long, or when it is not there"""
    c = start(host)
    assert c.call('vhd.info', path=chain_of(host, 'c', 'b', 'a'))['path'] == host.path('vm/c')
    fails(FAILED, 'it is its own parent', c.call, 'vhd.info', path=circle(host, 'x', 'y', 'w'))
    fails(FAILED, 'it is its own parent', c.call, 'vhd.info', path=circle(host, 'z'))
    fails(NOT_FOUND, 'gone does not exist', c.call, 'vhd.info', path=image(host, 'n', parents=['gone', 'gone2']))
    fails(NOT_FOUND, "'vmctl vhd set-parent'", c.call, 'vhd.info', path=image(host, 'n', parents=['', 7, None]))
    outside = host.file('base')
    for name in ('../base', outside, '/etc/passwd'):
        fails(DENIED, 'vhd_folders in vmms.conf(5)', c.call, 'vhd.info', path=image(host, 'o', parents=[name]))
    fails(NOT_FOUND, 'gone does not exist', c.call, 'vhd.info', path=image(host, 'o', parents=['gone'] * 8 + ['a']))
    deep = [f'd{i}' for i in range(64)]
    assert c.call('vhd.info', path=chain_of(host, *deep))
    fails(FAILED, 'longer than 64 files', c.call, 'vhd.info', path=chain_of(host, 'leaf', *deep))
    host.stop()
    c = start(host, vhd_folders=[host.dir])
    assert c.call('vhd.info', path=image(host, 'o', parents=['../base']))
    host.stop()
    for bad in ('/a', ['a'], [7], {}):
        host.settings(kvm_device='/dev/null', vhd_folders=bad)
        assert 'vhd_folders: must be a list of absolute paths' in host.run_to_end()[1]


def vm_config(host, name, path):
    return host.config(name, scsi=[{'drives': [drive(0, path)]}])


def vm_start(host):
    """a VM whose image has parents: its worker gets them all, by role; they are locked as long as it runs"""
    c = start(host)
    leaf = chain_of(host, 'c.vhdx', 'b.vhdx', 'a.vhd')
    vm = c.call('vm.create', config=vm_config(host, 'a', leaf))
    assert c.call('vm.start', vm='a')['state'] == 'Running'
    facts = host.worker(vm['id']).call('test.facts')
    assert [r for r in facts['roles'] if r.startswith('scsi')] == ['scsi/0/0', 'scsi/0/0/1', 'scsi/0/0/2'], facts
    assert facts['parents'] == {'scsi/0/0': [host.path('vm/b.vhdx'), host.path('vm/a.vhd')]}
    for name in ('c.vhdx', 'b.vhdx', 'a.vhd'):
        fails(LOCKED, 'in use by the VM a', c.call, 'vhd.create', path=host.path('vm/' + name), size_bytes=1, force=True)
    fails(LOCKED, 'in use by the VM a', c.call, 'vhd.check', path=leaf)
    assert c.call('vhd.info', path=leaf)['path'] == leaf
    # A parent may be read by many.
    ended(c, c.call('vhd.check', path=host.path('vm/b.vhdx')), 'Completed')
    host.kill()
    c = start(host)
    fails(LOCKED, 'in use by the VM a', c.call, 'vhd.create', path=host.path('vm/a.vhd'), size_bytes=1, force=True)
    c.call('vm.stop', vm='a', force=True)
    ended(c, c.call('vhd.create', path=host.path('vm/a.vhd'), size_bytes=1, force=True), 'Completed')


def vm_start_fails(host):
    """a VM whose chain cannot be had: it stays Off, the line says why; one that is turned off meanwhile is Off"""
    c = start(host)
    c.call('vm.create', config=vm_config(host, 'a', image(host, 'a.vhdx', parents=['gone.vhdx'])))
    fails(NOT_FOUND, 'cannot start a: ' + host.path('vm/a.vhdx') + ': its parent', c.call, 'vm.start', vm='a')
    vm = c.call('vm.show', vm='a')
    assert vm['state'] == 'Off' and 'gone.vhdx does not exist' in vm['reason'], vm
    assert host.left_in_run_dir() == [] and running_process(host) == []
    c.call('vm.create', config=vm_config(host, 'h', image(host, 'h.vhdx', do='hold')))
    starting = host.client()
    waiting = starting.send('vm.start', {'vm': 'h'})
    while c.call('vm.show', vm='h')['state'] != 'Starting':
        pass
    assert c.call('vm.show', vm='h')['worker_pid'] is None
    fails(WRONG_STATE, 'h', c.call, 'vm.delete', vm='h')
    job = c.call('vhd.convert', path=image(host, 'x', do='hold'), target=host.path('vm/y'))
    fails(LOCKED, 'in use by the VM h', c.call, 'vhd.check', path=host.path('vm/h.vhdx'))
    fails(LOCKED, f'in use by job {job["job"]}', c.call, 'vhd.create', path=host.path('vm/x'), size_bytes=1, force=True)
    assert c.call('vm.stop', vm='h', force=True)['state'] == 'Off'
    assert 'turned off' in starting.answer(waiting)['error']['message']
    c.call('job.cancel', job=job['job'])
    ended(c, job, 'Cancelled')
    assert host.left_in_run_dir() == [] and running_process(host) == []


def locked_elsewhere(host):
    """an image that another program has locked: named by its process"""
    c = start(host)
    path = image(host, 'a')
    with open(path, 'r+b') as f:
        fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
        fails(LOCKED, f'process {os.getpid()} (', c.call, 'vhd.check', path=path)
        assert c.call('vhd.info', path=path)


def create_with_disks(host):
    """vm.create with disks to be made: first the images, by jobs, then the VM; what fails leaves neither"""
    c = start(host)
    a, b = host.path('vm/a.vhdx'), host.path('vm/b.img')

    def create(name, *new, paths=(a, b), **more):
        return c.call('vm.create', new_disks=[{'path': p, 'size_bytes': 1 << 20} for p in new],
                      config=host.config(name, scsi=[{'drives': [drive(n, p) for n, p in enumerate(paths)]}], **more))

    def no(code, words, *args, **more):
        before = listing(host)
        fails(code, words, create, *args, **more)
        assert listing(host) == before and [v['name'] for v in c.call('vm.list')['vms']] == vms

    vms = []
    no(INVALID, 'is to be made, but is none of its disks', 'a', a, b, paths=(a,))
    no(INVALID, 'the same file', 'a', a, paths=(a, a))
    no(INVALID, 'name', 'a/b', a, b)
    no(NOT_FOUND, 'make the folder first', 'a', a, host.path('none/c.img'), paths=(a, host.path('none/c.img')))
    no(EXISTS, 'exists already', 'a', a, a)
    fails(INVALID, 'size_bytes', c.call, 'vm.create', config=host.config('a'), new_disks=[{'path': a, 'size_bytes': 0}])
    fails(INVALID, 'must be an object', c.call, 'vm.create', config=host.config('a'), new_disks=['a'])
    assert create('a', a, b)['state'] == 'Off' and listing(host) == ['a.vhdx', 'b.img']
    vms = ['a']
    assert [j['state'] for j in c.call('job.list')['jobs'][-2:]] == ['Completed', 'Completed']
    other = host.path('vm/c.vhdx')
    no(EXISTS, 'called a already', 'a', other, paths=(other,))
    no(EXISTS, 'exists already', 'b', other, b, paths=(other, b))
    # Two at once for one name: one is made, the other and its image are not.
    more = [host.client() for _ in range(2)]
    sent = [m.send('vm.create', {'config': host.config('c', scsi=[{'drives': [drive(0, host.path(f'vm/{i}.img'))]}]),
                                 'new_disks': [{'path': host.path(f'vm/{i}.img'), 'size_bytes': 512}]})
            for i, m in enumerate(more)]
    answers = [m.answer(s) for m, s in zip(more, sent)]
    assert ['result' in m for m in answers].count(True) == 1, answers
    kept_one = [i for i, m in enumerate(answers) if 'result' in m][0]
    assert listing(host) == sorted(['a.vhdx', 'b.img', f'{kept_one}.img'])
    host.stop()
    c = start(host, vmvhd='/nonexistent')
    vms = ['a', 'c']
    no(NOT_FOUND, 'vmvhd in vmms.conf(5)', 'b', other, paths=(other,))


def vmms_ends_while_a_disk_is_made(host):
    """SIGTERM while an image is made for a VM: neither is there"""
    hangs = host.file('hangs', b'#!/bin/sh\nexec sleep 1000\n')
    os.chmod(hangs, 0o755)
    c = start(host, vmvhd=hangs)
    other = host.path('vm/c.vhdx')
    c.send('vm.create', {'config': host.config('c', scsi=[{'drives': [drive(0, other)]}]),
                         'new_disks': [{'path': other, 'size_bytes': 512}]})
    watcher = host.client()
    while not watcher.call('job.list')['jobs']:
        pass
    assert watcher.call('job.list')['jobs'][0]['state'] == 'Running'
    host.stop()
    assert listing(host) == []
    assert start(host).call('vm.list')['vms'] == []


# ---- the real process ----

def kept(host):
    """the last hundred jobs are kept, and their numbers never come again"""
    os.makedirs(host.path('vm'))
    host.settings(kvm_device='/dev/null', vmvhd=VMVHD)
    c = host.start()
    for i in range(105):
        ended(c, c.call('vhd.create', path=host.path(f'vm/{i}'), size_bytes=4096), 'Completed')
    assert [j['job'] for j in c.call('job.list')['jobs']] == list(range(6, 106))
    assert len(os.listdir(host.path('state/jobs'))) == 100
    host.kill()
    c = host.start()
    assert [j['job'] for j in c.call('job.list')['jobs']] == list(range(6, 106))
    assert c.call('vhd.check', path=host.path('vm/0'))['job'] == 106
    assert len(listing(host)) == 105


if __name__ == '__main__':
    VMVHD = os.path.abspath(sys.argv.pop(3))
    sys.exit(main([a_job, bad_processes, flood, too_many, vmms_is_killed, records, parents, vm_start, vm_start_fails,
                   locked_elsewhere, create_with_disks, vmms_ends_while_a_disk_is_made, kept], os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])))
