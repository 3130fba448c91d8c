#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vmms as its clients see it, over workers that have no VM (fake_vmwp.py).

usage: test_vmms.py VMMS VMWP [TEST]...
"""
import fcntl
import json
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from storm import storm  # noqa: E402
from vmmslib import RpcError, check_schema, drive, fails, main  # noqa: E402

NOT_FOUND, EXISTS, DENIED, WRONG_STATE, LOCKED, TIMED_OUT = -32001, -32002, -32003, -32004, -32005, -32006
FAILED, LIMIT, GONE, NO_SERVICE, INVALID = -32000, -32007, -32008, -32010, -32602


def make(host, c, *names, **more):
    """Creates VMs and starts them; their ids."""
    ids = []
    for name in names:
        ids.append(c.call('vm.create', config=host.config(name, **more))['id'])
        c.call('vm.start', vm=name)
    return ids if len(ids) > 1 else ids[0]


def wait_off(c, name):
    return c.call('vm.wait', vm=name, **{'for': 'off'}, timeout_s=20)


# ---- configurations ----

def configurations(host):
    """create, list, show, set and delete, and what they refuse"""
    c = host.start()
    fails(INVALID, 'memory: 3M is below the minimum of 8M', c.call, 'vm.create',
          config=dict(host.config('a'), memory={'bytes': 3 << 20}))
    fails(INVALID, "'config' is missing", c.call, 'vm.create')
    fails(INVALID, "there is no 'colour' here", c.call, 'vm.list', colour='red')
    fails(INVALID, "must be of type string", c.call, 'vm.show', vm=7)
    fails(NOT_FOUND, "there is no VM 'x'", c.call, 'vm.show', vm='x')
    assert c.call('vm.list')['vms'] == []
    b = c.call('vm.create', config=host.config('b'))
    a = c.call('vm.create', config=host.config('a', notes='first'))
    fails(EXISTS, 'called a already', c.call, 'vm.create', config=host.config('a'))
    assert [v['name'] for v in c.call('vm.list')['vms']] == ['a', 'b']
    assert c.call('vm.show', vm=a['id'].upper())['config']['notes'] == 'first'
    fails(EXISTS, 'called a already', c.call, 'vm.set', vm='b', patch={'name': 'a'})
    fails(INVALID, 'colour: there is no such member', c.call, 'vm.set', vm='b', patch={'colour': 1})
    assert c.call('vm.set', vm='b', patch={'name': '0', 'memory': {'bytes': 16 << 20}})['name'] == '0'
    assert [v['name'] for v in c.call('vm.list')['vms']] == ['0', 'a']
    with open(host.path(f'state/vms/{b["id"]}/config.json'), encoding='utf-8') as f:
        assert json.load(f)['memory']['bytes'] == 16 << 20
    c.call('vm.delete', vm='0')
    fails(NOT_FOUND, 'there is no VM', c.call, 'vm.delete', vm='0')
    assert sorted(os.listdir(host.path('state/vms'))) == [a['id']]
    host.kill()
    c = host.start()
    assert [v['name'] for v in c.call('vm.list')['vms']] == ['a']


def leftovers(host):
    """what a crash left is removed, a broken configuration refused by name, whole VMs kept"""
    c = host.start()
    a, b = (c.call('vm.create', config=host.config(n))['id'] for n in 'ab')
    host.kill()
    vms = host.path('state/vms')
    for name in (f'.new-{a}', f'.del-{b}'):
        os.makedirs(f'{vms}/{name}/checkpoints/deep')
        host.file(f'state/vms/{name}/config.json', b'{')
    host.file(f'state/vms/{a}/config.json.new', b'{"sch')
    host.file(f'state/vms/{b}/config.json', b'{"schema": 1,\n "name": "b", oops}')
    os.makedirs(host.path('run/vms/00000000-0000-0000-0000-000000000001'))
    host.file('run/vms/00000000-0000-0000-0000-000000000001/worker.sock', b'')
    c = host.start()
    assert [v['name'] for v in c.call('vm.list')['vms']] == ['a']
    assert sorted(os.listdir(vms)) == sorted([a, b])
    assert os.listdir(f'{vms}/{a}') == ['config.json']
    assert f'{b}/config.json: line 2, column' in host.logged()
    assert host.left_in_run_dir() == []


def settings(host):
    """wrong options and settings, and folders that cannot be: one line, nothing left"""
    for text, words in ((b'{', 'line 1'), (b'[]', 'must hold a JSON object'), (b'{"colour": 1}', 'no such setting'),
                        (b'{"state_dir": "x"}', 'absolute path'), (b'{"log_level": "loud"}', 'log_level'),
                        (b'{"sandbox": "maybe"}', 'on or off'), (b'{"sandbox": true}', 'on or off'),
                        (b'{"worker_uids": "0-5"}', 'FIRST-LAST'), (b'{"worker_uids": "9-5"}', 'FIRST-LAST'),
                        (b'{"worker_uids": "5"}', 'FIRST-LAST'), (b'{"worker_uids": "5-9x"}', 'FIRST-LAST'),
                        (b'{"worker_uids": "1-4294967295"}', 'FIRST-LAST')):
        host.file('vmms.conf', text)
        status, said = host.run_to_end()
        assert status == 1 and words in said and said.count('\n') == 1, said
    os.unlink(host.conf)
    status, said = host.run_to_end()
    assert status == 1 and 'vmms.conf: No such file' in said, said
    host.settings()
    status, said = host.run_to_end('--run-dir', '/tmp/' + 'x' * 100)
    assert status == 1 and 'too long' in said and not os.path.exists('/tmp/' + 'x' * 100), said
    status, said = host.run_to_end('--state-dir', host.kernel)
    assert status == 1 and 'Not a directory' in said and said.count('\n') == 1, said
    assert host.run_to_end('--bogus')[0] == 2
    assert host.run_to_end('more')[0] == 2


def second(host):
    """a second vmms on the same socket or state folder is refused with the first one's pid"""
    c = host.start()
    for more, what in (((), 'socket'), (('--socket', host.path('s2')), 'state folder'),
                       (('--socket', host.path('s2'), '--state-dir', host.path('st2')), 'run folder')):
        status, said = host.run_to_end(*more)
        assert status == 1 and f'(pid {host.process.pid}) uses the {what}' in said, said
        assert said.count('\n') == 1, said
    assert c.call('vm.list') == {'vms': []}
    assert stat.S_ISSOCK(os.stat(host.socket).st_mode)


# ---- a run ----

def a_run(host):
    """a worker gets its descriptors and nothing else; the VM runs, stops, and leaves nothing in the run folder"""
    c = host.start()
    vm = c.call('vm.create', config=host.config('web1', scsi=[
        {'drives': [drive(0, host.file('d')), {'lun': 1, 'kind': 'dvd', 'path': None}]}]))
    fails(WRONG_STATE, 'cannot pause web1: it is Off; start it first', c.call, 'vm.pause', vm='web1')
    fails(WRONG_STATE, 'start it first', c.call, 'vm.console', vm='web1')
    assert c.call('vm.start', vm='web1')['state'] == 'Running'
    fails(WRONG_STATE, 'started already', c.call, 'vm.start', vm='web1')
    fails(WRONG_STATE, 'stop it first', c.call, 'vm.delete', vm='web1')
    facts = host.worker(vm['id']).call('test.facts')
    assert facts['argv'][:6] == ['--control-fd', '3', '--name', 'web1', '--id', vm['id']], facts
    assert facts['argv'][6:7] == ['--sandbox'] and facts['argv'][7] in ('full', 'user', 'bare'), facts
    assert facts['open_at_start'] == [3, 4], facts  # 4: the listing of the folder itself
    assert facts['roles'] == ['console_log', 'console_pty', 'console_pty_peer', 'console_socket', 'kernel', 'kvm',
                              'report', 'scsi/0/0']
    assert facts['stdin'] == '/dev/null' and facts['stdout'].endswith(f'{vm["id"]}/vm.log')
    assert 'NOTIFY_SOCKET' not in facts['env']
    shown = c.call('vm.show', vm='web1')
    assert os.getsid(shown['worker_pid']) == shown['worker_pid'] != os.getsid(0)
    assert facts['config'] == shown['config'] and shown['status']['vmbus_version'] == '5.3'
    where = c.call('vm.console', vm='web1')
    assert where == {'socket': shown['console_socket'], 'pty': shown['console_pty']}
    assert stat.S_ISSOCK(os.stat(where['socket']).st_mode) and stat.S_ISCHR(os.stat(where['pty']).st_mode)
    assert c.call('vm.stop', vm='web1')['reason'] == 'guest shut down'
    assert host.left_in_run_dir() == []
    assert c.call('vm.log', vm='web1', lines=1)['lines'] == ['fake worker of web1 begins']
    fails(WRONG_STATE, 'nothing to stop', c.call, 'vm.stop', vm='web1')
    c.call('vm.start', vm='web1')
    assert c.call('vm.stop', vm='web1', force=True)['reason'] == 'turned off'
    c.call('vm.delete', vm='web1')


def states(host):
    """pause, resume, reset and restart, and the events of them"""
    c = host.start()
    make(host, c, 'a')
    assert c.call('vm.pause', vm='a')['state'] == 'Paused'
    fails(WRONG_STATE, 'resume it first', c.call, 'vm.stop', vm='a')
    fails(WRONG_STATE, 'is Paused', c.call, 'vm.pause', vm='a')
    assert c.call('vm.resume', vm='a')['state'] == 'Running'
    c.call('vm.reset', vm='a')
    assert c.call('vm.show', vm='a')['status']['resets'] == 1
    assert c.call('vm.restart', vm='a')['state'] == 'Running'
    assert c.call('vm.show', vm='a')['status']['resets'] == 2
    c.call('vm.restart', vm='a', force=True)
    assert c.call('vm.show', vm='a')['status']['resets'] == 3
    seen = [e['state'] for e in c.call('events.next', after=0)['events'] if e['type'] == 'state']
    assert seen == ['Starting', 'Running', 'Paused', 'Running', 'Resetting', 'Running'], seen


def stubborn(host):
    """a guest that does not shut down, has no such service, or a worker that does not end"""
    c = host.start()
    make(host, c, 'deaf-1', 'noic-1', 'wedged-1')
    other = host.client()
    fails(TIMED_OUT, 'did not shut down within 1 s; try again, or turn it off with --force', c.call, 'vm.stop',
          vm='deaf-1', timeout_s=1)
    assert other.call('vm.show', vm='deaf-1')['state'] == 'Running'
    fails(TIMED_OUT, 'did not restart within 0 s', c.call, 'vm.restart', vm='deaf-1', timeout_s=0)
    fails(NO_SERVICE, 'no shutdown integration service', c.call, 'vm.stop', vm='noic-1')
    waiting = c.send('vm.stop', {'vm': 'deaf-1'})
    while other.call('vm.show', vm='deaf-1')['state'] != 'Stopping':
        pass
    other.call('vm.stop', vm='deaf-1', force=True)
    assert c.answer(waiting)['result']['state'] == 'Off'
    assert c.call('vm.stop', vm='wedged-1', force=True)['reason'] == 'turned off'
    assert host.left_in_run_dir() == [c.call('vm.show', vm='noic-1')['id']]


def services(host):
    """while it runs, what can changes at once, the rest waits for its next start, over a restart of vmms too"""
    c = host.start()
    id_ = make(host, c, 'a')
    w = host.worker(id_)
    for devices in ({'scsi': [{}]}, {'nics': [{'kind': 'none'}]}):
        fails(WRONG_STATE, 'change one at a time', c.call, 'vm.set', vm='a', patch=devices)
    said = c.call('vm.set', vm='a', patch={'name': 'b', 'notes': 'n', 'integration': {'heartbeat': False}})
    assert (said['applied'], said['pending']) == (['name', 'notes', 'integration'], []), said
    assert w.call('test.facts')['services'] == [['heartbeat', False]]
    said = c.call('vm.set', vm='b', patch={'tags': ['x'], 'memory': {'bytes': 16 << 20}, 'boot': {'cmdline': 'a'}})
    assert (said['applied'], said['pending']) == (['tags'], ['memory', 'boot']), said
    said = c.call('vm.set', vm='b', patch={'boot': {'cmdline': ''}})
    assert (said['applied'], said['pending']) == (['boot'], ['memory']), said
    host.kill()
    c = host.start()
    shown = c.call('vm.show', vm='b')
    assert (shown['config']['memory'], shown['pending'], shown['memory_bytes']) == ({'bytes': 16 << 20}, ['memory'], 8 << 20)
    said = c.call('vm.set', vm='b', patch={'processors': {'count': 2}, 'group': 'g'})
    assert (said['applied'], said['pending']) == (['group'], ['processors', 'memory']), said
    assert w.call('test.facts')['config']['memory'] == {'bytes': 8 << 20}
    c.call('vm.stop', vm='b')
    shown = c.call('vm.show', vm='b')
    assert (shown['pending'], shown['memory_bytes'], shown['processors']) == ([], 16 << 20, 2)
    said = c.call('vm.set', vm='b', patch={'disk_channels': 2})
    assert (said['applied'], said['pending']) == (['disk_channels'], []), said
    c.call('vm.start', vm='b')
    facts = host.worker(id_).call('test.facts')
    assert (facts['config']['memory'], facts['config']['processors']) == ({'bytes': 16 << 20}, {'count': 2})


def refused_service(host):
    """an integration service that the worker cannot switch waits for the next start, and the answer says so"""
    c = host.start()
    make(host, c, 'serviceless-1')
    said = c.call('vm.set', vm='serviceless-1', patch={'notes': 'n', 'integration': {'heartbeat': False}})
    assert (said['applied'], said['pending']) == (['notes'], ['integration']), said
    assert c.call('vm.show', vm='serviceless-1')['pending'] == ['integration']
    c.call('vm.set', vm='serviceless-1', patch={'integration': {'heartbeat': True}})
    assert c.call('vm.show', vm='serviceless-1')['pending'] == []


def groups_and_tags(host):
    """vm.list of a group, of a tag, of both"""
    c = host.start()
    for name, group, tags in (('a', 'x', ['t']), ('b', 'x', ['t', 'u']), ('c', None, ['u']), ('d', None, [])):
        c.call('vm.create', config=host.config(name, group=group, tags=tags))
    for params, names in (({}, 'abcd'), ({'group': 'x'}, 'ab'), ({'tag': 'u'}, 'bc'), ({'group': 'x', 'tag': 'u'}, 'b'),
                          ({'group': 'none'}, ''), ({'tag': 'T'}, '')):
        assert ''.join(v['name'] for v in c.call('vm.list', **params)['vms']) == names, params
    c.call('vm.set', vm='a', patch={'group': None, 'tags': []})
    assert [v['name'] for v in c.call('vm.list', group='x')['vms']] == ['b']


# ---- workers that fail ----

BAD_STARTS = (
    ('garbage-1', 'worker sent what is not JSON-RPC'),
    ('foreign-1', 'says that it is another VM'),
    ('dies-1', 'worker ended with status 3 and no report'),
    ('refuses-1', 'neither a bzImage nor a PVH ELF'),
    ('leaves-1', 'the kernel has no 64-bit entry'),
)


def bad_workers(host):
    """a worker that fails while it starts: the start says why, the VM is Off with it, nothing is left"""
    c = host.start()
    for name, words in BAD_STARTS:
        c.call('vm.create', config=host.config(name))
        try:
            c.call('vm.start', vm=name)
            raise AssertionError(f'{name} started')
        except RpcError as e:
            assert words in e.message and e.message.startswith(f'cannot start {name}: '), e.message
        vm = c.call('vm.show', vm=name)
        assert vm['state'] == 'Off' and vm['health'] == 'Critical' and words in vm['reason'], vm
        assert vm['worker_pid'] is None
    assert host.left_in_run_dir() == []
    host.stop()
    c = host.start()
    for name, words in BAD_STARTS:
        assert words in c.call('vm.show', vm=name)['reason']


def mute(host):
    """a worker that never answers holds nobody up, and can be turned off while it starts"""
    c, other = host.start(), host.client()
    c.call('vm.create', config=host.config('mute-1'))
    c.call('vm.create', config=host.config('b'))
    starting = c.send('vm.start', {'vm': 'mute-1'})
    assert other.call('vm.start', vm='b')['state'] == 'Running'
    assert other.call('vm.show', vm='mute-1')['state'] == 'Starting'
    fails(WRONG_STATE, 'it is Starting', other.call, 'vm.pause', vm='mute-1')
    assert other.call('vm.stop', vm='mute-1', force=True)['state'] == 'Off'
    assert 'turned off' in c.answer(starting)['error']['message']
    host.stop()
    c = host.start()
    starting = c.send('vm.start', {'vm': 'mute-1'})
    m = c.answer(starting)
    assert m['error']['code'] == TIMED_OUT and 'did not answer worker.hello in time' in m['error']['message'], m


def flood(host):
    """a worker that sends without end is read from at a bounded rate, and slows only itself"""
    c = host.start()
    seq = c.call('events.next', after=0, timeout_s=0)['seq']
    make(host, c, 'floods-1', 'b')
    for _ in range(50):
        begin = time.monotonic()
        c.call('vm.list')
        assert time.monotonic() - begin < 5  # a stall would be for ever
    c.call('vm.stop', vm='floods-1', force=True)
    c.call('vm.stop', vm='b')
    assert c.call('events.next', after=seq)['seq'] - seq < 200 * 10


def killed(host):
    """SIGKILL of one worker: that VM is Off with its reason, the others do not notice"""
    c = host.start()
    ids = make(host, c, 'a', 'b')
    pid = {n: c.call('vm.show', vm=n)['worker_pid'] for n in 'ab'}
    os.kill(pid['a'], signal.SIGKILL)
    a = wait_off(c, 'a')
    assert a['health'] == 'Critical' and a['reason'] == 'worker was killed by signal 9 (Killed)', a
    b = c.call('vm.show', vm='b')
    assert b['state'] == 'Running' and b['worker_pid'] == pid['b']
    assert host.left_in_run_dir() == [ids[1]]
    host.stop()
    c = host.start()
    assert c.call('vm.show', vm='a')['reason'] == a['reason']
    assert c.call('vm.start', vm='a')['reason'] is None


def status_of_guest(host):
    """what a worker says of its guest: crash, health, heartbeat; what is no status changes nothing"""
    c = host.start()
    id_ = make(host, c, 'a')
    w = host.worker(id_)
    seq = c.call('events.next', after=0)['seq']
    crash = {'count': 1, 'params': ['0x1'] * 5, 'text': 'Kernel panic:\x1b[31m not\nsyncing'}
    w.call('test.changed', health='Critical', reason='the guest crashed', crash=crash, heartbeat='Lost communication')
    c.call('vm.show', vm='a')  # goes the same way as the notification, so behind it
    events = c.call('events.next', after=seq)
    kinds = {e['type']: e['message'] for e in events['events']}
    assert kinds['guest'] == 'a: the guest crashed: Kernel panic: [31m not syncing', kinds
    assert kinds['health'] == 'a: health Critical: the guest crashed'
    a = c.call('vm.list')['vms'][0]
    assert (a['health'], a['heartbeat'], a['reason']) == ('Critical', 'Lost communication', 'the guest crashed')
    for bad in ({'state': 'Melting'}, {'state': None}, {'health': 7}, {'state': []}):
        w.call('test.changed', **bad)
        assert c.call('vm.show', vm='a')['state'] == 'Running'
        w.call('test.changed', state='Running', health='Ok')
    w.call('test.changed', channels=['x' * 1000] * 400)
    c.call('vm.show', vm='a')
    assert 'status that is none: File too large' in host.logged()
    w.call('test.changed', channels=[])
    w.call('test.raw', text='{"jsonrpc": "2.0", "method": "vm.unheard", "params": 3}\n')
    assert c.call('vm.show', vm='a')['health'] == 'Ok'


def worker_hangs_up(host):
    """a worker that closes its socket, or talks nonsense, is asked again; its VM goes on"""
    c = host.start()
    id_ = make(host, c, 'a')
    w = host.worker(id_)
    for trouble in (('test.hang_up', {}), ('test.raw', {'text': 'nonsense\n'}),
                    ('test.raw', {'text': '{"jsonrpc": "2.0", "id": 1, "method": "vm.list"}\n'})):
        w.call(trouble[0], **trouble[1])
        seq = c.call('events.next', after=0)['seq']
        for _ in range(100):
            w.call('test.changed', vmbus_version='4.0')
            w.call('test.changed', vmbus_version='5.0')
            if c.call('events.next', after=seq, timeout_s=1)['events']:
                break
        else:
            raise AssertionError(f'{trouble}: vmms does not hear its worker any more')
        assert c.call('vm.list')['vms'][0]['state'] == 'Running'


# ---- survival ----

def adoption(host):
    """SIGKILL of vmms while three VMs run: the next one lists them Running and can stop each"""
    c = host.start()
    names = ['a', 'b', 'c']
    ids = make(host, c, *names)
    pids = [c.call('vm.show', vm=n)['worker_pid'] for n in names]
    host.kill()
    host.worker(ids[2]).call('test.changed', heartbeat='No contact')
    c = host.start()
    for n, pid, beat in zip(names, pids, ('Ok', 'Ok', 'No contact')):
        vm = c.call('vm.show', vm=n)
        assert (vm['state'], vm['worker_pid'], vm['heartbeat']) == ('Running', pid, beat), vm
        assert stat.S_ISCHR(os.stat(vm['console_pty']).st_mode)
    host.stop()
    assert 'go on without vmms: 3' in host.logged()
    c = host.start()
    for n in names:
        assert c.call('vm.stop', vm=n)['reason'] == 'guest shut down'
    assert host.left_in_run_dir() == []


def ended_meanwhile(host):
    """workers that end while no vmms is there: Off, with what they reported or that they did not"""
    c = host.start()
    ids = make(host, c, 'a', 'b', 'c', 'd')
    pids = {n: c.call('vm.show', vm=n)['worker_pid'] for n in 'abcd'}
    host.kill()
    watch = {n: os.pidfd_open(p) for n, p in pids.items()}
    host.worker(ids[0]).send('test.end', {'reason': 'guest shut down'})
    os.kill(pids['b'], signal.SIGKILL)
    os.kill(pids['c'], signal.SIGKILL)
    for n in 'abc':
        wait_pidfd(watch[n])
    # The record of c now names a process that is not its worker: the pid was given away again.
    with open(host.path(f'run/vms/{ids[2]}/worker.json'), 'r+', encoding='utf-8') as f:
        record = json.load(f)
        record['pid'] = os.getpid()
        f.seek(0)
        json.dump(record, f)
        f.truncate()
    c = host.start()
    found = {v['name']: (v['state'], v['health'], v['reason']) for v in c.call('vm.list')['vms']}
    assert found['a'] == ('Off', 'Ok', 'guest shut down'), found
    assert found['b'] == found['c'] == ('Off', 'Critical', 'worker ended while vmms was not running'), found
    assert found['d'][0] == 'Running'
    assert host.left_in_run_dir() == [ids[3]]
    os.kill(pids['d'], signal.SIGKILL)
    # Not its child: how it ended is known where the kernel tells (Linux 6.15, or before it is reaped).
    reason = wait_off(c, 'd')['reason']
    assert reason == 'worker was killed by signal 9 (Killed)' or 'ended unexpectedly' in reason, reason
    for fd in watch.values():
        os.close(fd)


def wait_pidfd(fd):
    assert select.select([fd], [], [], 20)[0], 'the process does not end'


def cut_short(host):
    """vmms killed while a worker starts: the next one ends that worker, whom nobody was promised"""
    c = host.start()
    id_ = c.call('vm.create', config=host.config('mute-1'))['id']
    c.send('vm.start', {'vm': 'mute-1'})
    while host.client().call('vm.show', vm='mute-1')['state'] != 'Starting':
        pass
    pid = host.client().call('vm.show', vm='mute-1')['worker_pid']
    host.kill()
    # Mute towards everybody: the next vmms cannot know, and leaves it alone.
    c = host.start()
    assert c.call('vm.show', vm='mute-1')['worker_pid'] == pid
    c.call('vm.stop', vm='mute-1', force=True)
    assert host.left_in_run_dir() == []
    # One that answers says that it was never set up.
    host.kill()
    os.makedirs(host.path(f'run/vms/{id_}'))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(host.path(f'run/vms/{id_}/worker.sock'))
    listener.listen()
    p = subprocess.Popen([host.vmwp, '--control-fd', str(listener.fileno()), '--name', 'x', '--id', id_],
                         pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL)
    with open(f'/proc/{p.pid}/stat', encoding='utf-8') as f:
        start = int(f.read().rsplit(')', 1)[1].split()[19])
    with open(host.path(f'run/vms/{id_}/worker.json'), 'w', encoding='utf-8') as f:
        json.dump({'pid': p.pid, 'starttime': start, 'console_pty': ''}, f)
    listener.close()
    c = host.start()
    assert p.wait(20) == -signal.SIGKILL
    assert 'cut short' in wait_off(c, 'mute-1')['reason']
    assert host.left_in_run_dir() == []


# ---- what a start needs ----

def wrong_use(host):
    """missing and locked images, kernels, devices: one line that says what, why and what to do; nothing is left"""
    disk, fifo = host.file('disk'), host.path('fifo')
    os.mkfifo(fifo)
    c = host.start()

    def start(words, code=FAILED, **more):
        c.call('vm.create', config=host.config('t', **more))
        fails(code, words, c.call, 'vm.start', vm='t')
        assert c.call('vm.show', vm='t')['state'] == 'Off'
        c.call('vm.delete', vm='t')

    def disks(*paths, **more):
        return [{'drives': [drive(n, p, **more) for n, p in enumerate(paths)]}]

    start('it has nothing to boot', INVALID, boot={})
    start(f'the kernel {host.dir}/none cannot be opened: No such file', NOT_FOUND,
          boot={'kernel': host.path('none')})
    start('is no regular file', INVALID, boot={'kernel': host.dir})
    start(f'the disk {host.dir}/none cannot be opened: No such file or directory; make it, or name another',
          NOT_FOUND, scsi=disks(host.path('none')))
    start('neither a regular file nor a block device', INVALID, scsi=disks(fifo))
    link = host.path('link')
    os.symlink(host.file('other'), link)
    c.call('vm.create', config=host.config('t', scsi=disks(disk, link)))
    os.unlink(link)
    os.symlink(disk, link)
    fails(LOCKED, f'0:0 and 0:1 are the same file, {link}', c.call, 'vm.start', vm='t')
    c.call('vm.delete', vm='t')
    make(host, c, 'user', scsi=disks(disk))
    start(f'the image {disk} is in use by the VM user', LOCKED, scsi=disks(disk))
    start(f'the image {disk} is in use by the VM user', LOCKED, scsi=disks(disk, read_only=True))
    c.call('vm.stop', vm='user', force=True)
    with open(disk, 'r+b') as f:
        fcntl.fcntl(f, fcntl.F_SETLK, struct_flock(fcntl.F_WRLCK))
        start(f'in use by process {os.getpid()}', LOCKED, scsi=disks(disk))
    make(host, c, 'r1', 'r2', scsi=disks(disk, disk, read_only=True))
    start('in use by the VM r1', LOCKED, scsi=disks(disk))
    assert len(host.left_in_run_dir()) == 2
    host.kill()
    c = host.start()
    start('in use by the VM r1', LOCKED, scsi=disks(disk))
    for name in ('r1', 'r2'):
        c.call('vm.stop', vm=name, force=True)
    host.stop()
    for device, words in ((host.path('none'), 'No such file or directory; load the kvm_intel'),
                          (host.dir, 'Is a directory')):
        host.settings(kvm_device=device)
        c = host.start()
        start(words, NOT_FOUND if 'none' in device else FAILED)
        host.stop()
    host.settings(kvm_device='/dev/null')
    c = host.start('--vmwp', host.path('none'))
    start('--vmwp', NOT_FOUND)
    assert host.left_in_run_dir() == []
    fails(NOT_FOUND, 'the host cannot be checked', c.call, 'host.check')


def struct_flock(kind):
    return struct.pack('hhqqi4x', kind, os.SEEK_SET, 0, 0, 0)


# ---- waiting ----

def waiting(host):
    """vm.wait: the state, the heartbeat, the time, the end of the VM, the client that leaves"""
    c, other = host.start(), host.client()
    id_ = c.call('vm.create', config=host.config('a'))['id']
    w1 = c.send('vm.wait', {'vm': 'a', 'for': 'running'})
    fails(TIMED_OUT, 'a did not become paused within 0 s', other.call, 'vm.wait', vm='a', **{'for': 'paused'},
          timeout_s=0)
    fails(WRONG_STATE, 'a is Off', other.call, 'vm.wait', vm='a', **{'for': 'heartbeat'})
    fails(INVALID, 'must be one of', other.call, 'vm.wait', vm='a', **{'for': 'lunch'})
    other.call('vm.start', vm='a')
    assert c.answer(w1)['result']['state'] == 'Running'
    w = host.worker(id_)
    w.call('test.changed', heartbeat='No contact')
    w2 = c.send('vm.wait', {'vm': 'a', 'for': 'heartbeat'})
    other.call('vm.list')
    w.call('test.changed', heartbeat='Ok')
    assert c.answer(w2)['result']['heartbeat'] == 'Ok'
    leaving = host.client()
    leaving.send('vm.wait', {'vm': 'a', 'for': 'paused', 'timeout_s': 86400})
    leaving.send('vm.stop', {'vm': 'a', 'timeout_s': 86400})
    leaving.close()
    assert wait_off(other, 'a')['state'] == 'Off'
    w3 = c.send('vm.wait', {'vm': 'a', 'for': 'running'})
    c.send('vm.list')
    other.call('vm.delete', vm='a')
    assert 'a was deleted' in c.answer(w3)['error']['message']
    # A VM that ends ends the waits that it cannot fulfil any more.
    make(host, other, 'b')
    w4 = c.send('vm.wait', {'vm': 'b', 'for': 'paused'})
    other.call('vm.stop', vm='b', force=True)
    assert 'b is Off: turned off' in c.answer(w4)['error']['message']


def events(host):
    """events: numbers that go on over a restart, a backlog, subscribers, a number that is too old"""
    c = host.start()
    first = c.call('events.next', after=0, timeout_s=0)
    assert first['events'] == [] and not first['lost']
    waiting_ = c.send('events.next', {'after': first['seq']})
    other = host.client()
    other.call('vm.create', config=host.config('a'))
    got = c.answer(waiting_)['result']
    assert [e['type'] for e in got['events']] == ['created'] and got['events'][0]['seq'] == first['seq'] + 1
    sub = host.client()
    assert sub.call('events.subscribe', since=first['seq'])['lost'] is False
    assert sub.note()['params'] == got['events'][0]
    other.call('vm.set', vm='a', patch={'notes': 'x'})
    note = sub.note()
    assert note['method'] == 'event' and note['params']['type'] == 'changed'
    check_schema(note['params'], host.schemas['events.next']['properties']['events']['items'], 'event')
    for n in range(1100):
        other.call('vm.set', vm='a', patch={'notes': str(n)})
    late = c.call('events.next', after=got['seq'])
    assert late['lost'] and len(late['events']) == 1024
    host.kill()
    c = host.start()
    again = c.call('events.next', after=late['seq'], timeout_s=0)
    assert again['lost'] and again['seq'] > late['seq']
    assert c.call('events.next', after=2 ** 62, timeout_s=0)['events'] == []


# ---- the wire ----

def wire(host):
    """broken lines, batches, notifications, sizes, too many connections; nobody else notices"""
    c = host.start()
    raw = host.client()
    for text, code in ((b'{', -32700), (b'[]', -32600), (b'7', -32600), (b'{"jsonrpc": "2.0"}', -32600),
                       (b'{"jsonrpc": "1.0", "id": null, "method": "vm.list"}', -32600),
                       (b'{"jsonrpc": "2.0", "id": {}, "method": "vm.list"}', -32600),
                       (b'{"jsonrpc": "2.0", "id": null, "method": "vm.nothing"}', -32601),
                       (b'{"jsonrpc": "2.0", "id": null, "method": "vm.list", "params": 7}', -32602),
                       (b'{"a": 1, "a": 2}', -32700), (b'[' * 100000, -32700), (b'\xff', -32700)):
        raw.raw(text + b'\n')
        m = raw.line()
        assert m['id'] is None and m['error']['code'] == code, (text[:60], m)
    raw.raw(b'{"jsonrpc": "2.0", "method": "vm.list"}\n{"jsonrpc": "2.0", "method": "no"}\n')
    raw.raw(b'[{"jsonrpc": "2.0", "method": "vm.list"}]\n')
    raw.raw(b'[{"jsonrpc": "2.0", "id": "x", "method": "host.info"}, 5, {"jsonrpc": "2.0", "id": 2, "method": '
            b'"vm.show", "params": ["nobody"]}, {"jsonrpc": "2.0", "method": "vm.list"}]\n')
    answers = {json.dumps(m['id']): m for m in raw.line()}
    assert len(answers) == 3 and answers['"x"']['result']['vms'] == 0
    assert answers['2']['error']['code'] == NOT_FOUND and answers['null']['error']['code'] == -32600
    raw.raw(b'{"jsonrpc": "2.0", "id": 1, "method": "vm.list"' + b' ' * (1 << 20) + b'}\n')
    assert raw.line()['error']['code'] == -32600
    assert raw.sock.recv(10) == b''
    half = host.client()
    half.raw(b'{"jsonrpc": "2.0", "id": 1, "method": "vm.list"}\n{"jsonrpc": "2.0"')
    half.sock.shutdown(socket.SHUT_WR)
    assert half.line()['result'] == {'vms': []}
    assert half.sock.recv(10) == b''
    lots = [host.client() for _ in range(260)]
    refused = 0
    for k in lots:
        try:
            k.raw(b'{"jsonrpc": "2.0", "id": 1, "method": "vm.list"}\n')
            refused += 'error' in k.line()
        except (BrokenPipeError, ConnectionResetError):
            refused += 1
    assert 4 <= refused <= 10, refused
    assert c.call('vm.list') == {'vms': []}
    for k in lots:
        k.close()


def slow_reader(host):
    """a client that asks and never reads is held back, one that does not read its events is let go"""
    c = host.start()
    slow, deaf = host.client(), host.client()
    slow.sock.setblocking(False)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += slow.sock.send(b'{"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}\n' * 100)
    except BlockingIOError:
        pass
    assert sent < 8 << 20, sent
    deaf.call('events.subscribe')
    make(host, c, 'a')
    for n in range(600):
        c.call('vm.set', vm='a', patch={'notes': 'x'})
    assert c.call('vm.list')['vms'][0]['state'] == 'Running'


def others(host):
    """another user may not call"""
    if os.geteuid() != 0:
        return
    c = host.start()
    os.chmod(host.dir, 0o755)
    os.chmod(host.path('run'), 0o755)
    os.chmod(host.socket, 0o666)
    # Connects as root would, after it has given all of that up.
    code = ('import os, socket, sys; s = socket.socket(socket.AF_UNIX); os.setgroups([]); os.setgid(65534); '
            'os.setuid(65534); s.connect(sys.argv[1]); print(s.makefile().readline())')
    p = subprocess.run([sys.executable, '-c', code, host.socket], timeout=30, stdout=subprocess.PIPE, check=True)
    e = json.loads(p.stdout)['error']
    assert e['code'] == DENIED and 'only root' in e['message'], e
    assert c.call('vm.list') == {'vms': []}


def of_the_host(host):
    """host.info and host.check; every method that rpc.discover lists has a handler"""
    c = host.start()
    assert c.call('host.info')['pid'] == host.process.pid
    assert c.call('host.check')['ok'] is True
    doc = c.call('rpc.discover')
    assert doc['openrpc'].startswith('1.')
    for m in doc['methods']:
        assert m['summary'] and m['result']['schema']
        if m['name'] not in ('rpc.discover', 'events.next'):
            answer = c.answer(c.send(m['name'], {}))
            assert answer.get('error', {}).get('code') != -32601, m['name']


TESTS = [mute, storm, configurations, leftovers, settings, second, a_run, states, stubborn, services, refused_service, groups_and_tags, bad_workers, flood, killed,
         status_of_guest, worker_hangs_up, adoption, ended_meanwhile, cut_short, wrong_use, waiting, events, wire,
         slow_reader, others, of_the_host]

if __name__ == '__main__':
    sys.exit(main(TESTS, *sys.argv[1:3]))
