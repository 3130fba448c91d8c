#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest's hv_netvsc: behind address translation (DHCP, names, IPv6, the gateway, a large transfer, forwarded ports), two adapters, the
driver reloaded; over a tap with four queues: both ways at once, IPv6, jumbo frames, offloads switched, adapters and cables that come and go, and the driver, all under
load, and nothing left behind in the worker. LAB_FULL=1 moves 1 GiB and pulls the cable 1,000 times."""

import hashlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading

import labkit
import lablib
import labvmms

DATA_BYTES = 64 << 20
PART_BYTES = 4 << 20
TINY_BYTES = 4 << 10
FULL = bool(os.environ.get("LAB_FULL"))
FLAPS = 1000 if FULL else 50
PLUGS = 20 if FULL else 3
ROUNDS = 1024 if FULL else 16  # of the 4 MiB: what is fetched while something else goes on
QUEUES = 4
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
        self.digests = {}
        with open(path, "rb") as data:
            whole = data.read()
        for name, size in (("data", len(whole)), ("part", PART_BYTES), ("tiny", TINY_BYTES)):
            self.digests[name] = hashlib.md5(whole[:size]).hexdigest()
            if name != "data":
                with open(os.path.join(folder, name), "wb") as part:
                    part.write(whole[:size])

        class Handler(http.server.SimpleHTTPRequestHandler):
            """Files of that folder, without a word."""

            def __init__(self, *words):
                super().__init__(*words, directory=folder)

            def log_message(self, *_):
                pass

        class Web(http.server.ThreadingHTTPServer):
            """Of the family that the address has."""
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        self.server = Web((address, 0), Handler)
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


def counters(vm, pattern):
    """The guest's counters of its first adapter whose names match."""
    found = {}
    for line in vm.run("ethtool -S eth0").split("\n"):
        name, _, value = line.strip().partition(": ")
        if re.fullmatch(pattern, name):
            found[name] = int(value)
    return found


def queues(tap, vm, server, name):
    """A flow of its own for each of many small files: every queue gets and sends some."""
    said = vm.run("ethtool -l eth0")
    tap.equal(re.findall(r"Combined:\s*(\d+)", said)[-1:], [str(QUEUES)], name + ": the guest has four queues")
    vm.run("for i in $(seq 80); do wget -q -O - http://192.168.77.1:%d/tiny || exit 1; done | md5sum >/dev/null" % server.port)
    for way in ("rx", "tx"):
        used = counters(vm, way + r"_queue_\d+_packets")
        tap.ok(len([n for n in used.values() if n]) == QUEUES, name + ": all of them are used, " + way, used)
    shown = vm.show()["status"]["nics"][0]
    tap.equal((shown["queues"], shown["send_errors"]), (QUEUES, 0), name + ": the host has them too")


def ipv6_and_jumbo(tap, vm, name):
    """IPv6 with the same offloads; frames of 9,000 bytes."""
    vm.run("echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip -6 addr add fd77::2/64 dev eth0")
    vm.until("ping -6 -c 1 -w 5 fd77::1 >/dev/null")
    server = Server(vm.vmms.space, "fd77::1")
    fetch(tap, vm, "[fd77::1]", server, "part", name + ": over IPv6 the checksum is the same")
    subprocess.run(["ip", "link", "set", TAP, "mtu", "9000"], check=True)
    vm.run("ip link set eth0 mtu 9000; ip link set eth0 up")
    vm.run("ip -6 addr add fd77::2/64 dev eth0 2>/dev/null; ip addr add 192.168.77.2/24 dev eth0 2>/dev/null; true")
    vm.until("ping -c 1 -w 5 -s 8900 192.168.77.1 >/dev/null && ping -6 -c 1 -w 5 fd77::1 >/dev/null")
    before = int(vm.run("cat /sys/class/net/eth0/statistics/rx_packets"))
    fetch(tap, vm, "[fd77::1]", server, "part", name + ": and with frames of 9,000 bytes")
    packets = int(vm.run("cat /sys/class/net/eth0/statistics/rx_packets")) - before
    tap.ok(packets < PART_BYTES / 1500, name + ": which took fewer frames", packets)
    server.close()


def iperf(tap, vm, name):
    """TCP and UDP both ways, and both at once."""
    with subprocess.Popen(["iperf3", "-s"], stdout=subprocess.DEVNULL) as there:
        try:
            vm.until("iperf3 -c 192.168.77.1 -n 1M >/dev/null 2>&1")
            for words in ("", "-R", "--bidir -P 4", "-u -b 20M", "-u -b 20M -R", "-u -b 10M --bidir"):
                said = json.loads(vm.run("iperf3 -J -c 192.168.77.1 -t 2 " + words))
                ends = [value["bytes"] for key, value in said["end"].items()
                        if key in ("sum_received", "sum_received_bidir_reverse", "sum", "sum_bidir_reverse")]
                tap.ok(ends and all(ends), "%s: iperf3 %s" % (name, words or "to the host"), said["end"])
        finally:
            there.terminate()


class Load:
    """A transfer that goes on in the guest until it is stopped; each part's checksum is looked at."""

    def __init__(self, vm, server):
        self.vm = vm
        self.digest = server.digests["part"]
        vm.run("rm -f /tmp/stop /tmp/sums; touch /tmp/sums; (while [ ! -e /tmp/stop ]; do "
               "wget -q -O - http://192.168.77.1:%d/part 2>/dev/null | md5sum >>/tmp/sums; done; touch /tmp/stopped) "
               ">/dev/null 2>&1 &" % server.port)

    def more(self, n=1):
        """Wait until some more parts have come."""
        have = int(self.vm.run("wc -l </tmp/sums"))
        self.vm.until("[ $(wc -l </tmp/sums) -ge %d ]" % (have + n))

    def stop(self):
        """How many parts came whole, and how many did not."""
        self.vm.run("touch /tmp/stop")
        self.vm.until("[ -e /tmp/stopped ]")
        self.vm.run("rm /tmp/stopped")
        sums = [line.split()[0] for line in self.vm.run("cat /tmp/sums").split("\n") if line]
        return sums.count(self.digest), len([s for s in sums if s != self.digest])


def offloads(tap, vm, server, name):
    """Every offload off, and on again, while a transfer goes on."""
    load = Load(vm, server)
    for state in ("off", "on", "off", "on"):
        vm.run("for o in tx rx tso gso gro sg; do ethtool -K eth0 $o %s 2>/dev/null; done; true" % state)
        load.more()
    good, bad = load.stop()
    tap.ok(good >= 4 and not bad, name + ": offloads off and on under load", (good, bad))


def plugging(tap, vm, server, name):
    """Adapters that come and go while a transfer goes on over another."""
    load = Load(vm, server)
    for turn in range(PLUGS):
        added = vm.vmms.vmctl("nic", "add", vm.name, "none")
        vm.until("[ -d /sys/class/net/eth1 ] && grep -qi %s /sys/class/net/*/address" % added["mac"])
        if turn % 2 == 0:
            vm.run("ip link set eth1 up")
        vm.vmms.vmctl("nic", "remove", vm.name, added["number"])
        vm.until("[ ! -d /sys/class/net/eth1 ]")
        load.more()
    good, bad = load.stop()
    tap.ok(good >= PLUGS and not bad, name + ": %d adapters came and went under load" % PLUGS, (good, bad))


def flaps(tap, vm, name):
    """The cable pulled and plugged in; in the end the link is up and works."""
    before = int(vm.run("cat /sys/class/net/eth0/carrier_changes"))
    for _ in range(FLAPS):
        for link in (False, True):
            vm.vmms.call("nic.set", vm=vm.name, number=0, patch={"link": link})
    vm.until("[ $(cat /sys/class/net/eth0/carrier_changes) -gt %d ] && [ $(cat /sys/class/net/eth0/carrier) = 1 ]" % before)
    vm.until("ping -c 1 -w 5 192.168.77.1 >/dev/null")
    vm.vmms.call("nic.set", vm=vm.name, number=0, patch={"link": False})
    vm.until("[ $(cat /sys/class/net/eth0/carrier) = 0 ]")
    vm.vmms.call("nic.set", vm=vm.name, number=0, patch={"link": True})
    vm.until("ping -c 1 -w 5 192.168.77.1 >/dev/null")
    tap.ok(True, name + ": the cable was pulled %d times" % (FLAPS + 1))


def reload_under_load(tap, vm, server, name):
    """The driver goes while it is used, and comes back; the next transfer is whole."""
    for _ in range(2):
        load = Load(vm, server)
        load.more()
        vm.run("rmmod hv_netvsc")
        load_and_address(vm)
        vm.run("touch /tmp/stop; killall wget 2>/dev/null; true")
        vm.until("[ -e /tmp/stopped ]")
        vm.run("rm /tmp/stopped")
    fetch(tap, vm, "192.168.77.1", server, "part", name + ": the driver reloaded under load")


def load_and_address(vm):
    """The driver, with the address that the tap's network gives it."""
    load(vm)
    vm.run("ip addr add 192.168.77.2/24 dev eth0")
    vm.until("ping -c 1 -w 5 192.168.77.1 >/dev/null")


def worker(vm):
    """Descriptors and resident KiB of the VM's worker, without guest memory, which is its largest mapping."""
    pid = vm.show()["worker_pid"]
    sizes = []
    with open("/proc/%d/smaps" % pid, encoding="ascii") as smaps:
        for line in smaps:
            if line.startswith(("Size:", "Rss:")):
                sizes.append(int(line.split()[1]))
    mappings = sorted(zip(sizes[::2], sizes[1::2]))
    return len(os.listdir("/proc/%d/fd" % pid)), sum(rss for _, rss in mappings[:-1])


def many_queues(tap, vmms, kernel):
    """What needs four queues and lasts: one boot."""
    if not os.path.exists("/dev/net/tun"):
        tap.skip(kernel + ": four queues", "this host has no /dev/net/tun")
        return
    name = kernel + ", four queues"
    with labvmms.Vm(vmms, "queues-" + kernel.replace(".", "-"), kernel, cpus=QUEUES, nics=["tap=" + TAP]) as vm:
        vm.start()
        for words in (["addr", "add", "192.168.77.1/24", "dev", TAP], ["-6", "addr", "add", "fd77::1/64", "dev", TAP, "nodad"],
                      ["link", "set", TAP, "up"]):
            subprocess.run(["ip"] + words, check=True)
        server = Server(vmms.space, "192.168.77.1")
        vm.console.ready()
        load_and_address(vm)
        tap.case(name, queues, vm, server, name)
        before = worker(vm)
        tap.case(name + ": IPv6, MTU", ipv6_and_jumbo, vm, name)
        tap.case(name + ": iperf3", iperf, vm, name)
        tap.case(name + ": offloads", offloads, vm, server, name)
        tap.case(name + ": hot add", plugging, vm, server, name)
        tap.case(name + ": link", flaps, vm, name)
        tap.case(name + ": reload", reload_under_load, vm, server, name)
        after = worker(vm)
        tap.equal(after[0], before[0], name + ": the worker has as many descriptors as before")
        tap.ok(after[1] < before[1] + 4096, name + ": and as much memory", (before, after))
        server.close()
        vm.stop()


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
    if kernel == "6.1-cloud":
        with_tap(tap, vmms, kernel)
    else:
        many_queues(tap, vmms, kernel)


def tests(tap):
    """Each kernel; a kernel's name as an argument chooses only that one."""
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        for kernel in sys.argv[1:] or labkit.KERNELS:
            one(tap, vmms, kernel)


if __name__ == "__main__":
    lablib.main(tests, modules="tun")
