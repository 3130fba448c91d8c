#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two stock guests on virtual switches of each type: who reaches whom, DHCP and address translation, VLANs, guards, ACLs, mirrors, an interface of the
host that moves there and back, a vmms that is killed meanwhile."""

import os
import select
import socket
import struct
import subprocess
import sys

import labkit
import lablib
import labvmms

MODULES = ("tun,bridge,veth,nf_tables,nft_meta_bridge,nft_chain_nat,nft_masq,nft_limit,nft_ct,nf_dup_netdev,nft_dup_netdev")
SCRIPT = ("#!/bin/busybox sh\n[ \"$1\" = bound ] || exit 0\nip addr add $ip/24 dev $interface\n"
          "[ -z \"$router\" ] || ip route add default via $router\necho lease $ip $router\n")
SOL_PACKET, PACKET_AUXDATA = 263, 8


def host(command):
    """A command on the emulated host."""
    subprocess.run(command, shell=True, check=True, timeout=lablib.PATIENCE)


def load(vm, address=None):
    """The driver, the first adapter's interface up."""
    vm.run("modprobe hv_netvsc")
    vm.until("[ -d /sys/class/net/eth0 ]")
    vm.run("ip link set eth0 up")
    if address:
        vm.run("ip addr add %s/24 dev eth0" % address)


def lease(vm):
    """An address by DHCP: what the lease says; None when nobody answers."""
    vm.run("printf '%s' >/tmp/lease; chmod +x /tmp/lease" % SCRIPT.replace("\n", "\\n").replace("'", ""))
    said = vm.run("udhcpc -i eth0 -n -q -t 20 -T 1 -s /tmp/lease 2>/dev/null || true")
    lines = [line for line in said.split("\n") if line.startswith("lease")]
    return lines[-1].split()[1:] if lines else None


def reaches(vm, address):
    """Whether an address answers within a moment."""
    return "yes" in vm.run("ping -c 2 -w 10 %s >/dev/null 2>&1 && echo yes || echo no" % address)


def no_longer(vm, address):
    """Whether one that answered does not: three requests in three seconds."""
    return "yes" not in vm.run("ping -c 3 -W 1 %s >/dev/null 2>&1 && echo yes || echo no" % address)


def port_of(vmms, switch, vm):
    """The tap of a VM's adapter."""
    return [p["tap"] for p in vmms.vmctl("switch", "show", switch)["ports"] if p["vm"] == vm.name][0]


def private(tap, vmms, a, b):
    """Guests reach each other, the host does not; they stay apart by VLANs, ACLs and addresses that are not theirs."""
    load(a, "10.5.0.1")
    load(b, "10.5.0.2")
    tap.ok(reaches(a, "10.5.0.2"), "private: a guest reaches the other")
    bridge = vmms.vmctl("switch", "show", "lan")["bridge"]
    addresses = subprocess.run(["ip", "-o", "-4", "addr", "show", "dev", bridge], stdout=subprocess.PIPE, check=True).stdout
    tap.equal(addresses, b"", "private: the host has no address on it")
    vmms.vmctl("nic", "set", a.name, 0, "--acl", "deny:both:10.5.0.0/24")
    tap.ok(no_longer(a, "10.5.0.2"), "private: an ACL stops it")
    vmms.vmctl("nic", "set", a.name, 0, "--acl", "allow:both:10.5.0.2", "--acl", "deny:both:any")
    tap.ok(reaches(a, "10.5.0.2"), "private: the first rule that fits decides")
    vmms.vmctl("nic", "set", a.name, 0, "--acl", "none")
    a.run("ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:77; ip link set eth0 up")
    tap.ok(no_longer(a, "10.5.0.2"), "private: an address that is not the adapter's is stopped")
    vmms.vmctl("nic", "set", a.name, 0, "--mac-spoofing", "on")
    tap.ok(reaches(a, "10.5.0.2"), "private: but for a port that may have others")


class Wire:
    """A packet socket on an interface of the host."""

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.bind((interface, 0))

    def vlan_of(self, good, seconds=lablib.PATIENCE):
        """The VLAN with which the first frame passed that is good; 0 for none."""
        while True:
            if not select.select([self.socket], [], [], seconds)[0]:
                raise lablib.LabTimeout("no such frame passed")
            data, extra, _, _ = self.socket.recvmsg(4096, 256)
            if not good(data):
                continue
            for level, kind, value in extra:
                if level == SOL_PACKET and kind == PACKET_AUXDATA:
                    status, _, _, _, _, tci, _ = struct.unpack_from("=IIIHHHH", value)  # struct tpacket_auxdata
                    return tci & 0xfff if status & 0x10 else 0  # TP_STATUS_VLAN_VALID
            return 0

    def close(self):
        """Let go of it."""
        self.socket.close()


def is_arp_for(address):
    """An ARP request for this address, with a tag or without."""
    target = socket.inet_aton(address)
    return lambda frame: b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" in frame[12:30] and target in frame


def vlans(tap, vmms, a, b):
    """Access ports reach their own VLAN only; a trunk sees the tags."""
    if not vmms.vmctl("switch", "show", "lan")["vlans"]:
        tap.skip("vlans", "this kernel's bridge has none")
        return
    vmms.vmctl("nic", "set", a.name, 0, "--vlan", 10)
    tap.ok(no_longer(a, "10.5.0.2"), "VLANs: a port in VLAN 10 does not reach one in none")
    vmms.vmctl("nic", "set", b.name, 0, "--vlan", 20)
    tap.ok(no_longer(a, "10.5.0.2"), "VLANs: nor one in VLAN 20")
    vmms.vmctl("nic", "set", b.name, 0, "--vlan", 10)
    tap.ok(reaches(a, "10.5.0.2"), "VLANs: but one in VLAN 10")
    vmms.vmctl("nic", "set", b.name, 0, "--vlan", "none", "--trunk", "10-12")
    wire = Wire(port_of(vmms, "lan", b))
    a.run("ip neigh flush dev eth0; ping -c 1 -W 1 10.5.0.99 >/dev/null 2>&1 || true")
    tap.equal(wire.vlan_of(is_arp_for("10.5.0.99")), 10, "VLANs: a trunk sees its frames with the tag")
    wire.close()
    vmms.vmctl("nic", "set", b.name, 0, "--trunk", "none")
    vmms.vmctl("nic", "set", a.name, 0, "--vlan", "none")
    tap.ok(reaches(a, "10.5.0.2"), "VLANs: and without any all is as before")
    status, _, said = vmms.vmctl("nic", "set", a.name, 0, "--vlan", 4095, check=False)
    tap.ok(status == 1 and "must be 1 to 4094" in said, "VLANs: one that does not exist is refused", said)


def guards(tap, vmms, a, b):
    """A guest that plays DHCP server is heard, until its port is guarded."""
    b.run("ip addr flush dev eth0; ip addr add 10.6.0.1/24 dev eth0; mkdir -p /var/lib/misc; touch /var/lib/misc/udhcpd.leases; "
          "printf 'start 10.6.0.20\\nend 10.6.0.30\\ninterface eth0\\noption subnet 255.255.255.0\\noption router 10.6.0.1\\n' >/tmp/d.conf; "
          "udhcpd /tmp/d.conf")
    a.run("ip addr flush dev eth0")
    got = lease(a)
    tap.ok(got and got[0].startswith("10.6.0."), "guards: a guest's DHCP server gives addresses", got)
    vmms.vmctl("nic", "set", b.name, 0, "--dhcp-guard", "on")
    a.run("ip addr flush dev eth0")
    tap.equal(lease(a), None, "guards: not behind a DHCP guard")
    b.run("killall udhcpd; ip addr flush dev eth0; ip addr add 10.5.0.2/24 dev eth0")
    a.run("ip addr add 10.5.0.1/24 dev eth0")
    tap.ok(reaches(a, "10.5.0.2"), "guards: the rest passes")


def mirrors(tap, vmms, a, b):
    """Frames of a source come to a destination that nobody sent them to."""
    vmms.vmctl("nic", "set", a.name, 0, "--mirror", "source")
    vmms.vmctl("nic", "set", b.name, 0, "--mirror", "destination", "--vlan", "none")
    # Unicast to an address that is not b's.
    a.run("arp -i eth0 -s 10.5.0.66 02:00:00:00:00:66")
    wire = Wire(port_of(vmms, "lan", b))
    before = wire.socket
    a.run("ping -c 2 -W 1 10.5.0.66 >/dev/null 2>&1 || true")
    target = socket.inet_aton("10.5.0.66")
    tap.equal(wire.vlan_of(lambda f: f[:6] == b"\x02\x00\x00\x00\x00\x66" and target in f), 0, "mirrors: a destination has the source's frames")
    before.close()
    vmms.vmctl("nic", "set", a.name, 0, "--mirror", "none")
    vmms.vmctl("nic", "set", b.name, 0, "--mirror", "none")


def internal(tap, vmms, a, b):
    """Live to another switch: DHCP, the host, and the world as the host."""
    vmms.vmctl("switch", "create", "default", "--type", "internal", "--address", "192.168.90.1/24", "--nat", "on", "--dhcp", "on")
    for vm in (a, b):
        vmms.vmctl("nic", "set", vm.name, 0, "--switch", "default", "--mac-spoofing", "on", "--dhcp-guard", "off")
        vm.run("ip addr flush dev eth0; ip link set eth0 down; ip link set eth0 up")

    got = lease(a)
    tap.ok(got and got[0].startswith("192.168.90.") and got[1] == "192.168.90.1", "internal: DHCP gives an address and the host as router", got)
    other = lease(b)
    tap.ok(reaches(a, "192.168.90.1"), "internal: a guest reaches the host")
    tap.ok(reaches(a, other[0]), "internal: and the other guest")
    tap.ok(reaches(a, "10.77.0.1"), "internal: and what is behind the host, as the host")
    status, _, said = vmms.vmctl("switch", "delete", "default", check=False)
    tap.ok(status == 1 and "is in use" in said, "internal: a switch in use is not deleted", said)
    return got[0], other[0]


def killed(tap, vmms, a, other):
    """SIGKILL of vmms: guests go on; the next one has its switches, ports and filters, and DHCP."""
    vmms.kill()
    tap.ok(reaches(a, other), "killed: guests reach each other without vmms")
    vmms.start()
    tap.equal([(s["name"], s["state"], len(s["ports"])) for s in vmms.vmctl("switch", "list")["switches"]],
              [("default", "Up", 2), ("lan", "Up", 0)], "killed: the next vmms has the switches and their ports")
    tap.ok(reaches(a, "10.77.0.1"), "killed: they still reach the world")
    a.run("ip addr flush dev eth0")
    tap.ok(lease(a), "killed: and get addresses")


def external(tap, vmms, a, b):
    """The host's interface moves to the switch and back; guests are on its network."""
    before = subprocess.run("ip -o -4 addr show dev up0; ip route", shell=True, stdout=subprocess.PIPE, check=True).stdout
    vmms.vmctl("switch", "create", "world", "--type", "external", "--interface", "up0")
    host("busybox ping -c 2 -w 20 10.77.0.1 >/dev/null")
    tap.ok(True, "external: the host is on line by way of the switch")
    vmms.vmctl("nic", "set", a.name, 0, "--switch", "world")
    a.run("ip addr flush dev eth0; ip addr add 10.7.0.50/24 dev eth0")
    tap.ok(reaches(a, "10.7.0.2"), "external: a guest reaches the host's network")
    tap.ok(reaches(a, "10.7.0.1"), "external: and the host")
    vmms.kill()
    host("busybox ping -c 2 -w 20 10.77.0.1 >/dev/null")
    vmms.start()
    tap.ok(reaches(a, "10.7.0.2"), "external: also after a vmms that was killed")
    vmms.vmctl("nic", "set", a.name, 0, "--switch", "lan")
    vmms.vmctl("switch", "delete", "world")
    host("busybox ping -c 2 -w 20 10.77.0.1 >/dev/null")
    after = subprocess.run("ip -o -4 addr show dev up0; ip route", shell=True, stdout=subprocess.PIPE, check=True).stdout
    tap.equal(after.replace(b"linkdown", b""), before.replace(b"linkdown", b""), "external: deleted, the interface has all back")


def gone(tap, vmms, a, b):
    """With their VMs the ports are gone, and with the switches all the rest."""
    for vm in (a, b):
        vm.stop()
    tap.equal([len(s["ports"]) for s in vmms.vmctl("switch", "list")["switches"]], [0, 0], "gone: no ports")
    for vm in (a, b):
        vmms.vmctl("nic", "remove", vm.name, 0)
    for name in ("default", "lan"):
        vmms.vmctl("switch", "delete", name)
    left = subprocess.run("nft list ruleset; ip -o link show type bridge; ip -o link | grep ' vt' || true; pgrep dnsmasq || true", shell=True,
                          stdout=subprocess.PIPE, check=True).stdout
    tap.equal(left, b"", "gone: no rule, bridge, tap or process is left")


def network():
    """The host's own: an interface with an address, a gateway behind it, and something behind that."""
    host("ip link set lo up; ip netns add st && ip link add name up0 type veth peer name st0 netns st && "
         "ip addr add 10.7.0.1/24 dev up0 && ip link set up0 up && ip route add default via 10.7.0.2 && "
         "ip netns exec st ip addr add 10.7.0.2/24 dev st0 && ip netns exec st ip link set st0 up && "
         "ip netns exec st ip link set lo up && ip netns exec st ip addr add 10.77.0.1/32 dev lo")


def one(tap, vmms, kernels):
    """Both guests through all cases, in order."""
    vmms.vmctl("switch", "create", "lan", "--type", "private")
    with labvmms.Vm(vmms, "sw-a", kernels[0], nics=["switch=lan"]) as a, labvmms.Vm(vmms, "sw-b", kernels[-1], nics=["switch=lan"]) as b:
        a.start()
        b.start()
        a.console.ready()
        b.console.ready()
        tap.case("private", private, vmms, a, b)
        tap.case("vlans", vlans, vmms, a, b)
        tap.case("guards", guards, vmms, a, b)
        tap.case("mirrors", mirrors, vmms, a, b)
        addresses = []
        tap.case("internal", lambda t: addresses.extend(internal(t, vmms, a, b)))
        tap.case("killed", killed, vmms, a, addresses[-1] if addresses else "192.168.90.1")
        tap.case("external", external, vmms, a, b)
        tap.case("gone", gone, vmms, a, b)


def tests(tap):
    """A 6.12 cloud kernel and a 6.1 generic one; kernels' names as arguments choose others."""
    if not os.path.exists("/dev/net/tun"):
        tap.skip("switches", "this host has no /dev/net/tun")
        return
    network()
    with lablib.Workspace() as space, labvmms.Vmms(space) as vmms:
        one(tap, vmms, sys.argv[1:] or [labkit.KERNELS[0], labkit.KERNELS[-1]])


if __name__ == "__main__":
    lablib.main(tests, modules=MODULES)
