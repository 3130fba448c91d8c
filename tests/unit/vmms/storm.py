# SPDX-License-Identifier: BSD-2-Clause
"""A crash storm: clients that do this and that, and a SIGKILL in the middle of it, again and again."""
import os
import random
import signal
import threading

from vmmslib import RpcError

NAMES = ('a', 'b', 'c')


class Actor(threading.Thread):
    """One client that owns one VM: knows what was answered, and what it asked when the answer did not come."""

    def __init__(self, host, name, seed, state, done):
        super().__init__()
        self.host, self.name_of_vm, self.rnd, self.state, self.done = host, name, random.Random(seed), state, done
        self.pending = None
        self.stopping = False
        self.error = None

    def choices(self):
        if self.state is None:
            return ('create',)
        if self.state == 'Off':
            return ('start', 'start', 'set', 'delete')
        return ('turn off', 'stop', 'restart', 'set')

    def act(self, c, op):
        vm = self.name_of_vm
        if op == 'create':
            c.call('vm.create', config=self.host.config(vm))
            return 'Off'
        if op == 'delete':
            c.call('vm.delete', vm=vm)
            return None
        if op == 'set':
            c.call('vm.set', vm=vm, patch={'notes': str(self.rnd.random())})
            return self.state
        if op in ('stop', 'turn off'):
            c.call('vm.stop', vm=vm, force=op == 'turn off')
            return 'Off'
        c.call('vm.' + op, vm=vm)
        return 'Running'

    def run(self):
        try:
            c = self.host.client()
            while not self.stopping:
                self.pending = self.rnd.choice(self.choices())
                self.state = self.act(c, self.pending)
                self.pending = None
                self.done.release()
        except (EOFError, OSError):
            pass  # vmms was killed; pending says at what
        except RpcError as e:
            self.error = e  # right only when its worker was killed
        self.done.release(1000)


def processes_of(ids):
    """Processes that have one of these ids on their command line."""
    found = 0
    for pid in os.listdir('/proc'):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                words = f.read().split(b'\0')
            found += any(w.decode('utf-8', 'replace') in ids for w in words) and b'--control-fd' in words
        except (OSError, ValueError):
            pass
    return found


def check(host, c, actors, ids):
    """That what is there is what was answered."""
    vms = {v['name']: v for v in c.call('vm.list')['vms']}
    assert set(vms) <= set(NAMES), vms
    for a in actors:
        state = vms[a.name_of_vm]['state'] if a.name_of_vm in vms else None
        if a.pending is None and not a.error:
            assert state == a.state, f'{a.name_of_vm}: {a.state} was answered, {state} is'
        elif a.state is not None and a.pending not in ('create', 'delete'):
            assert state is not None, f'{a.name_of_vm} was lost at {a.pending}'
    ids |= {v['id'] for v in vms.values()}
    assert set(os.listdir(host.path('state/vms'))) == {v['id'] for v in vms.values()}


def check_leftovers(host, c, ids):
    """That there are sockets and processes of the VMs that run and no others."""
    seq = c.call('events.next', after=0, timeout_s=0)['seq']
    for _ in range(20):
        up = {v['id'] for v in c.call('vm.list')['vms'] if v['state'] != 'Off'}
        workers, processes = c.call('host.info')['workers'], processes_of(ids)
        if workers == processes == len(up) and set(host.left_in_run_dir()) == up:
            return
        # What was asked of a worker before the SIGKILL may still happen; then there is an event of it.
        seq = c.call('events.next', after=seq, timeout_s=1)['seq']
    raise AssertionError(f'{len(up)} VMs run, {workers} workers, {processes} processes, {host.left_in_run_dir()}')


def settle(c):
    """Waits until no VM is between two states, as one that was asked to stop before vmms was killed."""
    for v in c.call('vm.list')['vms']:
        if v['state'] not in ('Off', 'Running'):
            c.call('vm.wait', vm=v['id'], **{'for': 'off'}, timeout_s=20)


def one_round(host, rnd, states, ids):
    done = threading.Semaphore(0)
    actors = [Actor(host, n, rnd.random(), states[n], done) for n in NAMES]
    for a in actors:
        a.start()
    for _ in range(rnd.randrange(1, 40)):
        done.acquire()
    failed = [a.error for a in actors if a.error]
    assert not failed, f'refused without a cause: {failed}'
    if rnd.random() < 0.3:  # a worker first
        victims = [v for v in host.client().call('vm.list')['vms'] if v['state'] == 'Running']
        if victims:
            try:
                os.kill(host.client().call('vm.show', vm=rnd.choice(victims)['id'])['worker_pid'], signal.SIGKILL)
            except (RpcError, TypeError, ProcessLookupError):
                pass  # its owner was quicker
            for a in actors:
                a.error = a.error or 'its worker may have been killed'
    host.kill()
    for a in actors:
        a.stopping = True
        a.join()
    c = host.start()
    settle(c)
    check(host, c, actors, ids)
    check_leftovers(host, c, ids)
    return {n: {v['name']: v['state'] for v in c.call('vm.list')['vms']}.get(n) for n in NAMES}


def storm(host):
    """a crash storm: no VM lost or doubled, nothing left over, what was answered holds"""
    seed = os.environ.get('STORM_SEED', '1')
    rnd = random.Random(seed)
    states, ids = dict.fromkeys(NAMES), set()
    host.start()
    for n in range(int(os.environ.get('STORM_ROUNDS', '8'))):
        try:
            states = one_round(host, rnd, states, ids)
        except AssertionError as e:
            raise AssertionError(f'round {n} of seed {seed}: {e}') from e
