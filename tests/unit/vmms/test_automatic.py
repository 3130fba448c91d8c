#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of VMs without anybody asking: after a boot of the host, at its end, and when a worker dies. TAP.

usage: test_automatic.py VMMS FAKE_VMWP [TEST…]
"""
import os
import signal
import sys

sys.dont_write_bytecode = True
from vmmslib import fails, main  # noqa: E402

WRONG_STATE = -32004


def boot(host, number):
    with open(host.path('boot_id'), 'w', encoding='utf-8') as f:
        f.write(f'boot-{number}\n')
    host.settings(kvm_device='/dev/null', boot_id_file=host.path('boot_id'), restart_delay_ms=1)


def make(host, c, name, start=True, **automatic):
    restart = automatic.pop('restart', 'never')
    vm = c.call('vm.create', config=host.config(name, automatic=automatic, restart=restart))['id']
    if start:
        c.call('vm.start', vm=name)
    return vm


def states(c):
    return {v['name']: v['state'] for v in c.call('vm.list')['vms']}


def wait(c, name, state):
    return c.call('vm.wait', vm=name, **{'for': state}, timeout_s=20)


def pid(c, name):
    return c.call('vm.show', vm=name)['worker_pid']


def messages(c, kind='automatic'):
    return [e['message'] for e in c.call('events.next', after=0, timeout_s=0)['events'] if e['type'] == kind]


def power_cut(host, c):
    """Everything that ran ends at once, and nobody sees it: vmms first, then the workers."""
    pids = [p for p in (pid(c, name) for name in states(c)) if p]
    fds = [os.pidfd_open(p) for p in pids]
    host.kill()
    for fd in fds:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    for p, fd in zip(pids, fds):
        while os.path.exists(f'/proc/{p}') and state_of(p) not in 'ZX':
            os.sched_yield()
        os.close(fd)


def state_of(p):
    try:
        with open(f'/proc/{p}/stat', encoding='utf-8') as f:
            return f.read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return 'X'


def after_a_power_cut(host):
    """a new boot starts what ran and what always starts; a vmms that begins again on it starts nothing that was stopped"""
    boot(host, 1)
    c = host.start()
    make(host, c, 'ran', start=True)
    make(host, c, 'did-not', start=False)
    c.call('vm.create', config=host.config('always', automatic={'start': 'always'}))
    c.call('vm.create', config=host.config('nothing', automatic={'start': 'nothing'}))
    c.call('vm.start', vm='nothing')
    make(host, c, 'stopped')
    c.call('vm.stop', vm='stopped')
    power_cut(host, c)
    boot(host, 2)
    c = host.start()
    for name in ('ran', 'always'):
        wait(c, name, 'running')
    assert states(c) == {'ran': 'Running', 'did-not': 'Off', 'always': 'Running', 'nothing': 'Off', 'stopped': 'Off'}
    shown = c.call('vm.show', vm='nothing')
    assert (shown['health'], shown['reason']) == ('Ok', 'the host went down while it ran'), shown
    for name in ('ran', 'always'):
        c.call('vm.stop', vm=name, force=True)
    host.kill()
    c = host.start()
    assert set(states(c).values()) == {'Off'}
    assert messages(c) == []


def a_vmms_that_is_new(host):
    """the first vmms of a state folder, and one that cannot know the boot, start nothing"""
    boot(host, 1)
    c = host.start()
    c.call('vm.create', config=host.config('always', automatic={'start': 'always'}))
    host.stop()
    os.unlink(host.path('state/host.json'))
    c = host.start()
    assert states(c) == {'always': 'Off'}
    host.stop()
    boot(host, 2)
    os.unlink(host.path('boot_id'))
    c = host.start()
    assert states(c) == {'always': 'Off'} and 'boot_id' in host.logged()
    host.stop()
    boot(host, 2)
    c = host.start()
    wait(c, 'always', 'running')


def delays(host):
    """a start that waits goes on with the next vmms; a stop calls it off for good, a start does not wait"""
    boot(host, 1)
    c = host.start()
    for name in 'abcd':
        c.call('vm.create', config=host.config(name, automatic={'start': 'always', 'delay_s': 86400}))
    host.stop()
    boot(host, 2)
    c = host.start()
    assert set(states(c).values()) == {'Off'}
    assert c.call('vm.stop', vm='a')['state'] == 'Off'
    fails(WRONG_STATE, 'nothing to stop', c.call, 'vm.stop', vm='a')
    c.call('vm.start', vm='b')
    c.call('vm.stop', vm='b', force=True)
    host.kill()
    c = host.start()
    for name in 'ab':
        fails(WRONG_STATE, 'nothing to stop', c.call, 'vm.stop', vm=name)
    c.call('vm.set', vm='c', patch={'automatic': {'start': 'nothing'}})
    fails(WRONG_STATE, 'nothing to stop', c.call, 'vm.stop', vm='c')
    c.call('vm.delete', vm='d')
    host.kill()
    c = host.start()
    assert states(c) == dict.fromkeys('abc', 'Off')


def some_at_a_time(host):
    """of many that start, one that hangs holds up no more than one place"""
    boot(host, 1)
    c = host.start()
    names = ['mute-0'] + [f'vm{n}' for n in range(6)]
    for name in names:
        c.call('vm.create', config=host.config(name, automatic={'start': 'always'}))
    host.stop()
    boot(host, 2)
    c = host.start()
    for name in names[1:]:
        wait(c, name, 'running')
    c.call('vm.stop', vm='mute-0', force=True)


def host_goes_down(host):
    """host.stop_vms: each by its action, each in its time; those that ran start after the boot, and no other"""
    boot(host, 1)
    c = host.start()
    make(host, c, 'asked')
    make(host, c, 'turned', stop='turn_off')
    make(host, c, 'deaf-1', stop_timeout_s=0)
    make(host, c, 'noic-1')
    make(host, c, 'paused')
    c.call('vm.pause', vm='paused')
    make(host, c, 'off', start=False)
    how = {v['name']: v['how'] for v in c.call('host.stop_vms')['vms']}
    assert how == {'asked': 'shutdown', 'turned': 'turned_off', 'deaf-1': 'turned_off', 'noic-1': 'turned_off',
                   'paused': 'turned_off'}, how
    assert set(states(c).values()) == {'Off'}
    assert c.call('host.stop_vms') == {'vms': []}
    # One that is started again, by hand, and stopped, did not run when the host went down.
    c.call('vm.start', vm='turned')
    c.call('vm.stop', vm='turned')
    host.stop()
    c = host.start()
    assert set(states(c).values()) == {'Off'}
    host.stop()
    boot(host, 2)
    c = host.start()
    for name in how:
        if name != 'turned':
            wait(c, name, 'running')
    assert states(c)['turned'] == states(c)['off'] == 'Off'


def bounded(host):
    """host.stop_vms: two callers get one answer; meanwhile nothing starts; a bound of its own"""
    boot(host, 1)
    c, d, e = host.start(), host.client(), host.client()
    vm = make(host, c, 'deaf-1')
    make(host, c, 'off', start=False)
    first = c.send('host.stop_vms', {})
    wait_stopping(e)
    second = d.send('host.stop_vms', {})
    d.answer(d.send('vm.list', {}))  # what is sent on one connection is heard in its order
    fails(WRONG_STATE, 'the host is shutting down', e.call, 'vm.start', vm='off')
    host.worker(vm).call('test.end', reason='guest shut down')
    answers = c.answer(first)['result'], d.answer(second)['result']
    assert answers[0] == answers[1] == {'vms': [{'id': vm, 'name': 'deaf-1', 'how': 'shutdown'}]}, answers
    c.call('vm.start', vm='off')
    c.call('vm.start', vm='deaf-1')
    how = {v['name']: v['how'] for v in c.call('host.stop_vms', timeout_s=0)['vms']}
    assert how['deaf-1'] == 'turned_off', how


def wait_stopping(c):
    seq = 0
    while states(c)['deaf-1'] == 'Running':
        seq = c.call('events.next', after=seq, timeout_s=5)['seq']


def restarts(host):
    """a worker that dies: its VM is started again by its policy, with an event of it"""
    boot(host, 1)
    c = host.start()
    make(host, c, 'again', restart='on_failure')
    make(host, c, 'never')
    old = pid(c, 'again')
    for name in ('again', 'never'):
        os.kill(pid(c, name), signal.SIGKILL)
    wait(c, 'never', 'off')
    while pid(c, 'again') in (old, None):
        c.call('events.next', after=c.call('events.next', after=0, timeout_s=0)['seq'], timeout_s=1)
    wait(c, 'again', 'running')
    assert any('again: worker was killed by signal 9 (Killed); it is started again in 1 s (failure 1)' in m
               for m in messages(c)), messages(c)
    assert not any('never' in m for m in messages(c))
    c.call('vm.stop', vm='again')
    host.worker(c.call('vm.show', vm=make(host, c, 'power-off', restart='on_failure'))['id']).call(
        'test.end', reason='guest powered off')
    wait(c, 'power-off', 'off')
    assert states(c) == {'again': 'Off', 'never': 'Off', 'power-off': 'Off'}
    assert not any('power-off' in m for m in messages(c))


def gives_up(host):
    """a worker that always dies is given up: Critical, why, and what to do; a start by hand tries again"""
    boot(host, 1)
    c = host.start()
    vm = make(host, c, 'good', restart='on_failure')
    c.call('vm.set', vm=vm, patch={'name': 'dies-1'})
    os.kill(pid(c, vm), signal.SIGKILL)
    seq = 0
    while not any('given up' in m for m in messages(c)):
        seq = c.call('events.next', after=seq, timeout_s=5)['seq']
    shown = c.call('vm.show', vm=vm)
    assert (shown['state'], shown['health']) == ('Off', 'Critical'), shown
    assert shown['reason'].endswith("given up after 10 failures in a row: 'vmctl start' tries again"), shown
    host.kill()
    c = host.start()
    assert c.call('vm.show', vm=vm)['reason'] == shown['reason']
    c.call('vm.set', vm=vm, patch={'name': 'good'})
    assert c.call('vm.start', vm=vm)['state'] == 'Running'


def a_start_that_fails(host):
    """a start that somebody asked for and that fails is not tried again"""
    boot(host, 1)
    c = host.start()
    c.call('vm.create', config=host.config('dies-1', restart='on_failure'))
    fails(-32008, 'ended with status 3', c.call, 'vm.start', vm='dies-1')
    assert messages(c) == []
    assert states(c) == {'dies-1': 'Off'}


def goes_on(host):
    """a new start that waits is the next vmms's to do; stop, and another policy, call it off"""
    boot(host, 1)
    host.settings(kvm_device='/dev/null', boot_id_file=host.path('boot_id'), restart_delay_ms=3600000)
    c = host.start()
    for name in 'abc':
        make(host, c, name, restart='on_failure')
        os.kill(pid(c, name), signal.SIGKILL)
        wait(c, name, 'off')
    assert 'started again in 3600 s (failure 1)' in c.call('vm.show', vm='a')['reason']
    c.call('vm.stop', vm='a')
    c.call('vm.set', vm='b', patch={'restart': 'never'})
    for name in 'ab':
        fails(WRONG_STATE, 'nothing to stop', c.call, 'vm.stop', vm=name)
    host.kill()
    boot(host, 1)
    c = host.start()
    wait(c, 'c', 'running')
    assert states(c) == {'a': 'Off', 'b': 'Off', 'c': 'Running'}
    os.kill(pid(c, 'c'), 0)
    # One whose worker dies while no vmms is there.
    old = pid(c, 'c')
    power_cut(host, c)
    c = host.start()
    wait(c, 'c', 'running')
    assert pid(c, 'c') != old


TESTS = [after_a_power_cut, a_vmms_that_is_new, delays, some_at_a_time, host_goes_down, bounded, restarts, gives_up,
         a_start_that_fails, goes_on]

if __name__ == '__main__':
    sys.exit(main(TESTS, *sys.argv[1:3]))
