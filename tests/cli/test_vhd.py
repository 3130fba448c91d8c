#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vmctl vhd and vmctl job against the real vmms and vmvhd: each verb, what it refuses, and what SIGKILL leaves."""
import contextlib
import ctypes
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import tempfile

import cli
from cli import Skip, equal, main, test

VMMS = os.environ.get('VMMS', '')
PATIENCE = 30
MB = 1 << 20


class Vmms:
    """A private vmms and a folder of images. Use as a context."""

    def __init__(self, **settings):
        self.folder = tempfile.mkdtemp(prefix='vhd.')
        self.vm = os.path.join(self.folder, 'vm')
        os.mkdir(self.vm)
        self.path = os.path.join(self.folder, 'run', 'vmms.sock')
        self.child = None
        with open(os.path.join(self.folder, 'vmms.conf'), 'w', encoding='utf-8') as f:
            json.dump({'kvm_device': '/dev/null', **settings}, f)

    def start(self):
        argv = [VMMS, '--config', f'{self.folder}/vmms.conf', '--state-dir', f'{self.folder}/state', '--run-dir',
                f'{self.folder}/run']
        with open(f'{self.folder}/log', 'ab') as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while cli.vmctl('host', 'info', sock=self.path)[0]:
            if self.child.poll() is not None:
                raise AssertionError('vmms does not start: ' + self.log())
            select.select([], [], [], 0.02)

    def log(self):
        with open(f'{self.folder}/log', encoding='utf-8') as f:
            return f.read()

    def __enter__(self):
        if not VMMS:
            raise Skip('vmms is not built')
        self.start()
        return self

    def __exit__(self, *unused):
        self.child.terminate()
        self.child.wait(PATIENCE)
        log = self.log()
        shutil.rmtree(self.folder)
        assert 'Sanitizer' not in log, log

    def kill(self):
        self.child.kill()
        self.child.wait(PATIENCE)

    def vmctl(self, *args):
        """In the folder of images; its name is left out of what is said."""
        status, out, err = cli.vmctl(*args, sock=self.path, cwd=self.vm)
        return status, out.replace(self.vm + '/', ''), err.replace(self.vm + '/', '')

    def ok(self, *args):
        status, out, err = self.vmctl(*args)
        equal((status, err), (0, ''), args)
        return out

    def known(self, *args):
        """A command that must succeed, on VHDX at least: False for a format that has no such operation."""
        status, _, err = self.vmctl(*args)
        if 'do not know that' in err:
            assert 'vhdx' not in err, err
            return False
        equal((status, err), (0, ''), args)
        return True

    def raw(self, name, size, seed, every=1):
        """A raw image with noise in every so many megabytes; its content's hash."""
        rnd = random.Random(seed)
        with open(self.at(name), 'wb') as f:
            f.truncate(size)
            for off in range(0, size, MB * every):
                f.seek(off)
                f.write(rnd.randbytes(MB))
        return self.hash(name)

    def at(self, name):
        return os.path.join(self.vm, name)

    def hash(self, name):
        with open(self.at(name), 'rb') as f:
            return hashlib.file_digest(f, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else \
                hashlib.sha256(f.read()).hexdigest()

    def content(self, name):
        """The hash of what an image holds, by way of a raw copy."""
        self.ok('vhd', 'convert', name, 'content.tmp', '--force')
        found = self.hash('content.tmp')
        os.unlink(self.at('content.tmp'))
        return found

    def described(self, name):
        return json.loads(self.ok('vhd', 'info', name, '--json'))

    def whole(self, name):
        """That a check finds no error."""
        equal(self.ok('vhd', 'check', name).split('\n', maxsplit=1)[0], f'{name}: no errors')

    def files(self):
        """Every file with its content, hidden ones too."""
        return {n: self.hash(n) for n in sorted(os.listdir(self.vm)) if os.path.isfile(self.at(n))}

    def processes(self):
        """Those that have a file of the folder open."""
        found = []
        for pid in os.listdir('/proc'):
            with contextlib.suppress(OSError):
                if pid.isdigit() and int(pid) != os.getpid() and any(
                        os.readlink(f'/proc/{pid}/fd/{fd}').startswith(self.vm) for fd in os.listdir(f'/proc/{pid}/fd')):
                    found.append(int(pid))
        return found

    def refuse(self, *args, says):
        """A command that fails in one line with these words, and changes nothing."""
        before = self.files()
        status, out, err = self.vmctl(*args)
        equal((status, out), (1, ''), args)
        verb = args[0] if args[0] == 'create' else ' '.join(args[:2])
        assert err.startswith(f'vmctl {verb}: ') and err.count('\n') == 1, err
        assert re.search(says, err), f'{args}: {err}, not {says}'
        equal(self.files(), before, f'{args}: files before and after')
        equal(self.processes(), [])


FORMATS = ('a.vhdx', 'a.vhd', 'a.img')


# ---- what the verbs do ----

@test
def makes():
    """vhd create, info, check: each format and kind"""
    with Vmms() as v:
        for name in FORMATS:
            for kind in ('dynamic', 'fixed'):
                word = {'a.vhdx': 'VHDX', 'a.vhd': 'VHD', 'a.img': 'raw'}[name]
                equal(v.ok('vhd', 'create', name, '--size', '32M', '--type', kind, '--force'),
                      f'{name} is made: {word}, {kind}, 32 MiB\n')
                info = v.described(name)
                equal((info['format'], info['disk_bytes'], info['parents'], info['problem']), (word, 32 * MB, [], None))
                equal(v.ok('vhd', 'check', name), f'{name}: no errors\n')
        v.ok('vhd', 'create', 'b.vhdx', '--size', '32M', '--sector-size', '4096', '--block-size', '1M')
        info = v.described('b.vhdx')
        equal((info['logical_bytes'], info['block_bytes']), (4096, MB))
        equal(sorted(os.listdir(v.vm)), ['a.img', 'a.vhd', 'a.vhdx', 'b.vhdx'])


@test
def converts():
    """vhd convert: from each format to each, the content is the same"""
    with Vmms() as v:
        want = v.raw('src.img', 24 * MB, 1, every=3)
        for name in FORMATS:
            v.ok('vhd', 'convert', 'src.img', name)
            equal(v.content(name), want, name)
            for to in FORMATS:
                for kind in ('dynamic', 'fixed'):
                    v.ok('vhd', 'convert', name, 'to-' + to, '--type', kind, '--force')
                    equal(v.content('to-' + to), want, (name, to, kind))


@test
def chains():
    """a chain of three formats: made, shown, converted"""
    with Vmms() as v:
        want = v.raw('src.img', 8 * MB, 1, every=2)
        v.ok('vhd', 'convert', 'src.img', 'base.vhd', '--type', 'fixed')
        v.ok('vhd', 'create', 'mid.vhdx', '--parent', 'base.vhd')
        v.ok('vhd', 'create', 'leaf.avhdx', '--parent', 'mid.vhdx')
        info = v.described('leaf.avhdx')
        equal([os.path.basename(p) for p in info['parents']], ['mid.vhdx', 'base.vhd'])
        equal((info['type'], info['problem'], info['disk_bytes']), ('differencing', None, 8 * MB))
        equal(v.content('leaf.avhdx'), want)


@test
def events():
    """--json: one line a change, the last with the result; --detach and job wait"""
    with Vmms() as v:
        lines = [json.loads(x) for x in v.ok('vhd', 'create', 'a.vhdx', '--size', '1G', '--json').splitlines()]
        equal((lines[0]['state'], lines[-1]['state']), ('Running', 'Completed'))
        equal(lines[-1]['result']['disk_bytes'], 1 << 30)
        assert all(x['job'] == 1 and x['kind'] == 'vhd.create' for x in lines), lines
        equal(v.ok('vhd', 'check', 'a.vhdx', '--detach'), 'job 2 has begun; to see it: vmctl job show 2\n')
        equal(v.ok('job', 'wait', '2'), 'job 2 is Completed\n')
        equal([j['job'] for j in json.loads(v.ok('job', 'list', '--json'))['jobs']], [1, 2])
        job = json.loads(v.ok('job', 'show', '1', '--json'))
        equal(job, lines[-1])


def qemu_write(v, name, *commands):
    """Writes into an image in its place; qemu-io knows no VHDX with a parent, so only whole images."""
    if not shutil.which('qemu-io'):
        raise Skip('qemu-io is not installed (qemu-utils)')
    fmt = 'vhdx' if name.endswith('x') else 'vpc'
    run = subprocess.run(['qemu-io', '-f', fmt, *[x for c in commands for x in ('-c', c)], v.at(name)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    equal(run.returncode, 0, run.stdout)


@test
def creates_with_disks():
    """create --disk FILE,size=SIZE: images of each format, whole; nothing where the VM cannot be made"""
    with Vmms() as v:
        names = ('a.vhdx', 'b.vhd', 'c.img')
        v.ok('create', 'web1', *(w for n in names for w in ('--disk', f'{n},size=16M')))
        for name in names:
            v.whole(name)
            equal(json.loads(v.ok('--json', 'vhd', 'info', name))['disk_bytes'], 16 * MB)
        before = v.files()
        v.refuse('create', 'web1', '--disk', 'd.vhdx,size=16M', says='called web1 already')
        v.refuse('create', 'web2', '--disk', 'd.vhdx,size=16M', '--disk', 'e.vhdx,size=65T', says='64 TB')
        v.refuse('create', 'web2', '--disk', 'd.vhdx,size=16M', '--disk', 'a.vhdx,size=16M', says='exists already')
        equal(v.files(), before)


@test
def resizes():
    """vhd resize: larger, smaller only with --shrink, the content stays"""
    with Vmms() as v:
        v.raw('a.img', 8 * MB, 1)
        for name in FORMATS:
            if name != 'a.img':
                v.ok('vhd', 'convert', 'a.img', name)
            if not v.known('vhd', 'resize', name, '--size', '16M'):
                continue
            equal(v.described(name)['disk_bytes'], 16 * MB)
            v.refuse('vhd', 'resize', name, '--size', '8M', says='shrink')
            v.whole(name)
            v.ok('vhd', 'convert', name, 'out.img', '--force')
            with open(v.at('out.img'), 'rb') as f:
                data = f.read()
            equal((len(data), data[8 * MB:].strip(b'\0')), (16 * MB, b''), name)
        v.refuse('vhd', 'resize', 'a.vhdx', '--size', '65T', says='64 TB')


@test
def compacts():
    """vhd compact: blocks that are zeros now take no room, the content stays"""
    with Vmms() as v:
        v.raw('a.img', 64 * MB, 1)
        for name in ('a.vhdx', 'a.vhd'):
            more = ['--block-size', '1M'] if name == 'a.vhdx' else []
            v.ok('vhd', 'convert', 'a.img', name, *more)
            qemu_write(v, name, 'write -P 0 0 60M')
            want, before = v.content(name), os.path.getsize(v.at(name))
            if not v.known('vhd', 'compact', name):
                continue
            assert os.path.getsize(v.at(name)) < before / 2, (name, before, os.path.getsize(v.at(name)))
            v.whole(name)
            equal(v.content(name), want)


@test
def merges():
    """vhd merge: the child's content is the parent's, the child is gone; refused without a parent"""
    with Vmms() as v:
        want = v.raw('a.img', 8 * MB, 1)
        for base, child in (('base.vhdx', 'child.avhdx'), ('base.vhd', 'child.avhd')):
            v.ok('vhd', 'convert', 'a.img', base)
            v.refuse('vhd', 'merge', base, says='no parent')
            v.ok('vhd', 'create', child, '--parent', base)
            equal(v.ok('vhd', 'merge', child), f'{child} is merged into its parent, and deleted\n')
            assert not os.path.exists(v.at(child))
            v.whole(base)
            equal(v.content(base), want)


@test
def sets_parent():
    """vhd set-parent: the parent has moved; another is refused, but for --ignore-id"""
    with Vmms() as v:
        want = v.raw('a.img', 8 * MB, 1)
        for end in ('vhdx', 'vhd'):
            base, moved, child = f'base.{end}', f'moved.{end}', f'child.a{end}'
            v.ok('vhd', 'convert', 'a.img', base)
            v.ok('vhd', 'create', child, '--parent', base)
            os.rename(v.at(base), v.at(moved))
            v.refuse('vhd', 'convert', child, 'b.img', says='set-parent')
            if not v.known('vhd', 'set-parent', child, moved):
                continue
            equal(v.content(child), want)
            v.ok('vhd', 'create', f'other.{end}', '--size', '8M')
            v.refuse('vhd', 'set-parent', child, f'other.{end}', says='.')
            v.ok('vhd', 'set-parent', child, f'other.{end}', '--ignore-id')
            v.refuse('vhd', 'set-parent', child, 'gone.vhdx', says='cannot be opened')


@test
def tells_of_a_parent_that_was_touched():
    """a VHD's parent that was modified keeps its unique id: vhd info warns of its time; a VHDX's is refused by its identity"""
    with Vmms() as v:
        v.ok('vhd', 'create', 'base.vhd', '--size', '8M')
        v.ok('vhd', 'create', 'child.avhd', '--parent', 'base.vhd')
        equal(v.described('child.avhd')['warning'], None)
        when = os.stat(v.at('base.vhd')).st_mtime
        os.utime(v.at('base.vhd'), (when + 3600, when + 3600))
        info = v.described('child.avhd')
        equal(info['problem'], None)
        assert 'base.vhd was modified after' in info['warning'] and 'set-parent' in info['warning'], info
        assert 'Warning     ' in v.ok('vhd', 'info', 'child.avhd')
        v.ok('vhd', 'set-parent', 'child.avhd', 'base.vhd')
        equal(v.described('child.avhd')['warning'], None)


@test
def repairs():
    """vhd repair: of an image that is whole nothing changes; a damaged one is whole then"""
    with Vmms() as v:
        want = v.raw('a.img', 8 * MB, 1)
        v.ok('vhd', 'convert', 'a.img', 'a.vhdx')
        equal(v.ok('vhd', 'repair', 'a.vhdx'), 'a.vhdx: no errors\n')
        equal(v.content('a.vhdx'), want)
        with open(v.at('a.vhdx'), 'r+b') as f:
            f.seek(64 << 10)  # its first header, of two ([MS-VHDX] 2.2)
            f.write(b'x' * 4096)
        v.ok('vhd', 'repair', 'a.vhdx')
        v.whole('a.vhdx')
        equal(v.content('a.vhdx'), want)


# ---- what they refuse ----

@test
def bad_words():
    """sizes, names and options that cannot be"""
    with Vmms() as v:
        v.refuse('vhd', 'create', 'a.vhdx', says='needs a size')
        v.refuse('vhd', 'create', 'a.vhdx', '--size', '65T', says='64 TB')
        v.refuse('vhd', 'create', 'a.vhd', '--size', '2041G', says='2,?040 GB')
        v.refuse('vhd', 'create', 'a.vhdx', '--size', '1000', says='sector')
        v.refuse('vhd', 'create', 'a.vhdx', '--size', '1G', '--block-size', '3M', says='block')
        v.refuse('vhd', 'create', 'a.vhdx', '--size', '1G', '--sector-size', '1024', says='sector')
        v.refuse('vhd', 'create', 'a.vhd', '--size', '1G', '--sector-size', '4096', says='sector')
        v.refuse('vhd', 'create', 'gone/a.vhdx', '--size', '1G', says='make the folder first')
        v.refuse('vhd', 'create', 'child.vhdx', '--parent', 'gone.vhdx', says='gone.vhdx cannot be opened')
        v.refuse('vhd', 'info', 'gone.vhdx', says='gone.vhdx cannot be opened: No such file')
        v.refuse('vhd', 'check', '.', says='')
        v.refuse('job', 'show', '99', says='no job 99')
        v.refuse('job', 'cancel', '99', says='no job 99')


@test
def bad_images():
    """images that are none, are cut short, or are another format than their name says"""
    with Vmms() as v:
        v.ok('vhd', 'create', 'whole.vhdx', '--size', '64M')
        v.ok('vhd', 'create', 'whole.vhd', '--size', '64M')
        for name in ('whole.vhdx', 'whole.vhd'):
            end = name[name.index('.'):]
            size = os.path.getsize(v.at(name))
            for keep in (0, 511, 4096, size // 2, size - 1):
                with open(v.at(name), 'rb') as f, open(v.at('cut' + end), 'wb') as g:
                    g.write(f.read(keep))
                status, out, err = v.vmctl('vhd', 'check', 'cut' + end)
                # A VHD without its last footer has another at its beginning.
                assert status == 1 or (end == '.vhd' and keep > 511), (name, keep, out, err)
                if keep < 512:
                    v.refuse('vhd', 'info', 'cut' + end, says='cut')
                    v.refuse('vhd', 'convert', 'cut' + end, 'b.img', says='cut')
        with open(v.at('noise.vhdx'), 'wb') as f:
            f.write(random.Random(1).randbytes(MB))
        shutil.copy(v.at('whole.vhd'), v.at('wrong.vhdx'))
        open(v.at('empty.img'), 'wb').close()
        for name in ('noise.vhdx', 'wrong.vhdx', 'empty.img'):
            v.refuse('vhd', 'info', name, says=name)
            v.refuse('vhd', 'convert', name, 'b.img', says=name)


@test
def bad_chains():
    """a parent that is gone, is another, lies elsewhere, or goes in a circle"""
    with Vmms() as v:
        v.ok('vhd', 'create', 'base.vhdx', '--size', '64M')
        v.ok('vhd', 'create', 'child.avhdx', '--parent', 'base.vhdx')
        os.rename(v.at('base.vhdx'), v.at('kept.vhdx'))
        v.refuse('vhd', 'convert', 'child.avhdx', 'b.img', says='base.vhdx does not exist.*set-parent')
        assert 'does not exist' in json.loads(v.ok('vhd', 'info', 'child.avhdx', '--json'))['problem']
        v.ok('vhd', 'create', 'base.vhdx', '--size', '64M')
        v.refuse('vhd', 'convert', 'child.avhdx', 'b.img', says='parent')
        os.unlink(v.at('base.vhdx'))
        os.mkdir(v.at('sub'))
        shutil.copy(v.at('kept.vhdx'), f'{v.folder}/base.vhdx')
        os.symlink(f'{v.folder}/base.vhdx', v.at('base.vhdx'))
        v.refuse('vhd', 'convert', 'child.avhdx', 'b.img', says='outside of the folders.*vhd_folders')
        os.unlink(v.at('base.vhdx'))
        # Its own parent, by name; no two images can have each other's identity.
        os.symlink('child.avhdx', v.at('base.vhdx'))
        v.refuse('vhd', 'convert', 'child.avhdx', 'b.img', says='its own parent')


@test
def in_the_way():
    """a target that exists, is in use, is the source, cannot be written; a source that may not be read"""
    with Vmms() as v:
        v.raw('a.img', 4 * MB, 1)
        v.ok('vhd', 'create', 'b.vhdx', '--size', '4M')
        for verb in (['vhd', 'create', 'b.vhdx', '--size', '4M'], ['vhd', 'convert', 'a.img', 'b.vhdx']):
            v.refuse(*verb, says='b.vhdx exists already; .* --force')
        v.refuse('vhd', 'convert', 'a.img', 'a.img', '--force', says='are the same file')
        os.mkdir(v.at('folder'))
        v.refuse('vhd', 'convert', 'a.img', 'folder', '--force', says='folder')
        os.mkfifo(v.at('pipe'))
        v.refuse('vhd', 'convert', 'a.img', 'pipe', '--force', says='no regular file')
        v.refuse('vhd', 'convert', 'pipe', 'c.img', says='no regular file')


@contextlib.contextmanager
def mounted(v, options):
    """A small file system of its own at "small", where one may be mounted."""
    os.mkdir(v.at('small'))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() or libc.mount(b'none', v.at('small').encode(), b'tmpfs', 0, options.encode()):
        raise Skip('no file system can be mounted here')
    try:
        yield libc
    finally:
        libc.umount2(v.at('small').encode(), 2)


@test
def full_file_system():
    """a file system that is full: one line, and nothing on it"""
    with Vmms() as v:
        v.raw('a.img', 8 * MB, 1)
        with mounted(v, 'size=3M'):
            for args in (['convert', 'a.img', 'small/b.vhdx'], ['convert', 'a.img', 'small/b.img'],
                         ['create', 'small/b.img', '--size', '64M', '--type', 'fixed']):
                v.refuse('vhd', *args, says='small/b.* its file system is full')
                equal(os.listdir(v.at('small')), [], args)


@test
def read_only_file_system():
    """a file system that is read-only"""
    with Vmms() as v:
        v.raw('a.img', MB, 1)
        with mounted(v, 'size=3M') as libc:
            libc.mount(None, v.at('small').encode(), None, 32 | 1, None)  # MS_REMOUNT | MS_RDONLY
            v.refuse('vhd', 'convert', 'a.img', 'small/b.vhdx', says='Read-only file system; choose a folder')


# ---- what cuts them off ----

@test
def interrupted():
    """Ctrl-C: the job is cancelled, or has ended before; nothing is left half made"""
    with Vmms() as v:
        want = v.raw('a.img', 192 * MB, 1)
        env = dict(os.environ, VMMS_SOCKET=v.path)
        child = subprocess.Popen([cli.VMCTL, 'vhd', 'convert', 'a.img', 'b.vhdx', '--json'], cwd=v.vm, env=env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdout.readline()  # it has begun
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        state = json.loads(v.ok('job', 'show', '1', '--json'))['state']
        if state == 'Cancelled':
            equal((child.returncode, os.listdir(v.vm)), (1, ['a.img']))
            assert b'cancel' in err and err.count(b'\n') == 1, err
        else:
            equal((state, child.returncode, v.content('b.vhdx')), ('Completed', 0, want), out)


def kill_one(v, rnd, victim, args):
    """Begins an operation and kills a process of it at a random moment."""
    child = subprocess.Popen([cli.VMCTL, *args, '--json'], cwd=v.vm, env=dict(os.environ, VMMS_SOCKET=v.path),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun = child.stdout.readline()
    select.select([], [], [], rnd.random() * rnd.choice((0.001, 0.02, 0.2)))  # the moment, not an event
    if victim == 'vmms':
        v.kill()
    elif victim == 'vmctl':
        child.kill()
    else:
        for pid in v.processes():
            with contextlib.suppress(ProcessLookupError):
                if pid != v.child.pid:
                    os.kill(pid, signal.SIGKILL)
    child.communicate(timeout=60)
    if victim == 'vmms':
        v.start()
    elif begun:
        v.vmctl('job', 'wait', str(json.loads(begun)['job']))
    if victim == 'vmctl' and not begun:
        raise AssertionError('the operation did not begin')
    equal(json.loads(v.ok('job', 'list', '--json'))['jobs'][-1]['ended'] is None, False)
    equal(v.processes(), [])


VICTIMS = ('vmvhd', 'vmms', 'vmctl')
ROUNDS = int(os.environ.get('VHD_STORM_ROUNDS', '4'))


@test
def killed_new_file():
    """SIGKILL of vmvhd, vmms or vmctl while a new image is made: it is whole or not there"""
    with Vmms() as v:
        rnd = random.Random(os.environ.get('VHD_STORM_SEED', '1'))
        want = v.raw('a.img', 48 * MB, 1)
        for n in range(ROUNDS):
            for victim in VICTIMS:
                to = rnd.choice(('b.vhdx', 'b.vhd', 'b.img'))
                kill_one(v, rnd, victim, ['vhd', 'convert', 'a.img', to])
                left = sorted(os.listdir(v.vm))
                assert left in (['a.img'], ['a.img', to]), (n, victim, left)
                equal(v.hash('a.img'), want)
                assert victim != 'vmctl' or to in left, 'a job goes on without vmctl'
                if to in left:
                    equal(v.content(to), want, (n, victim, to))
                    os.unlink(v.at(to))


@test
def killed_in_place():
    """SIGKILL while an image is resized, compacted or merged: it opens, is whole, holds what it did, and the rest can be done"""
    with Vmms() as v:
        rnd = random.Random(os.environ.get('VHD_STORM_SEED', '1'))
        v.raw('a.img', 32 * MB, 1, every=2)
        for end in ('vhdx', 'vhd'):
            v.ok('vhd', 'convert', 'a.img', f'base.{end}', *(['--block-size', '1M'] if end == 'vhdx' else []))
            want = v.content(f'base.{end}')
            for n in range(ROUNDS):
                base, child = f'base.{end}', f'child.a{end}'
                victim = rnd.choice(VICTIMS)
                kill_one(v, rnd, victim, ['vhd', 'compact', base])
                v.whole(base)
                equal(v.content(base), want, (n, victim, 'compact'))
                v.ok('vhd', 'create', child, '--parent', base)
                kill_one(v, rnd, victim, ['vhd', 'merge', child])
                if os.path.exists(v.at(child)):
                    # It reads as before, or was merged to the end, and only its deletion was cut off.
                    status, _, err = v.vmctl('vhd', 'convert', child, 'content.tmp', '--force')
                    assert status == 0 or 'has another parent than this' in err, err
                    equal(status or v.hash('content.tmp'), status or want, (n, victim, 'child'))
                    v.ok('vhd', 'merge', child)
                v.whole(base)
                equal(v.content(base), want, (n, victim, 'merge'))
                size = json.loads(v.ok('vhd', 'info', base, '--json'))['disk_bytes']
                kill_one(v, rnd, victim, ['vhd', 'resize', base, '--size', str(size + 4 * MB)])
                now = json.loads(v.ok('vhd', 'info', base, '--json'))['disk_bytes']
                assert now in (size, size + 4 * MB), (n, victim, size, now)
                v.whole(base)
                want = v.content(base)
            equal(sorted(x for x in os.listdir(v.vm) if x[0] == '.'), [])


main()
