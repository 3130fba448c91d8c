# SPDX-License-Identifier: BSD-2-Clause
"""Our own side of a lab test: a private vmms, vmctl, and VMs with the lab's stock guests."""

import json
import os
import select
import socket
import subprocess
import time

import lablib

BUILD = os.environ.get("VMMS_BUILD") or os.path.join(lablib.TOP, "build")


def program(name):
    """The path of one of our programs."""
    path = os.path.join(BUILD, "src", name, name)
    if not os.path.exists(path):
        raise lablib.LabFailure("%s is not built" % path)
    return path


class Vmms:
    """A private vmms in a workspace. Its VMs end with it."""

    def __init__(self, space):
        self.space = space
        self.state_dir = space.file("state")
        self.run_dir = space.file("run")
        self.socket = os.path.join(self.run_dir, "vmms.sock")
        self.log = space.file("vmms.log")
        self.child = None
        self.vms = []
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.show_logs()
        for vm in list(self.vms):
            self.vmctl("stop", vm.name, "--force", check=False)
        self.child.terminate()
        try:
            self.child.wait(lablib.PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
        self.end_workers()

    def start(self):
        """Start the daemon; return once its socket answers."""
        with open(self.log, "ab") as log:
            self.child = self.space.spawn(
                [program("vmms"), "--vmwp", program("vmwp"), "--state-dir", self.state_dir, "--run-dir", self.run_dir],
                stdout=log, stderr=log)
        deadline = time.monotonic() + lablib.PATIENCE
        while True:
            end = socket.socket(socket.AF_UNIX)
            try:
                end.connect(self.socket)
                return
            except OSError:
                if self.child.poll() is not None or time.monotonic() > deadline:
                    raise lablib.LabFailure("vmms does not start: " + tail(self.log)) from None
                select.select([], [], [], 0.02)
            finally:
                end.close()

    def kill(self):
        """SIGKILL, as if it had crashed."""
        self.child.kill()
        self.child.wait()

    def end_workers(self):
        """Workers outlive their vmms; those of this one must not outlive the test."""
        for entry in os.listdir("/proc"):
            try:
                with open("/proc/%s/cmdline" % entry, "rb") as words:
                    argv = words.read().split(b"\0")
                if argv[0].endswith(b"/vmwp") and any(vm.id.encode() in argv for vm in self.vms):
                    os.kill(int(entry), 9)
            except (OSError, ValueError):
                continue

    def show_logs(self):
        """Print what the daemon and the workers logged, as comments."""
        for path in [self.log] + [vm.log for vm in self.vms]:
            for line in tail(path).split("\n"):
                print("# %s: %s" % (os.path.basename(path), line), flush=True)

    def call(self, method, **params):
        """Call a method of vmms's directly, where vmctl has no verb for a test's need."""
        with socket.socket(socket.AF_UNIX) as end, end.makefile("rb") as answers:
            end.connect(self.socket)
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            end.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            answer = json.loads(answers.readline())
        if "error" in answer:
            raise lablib.LabFailure("%s: %s" % (method, answer["error"]))
        return answer["result"]

    def job(self, *words, seconds=lablib.PATIENCE):
        """Run a job by vmctl, to its end; return its result. A job that failed raises."""
        argv = [program("vmctl"), "--socket", self.socket, "--json"] + [str(word) for word in words]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=seconds, check=False)
        last = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        if last.get("state") != "Completed":
            raise lablib.LabFailure("vmctl %s: %s" % (" ".join(argv[4:]), done.stderr.decode(errors="replace").strip()))
        return last["result"]

    def vmctl(self, *words, check=True, seconds=lablib.PATIENCE):
        """Run vmctl --json; return what it printed, parsed. Without check: (status, document, stderr)."""
        argv = [program("vmctl"), "--socket", self.socket, "--json"] + [str(word) for word in words]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise lablib.LabTimeout("vmctl %s does not return" % " ".join(argv[4:])) from None
        said = done.stderr.decode(errors="replace").strip()
        try:
            document = json.loads(done.stdout) if done.stdout.strip() else None
        except json.JSONDecodeError:
            raise lablib.LabFailure("vmctl %s printed no JSON: %r" % (" ".join(argv[4:]), done.stdout)) from None
        if not check:
            return done.returncode, document, said
        if done.returncode:
            raise lablib.LabFailure("vmctl %s: %s" % (" ".join(argv[4:]), said))
        return document


class Vm:
    """A VM of a private vmms with a stock guest; as a context, it and its root disk are removed in the end."""

    def __init__(self, vmms, name, kernel, cpus=1, mem="256M", disks=(), dvd=None, cmdline="", root=True, quiet=True,
                 channels=0, nics=("none",)):
        """disks: raw files, behind the root disk; nics: of --nic; root: True for a root disk of its own, a path for that image, which
        stays, or False to stay in its initramfs."""
        self.vmms = vmms
        self.name = name
        self.paths = lablib.images(kernel)
        self.console = None
        self.root = None
        words = ["create", name, "--memory", mem, "--cpus", cpus, "--kernel", self.paths["vmlinuz"],
                 "--initrd", self.paths["initrd-hv"], "--cmdline", "console=ttyS0 %s%s%s" % (
                     "quiet " if quiet else "", "" if root else "lab.root=initramfs ", cmdline)]
        if channels:
            words += ["--disk-channels", channels]
        if root is True:
            self.root = lablib.copy_disk(self.paths["root.img"], vmms.space.file(name + "-root.img"))
        if root:
            words += ["--disk", self.root or root]
        for disk in disks:
            words += ["--disk", disk]
        for nic in nics:
            words += ["--nic", nic]
        if dvd:
            words += ["--dvd", dvd]
        self.vmms.vmctl(*words)
        shown = self.show()
        self.id = shown["id"]
        self.log = shown["log"]
        self.first_lun = 1 if root else 0
        vmms.vms.append(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            said = self.console.text[-2000:] if self.console else ""
            print("".join("# %s: %s\n" % (self.name, line) for line in (tail(self.log) + "\n" + said).split("\n")),
                  end="", flush=True)
        if self.show()["state"] != "Off":
            self.turn_off()
        self.vmms.vmctl("delete", self.name)
        self.vmms.vms.remove(self)
        if self.root:
            os.unlink(self.root)

    def show(self):
        """What `vmctl show --json` says."""
        return self.vmms.vmctl("show", self.name)

    def start(self):
        """Start it and take its console; not yet ready."""
        self.vmms.vmctl("start", self.name)
        end = socket.socket(socket.AF_UNIX)
        end.connect(self.show()["console_socket"])
        self.console = lablib.Console(end, self.name)
        return self

    def boot(self):
        """Start it; return once the guest takes commands."""
        self.start()
        self.console.ready()
        return self

    def run(self, line, **more):
        """Run a command in the guest (see Console.run)."""
        return self.console.run(line, **more)

    def until(self, condition):
        """Wait until a command in the guest succeeds."""
        self.run("until %s; do sleep 0.1; done" % condition)

    def wait(self, what, seconds=lablib.PATIENCE):
        """Wait until vmctl says that it is as asked."""
        return self.vmms.vmctl("wait", self.name, what, "--timeout", seconds, seconds=seconds + 10)

    def wait_show(self, good, what, seconds=lablib.PATIENCE):
        """Wait until what `vmctl show` prints is as it should be; look again at each event that vmms reports."""
        deadline = time.monotonic() + seconds
        after = 0
        while True:
            shown = self.show()
            if good(shown):
                return shown
            if time.monotonic() > deadline:
                raise lablib.LabTimeout("%s: %s; it shows %s" % (self.name, what, json.dumps(shown)[:2000]))
            after = self.vmms.call("events.next", after=after, timeout_s=5)["seq"]

    def stop(self):
        """Shut the guest down through its shutdown service."""
        return self.vmms.vmctl("stop", self.name, "--timeout", lablib.PATIENCE, seconds=lablib.PATIENCE + 10)

    def restart(self):
        """Have the guest restart through its shutdown service."""
        return self.vmms.vmctl("restart", self.name, "--timeout", lablib.PATIENCE, seconds=lablib.PATIENCE + 10)

    def turn_off(self):
        """Turn it off without asking."""
        return self.vmms.vmctl("stop", self.name, "--force")

    def disk(self, number):
        """The guest's name of data disk `number` (0 is the first of `disks`): names follow no order of their own."""
        lun = self.first_lun + number
        return "/dev/" + self.run("ls /sys/class/scsi_device/*:0:0:%d/device/block" % lun)


def tail(path, size=4000):
    """The end of a log."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - size))
            return log.read().decode(errors="replace").strip()
    except OSError as error:
        return str(error)
