# SPDX-License-Identifier: BSD-2-Clause
"""What a lab test is written with: guests, their consoles, a private vmms, and TAP.

A test is a program, tests/lab/test_SUBJECT.py, whose last line is `lablib.main(tests, …)`. Started on a machine it
starts itself again inside an emulated KVM host (see host) and prints what that one says, in TAP.
Nothing here waits a fixed time: every wait is for an event (a line on a console, a change that vmctl reports, the end
of a process), with a limit that is generous because emulated processors are slow. LAB_VERBOSE=1 shows the consoles.
"""

import concurrent.futures
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import labkit

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
# A guest that does not answer for so long is dead. Its VPs share two emulated processors with all the rest, and those the
# machine with whatever else it does; nothing that goes well waits so long.
PATIENCE = 300
# A whole test, started again after a panic of the lab host or two.
TEST_SECONDS = 2400


class LabTimeout(Exception):
    """Something that had to happen did not."""


class LabFailure(Exception):
    """A program that the test drives answered that something failed."""


class Skip(Exception):
    """This test cannot run here; the text says why."""


class Tap:
    """Counts and prints results. A failure is also told to the lab host, which then never starts over."""

    def __init__(self):
        self.count = 0
        self.bad = 0
        self.lock = threading.RLock()
        print("TAP version 13", flush=True)

    def ok(self, good, name, detail=""):
        """Print one result."""
        with self.lock:
            self.count += 1
            if not good:
                self.bad += 1
                if os.path.exists("/lab/ctl"):
                    with open("/lab/ctl", "w", encoding="ascii") as control:
                        control.write("failed\n")
            print("%sok %d - %s" % ("" if good else "not ", self.count, name), flush=True)
            if detail and not good:
                self.note(detail)
        return good

    def equal(self, got, wanted, name):
        """One result: two values are the same."""
        return self.ok(got == wanted, name, "got %r, wanted %r" % (got, wanted))

    def skip(self, name, why):
        """Count a test that cannot run here."""
        with self.lock:
            self.count += 1
            print("ok %d - %s # SKIP %s" % (self.count, name, why), flush=True)

    def note(self, text):
        """A comment."""
        with self.lock:
            for line in str(text).rstrip("\n").split("\n"):
                print("# " + line, flush=True)

    def case(self, name, function, *arguments):
        """Run a function of several results; an exception in it is one failed result."""
        try:
            function(self, *arguments)
        except Skip as skipped:
            self.skip(name, skipped)
        except (LabTimeout, LabFailure) as error:
            self.ok(False, name, error)
        except Exception:  # pylint: disable=broad-except
            self.ok(False, name, traceback.format_exc())

    def side_by_side(self, cases, width=2):
        """Run cases, tuples of case()'s arguments, a few at a time: a guest that boots keeps one processor busy."""
        with concurrent.futures.ThreadPoolExecutor(width) as pool:
            for future in [pool.submit(self.case, *case) for case in cases]:
                future.result()

    def done(self):
        """Print the plan and end the program."""
        print("1..%d" % self.count, flush=True)
        sys.exit(1 if self.bad else 0)


class Console:
    """A guest's serial console, driven by the protocol of guest-init."""

    def __init__(self, end, name="guest"):
        self.end = end
        self.name = name
        self.text = ""  # all that was ever read
        self.at = 0  # how far expect() has looked
        self.closed = False

    def read(self, deadline):
        """Add what the guest says next; False when the console closed."""
        ready, _, _ = select.select([self.end], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise LabTimeout("%s said nothing more; last: %s" % (self.name, self.text[-400:]))
        try:
            data = self.end.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.text += data.decode("utf-8", "replace").replace("\r", "")
        if os.environ.get("LAB_VERBOSE"):
            sys.stderr.write(data.decode("utf-8", "replace").replace("\r", ""))
        return True

    def expect(self, pattern, seconds=PATIENCE):
        """Wait for a regular expression in what has not been looked at; return its match."""
        deadline = time.monotonic() + seconds
        compiled = re.compile(pattern, re.M)
        while True:
            match = compiled.search(self.text, self.at)
            if match:
                self.at = match.end()
                return match
            if not self.read(deadline):
                raise LabFailure("%s ended before it said %r; last: %s" % (self.name, pattern, self.text[-400:]))

    def until_closed(self, seconds=PATIENCE):
        """Read until the console closes."""
        deadline = time.monotonic() + seconds
        while self.read(deadline):
            pass

    def ready(self, seconds=PATIENCE):
        """Wait until the guest takes commands."""
        self.expect(r"^LAB: ready$", seconds)

    def send(self, line):
        """Send one command without waiting for its end."""
        if len(line) > 2000:
            raise ValueError("a line for the guest's console is too long")
        self.end.sendall(line.encode() + b"\n")

    def run(self, line, seconds=PATIENCE, check=True):
        """Run a command in the guest; return its exit status and output, or with check only its output."""
        start = self.at
        self.send(line)
        match = self.expect(r"^LAB: rc=(\d+)$", seconds)
        output = self.text[start:match.start()].strip("\n")
        status = int(match.group(1))
        if not check:
            return status, output
        if status:
            raise LabFailure("%s: '%s' ended with %d: %s" % (self.name, line, status, output))
        return output


def images(kernel):
    """The paths of what a kernel's guests boot from (see image); the lab host is told them when it starts."""
    known = json.loads(os.environ.get("LAB_IMAGES", "{}"))
    if kernel in known:
        return known[kernel]
    done = subprocess.run([os.path.join(HERE, "image"), kernel], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)[kernel]


def copy_disk(path, to):
    """Copy a raw image for one guest, holes and all."""
    subprocess.run(["cp", "--sparse=always", path, to], check=True)
    os.chmod(to, 0o600)
    return to


class Workspace:
    """A folder in memory for one test; the processes started through it end with it."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="lab.", dir=os.environ.get("LAB_TMP"))
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name):
        """A path in the folder."""
        return os.path.join(self.path, name)

    def spawn(self, argv, **more):
        """Start a process that must not outlive the test."""
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **more)
        self.children.append(child)
        return child


class Qemu:
    """A peer: QEMU with virtio devices, on the same kernel, root disk and console protocol."""

    MACHINES = {
        "microvm": ["-M", "microvm,acpi=on,rtc=on,pit=off,pic=off", "-nodefaults", "-no-user-config"],
        "q35": ["-M", "q35", "-nodefaults", "-no-user-config"],
    }

    def __init__(self, space, kernel, machine="q35", cpus=1, mem=256, disks=(), cmdline="", quiet=True, nics=()):
        """disks: QEMU's device ("virtio-blk" or "virtio-scsi"), a file, and its format if that is not raw; nics: taps, whether vhost-net serves
        them, and their queues."""
        self.paths = images(kernel)
        suffix = "-device" if machine == "microvm" else "-pci"
        argv = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host"] + self.MACHINES[machine]
        argv += ["-smp", str(cpus), "-m", str(mem), "-display", "none", "-no-reboot"]
        argv += ["-kernel", self.paths["vmlinuz"], "-initrd", self.paths["initrd-virtio"]]
        argv += ["-append", "console=ttyS0 panic=-1 %s%s" % ("quiet " if quiet else "", cmdline)]
        for number, (device, path, *form) in enumerate(disks):
            name = "disk%d" % number
            argv += ["-object", "iothread,id=io%d" % number, "-drive",
                    "if=none,id=%s,file=%s,format=%s,cache=none,aio=io_uring" % (name, path, form[0] if form else "raw")]
            if device == "virtio-scsi":
                argv += ["-device", "virtio-scsi%s,id=hba%d,iothread=io%d" % (suffix, number, number),
                        "-device", "scsi-hd,drive=%s,bus=hba%d.0" % (name, number)]
            else:
                argv += ["-device", "virtio-blk%s,drive=%s,iothread=io%d" % (suffix, name, number)]
        for number, (tap, vhost, queues) in enumerate(nics):
            argv += ["-netdev", "tap,id=net%d,ifname=%s,script=no,downscript=no,vhost=%s%s" % (
                number, tap, "on" if vhost else "off", ",queues=%d" % queues if queues > 1 else "")]
            argv += ["-device", "virtio-net%s,netdev=net%d,mac=52:54:00:%02x:%02x:%02x%s" % (
                suffix, number, *os.urandom(3), ",mq=on,vectors=%d" % (2 * queues + 2) if queues > 1 else "")]
        ours, theirs = socket.socketpair()
        argv += ["-chardev", "socket,id=con,fd=%d" % theirs.fileno(), "-serial", "chardev:con"]
        self.started = time.monotonic()
        self.child = space.spawn(argv, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        theirs.close()
        self.console = Console(ours, "QEMU " + machine)

    def wait(self, seconds=PATIENCE):
        """Wait until QEMU ended; return its exit status."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabTimeout("%s did not end" % self.console.name) from None

    def kill(self):
        """End it now."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


def main(tests, kernels=labkit.KERNELS, mem=3072, timeout=TEST_SECONDS, modules=""):
    """Run tests, a function of a Tap, inside the lab host (see enter)."""
    enter(kernels, mem, timeout, modules=modules)
    tap = Tap()
    tests(tap)
    tap.done()


def enter(kernels=labkit.KERNELS, mem=3072, timeout=TEST_SECONDS, live=None, modules=""):
    """Return only inside the lab host: elsewhere, run this program again in there and end as it ended.

    kernels: what its guests boot; mem: MiB of the lab host, which hold all disks and guests; timeout: seconds in all;
    modules: of the lab host's kernel, beside KVM's; live: print what it says at once, not when it ended (else only on a terminal and with LAB_VERBOSE).
    """
    if os.environ.get("LAB_HOST"):
        return
    if os.geteuid() != 0:
        print("1..0 # SKIP the lab needs root, for virtiofsd")
        sys.exit(0)
    for name in kernels:
        if not os.path.exists(os.path.join(labkit.cache(), "kernels", name)):
            fetch(name)
    os.environ["LAB_IMAGES"] = json.dumps({name: images(name) for name in kernels})
    if live is None:
        live = sys.stdout.isatty() or bool(os.environ.get("LAB_VERBOSE"))
    sys.exit(enter_host(mem, timeout, live, modules))


def fetch(name):
    """Fetch a kernel; without a network the tests cannot run here."""
    done = subprocess.run([os.path.join(HERE, "fetch"), name], stderr=subprocess.PIPE, check=False)
    if done.returncode:
        print("1..0 # SKIP " + done.stderr.decode(errors="replace").strip().split("\n")[-1])
        sys.exit(0)


def enter_host(mem, timeout, live, modules):
    """Run this program again inside the lab host; return its exit status.

    Should the lab host itself fail and start again, only what the last start printed counts, so it is printed in the end.
    """
    argv = [os.path.join(HERE, "host"), "--mem", str(mem), "--timeout", str(timeout), "--modules", modules, "--"]
    argv += [sys.executable, "-B", os.path.abspath(sys.argv[0])] + sys.argv[1:]
    with subprocess.Popen(argv, stdout=None if live else subprocess.PIPE) as host:
        try:
            said = b"" if live else host.stdout.read()
            status = host.wait()
        except BaseException:
            host.terminate()
            raise
    text = said.decode(errors="replace")
    print(text[max(0, text.rfind("TAP version 13")):], end="")
    if not live and status >= 124:
        print("Bail out! the lab host did not finish (status %d)" % status)
    return status
