# SPDX-License-Identifier: BSD-2-Clause
"""A worker driven without vmms, for the benchmarks and tests that need one VM and nothing else."""
import array
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
import uuid

# Not the range of a vmms that runs here.
UID_FIRST, UID_COUNT = 1900100000, 60000
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def build_dir():
    """The release build, for a debug build measures nothing."""
    for name in ("build-release", "build"):
        path = os.path.join(TOP, name)
        if os.path.exists(os.path.join(path, "src/vmwp/vmwp")):
            return path
    raise SystemExit("bench: no build; run 'meson setup build-release --buildtype=release && ninja -C build-release'")


def pss_kib(pid, guest_mib=64):
    """Proportional set size in KiB without guest memory, which is the mapping of just that size."""
    total, skip = 0, False
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            first = line.split(" ", 1)[0]
            if "-" in first and not first.endswith(":"):
                begin, end = (int(x, 16) for x in first.split("-"))
                skip = end - begin == guest_mib << 20
            elif line.startswith("Pss:") and not skip:
                total += int(line.split()[1])
    return total


class Worker:
    """A vmwp that is started and handed its descriptors as vmms does it."""

    def __init__(self, kernel, cmdline, cpus=1, memory_mib=64, drives=(), initrd=None, disk_channels=0,
                 sandbox="best", nat=None):
        """nat: None, or the options of the vmnat that serves a network adapter."""
        self.sandbox = sandbox
        self.nat, self.nat_proc = nat, None
        self.dir = tempfile.mkdtemp(prefix="bench-")
        self.listener = socket.socket(socket.AF_UNIX)
        self.path = os.path.join(self.dir, "worker.sock")
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.console_path = os.path.join(self.dir, "console.sock")
        self.console_listener = socket.socket(socket.AF_UNIX)
        self.console_listener.bind(self.console_path)
        self.console_listener.listen(4)
        self.kernel, self.cmdline, self.initrd = kernel, cmdline, initrd
        self.cpus, self.memory, self.drives, self.disk_channels = cpus, memory_mib << 20, drives, disk_channels
        self.next_id = 0
        self.buf = b""

    def spawn(self):
        fd = self.listener.fileno()
        self.console = socket.socket(socket.AF_UNIX)
        self.console.connect(self.console_path)  # waits in the backlog: shown all from the start
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)
        kvm = os.open("/dev/kvm", os.O_RDWR)
        kernel = os.open(self.kernel, os.O_RDONLY)
        fds = [("kvm", kvm), ("kernel", kernel), ("console_socket", self.console_listener.fileno())]
        if self.initrd:
            fds.append(("initrd", os.open(self.initrd, os.O_RDONLY)))
        drives = []
        for lun, path in enumerate(self.drives):
            fds.append(("scsi/0/%d" % lun, os.open(path, os.O_RDWR)))
            drives.append({"lun": lun, "kind": "disk", "path": path})
        nics = []
        if self.nat is not None:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.nat_proc = subprocess.Popen(
                [os.path.join(build_dir(), "src/vmnat/vmnat"), "--fd", str(far.fileno()), "--name", "bench/0", *self.nat],
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=[far.fileno()])
            far.close()
            fds.append(("nic/0", near.detach()))
            nics.append({"kind": "user"})
        config = {"schema": 1, "name": "bench", "processors": {"count": self.cpus},
                  "memory": {"bytes": self.memory},
                  "boot": {"kernel": self.kernel, "initrd": self.initrd, "cmdline": self.cmdline},
                  "disk_channels": self.disk_channels,
                  "nics": nics, "scsi": [{"drives": drives}] if drives else []}
        # Both requests wait in the socket, so that the clock runs for the worker alone.
        self._send("worker.setup", {"config": config, "fds": [r for r, _ in fds]}, [d for _, d in fds])
        self._send("vm.start", {})
        vmwp = os.path.join(build_dir(), "src/vmwp/vmwp")
        launch = os.path.join(build_dir(), "bench/launch")
        told, tell = os.pipe()
        name = uuid.uuid4()
        self.proc = subprocess.Popen(
            [launch, self.sandbox, str(UID_FIRST + name.int % UID_COUNT), str(fd), str(tell), "--",
             vmwp, "--control-fd", "3", "--name", "bench", "--id", str(name)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=[fd, tell])
        os.close(tell)
        with os.fdopen(told) as report:
            self.pid, began = (int(word) for word in report.readline().split())
        self.t0 = began / 1e9  # just before the fork; perf_counter() is the same clock
        for role, d in fds:
            if role != "console_socket":
                os.close(d)
        return self

    def _send(self, method, params, fds=()):
        self.next_id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params},
                          separators=(",", ":")).encode() + b"\n"
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([line], anc)
        return self.next_id

    def answer(self, want, timeout=60):
        end = time.monotonic() + timeout
        while True:
            while b"\n" in self.buf:
                line, self.buf = self.buf.split(b"\n", 1)
                doc = json.loads(line)
                if doc.get("id") == want:
                    if "error" in doc:
                        raise RuntimeError(doc["error"]["message"])
                    return doc["result"]
            if not select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
                raise RuntimeError("the worker did not answer")
            data = self.sock.recv(65536)
            if not data:
                raise RuntimeError("the worker closed its socket; its log:\n" + open(self.log.name).read())
            self.buf += data

    def call(self, method, params=None, fds=()):
        return self.answer(self._send(method, params or {}, fds))

    def first_byte(self, timeout=60):
        """Seconds from exec to the guest's first byte on the console."""
        if not select.select([self.console], [], [], timeout)[0]:
            raise RuntimeError("nothing on the console; the log:\n" + open(self.log.name).read())
        return time.perf_counter() - self.t0

    def until(self, text, timeout=120):
        """Everything on the console up to and with a line that begins with `text`."""
        seen, end = b"", time.monotonic() + timeout
        while True:
            for line in seen.split(b"\n")[:-1]:
                if line.strip().startswith(text.encode()):
                    return seen.decode(errors="replace")
            if not select.select([self.console], [], [], max(0, end - time.monotonic()))[0]:
                raise RuntimeError("'%s' did not come; the console says:\n%s" % (text, seen.decode(errors="replace")))
            data = self.console.recv(65536)
            if not data:
                raise RuntimeError("the console ended:\n%s\nlog:\n%s" % (seen.decode(errors="replace"),
                                                                      open(self.log.name).read()))
            seen += data

    def close(self):
        if self.proc.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self.proc.wait()
        if self.nat_proc:
            self.nat_proc.wait()  # the worker was all that kept it
        for s in (self.sock, self.console, self.listener, self.console_listener, self.log):
            s.close()
        for name in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, name))
        os.rmdir(self.dir)
