#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A process of disk jobs without images, for tests of vmms: it does what its first file says, a JSON object.

  {"parents": [name…]}   asks for that parent, and then does as that file says; without it the chain is complete
  {"do": "hold"}         tells of progress and waits to be cancelled      "deaf"     the same, but never ends
  {"do": "die"}          exits with status 3                              "garbage"  says what is no JSON
  {"do": "lie"}          answers what no table has                        "flood"    tells of progress without end
  {"do": "stray"}        asks for the parent of a file that there is not
"""
import array
import json
import os
import socket
import sys

sock = socket.socket(fileno=int(sys.argv[sys.argv.index('--control-fd') + 1]))
buf, fds, waiting = b'', [], None


def send(**message):
    sock.sendall(json.dumps(dict(jsonrpc='2.0', **message)).encode() + b'\n')


def note(method, **params):
    send(method=method, params=params)


def line():
    global buf
    while b'\n' not in buf:
        data, anc, _, _ = sock.recvmsg(1 << 16, socket.CMSG_SPACE(253 * 4))
        if not data:
            sys.exit(0)
        for level, typ, raw in anc:
            if (level, typ) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                a = array.array('i')
                a.frombytes(raw[:len(raw) - len(raw) % a.itemsize])
                fds.extend(a)
        buf += data
    text, buf = buf.split(b'\n', 1)
    return json.loads(text)


def says(fd):
    try:
        found = json.loads(os.pread(fd, 65536, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def fail(code, message):
    send(id=waiting['id'], error={'code': code, 'message': message})


count = 0  # files so far, those that came and their parents


def find_parents(file, fd):
    """None, or why there is none."""
    global count
    while 'parents' in says(fd):
        note('parent', file=file, names=says(fd)['parents'])
        m = line()
        send(id=m['id'], result={})
        if 'error' in m['params']:
            return m['params']['error']
        fd, file, count = fds.pop(0), count, count + 1
    return None


def answer():
    path = waiting['params']['files'][0] if waiting['params']['files'] else ''
    if waiting['method'] == 'chain':
        return {}
    if waiting['method'] == 'check':
        return {'path': path, 'blocks': 1, 'errors': 0, 'repaired': 0, 'lost_bytes': 0, 'first': None}
    return {'path': path, 'format': 'raw', 'type': 'fixed', 'disk_bytes': 1, 'file_bytes': 1, 'allocated_bytes': 1,
            'block_bytes': 0, 'logical_bytes': 512, 'physical_bytes': 512, 'id': None, 'needs_replay': False,
            'parents': [], 'problem': None, 'warning': None}


def hold(deaf):
    note('progress', done=1, total=4)
    while True:
        m = line()
        send(id=m['id'], result={})
        if m['method'] == 'cancel' and not deaf:
            fail(-32011, 'cancelled')
            return


def run():
    global count
    files = [fds.pop(0) for _ in waiting['params']['files']]
    count = len(files)
    do = says(files[0]).get('do') if files else None
    if do in ('hold', 'deaf'):
        return hold(do == 'deaf')
    if do == 'die':
        sys.exit(3)
    if do == 'garbage':
        return sock.sendall(b'hello yourself\n')
    if do == 'lie':
        return send(id=waiting['id'], result={'colour': 'red'})
    if do == 'stray':
        return note('parent', file=7, names=['a'])
    while do == 'flood':
        note('progress', done=1, total=2)
    for i, fd in enumerate(files):
        why = find_parents(i, fd)
        if why:
            return fail(-32000, 'it has no parent')
    return send(id=waiting['id'], result=answer())


waiting = line()
run()
while True:
    line()
