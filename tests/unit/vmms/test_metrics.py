#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""All VMs' counters over HTTP, read by a parser of Prometheus' text format that takes nothing else.

usage: test_metrics.py VMMS VMWP [TEST]...
"""
import contextlib
import os
import re
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmmslib import TIMEOUT, main  # noqa: E402

CONNS_MAX, HEAD_MAX = 32, 8192
GET = b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'


def read_all(s):
    got = b''
    while True:
        try:
            chunk = s.recv(1 << 16)
        except ConnectionResetError:
            return got
        if not chunk:
            return got
        got += chunk


def connect(where):
    s = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    s.connect(where)  # waits where the backlog is full
    s.settimeout(TIMEOUT)
    return s


def split(answer):
    """(status, headers, body) of one answer; Content-Length is what came."""
    head, body = answer.split(b'\r\n\r\n', 1)
    status, *lines = head.decode().split('\r\n')
    headers = {k.lower(): v for k, v in (line.split(': ', 1) for line in lines)}
    assert re.fullmatch(r'HTTP/1\.1 \d{3} .+', status), status
    return int(status.split()[1]), headers, body


def ask(where, request=GET):
    with connect(where) as s:
        s.sendall(request)
        return split(read_all(s))


NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'


def parse_sample(line):
    m = re.fullmatch(rf'({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)', line)
    assert m, f'no sample: {line!r}'
    unescape = {'\\\\': '\\', '\\"': '"', '\\n': '\n'}
    labels = [(k, re.sub(r'\\.', lambda e: unescape[e.group()], v)) for k, v in re.findall(LABEL, m.group(2) or '')]
    assert len(dict(labels)) == len(labels), f'a label twice: {line}'
    return m.group(1), frozenset(labels), float(m.group(m.lastindex))


def parse(text):
    """{(metric, labels): value}; what the format's version 0.0.4 asks for: HELP and TYPE once and before the samples, which stand in
    one group, no series twice, a newline at the end."""
    assert text.endswith('\n') and '\r' not in text
    series, types, current = {}, {}, None
    for line in text[:-1].split('\n'):
        comment = re.fullmatch(rf'# (HELP|TYPE) ({NAME}) (.+)', line)
        if comment:
            what, name, value = comment.groups()
            if what == 'HELP':
                assert name not in types, f'{name} twice'
                current, types[name] = name, None
            else:
                assert name == current and types[name] is None and value in ('counter', 'gauge'), line
                types[name] = value
            continue
        name, labels, value = parse_sample(line)
        assert name == current and types[name], f'{name} is not in its group'
        assert (types[name] == 'counter') == name.endswith('_total'), name
        assert (name, labels) not in series, f'twice: {line}'
        assert value >= 0, line
        series[(name, labels)] = value
    assert all(types.values())
    return series


def value(series, name, **labels):
    return series[(name, frozenset(labels.items()))]


def start(host, **more):
    where = host.path('metrics.sock')
    host.settings(kvm_device='/dev/null', metrics=where, **more)
    return host.start(), where


def make(c, host, *names):
    for name in names:
        c.call('vm.create', config=host.config(name))
        c.call('vm.start', vm=name)


def document(host):
    """every VM's numbers, by the format's rules; a worker that lies or keeps silent spoils nobody else's"""
    c, where = start(host)
    make(c, host, 'a', 'b', 'liar', 'slowcount')
    c.call('vm.create', config=host.config('off'))
    status, headers, body = ask(where)
    assert status == 200 and headers['content-type'].startswith('text/plain; version=0.0.4'), headers
    assert int(headers['content-length']) == len(body)
    got = parse(body.decode())
    for vm in 'ab':
        assert value(got, 'vmms_vp_run_time_seconds_total', vm=vm, vp='0') == 0.000005
        assert value(got, 'vmms_vp_io_total', vm=vm, vp='0') == 7
        assert value(got, 'vmms_memory_guest_visible_bytes', vm=vm) == 8 << 20
    assert value(got, 'vmms_vp_io_total', vm='liar', vp='?[2J') == 1
    assert value(got, 'vmms_silent_workers') == 1
    assert value(got, 'vmms_hypervisor_partitions') == 4
    infos = {dict(labels)['vm']: dict(labels) for name, labels in got if name == 'vmms_vm_info'}
    assert {k: v['state'] for k, v in infos.items()} == dict(
        a='Running', b='Running', liar='Running', slowcount='Running', off='Off')


def shared(host):
    """scrapes at the same time are one document, made once"""
    c, where = start(host)
    make(c, host, 'heldcount')
    worker = host.worker(c.call('vm.show', vm='heldcount')['id'])
    waiting = [connect(where) for _ in range(CONNS_MAX)]
    for s in waiting:
        s.sendall(GET)
    while worker.call('test.counted')['asked'] == 0:
        pass
    late = connect(where)  # finds all places taken, and waits in the backlog
    late.sendall(GET)
    c.call('host.info')
    assert worker.call('test.counted')['asked'] == 1
    worker.call('test.count')
    bodies = [split(read_all(s))[2] for s in waiting + [late]]
    assert len(set(bodies)) == 1 and b'vmms_vp_io_total{vm="heldcount",vp="0"} 7\n' in bodies[0]
    for s in waiting + [late]:
        s.close()


def refusals(host):
    """requests that are none, or for what is not there"""
    _, where = start(host)
    for request, status in ((b'GET / HTTP/1.1\r\n\r\n', 404), (b'GET /metricsx HTTP/1.1\r\n\r\n', 404),
                            (b'POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc', 405), (b'\r\n\r\n', 400),
                            (b'GET /metrics\r\n\r\n', 400), (b'GET /metrics HTTP/2.0\r\n\r\n', 400),
                            (b'GET  HTTP/1.1\r\n\r\n', 404), (b'\0\0\0\r\n\r\n', 400),
                            (b'GET /metrics HTTP/1.10\r\n\r\n', 400), (b'x' * HEAD_MAX, 431),
                            (b'GET /metrics HTTP/1.1\r\n' + b'a: b\r\n' * (HEAD_MAX // 6), 431)):
        got = ask(where, request)
        assert (got[0], got[2]) == (status, b''), (request[:40], got)
        assert got[1]['connection'] == 'close'
    for request in (b'GET /metrics?x=1 HTTP/1.0\r\n\r\n', GET + GET + b'more'):
        assert parse(ask(where, request)[2].decode())
    status, headers, body = ask(where, GET.replace(b'GET', b'HEAD'))
    assert status == 200 and int(headers['content-length']) > 0 and body == b''


def idlers(host):
    """those who say nothing, or half, shut nobody out; those who leave cost nothing"""
    c, where = start(host)
    make(c, host, 'a')
    idle = [connect(where) for _ in range(CONNS_MAX * 3)]
    for s in idle[::2]:
        with contextlib.suppress(OSError):  # it had to make room
            s.sendall(GET[:-2])
    for _ in range(CONNS_MAX * 2):
        with connect(where) as s, contextlib.suppress(OSError):
            s.sendall(GET)  # and is gone
    assert value(parse(ask(where)[2].decode()), 'vmms_vp_io_total', vm='a', vp='0') == 7
    assert c.call('vm.list')['vms'][0]['state'] == 'Running'
    for s in idle:
        s.close()


def loopback(host):
    """a port of the loopback interface; elsewhere is refused; a file in the way stays, and vmms serves VMs all the same"""
    for where in ('0.0.0.0:1', '10.0.0.1:80', 'localhost:1', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', ':80', '[::]:1',
                  '127.0.0.1:1x', '127.1:80', 'metrics.sock', '/' + 'x' * 200, '/tmp/', ''):
        host.settings(kvm_device='/dev/null', metrics=where)
        status, said = host.run_to_end()
        assert status == 1 and 'metrics: must be' in said, (where, said)
    host.settings(kvm_device='/dev/null', metrics=host.kernel)
    c = host.start()
    assert 'a file that is no socket' in host.logged() and os.path.getsize(host.kernel) == 4096
    assert c.call('vm.list') == {'vms': []}
    host.stop()
    host.settings(kvm_device='/dev/null', metrics='127.0.0.1:0')
    c = host.start()
    make(c, host, 'a')
    port = int(re.search(r'metrics are served at 127\.0\.0\.1:(\d+)', host.logged()).group(1))
    assert value(parse(ask(('127.0.0.1', port))[2].decode()), 'vmms_vp_io_total', vm='a', vp='0') == 7


def over_a_restart(host):
    """a socket that a killed vmms left is replaced; one that ends removes it, also while a scrape waits"""
    c, where = start(host)
    make(c, host, 'slowcount')
    assert os.stat(where).st_mode & 0o007 == 0
    host.kill()
    assert os.path.exists(where)
    c = host.start()
    s = connect(where)
    s.sendall(GET)
    c.call('host.info')
    host.stop()
    assert not os.path.exists(where)
    read_all(s)
    s.close()
    host.start()


if __name__ == '__main__':
    sys.exit(main([document, shared, refusals, idlers, loopback, over_a_restart], sys.argv[1], sys.argv[2]))
