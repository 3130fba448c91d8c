#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vmnat as vmms starts it, locked in, with a guest of a few lines: DHCP, names, ICMP, ports in and out, IPv6, and a guest that means ill. TAP.

It runs in a network and mount namespace of its own, where this program is the host's name server too.
usage: test_vmnat.py VMNAT
"""
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading

MAC, ALL = bytes.fromhex('00155d010203'), b'\xff' * 6
GUEST, GATEWAY, NAMES = (socket.inet_aton(a) for a in ('10.0.2.15', '10.0.2.2', '10.0.2.3'))
GUEST6, GATEWAY6 = (socket.inet_pton(socket.AF_INET6, a) for a in ('fec0::15', 'fec0::2'))
SECONDS = 60


def checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f'!{(len(data) + 1) // 2}H', data + b'\0' * (len(data) & 1)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(proto, payload, to=GATEWAY, source=GUEST):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0, source, to)
    return b'\x08\0' + head[:10] + struct.pack('!H', checksum(head)) + head[12:] + payload


def ip6(proto, payload, to=GATEWAY6, source=GUEST6):
    return b'\x86\xdd' + struct.pack('!IHBB', 6 << 28, len(payload), proto, 255) + source + to + payload


def summed(proto, segment, at, to, source):
    """With its sum at `at`, over the pseudo header of either family."""
    pseudo = source + to + (struct.pack('!BBH', 0, proto, len(segment)) if len(to) == 4 else
                            struct.pack('!II', len(segment), proto))
    return segment[:at] + struct.pack('!H', checksum(pseudo + segment)) + segment[at + 2:]


def udp(source_port, port, data, to=GATEWAY, source=GUEST):
    segment = summed(17, struct.pack('!HHHH', source_port, port, 8 + len(data), 0) + data, 6, to, source)
    return (ip4 if len(to) == 4 else ip6)(17, segment, to, source)


def tcp(source_port, port, seq, ack, flags, data=b'', to=GATEWAY, source=GUEST):
    segment = summed(6, struct.pack('!HHIIBBHHH', source_port, port, seq, ack, 5 << 4, flags, 65535, 0, 0) + data, 16,
                     to, source)
    return (ip4 if len(to) == 4 else ip6)(6, segment, to, source)


class Guest:
    """The other end of vmnat's socket."""

    def __init__(self, vmnat, *words):
        self.end, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end.settimeout(SECONDS)
        self.child = subprocess.Popen(
            ['unshare', '-m', '-p', '-f', '-i', '-u', '--kill-child', vmnat, '--fd', str(far.fileno()), '--name', 't/0',
             '--sandbox', 'full', '--uid', '1900200001', *words], pass_fds=[far.fileno()], stderr=subprocess.PIPE)
        far.close()

    def send(self, body, to=b'\x52\x55\x0a\0\x02\x02'):
        self.end.send(to + MAC + body)

    def receive(self, good):
        """The next frame for which good() has an answer; that. Questions for the guest's address are answered."""
        while True:
            frame = self.end.recv(70000)
            if not frame:
                raise AssertionError('vmnat ended: ' + self.child.stderr.read().decode())
            if frame[12:14] == b'\x08\x06' and frame[20:22] == b'\0\1' and frame[38:42] == GUEST:
                self.send(b'\x08\x06\0\1\x08\0\6\4\0\2' + MAC + GUEST + frame[6:12] + frame[28:32], frame[6:12])
            if frame[12:14] == b'\x86\xdd' and frame[20] == 58 and frame[54] == 135:
                self.neighbour(frame)
            got = good(frame)
            if got is not None:
                return got

    def neighbour(self, frame):
        """Says that it is here, by a neighbour advertisement (RFC 4861, 4.4)."""
        source, target = frame[22:38], frame[62:78]
        body = b'\x88\0\0\0\x60\0\0\0' + target + b'\2\1' + MAC
        self.send(ip6(58, summed(58, body, 2, source, target), source, target), frame[6:12])

    def segment(self, proto, ports, flags=0):
        """Waits for a segment from and to these ports (None: any): (payload, source port, sequence number, its acknowledgement)."""
        def good(frame):
            if frame[12:14] == b'\x08\0' and frame[23] == proto:
                s = frame[14 + (frame[14] & 15) * 4:14 + struct.unpack('!H', frame[16:18])[0]]
            elif frame[12:14] == b'\x86\xdd' and frame[20] == proto:
                s = frame[54:54 + struct.unpack('!H', frame[18:20])[0]]
            else:
                return None
            have = struct.unpack('!HH', s[:4])
            if any(want not in (None, is_) for want, is_ in zip(ports, have)):
                return None
            if proto == 17:
                return s[8:], have[0], 0, 0
            seq, ack = struct.unpack('!II', s[4:12])
            data = s[(s[12] >> 4) * 4:]
            return (data, have[0], seq, ack) if s[13] & flags == flags and (flags & 2 or data) else None
        return self.receive(good)

    def alive(self):
        """Whether the gateway still answers."""
        self.send(b'\x08\x06\0\1\x08\0\6\4\0\1' + MAC + GUEST + b'\0' * 6 + GATEWAY, ALL)
        self.receive(lambda f: f[12:14] == b'\x08\x06' and f[20:22] == b'\0\2' or None)

    def close(self):
        """vmnat ends with its socket, and well."""
        self.end.close()
        said = self.child.stderr.read().decode()
        assert self.child.wait(SECONDS) == 0 and 'system call' not in said, said


def echo_server(family, kind, address):
    """On the host: says in capitals what comes; its port."""
    s = socket.socket(family, kind)
    s.bind((address, 0))

    def serve():
        if kind == socket.SOCK_DGRAM:
            while True:
                data, who = s.recvfrom(2000)
                s.sendto(data.upper(), who)
        while True:
            end, _ = s.accept()
            end.sendall(end.recv(2000).upper())
            end.close()
    if kind == socket.SOCK_STREAM:
        s.listen()
    threading.Thread(target=serve, daemon=True).start()
    return s.getsockname()[1]


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def dhcp(vmnat):
    """DHCP gives address, router and name server"""
    g = Guest(vmnat)
    boot = struct.pack('!BBBBIHH16s16s192s', 1, 1, 6, 0, 7, 0, 0, b'', MAC, b'') + b'\x63\x82\x53\x63\x35\1\1\xff'
    g.send(udp(68, 67, boot.ljust(300, b'\0'), b'\xff' * 4, b'\0' * 4), ALL)
    answer = g.segment(17, (67, 68))[0]
    assert answer[16:20] == GUEST, answer
    for option in (b'\3\4' + GATEWAY, b'\6\4' + NAMES):
        assert option in answer, answer
    g.close()


def names(vmnat):
    """a question for a name goes to the host's name server, and its answer comes back"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(('127.0.0.1', 53))
        server.settimeout(SECONDS)
        g = Guest(vmnat)
        g.send(udp(5000, 53, b'who is that?', NAMES))
        asked, who = server.recvfrom(2000)
        server.sendto(b'nobody', who)
        assert (asked, g.segment(17, (53, 5000))[0]) == (b'who is that?', b'nobody')
        g.close()


def ping(vmnat):
    """the gateway answers to ping, over IPv4 and IPv6"""
    g = Guest(vmnat)
    body = b'\x08\0\0\0\0\1\0\1abcdefgh'
    g.send(ip4(1, body[:2] + struct.pack('!H', checksum(body)) + body[4:]))
    assert g.receive(lambda f: f[34:] if f[12:14] == b'\x08\0' and f[23] == 1 and f[34] == 0 else None)[8:16] == b'abcdefgh'
    body = b'\x80\0\0\0\0\1\0\1abcdefgh'
    g.send(ip6(58, summed(58, body, 2, GATEWAY6, GUEST6)))
    g.receive(lambda f: f[12:14] == b'\x86\xdd' and f[20] == 58 and f[54] == 129 and f[62:70] == b'abcdefgh' or None)
    g.close()


def talk(g, port, to=GATEWAY, source=GUEST):
    """A connection of the guest's to a port of the gateway's."""
    g.send(tcp(4000, port, 100, 0, 2, b'', to, source))
    _, _, seq, ack = g.segment(6, (port, 4000), 0x12)
    assert ack == 101
    g.send(tcp(4000, port, 101, seq + 1, 0x18, b'hello', to, source))
    data, _, seq, _ = g.segment(6, (port, 4000))
    assert data == b'HELLO', data
    g.send(tcp(4000, port, 106, seq + 5, 0x14, b'', to, source))


def outward(vmnat):
    """TCP and UDP to what listens on the host's loopback, over IPv4 and IPv6, where that is allowed"""
    g = Guest(vmnat, '--host-loopback')
    talk(g, echo_server(socket.AF_INET, socket.SOCK_STREAM, '127.0.0.1'))
    port = echo_server(socket.AF_INET, socket.SOCK_DGRAM, '127.0.0.1')
    g.send(udp(4001, port, b'datagram'))
    assert g.segment(17, (port, 4001))[0] == b'DATAGRAM'
    talk(g, echo_server(socket.AF_INET6, socket.SOCK_STREAM, '::1'), GATEWAY6, GUEST6)
    port = echo_server(socket.AF_INET6, socket.SOCK_DGRAM, '::1')
    g.send(udp(4001, port, b'datagram', GATEWAY6, GUEST6))
    assert g.segment(17, (port, 4001))[0] == b'DATAGRAM'
    g.close()


def no_loopback(vmnat):
    """without that the guest reaches none of it"""
    g = Guest(vmnat)
    port = echo_server(socket.AF_INET, socket.SOCK_STREAM, '127.0.0.1')
    g.send(tcp(4000, port, 100, 0, 2))

    def good(frame):
        if frame[12:14] == b'\x08\0' and frame[23] in (1, 6):
            assert frame[23] == 1 or frame[47] & 4, 'the host has answered'
            return True
        return None
    g.receive(good)
    g.close()


def inward(vmnat):
    """forwarded ports, TCP and UDP, lead to the guest"""
    tcp_port, udp_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    g = Guest(vmnat, '--host-loopback', '--forward', f'tcp,127.0.0.1,{tcp_port},80', '--forward',
              f'udp,127.0.0.1,{udp_port},53')
    g.alive()
    with socket.create_connection(('127.0.0.1', tcp_port), SECONDS) as end:
        end.sendall(b'GET /')
        _, port, seq, _ = g.segment(6, (None, 80), 2)
        g.send(tcp(80, port, 500, seq + 1, 0x12))
        data, _, seq, _ = g.segment(6, (port, 80))
        assert data == b'GET /', data
        g.send(tcp(80, port, 501, seq + 5, 0x18, b'200'))
        assert end.recv(10) == b'200'
        g.send(tcp(80, port, 504, seq + 5, 0x14))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(SECONDS)
        end.sendto(b'question', ('127.0.0.1', udp_port))
        data, port, _, _ = g.segment(17, (None, 53))
        assert data == b'question', data
        g.send(udp(53, port, b'answer'))
        assert end.recv(100) == b'answer'
    g.close()


def hostile(vmnat):
    """frames cut, changed and made up, every length of each; more connections than there are descriptors: it goes on, and stays small"""
    g = Guest(vmnat, '--host-loopback')
    rng = random.Random(4)
    good = [MAC + body for body in (
        udp(1, 53, b'x' * 40, NAMES), tcp(1, 80, 1, 0, 2), ip4(1, b'\x08\0' * 20), ip4(2, b'\0' * 20), udp(1, 69, b'\0\1f\0octet\0'),
        udp(68, 67, b'\1\1\6\0' + b'\0' * 296, b'\xff' * 4), b'\x08\x06\0\1\x08\0\6\4\0\1' + b'\0' * 20,
        ip6(58, b'\x85' + b'\0' * 30), ip6(17, b'\0' * 40), ip6(6, b'\0' * 60), ip6(0, b'\0' * 40), b'\x12\x34' + b'\0' * 60)]
    for body in good:
        for n in range(len(body) + 1):
            g.end.send(ALL + body[:n] if n else b'x')
            changed = bytearray(body)
            changed[rng.randrange(6, len(body))] = rng.randrange(256)
            g.end.send(ALL + bytes(changed))
        drain(g)
    port = echo_server(socket.AF_INET, socket.SOCK_STREAM, '127.0.0.1')
    for n in range(3000):
        g.send(tcp(1024 + n, port, 1, 0, 2))
        g.send(udp(1024 + n, 9, b'x'))
        if n % 50 == 0:
            drain(g)
    drain(g)
    g.alive()
    with open(f'/proc/{vmnat_pid(g)}/status', encoding='ascii') as status:
        rss = next(int(line.split()[1]) for line in status if line.startswith('VmRSS'))
    assert rss < 800 << 10, rss  # a sanitizer keeps what is freed
    g.close()


def vmnat_pid(g):
    """The child of unshare(1)."""
    with open(f'/proc/{g.child.pid}/task/{g.child.pid}/children', encoding='ascii') as children:
        return int(children.read().split()[0])


def drain(g):
    """What it said meanwhile; a guest that takes nothing is no test of it."""
    while select.select([g.end], [], [], 0)[0]:
        g.end.recv(70000)


TESTS = [dhcp, names, ping, outward, no_loopback, inward, hostile]


def main(vmnat):
    """All, one after another; 1 when one failed."""
    print(f'1..{len(TESTS)}', flush=True)
    bad = 0
    for n, test in enumerate(TESTS, 1):
        try:
            test(vmnat)
            print(f'ok {n} - {test.__name__}: {test.__doc__}', flush=True)
        except Exception as e:  # noqa: BLE001: whatever it is, the test failed
            bad += 1
            print(f'not ok {n} - {test.__name__}: {test.__doc__}\n# {type(e).__name__}: {str(e)[:1000]!r}', flush=True)
    return 1 if bad else 0


def enter(argv):
    """Runs this again in namespaces of its own, where its resolver is itself."""
    if os.environ.get('VMNAT_TEST_INSIDE'):
        sys.exit(main(argv[1]))
    if subprocess.run(['unshare', '-m', '-n', 'true'], stderr=subprocess.DEVNULL, check=False).returncode:
        print('1..0 # SKIP a network namespace needs root')
        sys.exit(0)
    script = ('mount -t tmpfs none /mnt && echo nameserver 127.0.0.1 >/mnt/r && mount --bind /mnt/r /etc/resolv.conf && '
              'ip link set lo up && echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range; exec "$@"')
    os.environ['VMNAT_TEST_INSIDE'] = '1'
    os.execvp('unshare', ['unshare', '-m', '-n', 'sh', '-c', script, 'sh', sys.executable, '-B', os.path.abspath(argv[0]),
                          os.path.abspath(argv[1])])


enter(sys.argv)
