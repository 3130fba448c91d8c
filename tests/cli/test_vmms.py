#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vmctl against the real vmms, with a worker that has no machine: each verb from end to end, and what goes wrong."""
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time

import cli
from cli import Skip, equal, main, test

VMMS = os.environ.get('VMMS', '')
FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../unit/vmms/fake_vmwp.py')
KERNEL = os.path.abspath(__file__)  # a regular file; the worker that has no machine does not look into it
PATIENCE = 30


class Vmms:
    """A private vmms. Use as a context; its VMs end with it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='vmms.')
        self.run_dir = os.path.join(self.folder.name, 'run')
        self.state_dir = os.path.join(self.folder.name, 'state')
        self.path = os.path.join(self.run_dir, 'vmms.sock')
        self.child = None
        self.config = os.path.join(self.folder.name, 'vmms.conf')
        with open(self.config, 'w', encoding='utf-8') as f:
            json.dump({'kvm_device': '/dev/null'}, f)

    def argv(self):
        return [VMMS, '--state-dir', self.state_dir, '--run-dir', self.run_dir, '--vmwp', FAKE, '--config', self.config]

    def start(self):
        with open(os.path.join(self.folder.name, 'log'), 'ab') as log:
            # Its log says when it serves; sd_notify(3) would, too.
            self.child = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while cli.vmctl('host', 'info', sock=self.path)[0]:
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise AssertionError('vmms does not start: ' + self.log())
            select.select([], [], [], 0.02)

    def log(self):
        with open(os.path.join(self.folder.name, 'log'), encoding='utf-8') as f:
            return f.read()

    def __enter__(self):
        if not VMMS:
            raise Skip('vmms is not built')
        self.start()
        return self

    def __exit__(self, *unused):
        for vm in json.loads(cli.vmctl('list', '--json', sock=self.path)[1] or '{"vms":[]}').get('vms', []):
            cli.vmctl('stop', vm['id'], '--force', sock=self.path)
        self.child.terminate()
        self.child.wait(PATIENCE)
        self.folder.cleanup()

    def vmctl(self, *args):
        return cli.vmctl(*args, sock=self.path)

    def ok(self, *args):
        """Standard output of a command that must succeed."""
        status, out, err = self.vmctl(*args)
        equal((status, err), (0, ''), args)
        return out

    def document(self, *args):
        return json.loads(self.ok(*args, '--json'))

    def create(self, name):
        """The part of the name before '-' says how its worker behaves (tests/unit/vmms/fake_vmwp.py)."""
        self.ok('create', name, '--memory', '64M', '--kernel', KERNEL)


@test
def a_life():
    """create, start, pause, resume, restart, set, stop, delete"""
    with Vmms() as vmms:
        equal(vmms.ok('create', 'web1', '--memory', '64M', '--cpus', '2', '--kernel', KERNEL),
              'web1 is made; to start it: vmctl start web1\n')
        equal(vmms.ok('start', 'web1', '--wait', 'heartbeat'), 'web1 is Running\n')
        equal(vmms.ok('pause', 'web1'), 'web1 is Paused\n')
        equal(vmms.ok('resume', 'web1'), 'web1 is Running\n')
        equal(vmms.ok('restart', 'web1'), 'web1 is Running\n')
        equal(vmms.ok('restart', 'web1', '--force'), 'web1 is Running\n')
        equal(vmms.ok('set', 'web1', '--name', 'www', '--notes', 'n'), 'www is changed\n')
        equal(vmms.ok('wait', 'www', 'running'), 'www is Running\n')
        equal(vmms.ok('stop', 'www'), 'www is Off\n')
        equal(vmms.ok('delete', 'www'), 'www is deleted\n')
        equal(vmms.ok('list'), 'There is no VM. To make one: vmctl create --help\n')


@test
def documents():
    """--json: the members of a VM, as vmms-rpc(7) lists them"""
    summary = ['id', 'name', 'state', 'health', 'reason', 'heartbeat', 'processors', 'memory_bytes', 'uptime_us']
    with Vmms() as vmms:
        vmms.create('web1')
        vm = vmms.document('start', 'web1')
        equal(list(vm), summary)
        equal([v['name'] for v in vmms.document('list')['vms']], ['web1'])
        shown = vmms.document('show', vm['id'])
        equal(list(shown), summary + ['config', 'pending', 'worker_pid', 'console_socket', 'console_pty', 'log', 'status'])
        equal(shown['config']['memory'], {'bytes': 64 << 20})
        equal(vmms.document('delete', 'web1') if vmms.document('stop', 'web1') else None, {})


@test
def unknown_vm():
    """an unknown VM, each verb that names one"""
    with Vmms() as vmms:
        said = set()
        for verb in cli.verbs():
            more = {'set': ['--cpus', '2'], 'rename': ['x'], 'wait': ['off'], 'nic add': ['user'], 'nic remove': ['0'], 'nic set': ['0', '--link', 'up'], 'disk attach': ['/x.img'], 'disk detach': ['0:0'],
                    'disk set': ['0:0', '--max-iops', '5'], 'disk resize': ['0:0'],
                    'dvd insert': ['/x.iso']}.get(verb, [])
            if verb in ('create', 'list', 'events', 'proxy') or verb.split()[0] in ('host', 'vhd', 'job', 'switch'):
                continue
            status, out, err = vmms.vmctl(*verb.split(), 'nobody', *more)
            equal((status, out), (1, ''), verb)
            assert err.startswith(f'vmctl {verb}: ') and 'nobody' in err and err.count('\n') == 1, err
            said.add(err.split(': ', 1)[1])
        equal(len(said), 1, said)


@test
def wrong_states():
    """what the state does not allow"""
    with Vmms() as vmms:
        vmms.create('web1')
        for verb in ('stop', 'pause', 'resume', 'restart', 'console'):
            status, out, err = vmms.vmctl(verb, 'web1')
            equal((status, out), (1, ''), verb)
            assert 'web1' in err and err.count('\n') == 1, err
        vmms.ok('start', 'web1')
        for argv in (['start', 'web1'], ['delete', 'web1'], ['nic', 'set', 'web1', '0', '--mac', '00:15:5d:00:00:01'], ['resume', 'web1']):
            status, out, err = vmms.vmctl(*argv)
            equal((status, out), (1, ''), argv)
            assert 'web1' in err and err.count('\n') == 1, err


@test
def wrong_configurations():
    """what vm.json(5) does not allow: the member is named, nothing is made"""
    rows = [(['--memory', '1M'], 'memory'), (['--cpus', '65'], 'processors'), (['--notes', 'x' * 5000], 'notes'),
            (['--cmdline', 'x' * 3000], 'cmdline')]
    with Vmms() as vmms:
        for argv, named in rows:
            status, out, err = vmms.vmctl('create', 'web1', *argv)
            equal((status, out), (1, ''), argv)
            assert named in err and err.count('\n') == 1, err
        for name in ('', 'a/b', ' x', 'x' * 200, '5e2b3c1a-0d5f-4a7e-9b51-1f6f6f2b7a01'):
            equal(vmms.vmctl('create', name)[0], 1, name)
        vmms.create('web1')
        status, _, err = vmms.vmctl('create', 'web1')
        equal(status, 1)
        assert 'already' in err, err
        equal(len(vmms.document('list')['vms']), 1)


@test
def guest_without_service():
    """stop of a guest that has no shutdown service says what to do"""
    with Vmms() as vmms:
        vmms.create('noic-1')
        vmms.ok('start', 'noic-1')
        status, _, err = vmms.vmctl('stop', 'noic-1')
        equal(status, 1)
        assert 'shutdown' in err and err.count('\n') == 1, err
        equal(vmms.ok('stop', 'noic-1', '--force'), 'noic-1 is Off\n')


@test
def deaf_guest():
    """stop of a guest that does not react ends in time and leaves it Running"""
    with Vmms() as vmms:
        vmms.create('deaf-1')
        vmms.ok('start', 'deaf-1')
        status, _, err = vmms.vmctl('stop', 'deaf-1', '--timeout', '1')
        equal(status, 1)
        assert '--force' in err, err
        equal(vmms.document('list')['vms'][0]['state'], 'Running')


@test
def no_heartbeat():
    """start --wait heartbeat of a guest without one ends in time"""
    with Vmms() as vmms:
        vmms.create('beatless-1')
        status, _, err = vmms.vmctl('start', 'beatless-1', '--wait', 'heartbeat', '--timeout', '1')
        equal(status, 1)
        assert 'heartbeat' in err, err


@test
def worker_that_refuses():
    """a start that the worker refuses, or does not survive: why, in the message and in show"""
    for name in ('refuses-1', 'dies-1', 'leaves-1'):
        with Vmms() as vmms:
            vmms.create(name)
            status, out, err = vmms.vmctl('start', name)
            equal((status, out), (1, ''), name)
            assert err.startswith(f'vmctl start: cannot start {name}: ') and err.count('\n') == 1, err
            shown = vmms.document('show', name)
            equal((shown['state'], shown['health']), ('Off', 'Critical'), name)
            assert shown['reason'] and shown['reason'] in err, (shown, err)


@test
def panic():
    """a guest's panic: Critical, and its words in show"""
    with Vmms() as vmms:
        vmms.create('panics-1')
        vmms.ok('start', 'panics-1')
        out = vmms.ok('show', 'panics-1')
        assert 'Health        Critical\n' in out and out.endswith('Its last words:\nKernel panic: fake\n'), out


@test
def worker_killed():
    """SIGKILL of a worker: its VM is Off and says so, another goes on"""
    with Vmms() as vmms:
        for name in ('web1', 'web2'):
            vmms.create(name)
            vmms.ok('start', name)
        os.kill(vmms.document('show', 'web1')['worker_pid'], signal.SIGKILL)
        vmms.ok('wait', 'web1', 'off')
        states = {v['name']: (v['state'], v['health']) for v in vmms.document('list')['vms']}
        equal(states, {'web1': ('Off', 'Critical'), 'web2': ('Running', 'Ok')})
        assert 'signal 9' in vmms.document('show', 'web1')['reason']


@test
def daemon_killed():
    """SIGKILL of vmms: the next finds its VMs Running and can stop them"""
    with Vmms() as vmms:
        for name in ('web1', 'web2', 'web3'):
            vmms.create(name)
            vmms.ok('start', name)
        pids = [vmms.document('show', n)['worker_pid'] for n in ('web1', 'web2', 'web3')]
        vmms.child.kill()
        vmms.child.wait()
        equal(vmms.vmctl('list')[0], 1)
        vmms.start()
        for name, pid in zip(('web1', 'web2', 'web3'), pids):
            equal(vmms.ok('wait', name, 'running'), f'{name} is Running\n')
            equal(vmms.document('show', name)['worker_pid'], pid)
            equal(vmms.ok('stop', name), f'{name} is Off\n')


@test
def second_daemon():
    """a second vmms with the same folders says who holds them"""
    with Vmms() as vmms:
        run = subprocess.run(vmms.argv(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=PATIENCE, check=False)
        equal(run.returncode, 1)
        assert str(vmms.child.pid).encode() in run.stdout and run.stdout.count(b'\n') == 1, run.stdout
        vmms.ok('list')


@test
def events():
    """events: what happened, once, in order; --follow sees what comes"""
    with Vmms() as vmms:
        follower = subprocess.Popen([cli.VMCTL, '--socket', vmms.path, 'events', '--follow', '--json'],
                                    stdout=subprocess.PIPE)
        try:
            vmms.create('web1')
            vmms.ok('start', 'web1')
            vmms.ok('stop', 'web1')
            seen = vmms.document('events')
            first = seen['events'][0]['seq']
            equal([e['seq'] for e in seen['events']], list(range(first, seen['seq'] + 1)))
            equal(vmms.document('events', '--since', str(first))['events'], seen['events'][1:])
            assert seen['events'][0]['type'] == 'created', seen
            states = [e['state'] for e in seen['events'] if e['type'] == 'state']
            equal(states[0], 'Starting')
            equal(states[-1], 'Off')
            watchdog = threading.Timer(PATIENCE, follower.kill)
            watchdog.start()
            equal([json.loads(follower.stdout.readline()) for _ in seen['events']], seen['events'])
            watchdog.cancel()
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()


@test
def settings():
    """set says what waits for the next start, show has it; rename; list by group and tag"""
    with Vmms() as vmms:
        for name in ('web1', 'web2'):
            vmms.create(name)
        vmms.ok('start', 'web1')
        equal(vmms.ok('set', 'web1', '--group', 'shop', '--tags', 'env=prod,db', '--auto-start', 'always', '--auto-delay', '5',
                      '--auto-stop', 'turn_off', '--auto-stop-timeout', '0', '--restart', 'on_failure'), 'web1 is changed\n')
        equal(vmms.ok('set', 'web1', '--cpus', '4', '--memory', '128M'),
              'web1 is changed; until its next start wait: processors, memory\n')
        shown = vmms.ok('show', 'web1')
        for line in ('Pending       processors, memory\n', 'Group         shop\n', 'Tags          env=prod, db\n',
                     'Automatic     start always after 5 s, stop by turn_off, restart on_failure\n'):
            assert line in shown, shown
        equal(vmms.ok('rename', 'web1', 'www'), 'web1 is now www\n')
        assert 'already' in vmms.vmctl('rename', 'www', 'web2')[2]
        equal([v['name'] for v in vmms.document('list', '--tag', 'db')['vms']], ['www'])
        equal(vmms.ok('list', '--group', 'nobody'), 'There is no such VM.\n')
        vmms.ok('set', 'www', '--group', 'none', '--tags', 'none')
        equal(vmms.document('list', '--group', 'shop')['vms'], [])


@test
def host_stop():
    """host stop-vms: how each ended"""
    with Vmms() as vmms:
        equal(vmms.ok('host', 'stop-vms'), 'No VM runs.\n')
        for name, stop in (('web1', 'shutdown'), ('web2', 'turn_off')):
            vmms.create(name)
            vmms.ok('set', name, '--auto-stop', stop)
            vmms.ok('start', name)
        said = vmms.ok('host', 'stop-vms', '--timeout', '60')
        equal(sorted(said.splitlines()), ['web1 is shut down', 'web2 is turned off'])


@test
def log():
    """log: of a VM that never ran, and of one that did"""
    with Vmms() as vmms:
        vmms.create('web1')
        equal(vmms.document('log', 'web1'), {'lines': []})
        vmms.ok('start', 'web1')
        equal(vmms.document('log', 'web1'), {'lines': ['fake worker of web1 begins']})


@test
def host():
    """host info and host check"""
    with Vmms() as vmms:
        info = vmms.document('host', 'info')
        equal((info['pid'], info['vms'], info['workers']), (vmms.child.pid, 0, 0))
        assert 'This host can run VMs.' in vmms.ok('host', 'check')


@test
def configurations_survive():
    """a VM's configuration is there after vmms was stopped; show --json gives what create took"""
    with Vmms() as vmms:
        vmms.ok('create', 'web1', '--memory', '128M', '--cpus', '3', '--kernel', '/k', '--cmdline', 'a b', '--notes',
                'größe', '--shutdown', 'off', '--disk', '/dev/null')
        before = vmms.document('show', 'web1')
        vmms.child.terminate()
        vmms.child.wait(PATIENCE)
        vmms.start()
        after = vmms.document('show', 'web1')
        equal(after['config'], before['config'])
        equal((after['id'], after['config']['notes'], after['config']['integration']['shutdown']),
              (before['id'], 'größe', False))


@test
def network_adapters():
    """nic list, add and remove; a new VM has one behind address translation; what is wrong changes nothing"""
    with Vmms() as vmms:
        vmms.create('web1')
        nics = vmms.document('nic', 'list', 'web1')
        equal([(n['kind'], n['mac'], n['forwards']) for n in nics], [('user', None, [])])
        vmms.ok('nic', 'add', 'web1', 'user,host,mac=00:15:5d:00:00:01,forward=udp:0.0.0.0:5353:53')
        vmms.ok('nic', 'add', 'web1', 'tap=tap7')
        nics = vmms.document('nic', 'list', 'web1')
        equal(nics[1], {'number': 1, 'kind': 'user', 'mac': '00:15:5d:00:00:01', 'tap': None, 'link': True, 'host_loopback': True,
                        'forwards': [{'protocol': 'udp', 'address': '0.0.0.0', 'port': 5353, 'guest_port': 53}]})
        equal(nics[2]['tap'], 'tap7')
        for bad, why in [('nothing', 'kind: must be'), ('tap', 'tap: is missing'), ('tap=a/b', 'tap: must be the name'),
                         ('user,mac=00:15:5d:00:00:01', 'nics[3].mac: adapter 1 has the same'),
                         ('user,mac=1:2', 'mac: must be of the form'), ('user,mac=01:00:00:00:00:01', 'single adapter'),
                         ('none,host', 'host_loopback: is for'), ('user,forward=tcp:0:22', 'integers from 1 to 65535'),
                         ('user,forward=sctp:1:22', 'protocol: must be'), ('user,forward=tcp:a:1:2', 'IPv4 address'),
                         ('user,forward=tcp:1:2,forward=tcp:1:3', 'port 1 is taken')]:
            status, out, err = vmms.vmctl('nic', 'add', 'web1', bad)
            equal((status, out), (1, ''), bad)
            assert why in err and err.count('\n') == 1, (bad, err)
        for bad in ('user,port=1', 'user,forward=tcp:x:1', 'user,forward=tcp', 'user,forward=tcp:1:2:3:4'):
            equal(vmms.vmctl('nic', 'add', 'web1', bad)[0], 2, bad)
        equal(vmms.document('nic', 'list', 'web1'), nics)
        assert 'no network adapter 3' in vmms.vmctl('nic', 'remove', 'web1', '3')[2]
        vmms.ok('nic', 'remove', 'web1', '0')
        equal(vmms.document('nic', 'list', 'web1'), nics[1:])
        equal(vmms.ok('nic', 'set', 'web1', '2', '--link', 'down'), 'web1: network adapter 2 is changed\n')
        equal(vmms.document('nic', 'set', 'web1', '1', '--mac', 'own')['nic']['mac'], None)
        assert ' pulled ' in vmms.ok('nic', 'list', 'web1')
        equal(vmms.ok('nic', 'add', 'web1', 'none'), 'web1: network adapter 0 is added\n')
        equal(vmms.ok('nic', 'remove', 'web1', '0'), 'web1: network adapter 0 is removed\n')
        for bad in ('8', '-1', 'x', '', '01'):
            equal(vmms.vmctl('nic', 'remove', 'web1', '--', bad)[0], 2, bad)
        equal(vmms.vmctl('nic', 'set', 'web1', '1')[0], 2)
        vmms.ok('create', 'web2', '--nic', 'none')
        equal(vmms.document('nic', 'list', 'web2'), [])
        vmms.ok('create', 'web3', '--nic', 'none,mac=00:15:5d:00:00:07')
        assert 'of web3 has the address' in vmms.vmctl('nic', 'add', 'web1', 'none,mac=00:15:5d:00:00:07')[2]
        assert 'tap7' in vmms.ok('nic', 'list', 'web1')


@test
def a_forward_that_is_taken():
    """a start is refused where the port is somebody else's, and says which; once it is free it starts"""
    with Vmms() as vmms, socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        vmms.ok('create', 'web1', '--kernel', KERNEL, '--nic', f'user,forward=tcp:{port}:80')
        status, out, err = vmms.vmctl('start', 'web1')
        equal((status, out), (1, ''))
        assert f'network adapter 0: TCP port {port} of 127.0.0.1 cannot be forwarded' in err, err
        s.close()
        vmms.ok('start', 'web1')


@test
def completes():
    """completion offers the VMs of the real vmms"""
    with Vmms() as vmms:
        for name in ('web1', 'web2', 'db'):
            vmms.create(name)
        equal(cli.complete('--socket', vmms.path, 'start', 'w'), ['web1', 'web2'])


main()
