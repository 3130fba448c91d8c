# SPDX-License-Identifier: BSD-2-Clause
"""A crash storm: clients that do this and that, and a SIGKILL of vmms or of a worker in the middle of it, again and again.

Each client owns one VM and keeps a model of it: what was answered. A request that was cut off leaves two models, before and after, and what
is found must be one of them. STORM_SEED and STORM_ROUNDS (of the environment) say which storm, and how long.
"""
import copy
import os
import random
import signal
import threading

from vmmslib import RpcError

NAMES = ('a', 'b', 'c')
DISKS = 3
UP = ('Running', 'Paused')


class Model:
    """One VM. `off_too`: something may have ended its worker."""

    def __init__(self):
        self.id = None
        self.name = self.notes = None
        self.state = 'Off'
        self.memory = self.pending = 0
        self.disks, self.nics = [], 0

    def facts(self):
        return (self.name, self.state, self.notes, self.memory, sorted(self.disks), self.nics)


def found(c, v):
    """The model of what is there."""
    m = Model()
    config = c.call('vm.show', vm=v['id'])['config']
    m.id, m.name, m.state, m.notes = v['id'], v['name'], v['state'], config['notes']
    m.memory, m.nics = config['memory']['bytes'], len(config['nics'])
    m.disks = [d['path'] for s in config['scsi'] for d in s['drives']]
    return m


class Actor(threading.Thread):
    """One client that owns one VM: knows what was answered, and what it asked when the answer did not come."""

    def __init__(self, host, name, seed, model, done):
        super().__init__()
        self.host, self.key, self.rnd, self.model, self.done = host, name, random.Random(seed), model, done
        self.after = model  # the model when the request under way is done
        self.pending = None
        self.stopping = False
        self.error = None

    def choices(self):
        m = self.model
        if m is None:
            return ('create',)
        both = ['set', 'rename', 'attach', 'job'] + ['detach'] * bool(m.disks)
        if m.state == 'Off':
            return ['start'] * 4 + ['delete', 'nic'] + both
        if m.state == 'Paused':
            return ['resume', 'resume', 'turn off'] + both
        return ['turn off', 'stop', 'restart', 'pause'] + both

    def plan(self, op):
        """What the VM will be, and the request for it."""
        m, c = copy.deepcopy(self.model) or Model(), self.host.config
        vm = m.name
        if op == 'create':
            m.name, m.notes, m.memory = self.key, '', 8 << 20
            return m, ('vm.create', {'config': c(self.key)})
        if op == 'delete':
            return None, ('vm.delete', {'vm': vm})
        if op == 'set':
            m.notes, m.memory = str(self.rnd.random()), self.rnd.choice((8, 16)) << 20
            return m, ('vm.set', {'vm': vm, 'patch': {'notes': m.notes, 'memory': {'bytes': m.memory}}})
        if op == 'rename':
            m.name = f'{self.key}-{self.rnd.randrange(100)}'
            return m, ('vm.set', {'vm': vm, 'patch': {'name': m.name}})
        if op == 'nic':
            m.nics = self.rnd.randrange(3)
            return m, ('vm.set', {'vm': vm, 'patch': {'nics': [{'kind': 'none'}] * m.nics}})
        if op == 'attach':
            free = [d for d in self.disks() if d not in m.disks]
            if not free:
                return m, ('disk.list', {'vm': vm})
            m.disks.append(free[0])
            return m, ('disk.attach', {'vm': vm, 'drive': {'kind': 'disk', 'path': free[0]}})
        if op == 'detach':
            path = self.rnd.choice(m.disks)
            m.disks.remove(path)
            return m, ('disk.detach', {'vm': vm, **self.place(path)})
        if op == 'job':
            return m, ('vhd.create', {'path': self.host.path(f'{self.key}{self.rnd.random()}.img'), 'size_bytes': 1 << 20})
        m.state = {'start': 'Running', 'resume': 'Running', 'restart': 'Running', 'pause': 'Paused'}.get(op, 'Off')
        return m, ('vm.' + op.replace('turn off', 'stop'), {'vm': vm, **({'force': True} if op == 'turn off' else {})})

    def disks(self):
        return [self.host.path(f'{self.key}.{n}') for n in range(DISKS)]

    def place(self, path):
        for d in self.client.call('disk.list', vm=self.model.name)['drives']:
            if d['drive']['path'] == path:
                return {'controller': d['controller'], 'lun': d['lun']}
        raise AssertionError(f'{self.model.name} has no drive {path}')

    def run(self):
        try:
            self.client = self.host.client()
            while not self.stopping:
                op = self.rnd.choice(self.choices())
                self.after, (method, params) = self.plan(op)
                self.pending = op
                self.client.call(method, **params)
                self.model, self.pending = self.after, None
                self.done.release()
        except (EOFError, OSError):
            pass  # vmms was killed; pending says at what
        except (RpcError, AssertionError) as e:
            self.error = f'{self.pending}: {e}'  # right only when its worker was killed
        self.done.release(1000)


def processes_of(ids):
    """Processes that have one of these ids on their command line."""
    count = 0
    for pid in os.listdir('/proc'):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                words = f.read().split(b'\0')
            count += any(w.decode('utf-8', 'replace') in ids for w in words) and b'--control-fd' in words
        except (OSError, ValueError):
            pass
    return count


def owner(name):
    return name.split('-')[0]


def check_one(actor, is_, worker_killed):
    """That a VM is what was answered, or what was asked when the answer did not come."""
    allowed = [actor.model] + ([actor.after] if actor.pending else [])
    if worker_killed or actor.error:
        allowed += [x for m in allowed if m for x in [copy.deepcopy(m)] if not setattr(x, 'state', 'Off')]
    facts = [m.facts() if m else None for m in allowed]
    now = is_.facts() if is_ else None
    # A stop or restart that was asked for may be done a moment after vmms is back.
    assert now in facts, f'{actor.key}, at {actor.pending}: {facts} was answered, {now} is; {actor.error}'


def check(host, c, actors, worker_killed, ids):
    """That what is there is what was answered; the models of it."""
    vms = c.call('vm.list')['vms']
    assert len({owner(v['name']) for v in vms}) == len(vms), f'doubled: {vms}'
    there = {owner(v['name']): found(c, v) for v in vms}
    for a in actors:
        check_one(a, there.get(a.key), worker_killed)
    ids |= {v['id'] for v in vms}
    assert set(os.listdir(host.path('state/vms'))) == {v['id'] for v in vms}
    hidden = [n for n in os.listdir(host.dir) if n.startswith('.')]
    assert not hidden, f'left by jobs: {hidden}'
    for v in vms:
        check_worker(c, v)
    return {n: there.get(n) for n in NAMES}


def check_worker(c, v):
    """That a worker has the drives of its configuration, and no others."""
    if v['state'] not in UP:
        return
    shown = c.call('vm.show', vm=v['id'])
    want = {(n, d['lun']) for n, s in enumerate(shown['config']['scsi']) for d in s['drives']}
    has = {(d['controller'], d['lun']) for d in shown['status']['drives']}
    assert has == want, f'{v["name"]} has the drives {has}, not {want}'


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


def settle(host, c):
    """Waits until what was asked of the workers before vmms was killed is done: they hear it before a second question of ours."""
    for v in c.call('vm.list')['vms']:
        if v['state'] == 'Off':
            continue
        try:
            w = host.worker(v['id'])
            w.call('test.facts')
            w.call('test.facts')
        except (EOFError, OSError):
            c.call('vm.wait', vm=v['id'], **{'for': 'off'}, timeout_s=20)
    for v in c.call('vm.list')['vms']:
        if v['state'] not in ('Off', 'Running', 'Paused'):
            c.call('vm.wait', vm=v['id'], **{'for': 'off'}, timeout_s=20)


def kill_a_worker(host, rnd):
    """Whether one may have been."""
    c = host.client()
    victims = [v for v in c.call('vm.list')['vms'] if v['state'] == 'Running']
    if not victims:
        return False
    try:
        os.kill(c.call('vm.show', vm=rnd.choice(victims)['id'])['worker_pid'], signal.SIGKILL)
    except (RpcError, TypeError, ProcessLookupError):
        pass  # its owner was quicker
    return True


def one_round(host, rnd, models, ids):
    done = threading.Semaphore(0)
    actors = [Actor(host, n, rnd.random(), models[n], done) for n in NAMES]
    for a in actors:
        a.start()
    for _ in range(rnd.randrange(1, 40)):
        done.acquire()
    failed = [a.error for a in actors if a.error]
    assert not failed, f'refused without a cause: {failed}'
    worker_killed = rnd.random() < 0.3 and kill_a_worker(host, rnd)
    host.kill()
    for a in actors:
        a.stopping = True
    for a in actors:
        a.join()
    for c in host.clients:
        c.close()
    host.clients.clear()
    failed = [a.error for a in actors if a.error]
    assert worker_killed or not failed, f'refused without a cause: {failed}'
    c = host.start()
    settle(host, c)
    models = check(host, c, actors, worker_killed, ids)
    check_leftovers(host, c, ids)
    return models


def storm(host):
    """a crash storm: no VM lost or doubled, nothing left over, what was answered holds"""
    seed = os.environ.get('STORM_SEED', '1')
    rnd = random.Random(seed)
    models, ids = dict.fromkeys(NAMES), set()
    for name in NAMES:
        for n in range(DISKS):
            host.file(f'{name}.{n}', bytes(4096))
    host.start()
    for n in range(int(os.environ.get('STORM_ROUNDS', '8'))):
        try:
            models = one_round(host, rnd, models, ids)
        except Exception as e:
            raise AssertionError(f'round {n} of seed {seed}: {e}') from e
