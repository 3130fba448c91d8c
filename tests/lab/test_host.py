#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The lab host itself: what goes in and comes out, what it does when it dies, what it leaves behind; no guest runs here."""

import os
import signal
import socket
import subprocess
import sys
import tempfile

import labkit
import lablib

HOST = os.path.join(lablib.HERE, "host")


def host(*words, **more):
    """Run it; the finished process with its output."""
    return subprocess.run([HOST, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=3 * lablib.PATIENCE, check=False, **more)


def output(tap):
    """Exit status, both outputs, a shared folder, the working folder, and no change to this machine."""
    with tempfile.TemporaryDirectory() as share, tempfile.TemporaryDirectory(dir="/dev/shm") as here:
        done = host("--share", share, "--", "sh", "-c", "ls /dev/kvm; pwd; cp /proc/version $LAB_SHARE/version; "
                    "head -c 1000000 /dev/zero; echo no >&2; touch ./left; test -e ./left && exit 5", cwd=here)
        tap.equal(done.returncode, 5, "the exit status comes back")
        tap.equal(done.stdout, b"/dev/kvm\n" + here.encode() + b"\n" + bytes(1000000),
                  "/dev/kvm is there, the folder is the same, standard output is whole")
        tap.equal(done.stderr, b"no\n", "standard error is apart")
        tap.ok(os.path.getsize(os.path.join(share, "version")) > 0, "a file in the shared folder comes back")
        tap.equal(os.listdir(here), [], "what the command writes elsewhere does not")


def death(tap):
    """A panic is told and tried again, unless the command had failed before."""
    crash = "echo c >/proc/sysrq-trigger; sleep 100"
    done = host("--tries", "2", "--", "sh", "-c", crash)
    tap.equal(done.returncode, 125, "a host that panics each time ends with 125")
    tap.equal(done.stderr.count(b"its kernel panicked: not syncing: sysrq triggered crash"), 2, "each panic is told")
    done = host("--tries", "2", "--", "sh", "-c", "echo failed >/lab/ctl; " + crash)
    tap.equal(done.returncode, 125, "so does one that panics after a failure")
    tap.equal(done.stderr.count(b"starting it again"), 0, "but a failure is not repeated")


def limits(tap):
    """Time is limited, a signal ends it, wrong use is told, and nothing stays behind."""
    tap.equal(host("--timeout", "12", "--", "sleep", "100").returncode, 124, "past its time it ends with 124")
    with subprocess.Popen([HOST, "--", "sh", "-c", "echo up; sleep 100"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as child:
        tap.equal(child.stdout.readline(), b"up\n", "output comes while the command runs")
        mine = subprocess.run(["pgrep", "-P", str(child.pid)], stdout=subprocess.PIPE, check=False).stdout.split()
        child.send_signal(signal.SIGTERM)
        tap.equal(child.wait(lablib.PATIENCE), 143, "SIGTERM ends it")
    tap.ok(mine and not any(os.path.exists("/proc/" + pid.decode()) for pid in mine), "its children end with it", mine)
    tap.equal(os.listdir(tempfile.gettempdir()), [], "no folder stays behind")
    done = host("--share", "/nowhere", "--", "true")
    tap.equal((done.returncode, done.stderr), (1, b"host: --share: /nowhere is not a folder\n"), "a wrong folder is told")


def archive(tap):
    """The initramfs that labkit writes is what others read."""
    made = labkit.Cpio()
    made.file("a/b/data", b"12345", 0o755)
    made.link("a/link", "b/data")
    made.file("a/empty", b"")
    done = subprocess.run([labkit.busybox(), "cpio", "-t"], input=made.bytes(), stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    tap.equal(done.stdout.decode().split(), ["a", "a/b", "a/b/data", "a/link", "a/empty"], "busybox lists the archive")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([labkit.busybox(), "cpio", "-id"], input=made.bytes(), stderr=subprocess.DEVNULL, cwd=folder,
                       check=True)
        with open(os.path.join(folder, "a/link"), "rb") as data:
            tap.equal(data.read(), b"12345", "and unpacks it")


def console(tap):
    """The console's protocol: noise of the kernel, a failed command, a guest that goes away."""
    ours, theirs = socket.socketpair()
    guest = lablib.Console(ours)
    theirs.sendall(b"[    0.1] noise\r\nLAB: init\r\nLAB: ready\r\nout\r\nLAB: rc=0\r\nbad\r\nLAB: rc=7\r\nx LAB: rc=1\r\n")
    guest.ready()
    tap.equal(guest.run("echo out"), "out", "a command's output")
    tap.equal(guest.run("false", check=False), (7, "bad"), "a command's exit status")
    theirs.close()
    try:
        guest.run("true")
        tap.ok(False, "a console that closes is a failure")
    except (lablib.LabFailure, OSError):
        tap.ok(True, "a console that closes is a failure")


def tests(tap):
    """Without the lab host first."""
    for case in (archive, console, output, death, limits):
        tap.case(case.__name__, case)


def main():
    """Runs on the machine itself."""
    if os.geteuid() != 0:
        print("1..0 # SKIP the lab needs root, for virtiofsd")
        sys.exit(0)
    lablib.fetch("6.12-cloud")
    tap = lablib.Tap()
    # A folder of its own: other lab hosts may run beside this test.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        tests(tap)
        tempfile.tempdir = None
    tap.done()


main()
