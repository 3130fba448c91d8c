#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A worker without a VM, for tests of vmms: it speaks the control protocol and does what its VM's name says.

The name's part before the first '-' is the behaviour:
  mute      never answers            garbage   answers hello with what is not JSON
  foreign   says it is another VM    dies      exits with status 3 at setup, without a report
  refuses   fails setup with a line  floods    sends vm.changed without end once it runs
  deaf      never answers vm.shutdown's request by the guest (stays Running)
  noic      has no shutdown integration service
  wedged    does not end on vm.turn_off
  beatless  never has a heartbeat    panics    is Critical once it runs, with a panic text
  leaves    ends between setup and vm.start, with a report
  serviceless  cannot switch an integration service
  diskless  fails whatever it is asked of its drives
  slowdisk  never answers that a drive is attached
  slowdetach  does not hear the first request to detach a drive
  liar      says of its counters what is not so        slowcount  never tells them
  uncounted cannot count                              heldcount  tells them at test.count
  nicless   fails whatever it is asked of its network adapters
  slownic   never answers that a network adapter is attached
  locked    has a guest that has locked the tray of its DVD drives
Anything else is a VM that works. A test may connect to worker.sock too and call test.* methods.
"""
import array
import json
import os
import selectors
import socket
import sys
import time

if '--host-check' in sys.argv:
    print(json.dumps({'ok': True, 'checks': [
        {'name': 'KVM device', 'result': 'ok', 'text': '/dev/kvm'}]}))
    sys.exit(0)

args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name, vm_id = args['--name'], args['--id']
kind = name.split('-')[0]
print(f'fake worker of {name} begins', flush=True)
open_at_start = sorted(int(f) for f in os.listdir('/proc/self/fd') if int(f) > 2)

sel = selectors.DefaultSelector()
listener = socket.socket(fileno=int(args['--control-fd']))
conns = []
fds = {}
config = None
parents = None
started = 0.0
status = {
    'state': 'Off', 'health': 'Ok', 'reason': None, 'uptime_us': 0, 'vmbus_version': None,
    'heartbeat': 'No contact', 'integration': {}, 'crash': None, 'channels': [], 'vps': [], 'drives': [], 'resets': 0,
}


class Fail(Exception):
    def __init__(self, code, message):
        self.code, self.message = code, message


class Conn:
    def __init__(self, sock):
        self.sock, self.buf, self.fds, self.requests = sock, b'', [], []

    def send(self, obj):
        try:
            self.sock.sendall(json.dumps(obj).encode() + b'\n')
        except OSError:
            pass


def report(reason, health='Ok'):
    text = json.dumps({'state': 'Off', 'health': health, 'reason': reason}).encode()
    os.ftruncate(fds['report'], 0)
    os.pwrite(fds['report'], text, 0)


def changed(**what):
    status.update(what)
    for c in conns:
        c.send({'jsonrpc': '2.0', 'method': 'vm.changed', 'params': now()})


def now():
    if status['state'] == 'Running':
        status['uptime_us'] = int((time.monotonic() - started) * 1e6)
    return status


def end(reason, health='Ok'):
    report(reason, health)
    sys.exit(0)


def hello(conn, p):
    if kind == 'foreign':
        return {'version': '0', 'id': '0' * 8 + vm_id[8:], 'pid': 1, 'configured': False, 'status': None}
    return {'version': '0', 'id': vm_id, 'pid': os.getpid(), 'configured': config is not None,
            'status': now() if config else None}


def setup(conn, p):
    global config, parents
    if kind == 'dies':
        sys.exit(3)
    if kind == 'refuses':
        raise Fail(-32000, 'the kernel is neither a bzImage nor a PVH ELF file')
    if len(conn.fds) != len(p['fds']):
        raise Fail(-32602, f'{len(p["fds"])} descriptors named, {len(conn.fds)} came')
    config, parents = p['config'], p.get('parents')
    places.update((n, d['lun']) for n, s in enumerate(config.get('scsi', [])) for d in s['drives'])
    say_drives()
    status['integration'] = {k: {'enabled': v, 'version': None} for k, v in config['integration'].items()}
    fds.update(zip(p['fds'], conn.fds))
    conn.fds = []
    return {}


def start(conn, p):
    global started
    if kind == 'leaves':
        end('the kernel has no 64-bit entry', 'Critical')
    started = time.monotonic()
    if kind == 'panics':
        status.update(health='Critical', reason='the guest crashed', crash={
            'count': 1, 'params': ['0x0'] * 5, 'text': 'Kernel panic: fake'})
    changed(state='Running', vmbus_version='5.3', heartbeat='No contact' if kind == 'beatless' else 'Ok')
    return {}


def shutdown(conn, p):
    if kind == 'noic':
        raise Fail(-32010, 'the guest has no shutdown integration service')
    if kind == 'deaf':
        return {}
    if p['type'] == 'restart':
        later.append(lambda: changed(state='Running', resets=status['resets'] + 1))
        changed(state='Resetting')
    else:
        changed(state='Stopping')
        later.append(lambda: end('guest shut down'))
    return {}


def turn_off(conn, p):
    if kind == 'wedged':
        return None
    later.append(lambda: end('turned off'))
    return {}


def facts(conn, p):
    return {'open_at_start': open_at_start, 'sid': os.getsid(0), 'argv': sys.argv[1:], 'roles': sorted(fds),
            'config': config, 'stdin': os.readlink('/proc/self/fd/0'), 'stdout': os.readlink('/proc/self/fd/1'),
            'drives': drives, 'nics': nics, 'services': services, 'parents': parents, 'env': sorted(os.environ)}


services = []


def integration(conn, p):
    services.append([p['service'], p['enabled']])
    if kind == 'serviceless':
        raise Fail(-32000, 'the fake cannot')
    status['integration'][p['service']] = {'enabled': p['enabled'], 'version': None}
    return {}


drives = []
images = {}
places = set()


def say_drives():
    status['drives'] = [{'controller': c, 'lun': n} for c, n in sorted(places)]


def told(method, fn=lambda conn, p: {}):
    """A method on drives: remembered, then done; `diskless` can not, `slowdisk` never answers an attach."""
    def run(conn, p):
        got, conn.fds = conn.fds, []
        drives.append([method, p])
        if kind == 'diskless':
            for fd in got:
                os.close(fd)
            raise Fail(-32000, 'the fake cannot')
        if kind == 'locked' and method == 'dvd.change' and not p.get('force'):
            raise Fail(-32004, 'the guest has locked the tray')
        if kind == 'slowdisk' and method == 'drive.attach':
            return None
        if kind == 'slowdetach' and method == 'drive.detach' and len([d for d in drives if d[0] == method]) == 1:
            return None
        place = (p['controller'], p['lun'])
        if method in ('drive.detach', 'dvd.change'):
            for fd in images.pop(place, []):
                os.close(fd)
            role = f'scsi/{place[0]}/{place[1]}'  # one that it has from its setup
            if role in fds:
                os.close(fds.pop(role))
        if got:
            images[place] = got
        if method in ('drive.attach', 'drive.detach'):
            (places.add if method == 'drive.attach' else places.discard)(place)
            say_drives()
        return fn(conn, p)
    return run


asked_counters = []


def counters(conn, p):
    if kind == 'uncounted':
        raise Fail(-32601, 'no such method')
    asked_counters.append(conn)
    if kind in ('slowcount', 'heldcount'):
        return None
    if kind == 'liar':
        return {'time_us': 1 << 62, 'sets': [
            {'set': 'vp', 'instance': '\x1b[2J', 'counters': {'io': 1, 'hlt': -1, 'x' * 1000: 1}},
            {'set': 'memory', 'instance': '', 'counters': {'guest_visible_bytes': 1}},
            {'set': 'health', 'instance': '', 'counters': {'ok': 1}}] + [7, None, {'set': {}}] * 100}
    return {'time_us': time.monotonic_ns() // 1000, 'sets': numbers}


def set_numbers(conn, p):
    numbers[:] = p['sets']
    return {}


numbers = [{'set': 'vp', 'instance': '0', 'counters': {'run_time_us': 5, 'io': 7}}]


def count_now(conn, p):
    for c in conns:
        for request in [r for r in c.requests if r['method'] == 'vm.counters']:
            c.requests.remove(request)
            c.send({'jsonrpc': '2.0', 'id': request['id'],
                    'result': {'time_us': time.monotonic_ns() // 1000, 'sets': numbers}})
    return {}


nics = []
cables = {}


def nic(method):
    """A method on adapters: remembered, then done; `nicless` can not, `slownic` never answers an attach."""
    def run(conn, p):
        got, conn.fds = conn.fds, []
        nics.append([method, p, len(got)])
        if kind == 'nicless':
            for fd in got:
                os.close(fd)
            raise Fail(-32000, 'the fake cannot')
        if kind == 'slownic' and method == 'nic.attach':
            return None
        if method == 'nic.detach':
            for fd in cables.pop(p['index'], []):
                os.close(fd)
        if got:
            cables[p['index']] = got
        return {}
    return run


methods = {
    'nic.attach': nic('nic.attach'), 'nic.detach': nic('nic.detach'), 'nic.link': nic('nic.link'),
    'vm.counters': counters, 'test.count': count_now, 'test.numbers': set_numbers,
    'test.counted': lambda c, p: {'asked': len(asked_counters)},
    'drive.attach': told('drive.attach'), 'drive.detach': told('drive.detach'), 'drive.set': told('drive.set'),
    'drive.resize': told('drive.resize', lambda conn, p: {'bytes': p.get('bytes', 512)}),
    'dvd.change': told('dvd.change'),
    'worker.hello': hello, 'worker.setup': setup, 'vm.start': start, 'vm.shutdown': shutdown,
    'vm.turn_off': turn_off, 'vm.status': lambda c, p: now(), 'integration.set': integration,
    'vm.pause': lambda c, p: changed(state='Paused') or {},
    'vm.resume': lambda c, p: changed(state='Running') or {},
    'vm.reset': lambda c, p: changed(resets=status['resets'] + 1) or {},
    'test.facts': facts,
    'test.changed': lambda c, p: changed(**p) or {},
    'test.end': lambda c, p: later.append(lambda: end(**p)) or {},
    'test.exit': lambda c, p: later.append(lambda: sys.exit(p['status'])) or {},
    'test.raw': lambda c, p: [o.sock.sendall(p['text'].encode()) for o in conns if o is not c] and {},
    'test.hang_up': lambda c, p: [o.sock.shutdown(socket.SHUT_RDWR) for o in conns if o is not c] and {},
}
later = []


def answer(conn, line):
    m = json.loads(line)
    if kind == 'mute' and not m['method'].startswith('test.'):
        return
    if kind == 'garbage':
        conn.sock.sendall(b'hello yourself\n')
        return
    try:
        result = methods[m['method']](conn, m.get('params') or {})
        if result is None:
            conn.requests.append(m)
        else:
            conn.send({'jsonrpc': '2.0', 'id': m['id'], 'result': result})
    except Fail as e:
        conn.send({'jsonrpc': '2.0', 'id': m['id'], 'error': {'code': e.code, 'message': e.message}})


def receive(conn):
    try:
        data, anc, _, _ = conn.sock.recvmsg(1 << 16, socket.CMSG_SPACE(253 * 4))
    except OSError:
        data, anc = b'', []
    for level, typ, raw in anc:
        if (level, typ) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            a = array.array('i')
            a.frombytes(raw[:len(raw) - len(raw) % a.itemsize])
            conn.fds += a
    if not data:
        sel.unregister(conn.sock)
        conns.remove(conn)
        conn.sock.close()
        return
    conn.buf += data
    while b'\n' in conn.buf:
        line, conn.buf = conn.buf.split(b'\n', 1)
        answer(conn, line)


sel.register(listener, selectors.EVENT_READ)
while True:
    flooding = kind == 'floods' and status['state'] == 'Running'
    for key, _ in sel.select(0 if flooding or later else None):
        if key.fileobj is listener:
            listener.setblocking(True)
            c = Conn(listener.accept()[0])
            c.sock.setblocking(True)
            conns.append(c)
            sel.register(c.sock, selectors.EVENT_READ, c)
        else:
            receive(key.data)
    todo, later = later, []
    for f in todo:
        f()
    if flooding:
        for c in conns:
            c.sock.settimeout(0.05)
            try:
                for n in range(200):
                    health = 'Critical' if n % 2 else 'Ok'
                    c.sock.send(json.dumps({'jsonrpc': '2.0', 'method': 'vm.changed',
                                            'params': dict(status, health=health)}).encode() + b'\n')
            except OSError:
                pass
            c.sock.settimeout(None)
