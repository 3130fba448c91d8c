#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vmctl --host: through an ssh that is none, to a vmms that is none."""
import json
import os
import socket
import subprocess
import tempfile
import threading

from cli import VMCTL, FakeVmms, equal, main, test

VM = {'id': 'f8615163-df3e-46c5-913f-f2d2f965ed0e', 'name': 'web1', 'state': 'Running', 'health': 'Ok', 'reason': None,
      'heartbeat': 'Ok', 'processors': 2, 'memory_bytes': 1 << 30, 'uptime_us': 0}
# Tells its words, and does what sshd would do with the last: give it to a shell.
SSH = '''#!/bin/sh
for word; do printf '%s\\n' "$word" >>"$TOLD"; last=$word; done
{how}
'''
RUNS = 'exec sh -c "$last"'


class Remote:
    """A PATH with an ssh of its own, and the vmctl under test."""

    def __init__(self, how=RUNS, vmctl=True):
        self.folder = tempfile.TemporaryDirectory(prefix='cli.')
        self.told = os.path.join(self.folder.name, 'told')
        path = os.path.join(self.folder.name, 'ssh')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(SSH.replace('{how}', how))
        os.chmod(path, 0o755)
        if vmctl:
            os.symlink(os.path.abspath(VMCTL), os.path.join(self.folder.name, 'vmctl'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def run(self, *args, env=None, stdin=b''):
        env = dict({k: v for k, v in os.environ.items() if not k.startswith('VMMS_')}, TOLD=self.told, LC_ALL='C.UTF-8',
                   PATH=f'{self.folder.name}:/usr/bin:/bin', **(env or {}))
        run = subprocess.run([VMCTL, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, timeout=60,
                             check=False)
        return run.returncode, run.stdout.decode(), run.stderr.decode()

    def words(self):
        with open(self.told, encoding='utf-8') as f:
            return f.read().split('\n')[:-1]


def fails(run, status, words):
    equal((run[0], run[1]), (status, ''))
    assert run[2].count('\n') == 1 and words in run[2], run[2]


@test
def a_call():
    """--host runs vmctl proxy by ssh, with user, port and socket; before or behind the verb, or from the environment"""
    with FakeVmms({'vm.list': {'vms': [VM]}}) as fake, Remote() as remote:
        url = f'ssh://anna@host1:2222{fake.path}'
        for args, env in ((('--host', url, 'list', '--json'), None), (('list', f'--host={url}', '--json'), None),
                          (('list', '--json'), {'VMMS_HOST': url})):
            status, out, err = remote.run(*args, env=env)
            equal((status, err), (0, ''))
            equal(json.loads(out)['vms'], [VM])
            equal(remote.words(), ['-T', '-e', 'none', '-p', '2222', '-l', 'anna', '--', 'host1',
                                   f"vmctl --socket '{fake.path}' proxy"])
            os.unlink(remote.told)


@test
def plain():
    """without user, port and socket the other host decides; an IPv6 address"""
    for url, host in (('ssh://host1', 'host1'), ('ssh://host1/', 'host1'), ('ssh://[fe80::1]', 'fe80::1')):
        with Remote(how='exit 255') as remote:
            remote.run('--host', url, 'list')
            equal(remote.words(), ['-T', '-e', 'none', '--', host, 'vmctl proxy'])


@test
def hostile_words():
    """what could be an option or a command to a shell stays a name, or is refused"""
    for url in ('', 'host1', 'http://host1', 'ssh://', 'ssh://-oProxyCommand=x', 'ssh://-l@host1', 'ssh://a@-b', 'ssh://a b',
                'ssh://@host1', 'ssh://host1:', 'ssh://host1:0', 'ssh://host1:65536', 'ssh://host1:22x', 'ssh://$(x)',
                'ssh://h;x', 'ssh://[::1', 'ssh://[::1]22', 'ssh://a@b@c', "ssh://'", 'ssh://' + 'h' * 300, 'ssh://h/' + 's' * 300):
        with Remote() as remote:
            fails(remote.run('list', '--host', url), 2, '--host wants ssh://')
            assert not os.path.exists(remote.told), url
    with tempfile.TemporaryDirectory() as folder, Remote() as remote:
        socket = f"{folder}/'; touch {folder}/bad; '"
        status, _, err = remote.run('--host', 'ssh://host1' + socket, 'list')
        equal((status, os.listdir(folder), err.count('\n')), (1, [], 1))


@test
def failures():
    """what ssh says, a host without vmctl, a vmms that is not there, an ssh that is not: one line each"""
    rows = (("echo 'noise' >&2; echo 'ssh: Could not resolve hostname host1: no' >&2; exit 255", 'host1: ssh: Could not resolve'),
            ("echo 'anna@host1: Permission denied (publickey).' >&2; exit 255", 'Permission denied (publickey).'),
            ('echo sh: vmctl: not found >&2; exit 127', 'host1 has no vmctl in its PATH; install the package there'),
            ('exit 255', 'host1: the connection was closed'),
            ('echo garbage; exit 0', 'host1'),
            ('head -c 100000 /dev/zero >&2; exit 255', 'host1: '))
    for how, words in rows:
        with Remote(how=how) as remote:
            fails(remote.run('--host', 'ssh://host1', 'list'), 1, words)
    with Remote() as remote:
        fails(remote.run('--host', 'ssh://host1/nonexistent/sock', 'list'), 1, 'host1: no vmms answers at /nonexistent/sock')


@test
def paths():
    """a file is one of the other host, and wants its whole path; it is not looked for here"""
    with FakeVmms({'vm.create': VM}) as fake, Remote() as remote:
        url = f'ssh://host1{fake.path}'
        fails(remote.run('--host', url, 'create', 'web1', '--disk', 'a.img'), 2, '--disk: with --host')
        fails(remote.run('--host', url, 'vhd', 'info', 'a.vhdx'), 2, '"a.vhdx": with --host')
        assert not os.path.exists(remote.told)
        equal(remote.run('--host', url, 'create', 'web1', '--disk', '/nowhere/a.img')[0], 0)
        equal(fake.calls[0][1]['config']['scsi'][0]['drives'][0]['path'], '/nowhere/a.img')


@test
def console():
    """the console's socket is reached the same way"""
    with tempfile.TemporaryDirectory(prefix='cli.') as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f'{folder}/console.sock'
        listener.bind(path)
        listener.listen(1)

        def guest():
            conn, _ = listener.accept()
            with conn:
                conn.sendall(conn.recv(100).upper())

        thread = threading.Thread(target=guest)
        thread.start()
        with FakeVmms({'vm.console': {'socket': path, 'pty': '/dev/null'}}) as fake, Remote() as remote:
            status, out, err = remote.run('--host', f'ssh://host1{fake.path}', 'console', 'web1', stdin=b'hello')
            equal((status, out, err), (0, 'HELLO', ''))
            assert f"vmctl --socket '{path}' proxy" in remote.words()
        thread.join(60)


@test
def completion():
    """names of VMs come from the other host, by an ssh that asks nothing"""
    with FakeVmms({'vm.list': {'vms': [VM]}}) as fake, Remote() as remote:
        status, out, err = remote.run('__complete', '--host', f'ssh://host1{fake.path}', 'start', '')
        equal((status, out, err), (0, 'web1\n', ''))
        assert 'BatchMode=yes' in remote.words()
    with Remote(how='exit 255') as remote:
        equal(remote.run('__complete', '--host', 'ssh://host1', 'start', ''), (0, '', ''))
        equal(remote.run('__complete', '--host', ''), (0, '', ''))


@test
def proxy():
    """vmctl proxy: bytes both ways until either side ends"""
    with FakeVmms({'vm.list': {'vms': []}}) as fake, Remote() as remote:
        status, out, err = remote.run('--socket', fake.path, 'proxy', stdin=b'{"jsonrpc":"2.0","id":7,"method":"vm.list"}\n')
        equal((status, err), (0, ''))
        equal(json.loads(out), {'jsonrpc': '2.0', 'id': 7, 'result': {'vms': []}})
        fails(remote.run('--host', 'ssh://host1', 'proxy'), 2, 'it is what --host runs')


main()
