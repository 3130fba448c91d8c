#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest's hv_netvsc: behind address translation (DHCP, the gateway, a large transfer, a forwarded port), over a tap with
offloads both ways, two adapters, the driver reloaded."""

import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading

import labkit
import lablib
import labvmms

DATA_BYTES = 64 << 20
PART_BYTES = 4 << 20
# What busybox' udhcpc calls: it says what was leased, and uses it.
SCRIPT = ("#!/bin/busybox sh\n[ \"$1\" = bound ] || exit 0\nip addr add $ip/24 dev $interface\n"
          "ip route add default via $router\necho lease $ip $router $dns\n")
TAP = "labtap0"


class Server:
    """A web server on the host with one file of random bytes."""

    def __init__(self, space, address):
        folder = space.file("www")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "data")
        if not os.path.exists(path):
            with open(path, "wb") as out:
                for _ in range(DATA_BYTES >> 20):
                    out.write(os.urandom(1 << 20))
        with open(path, "rb") as data, open(os.path.join(folder, "part"), "wb") as part:
            whole = data.read()
            part.write(whole[:PART_BYTES])
        self.digests = {"data": hashlib.md5(whole).hexdigest(), "part": hashlib.md5(whole[:PART_BYTES]).hexdigest()}

        class Handler(http.server.SimpleHTTPRequestHandler):
            """Files of that folder, without a word."""

            def __init__(self, *words):
                super().__init__(*words, directory=folder)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Stop it."""
        self.server.shutdown()
        self.server.server_close()


def free_port():
    """A TCP port of the host that nothing has."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def load(vm):
    """The driver, and the first adapter's interface up."""
    vm.run("modprobe hv_netvsc")
    vm.until("[ -d /sys/class/net/eth0 ]")
    vm.run("ip link set eth0 up")


def lease(vm):
    """An address by DHCP: what the lease says."""
    vm.run("printf '%s' >/tmp/lease; chmod +x /tmp/lease" % SCRIPT.replace("\n", "\\n").replace("'", ""))
    return [line for line in vm.run("udhcpc -i eth0 -n -q -t 20 -T 1 -s /tmp/lease 2>/dev/null").split("\n")
            if line.startswith("lease")][-1].split()


def fetch(tap, vm, address, server, what, name):
    """A file from the web server has the right checksum in the guest."""
    said = vm.run("wget -q -O - http://%s:%d/%s | md5sum" % (address, server.port, what), seconds=1200)
    tap.equal(said.split()[0], server.digests[what], name)


def behind_nat(tap, vm, server, port, name):
    """DHCP, ping, a transfer, a port of the host that leads to the guest."""
    load(vm)
    tap.equal(lease(vm)[1:], ["10.0.2.15", "10.0.2.2", "10.0.2.3"], name + ": DHCP gives the address, router, name server")
    vm.run("ping -c 3 -w 60 10.0.2.2 >/dev/null")
    tap.ok(True, name + ": the gateway answers to ping")
    fetch(tap, vm, "10.0.2.2", server, "data", name + ": 64 MiB from the host have the same checksum")
    vm.run("echo from the guest >/tmp/answer; (nc -l -p 7 </tmp/answer >/tmp/asked &)")
    vm.until("grep -q ':0007 .* 0A ' /proc/net/tcp /proc/net/tcp6")
    with socket.create_connection(("127.0.0.1", port), lablib.PATIENCE) as end:
        end.settimeout(lablib.PATIENCE)
        end.sendall(b"from the host\n")
        tap.equal(end.makefile("rb").readline(), b"from the guest\n", name + ": a forwarded port leads to the guest")
    vm.until("grep -q 'from the host' /tmp/asked")


def two_adapters(tap, vm, name):
    """Both are there, each with an address of its own, and vmctl has the guest's counters."""
    addresses = vm.run("cat /sys/class/net/eth*/address").split()
    tap.equal(addresses[1:], ["00:15:5d:00:00:99"], name + ": the second adapter has the address that was asked for")
    tap.ok(addresses[0].startswith("00:15:5d:"), name + ": the first has one of its own", addresses)
    shown = vm.show()["status"]["nics"]
    tap.equal([nic["mac"] for nic in shown], addresses, name + ": vmctl shows them")
    tap.ok(shown[0]["received_bytes"] > DATA_BYTES and shown[0]["ready"], name + ": with counters", shown)


def reload_driver(tap, vm, server, name):
    """rmmod and modprobe, three times; then it works as before."""
    for _ in range(3):
        vm.run("ip link set eth0 down; rmmod hv_netvsc")
        load(vm)
    lease(vm)
    fetch(tap, vm, "10.0.2.2", server, "part", name + ": it works after rmmod and modprobe")


def nat(tap, vmms, kernel):
    """The case behind address translation."""
    server = Server(vmms.space, "127.0.0.1")
    port = free_port()
    with labvmms.Vm(vmms, "nat-" + kernel.replace(".", "-"), kernel, cpus=2,
                    nics=["user,host,forward=tcp:%d:7" % port, "none,mac=00:15:5d:00:00:99"]) as vm:
        if vm.vmms.vmctl("nic", "list", vm.name)[1]["kind"] != "none":
            raise lablib.LabFailure("the second adapter is of another kind")
        vm.boot()
        tap.case(kernel + ": behind NAT", behind_nat, vm, server, port, kernel)
        tap.case(kernel + ": two adapters", two_adapters, vm, kernel)
        tap.case(kernel + ": driver", reload_driver, vm, server, kernel)
        vm.stop()
    server.close()


def over_tap(tap, vm, server, name):
    """Both ways with checksums and segmentation left to the adapter."""
    load(vm)
    vm.run("ip addr add 192.168.77.2/24 dev eth0")
    vm.run("ping -c 3 -w 60 192.168.77.1 >/dev/null")
    tap.ok(True, name + ": the host answers to ping over a tap")
    fetch(tap, vm, "192.168.77.1", server, "part", name + ": a transfer over the tap has the same checksum")
    with socket.create_server(("192.168.77.1", 0)) as listener:
        port = listener.getsockname()[1]
        vm.run("(wget -q -O - http://192.168.77.1:%d/part | nc 192.168.77.1 %d &)" % (server.port, port))
        listener.settimeout(lablib.PATIENCE)
        end, _ = listener.accept()
        digest, left = hashlib.md5(), PART_BYTES
        with end:
            end.settimeout(lablib.PATIENCE)
            while left and (data := end.recv(min(left, 1 << 16))):
                digest.update(data)
                left -= len(data)
    tap.equal(digest.hexdigest(), server.digests["part"], name + ": and back again")
    tap.ok(vm.show()["status"]["nics"][0]["send_errors"] == 0, name + ": no send was refused")


def with_tap(tap, vmms, kernel):
    """The case with a tap, where the host has such a thing."""
    if not os.path.exists("/dev/net/tun"):
        tap.skip(kernel + ": tap", "this host has no /dev/net/tun")
        return
    with labvmms.Vm(vmms, "tap-" + kernel.replace(".", "-"), kernel, cpus=2, nics=["tap=" + TAP]) as vm:
        vm.start()
        subprocess.run(["ip", "addr", "add", "192.168.77.1/24", "dev", TAP], check=True)
        subprocess.run(["ip", "link", "set", TAP, "up"], check=True)
        server = Server(vmms.space, "192.168.77.1")
        vm.console.ready()
        tap.case(kernel + ": tap", over_tap, vm, server, kernel)
        server.close()
        vm.stop()


def one(tap, vmms, kernel):
    """All of one kernel, one VM at a time."""
    nat(tap, vmms, kernel)
    with_tap(tap, vmms, kernel)


def tests(tap):
    """Each kernel; a kernel's name as an argument chooses only that one."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        for kernel in sys.argv[1:] or labkit.KERNELS:
            one(tap, vmms, kernel)


if __name__ == "__main__":
    lablib.main(tests, modules="tun")
