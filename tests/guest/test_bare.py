#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The bare guest on this machine's /dev/kvm, in a real worker: one VM a test. TAP.

usage: test_bare.py BUILD_DIR
"""
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'bench'))
import worker  # noqa: E402

DISK_BYTES = 16 << 20
MASK = (1 << 64) - 1


class Skip(Exception):
    """This machine has not what the test needs."""


class Guest(worker.Worker):
    """A worker with the bare guest in it."""

    def __init__(self, cmdline, **more):
        super().__init__(os.path.join(worker.build_dir(), 'guest-drivers/bare/bare.elf'), cmdline, **more)

    rest = b''

    def __enter__(self):
        return self.spawn()

    def __exit__(self, *_):
        self.close()

    def until(self, text, timeout=60):
        """All lines up to the first that begins with `text`; what comes behind it is kept for the next call."""
        seen, end = [], time.monotonic() + timeout
        while True:
            while b'\n' in self.rest:
                line, self.rest = self.rest.split(b'\n', 1)
                seen.append(line.decode(errors='replace').strip())
                if seen[-1].startswith(text):
                    return '\n'.join(seen)
            left = max(0, end - time.monotonic())
            data = self.console.recv(65536) if select.select([self.console], [], [], left)[0] else b''
            if not data:
                with open(self.log.name, encoding='utf-8') as log:
                    raise AssertionError('\n'.join([f"'{text}' did not come; the console says:", *seen, log.read()]))
            self.rest += data

    def done(self):
        """All lines up to the last; checks that every word did what was asked."""
        text = self.until('bare: done')
        expect('bare: done rc=0', text)
        return text

    def off(self):
        """The worker ends by itself, with status 0."""
        status = self.proc.wait(60)
        if status:
            raise AssertionError(f'the worker ended with status {status}; its log:\n{open(self.log.name).read()}')


def expect(what, text):
    if what not in text:
        raise AssertionError(f"no '{what}' in:\n{text}")


def equal(got, want, what):
    if got != want:
        raise AssertionError(f'{what} is {got!r}, not {want!r}')


def pattern(path, controller=0, lun=0):
    """Checks that the host sees what disk.c of the bare guest writes."""
    seed = controller << 56 | lun << 48
    with open(path, 'rb') as f:
        data = f.read()
    words = struct.unpack(f'<{len(data) // 8}Q', data)
    for i in list(range(0, len(words), 509)) + [len(words) - 1]:
        want = ((i * 8 + seed) * 0x9e3779b97f4a7c15) & MASK
        if words[i] != want:
            raise AssertionError(f'{path} at {i * 8}: 0x{words[i]:x}, not 0x{want:x}')


class Disks:
    """Files of zeros."""

    def __init__(self, n):
        self.files = [tempfile.NamedTemporaryFile(prefix='bare-') for _ in range(n)]
        for f in self.files:
            f.truncate(DISK_BYTES)

    def __enter__(self):
        return [f.name for f in self.files]

    def __exit__(self, *_):
        for f in self.files:
            f.close()


def services():
    """channels, heartbeat and time synchronization"""
    with Guest('mem vps test=channels,heartbeat,timesync hold') as g:
        text = g.until('bare: hold')
        expect('bare: vmbus version=5.3', text)
        expect('bare: heartbeat up version=3.0 framework=3.0', text)
        expect('bare: timesync up version=4.0', text)
        status = g.call('vm.status')
        equal(status['state'], 'Running', 'state')
        equal(status['health'], 'Ok', 'health')
        equal(status['vmbus_version'], '5.3', 'version')
        equal(status['heartbeat'], 'Ok', 'heartbeat')


def counters():
    """what a guest does is counted, and goes on being over a reset"""
    with Disks(1) as paths, Guest('reset=acpi test=disk hold', drives=paths) as g:
        g.until('bare: hold')
        first, sets = None, None
        for _ in range(2):
            sets = {(s['set'], s['instance']): s['counters'] for s in g.call('vm.counters')['sets']}
            vp, disk0 = sets[('vp', '0')], sets[('storage', '0:0')]
            for key in ('run_time_us', 'intercepts', 'io', 'msr', 'hypercalls'):
                assert vp[key] > (0 if first is None else first[key] - 1), (key, vp)
            first = vp
        assert disk0['write_bytes'] >= DISK_BYTES and disk0['read_bytes'] >= DISK_BYTES, disk0
        assert disk0['operations'] > 0 and disk0['latency_us'] > 0 and disk0['queue_length'] == 0, disk0
        bus = sets[('vmbus', 'SCSI controller 0')]
        assert bus['packets_received'] >= bus['interrupts_received'] > 0 and bus['interrupts_sent'] > 0, bus


def disk():
    """a disk's pattern is on the host's file"""
    with Disks(2) as paths, Guest('test=disk', drives=paths) as g:
        text = g.done()
        expect(f'bare: disk 0/0 {DISK_BYTES >> 10}KiB pattern verified', text)
        expect(f'bare: disk 0/1 {DISK_BYTES >> 10}KiB pattern verified', text)
        g.off()
        pattern(paths[0])
        pattern(paths[1], lun=1)


def subchannels(cpus):
    with Disks(1) as paths, Guest('vps test=subchannels', cpus=cpus, disk_channels=cpus, drives=paths) as g:
        text = g.done()
        expect(f'bare: vps {cpus}', text)
        expect(f'queues={cpus} ', text)
        g.off()
        pattern(paths[0])


def subchannels_2():
    """2 VPs share a disk over sub-channels"""
    subchannels(2)


def subchannels_4():
    """4 VPs share a disk over sub-channels"""
    subchannels(4)


def eight():
    """8 VPs start"""
    with Guest('vps', cpus=8) as g:
        text = g.done()
        expect('bare: vp 7 apic=7', text)
        expect('bare: vps 8', text)


def negotiated(g, service):
    """The guest's driver is up: a notification tells of each change; asking is as good, and simple."""
    while g.call('vm.status')['integration'][service]['version'] is None:
        pass


def shutdown():
    """the shutdown service powers off"""
    with Guest('hold') as g:
        g.until('bare: hold')
        negotiated(g, 'shutdown')
        g.call('vm.shutdown', {'type': 'shutdown', 'force': False, 'reason': 'test'})
        text = g.done()
        expect('bare: shutdown asked flags=0x0', text)
        g.off()


def restart():
    """the shutdown service restarts, and the guest finds a fresh machine"""
    with Guest('test=heartbeat hold', cpus=2) as g:
        g.until('bare: hold')
        negotiated(g, 'shutdown')
        g.call('vm.shutdown', {'type': 'restart', 'force': False, 'reason': 'test'})
        g.done()
        text = g.until('bare: hold')
        expect('bare: vps 2', text)
        expect('bare: test heartbeat passed', text)
        equal(g.call('vm.status')['resets'], 1, 'resets')


def resets():
    """every way to reset"""
    ways = 'acpi,cf9,keyboard,hv,triplefault'
    with Guest('reset=' + ways + ' test=channels hold', cpus=2) as g:
        text = g.until('bare: hold')
        for way in ways.split(','):
            expect(f'bare: reset by {way}', text)
        expect('bare: resets 5 survived', text)
        expect('bare: test channels passed', text)
        equal(g.call('vm.status')['resets'], 5, 'resets')


def crash():
    """a crash ends in the status with its text"""
    with Guest('crash hold') as g:
        g.until('bare: hold')
        status = g.call('vm.status')
        equal(status['health'], 'Critical', 'health')
        equal(status['crash']['params'][0], '0xc0de0000', 'parameter')
        expect('bare: crash on request', status['crash']['text'])


def pause():
    """pause and resume; the guest goes on"""
    with Guest('hold') as g:
        g.until('bare: hold')
        for _ in range(5):
            g.call('vm.pause')
            equal(g.call('vm.status')['state'], 'Paused', 'state')
            g.call('vm.resume')
        g.call('vm.shutdown', {'type': 'shutdown', 'force': False, 'reason': 'test'})
        g.done()
        g.off()


def paused_reset():
    """a paused VM can be reset, and a paused one turned off"""
    with Guest('hold') as g:
        g.until('bare: hold')
        g.call('vm.pause')
        g.call('vm.reset')
        equal(g.call('vm.status')['state'], 'Running', 'state')
        g.until('bare: hold')
        g.call('vm.pause')
        g.call('vm.turn_off')
        equal(g.proc.wait(60), 0, 'exit status')


def any_order():
    """power states asked for at once, while the disk is busy: each is answered, and the VM ends when told to"""
    asked = ('vm.pause', 'vm.reset', 'vm.resume', 'vm.status')
    with tempfile.NamedTemporaryFile() as image:
        image.truncate(16 << 20)
        for first in range(len(asked)):
            with Guest('test=disk hold', cpus=2, drives=[image.name]) as g:
                g.until('bare: start')
                for method in asked[first:] + asked[:first] + ('vm.turn_off',):
                    last = g._send(method, {})
                g.answer(last)
                equal(g.proc.wait(60), 0, 'exit status')


def rescind():
    """a service is taken back and offered again"""
    with Guest('test=heartbeat hold') as g:
        g.until('bare: hold')
        g.call('integration.set', {'service': 'heartbeat', 'enabled': False})
        g.until('bare: heartbeat rescinded')
        equal(g.call('vm.status')['heartbeat'], 'Disabled', 'heartbeat')
        g.call('integration.set', {'service': 'heartbeat', 'enabled': True})
        g.call('vm.shutdown', {'type': 'shutdown', 'force': False, 'reason': 'test'})
        g.done()
        g.off()


def hostile():
    """what no driver does breaks its own channel at worst"""
    with Disks(1) as paths, Guest('hostile=control,hypercall,packet,ring test=channels,disk,heartbeat', cpus=2,
                                  drives=paths) as g:
        text = g.done()
        for what in ('control', 'hypercall', 'packet', 'ring'):
            expect(f'bare: hostile {what} survived', text)
        g.off()
        pattern(paths[0])


class Page:
    """A server on the host that answers one connection with a page."""

    BODY = b'HTTP/1.0 200 OK\r\n\r\n' + bytes(i * 7 % 251 for i in range(200000))

    def __init__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.asked = b''
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        select.select([self.socket], [], [])  # a thread that waits in accept(2) holds a descriptor's number back
        end, _ = self.socket.accept()
        with end:
            while not self.asked.endswith(b'\r\n\r\n'):
                self.asked += end.recv(4096)
            end.sendall(self.BODY)

    def sum(self):
        total = 0
        for b in self.BODY:
            total = (total * 31 + b) & 0xffffffff
        return total


def network():
    """a network behind address translation: an address, ping, a page from the host, a port of the host that leads to the guest"""
    page = Page()
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    with Guest(f'test=channels,net fetch={page.port} serve=7 hold', cpus=2,
               nat=['--host-loopback', '--forward', f'tcp,127.0.0.1,{port},7']) as g:
        text = g.until('bare: serve port=7')
        expect('bare: channel name=net', text)
        expect('bare: net version=6.1 ', text)
        expect('bare: net address=10.0.2.15 router=10.0.2.2', text)
        expect('bare: test net passed', text)
        expect(f'bare: fetch done bytes={len(page.BODY)} sum=0x{page.sum():x} "HTTP/1.0 200 OK"', text)
        equal(page.asked, b'GET / HTTP/1.0\r\n\r\n', 'the request')
        with socket.create_connection(('127.0.0.1', port), 60) as end:
            end.sendall(b'hello from the host\n')
            equal(end.makefile('rb').read(), b'hello from the bare guest\n', 'what the guest answers')
        g.until('bare: serve done "hello from the host"')
        g.until('bare: hold')
        nic = g.call('vm.status')['nics'][0]
        equal((nic['kind'], nic['link'], nic['send_errors']), ('user', True, 0), 'the adapter')
        g.call('vm.turn_off')
        equal(g.nat_proc.wait(60), 0, 'the end of vmnat')


def network_gone():
    """the other end of the network ends: the link is down, and the guest goes on"""
    with Guest('test=net hold', nat=[]) as g:
        expect('bare: test net passed', g.until('bare: hold'))
        g.nat_proc.kill()
        equal(g.call('vm.status')['state'], 'Running', 'state')
        g.call('vm.shutdown', {'type': 'shutdown', 'force': False, 'reason': 'test'})
        g.done()
        g.off()


def adapters(g):
    """What the worker says of its adapters, by number."""
    return {n['index']: n for n in g.call('vm.status')['nics']}


def add_again(g, index):
    """A number that had another adapter is free when the guest has let go of that."""
    while True:
        try:
            return g.call('nic.attach', {'index': index, 'nic': {'kind': 'none'}, 'fds': []})
        except RuntimeError as e:
            if 'has not let go' not in str(e):
                raise


def plugging():
    """network adapters come and go while the guest runs: eight at once, each number again, paused too; the back-end is let go of at once"""
    with Guest('test=heartbeat hold', cpus=2) as g:
        g.until('bare: hold')
        for turn in range(3):
            for index in range(8):
                add_again(g, index)
            equal(sorted(adapters(g)), list(range(8)), 'the adapters')
            try:
                g.call('nic.attach', {'index': 3, 'nic': {'kind': 'none'}, 'fds': []})
                raise AssertionError('a second adapter 3')
            except RuntimeError as e:
                expect('there is a network adapter 3 already', str(e))
            if turn == 1:
                g.call('vm.pause')
            g.call('nic.link', {'index': 5, 'up': False})
            equal([i for i, n in adapters(g).items() if not n['link']], [5], 'what is unplugged')
            for index in range(8):
                g.call('nic.detach', {'index': index})
            equal(adapters(g), {}, 'the adapters')
            if turn == 1:
                g.call('vm.resume')
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        while True:
            try:
                g.call('nic.attach', {'index': 0, 'nic': {'kind': 'user', 'link': False}, 'fds': ['nic/0']}, [near.fileno()])
                break
            except RuntimeError as e:
                expect('has not let go', str(e))
        near.close()
        equal(adapters(g)[0]['link'], False, 'the link')
        g.call('nic.detach', {'index': 0})
        far.settimeout(60)
        equal(far.recv(1), b'', 'what comes of a back-end that is free')
        for words, fds in (({'kind': 'user'}, []), ({'kind': 'tap', 'tap': 't'}, []), ({'kind': 'none'}, ['nic/7'])):
            try:
                g.call('nic.attach', {'index': 7, 'nic': words, 'fds': fds}, [far.fileno()] if fds else [])
                raise AssertionError(words)
            except RuntimeError as e:
                expect('descriptors came for network adapter 7', str(e))
        equal(g.call('vm.status')['state'], 'Running', 'state')


TAP = """
import array, fcntl, os, socket, struct, sys
fds = []
for n in range(2):
    fds.append(os.open('/dev/net/tun', os.O_RDWR))
    fcntl.ioctl(fds[-1], 0x400454ca, struct.pack('16sH22x', b'baretap', 0x5102 ))
socket.socket(fileno=int(sys.argv[1])).sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
sys.stdin.read()
"""


def tap_queues():
    """a tap of two queues, in a network of its own: the worker switches the second off by itself, in its sandbox"""
    ours, theirs = socket.socketpair()
    # It stays, for the network goes with its last process.
    with subprocess.Popen(['unshare', '-n', sys.executable, '-c', TAP, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                          stdin=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        theirs.close()
        said, anc, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(8))
        if not said:
            raise Skip('no tap here: ' + holder.stderr.read().decode().strip().split('\n')[-1])
        queues_of(struct.unpack('ii', anc[0][2]))


def queues_of(fds):
    """The test, with both queues."""
    with Guest('test=heartbeat hold', cpus=2) as g:
        g.until('bare: hold')
        for _ in range(2):
            while True:
                try:
                    g.call('nic.attach', {'index': 0, 'nic': {'kind': 'tap', 'tap': 'baretap'}, 'fds': ['nic/0', 'nic/0/1']}, fds)
                    break
                except RuntimeError as e:
                    expect('has not let go', str(e))
                    fcntl.ioctl(fds[1], 0x400454d9, struct.pack('16sH22x', b'', 0x0200))
            # The second is switched off: what is switched off cannot be again, what is on can.
            for fd, on in zip(fds, (True, False)):
                try:
                    fcntl.ioctl(fd, 0x400454d9, struct.pack('16sH22x', b'', 0x0400))
                    equal(on, True, 'a queue that is on')
                    fcntl.ioctl(fd, 0x400454d9, struct.pack('16sH22x', b'', 0x0200))
                except OSError:
                    equal(on, False, 'a queue that is off')
            g.call('nic.detach', {'index': 0})
            fcntl.ioctl(fds[1], 0x400454d9, struct.pack('16sH22x', b'', 0x0200))
        equal(g.call('vm.status')['state'], 'Running', 'state')
    for fd in fds:
        os.close(fd)


TESTS = [network, network_gone, plugging, tap_queues, services, disk, counters, subchannels_2, subchannels_4, eight, shutdown, restart, resets, crash, pause,
         paused_reset, any_order, rescind, hostile]


def kvm_missing():
    try:
        os.close(os.open('/dev/kvm', os.O_RDWR))
    except OSError as e:
        return f'/dev/kvm: {e.strerror}'
    return None


def main():
    build = os.path.abspath(sys.argv[1])
    worker.build_dir = lambda: build
    missing = kvm_missing()
    failed = 0
    print(f'1..{len(TESTS)}')
    for n, test in enumerate(TESTS, 1):
        if missing:
            print(f'ok {n} - {test.__doc__} # SKIP {missing}')
            continue
        try:
            test()
            print(f'ok {n} - {test.__doc__}', flush=True)
        except Skip as why:
            print(f'ok {n} - {test.__doc__} # SKIP {why}', flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f'not ok {n} - {test.__doc__}', flush=True)
            for line in traceback.format_exc().splitlines():
                print(f'# {line}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
