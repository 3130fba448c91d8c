# SPDX-License-Identifier: BSD-2-Clause
"""What the lab's tools share: the cache, the kernels in it, their modules, and small archives."""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = ("6.12-cloud", "6.1-cloud", "6.1-generic")


class LabError(Exception):
    """One line that says what failed, why, and what to do."""


def cache():
    """The folder that keeps kernels and images between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("VMMS_CACHE") or os.path.join(base, "vmms")


def busybox():
    """The statically linked busybox, which runs in any root."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            return path
    raise LabError("busybox is not there; install the package busybox-static")


class Kernel:
    """A stock kernel in the cache."""

    def __init__(self, name):
        if name not in KERNELS:
            raise LabError("no kernel is called %s; there are %s" % (name, ", ".join(KERNELS)))
        link = os.path.join(cache(), "kernels", name)
        if not os.path.isdir(link):
            fetch(name)
        self.name = name
        self.folder = os.path.realpath(link)
        self.release = os.path.basename(self.folder)
        self.image = os.path.join(self.folder, "boot", "vmlinuz-" + self.release)
        self.modules = os.path.join(self.folder, "lib", "modules", self.release)
        self._depends = None
        self._builtin = None

    def _load(self):
        self._depends = {}
        with open(os.path.join(self.modules, "modules.dep"), encoding="ascii") as lines:
            for line in lines:
                path, _, needs = line.partition(":")
                self._depends[module_name(path)] = (path, needs.split())
        with open(os.path.join(self.modules, "modules.builtin"), encoding="ascii") as lines:
            self._builtin = {module_name(line.strip()) for line in lines}

    def order(self, wanted):
        """Paths below self.modules of the modules in wanted and all they need, in insmod order.

        A name that is built into the kernel needs no file; one that the kernel does not
        have at all is an error, unless it is written with a leading '?'.
        """
        if self._depends is None:
            self._load()
        done = []
        for name in wanted:
            optional = name.startswith("?")
            name = module_name(name.lstrip("?"))
            if name not in self._depends:
                if name not in self._builtin and not optional:
                    raise LabError("the kernel %s has no module %s" % (self.release, name))
                continue
            path, needs = self._depends[name]
            # modules.dep lists what a module needs with the deepest need last.
            for each in list(reversed(needs)) + [path]:
                if each not in done:
                    done.append(each)
        return done


def module_name(path):
    """The name that modules.dep and lsmod agree on."""
    return re.sub(r"\.ko(\..*)?$", "", os.path.basename(path)).replace("-", "_")


def fetch(*names):
    """Run the fetch tool; its own line says what failed."""
    done = subprocess.run([os.path.join(HERE, "fetch"), *names], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise LabError("the kernels that the lab needs are not there (%s)" % ", ".join(names))


class Cpio:
    """An initramfs in memory: the "newc" format of the kernel's
    Documentation/driver-api/early-userspace/buffer-format.rst."""

    def __init__(self):
        self._parts = []
        self._inode = 0
        self._folders = set()

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        raw = name.encode() + b"\0"
        self._inode += 1
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        self._parts.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def folder(self, name):
        """Add a folder and those above it."""
        name = name.strip("/")
        if not name or name in self._folders:
            return
        self.folder(os.path.dirname(name))
        self._folders.add(name)
        self._entry(name, 0o040755)

    def file(self, name, data, mode=0o644):
        """Add a file with the given bytes."""
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._entry(name, 0o100000 | mode, data)

    def copy(self, name, path, mode=0o644):
        """Add a file of this machine."""
        with open(path, "rb") as source:
            self.file(name, source.read(), mode)

    def link(self, name, target):
        """Add a symbolic link."""
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._entry(name, 0o120777, target.encode())

    def char_device(self, name, major, minor):
        """Add a character device."""
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._entry(name, 0o020600, b"", (major, minor))

    def bytes(self):
        """The archive with its trailer."""
        self._entry("TRAILER!!!", 0)
        return b"".join(self._parts)


def main(run):
    """Run a tool's main; a LabError becomes its one line and exit status 1."""
    try:
        sys.exit(run(sys.argv[1:]))
    except LabError as error:
        print("%s: %s" % (os.path.basename(sys.argv[0]), error), file=sys.stderr)
        sys.exit(1)
