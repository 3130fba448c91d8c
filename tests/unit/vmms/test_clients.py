#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many clients of vmms at once, most of them well-behaved, and those who are not.

usage: test_clients.py VMMS VMWP [TEST]...
"""
import array
import contextlib
import json
import os
import resource
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmmslib import main  # noqa: E402

GOOD, ROUNDS = 200, 20
LIST = b'{"jsonrpc": "2.0", "id": 1, "method": "vm.list"}'


def push(k, data, most):
    """Sends until the other side takes no more, or so much; what was taken."""
    k.sock.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
        while sent < most:
            sent += k.sock.send(data)
    return sent


def never_reads(k):
    assert push(k, (LIST.replace(b'vm.list', b'rpc.discover') + b'\n') * 50, 64 << 20) < 8 << 20


def never_ends_a_line(k):
    k.raw(LIST[:-1])


def long_line(k):
    push(k, b' ' * 65536, 4 << 20)


def deep(k):
    push(k, b'[' * 65536 + b'\n', 1 << 20)


def listens_to_nothing(k):
    k.call('events.subscribe', since=0)
    for _ in range(60):
        k.raw(b'{"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"since": 0}}\n')


def waits_for_all(k):
    k.raw(b'\n'.join([b'{"jsonrpc": "2.0", "id": 1, "method": "events.next", "params": {"after": 4611686018427387904, '
                      b'"timeout_s": 86400}}'] * 300) + b'\n')


def batches(k):
    push(k, b'[' + b','.join([LIST] * 256) + b']\n', 8 << 20)


def sends_descriptors(k):
    fds = array.array('i', [k.sock.fileno()] * 250)
    k.sock.setblocking(False)
    with contextlib.suppress(OSError):
        for _ in range(20):
            k.sock.sendmsg([b' '], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])


def notifies(k):
    push(k, b'{"jsonrpc": "2.0", "method": "host.info"}\n' * 500, 1 << 20)


HOSTILE = [never_reads, never_ends_a_line, long_line, deep, listens_to_nothing, waits_for_all, batches, sends_descriptors, notifies]


def descriptors(host):
    return len(os.listdir(f'/proc/{host.process.pid}/fd'))


def many(host):
    """200 clients at once are answered, each in full, while others break every rule; nothing of any of them is left"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    c = host.start()
    c.call('vm.create', config=host.config('a'))
    c.call('vm.start', vm='a')
    before = descriptors(host)
    for _ in range(2):
        bad = [host.client() for _ in range(4 * len(HOSTILE))]
        for i, k in enumerate(bad):
            HOSTILE[i % len(HOSTILE)](k)
        good = [host.client() for _ in range(GOOD)]
        for n in range(ROUNDS):
            ids = [k.send('vm.show' if n % 2 else 'vm.list', {'vm': 'a'} if n % 2 else {}) for k in good]
            c.call('vm.set', vm='a', patch={'notes': str(n)})
            for k, i in zip(good, ids):
                answer = k.answer(i)['result']
                assert answer['state' if n % 2 else 'vms'], answer
        for k in bad + good:
            k.close()
        while descriptors(host) > before:
            assert c.call('vm.list')['vms'][0]['state'] == 'Running'
    assert json.dumps(c.call('vm.show', vm='a')['config'])


def half_closes(k):
    k.raw(b'{"jsonrpc": "2.0", "id": 1, "method": "events.next", "params": {"after": 4611686018427387904, "timeout_s": 86400}}\n')
    k.sock.shutdown(socket.SHUT_WR)


def leavers(host):
    """who leaves while vmms does not read from it, because its calls wait, keeps no place"""
    c = host.start()
    before = descriptors(host)
    for _ in range(3):
        lots = [host.client() for _ in range(110)]
        for i, k in enumerate(lots):
            (half_closes if i % 2 else waits_for_all)(k)
        c.call('host.info')
        for k in lots:
            k.close()
        while descriptors(host) > before:
            c.call('host.info')
    assert c.call('vm.list') == {'vms': []}


if __name__ == '__main__':
    sys.exit(main([many, leavers], sys.argv[1], sys.argv[2]))
