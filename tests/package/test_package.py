#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The Debian package: made from what git has of this tree, looked at by lintian, and its scripts run on folders that stand for the host's.

usage: test_package.py [FOLDER]     the package is kept there
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEBIAN = os.path.join(ROOT, 'debian')


def run(*argv, **more):
    """(exit status, both outputs)"""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False,
                       **more)
    return p.returncode, p.stdout.decode(errors='replace')


def must(*argv, **more):
    status, out = run(*argv, **more)
    assert status == 0, f'{argv}: {status}\n' + '\n'.join(out.splitlines()[-30:])
    return out


def it_builds(folder):
    """dpkg-buildpackage makes it"""
    tree = os.path.join(folder, 'vmms')
    os.mkdir(tree)
    files = must('git', '-C', ROOT, 'ls-files', '-z').split('\0')[:-1]
    packed = os.path.join(folder, 'tree.tar')
    must('tar', '-C', ROOT, '-cf', packed, '--ignore-failed-read', *files)
    must('tar', '-C', tree, '-xf', packed)
    must('dpkg-buildpackage', '-us', '-uc', '-b', cwd=tree,
         env=dict(os.environ, DEB_BUILD_OPTIONS=f'parallel={os.cpu_count() or 1} nocheck'))
    assert glob.glob(os.path.join(folder, 'vmms_*.deb'))


def lintian_accepts_it(folder):
    """lintian finds neither error nor warning"""
    changes, = glob.glob(os.path.join(folder, '*.changes'))
    status, out = run('lintian', '--fail-on', 'error,warning', changes)
    assert status == 0, out


def it_has_all(folder):
    """it holds what meson installs, and units where Debian 12 has them"""
    deb, = glob.glob(os.path.join(folder, 'vmms_*.deb'))
    found = {line.split()[5] for line in must('dpkg-deb', '-c', deb).splitlines() if not line.startswith('d')}
    with open(os.path.join(ROOT, 'tests/unit/vmms/installed.txt'), encoding='utf-8') as f:
        for name in f.read().split():
            path = './usr/' + name + ('.gz' if name.startswith('share/man') else '')
            path = path.replace('./usr/lib/systemd', './lib/systemd')
            assert path in found, f'{path} is not in {sorted(found)}'


def script(name, folder, *args):
    """Runs a maintainer script on folders below another."""
    with open(os.path.join(DEBIAN, name), encoding='utf-8') as f:
        text = f.read()
    for path in ('/run/vmms', '/var/lib/vmms', '/etc/vmms'):
        text = text.replace(path, folder + path)
    return run('sh', '-c', text, name, *args)


def record(folder, pid):
    at = os.path.join(folder, 'run/vmms/vms/f8615163-df3e-46c5-913f-f2d2f965ed0e')
    os.makedirs(at, exist_ok=True)
    with open(os.path.join(at, 'worker.json'), 'w', encoding='utf-8') as f:
        json.dump({'pid': pid, 'starttime': 1}, f, separators=(',', ':'))


def removal(_):
    """it is not removed while a VM runs; an upgrade is none of that"""
    with tempfile.TemporaryDirectory() as folder:
        assert script('vmms.prerm', folder, 'remove') == (0, '')
        record(folder, os.getpid())
        status, out = script('vmms.prerm', folder, 'remove')
        assert status == 1 and out.count('\n') == 1 and 'vmctl list' in out, out
        assert script('vmms.prerm', folder, 'upgrade', '0.2.0') == (0, '')
        record(folder, 2 ** 30)
        assert script('vmms.prerm', folder, 'remove') == (0, '')


def purge(_):
    """only a purge removes what vmms wrote, and no file of an administrator beside it"""
    with tempfile.TemporaryDirectory() as folder:
        for path in ('var/lib/vmms/vms/x/config.json', 'run/vmms/vmms.sock', 'etc/vmms/vmms.conf', 'etc/vmms/mine'):
            os.makedirs(os.path.dirname(f'{folder}/{path}'), exist_ok=True)
            open(f'{folder}/{path}', 'w', encoding='utf-8').close()
        assert script('vmms.postrm', folder, 'remove') == (0, '')
        assert os.path.exists(f'{folder}/var/lib/vmms/vms/x/config.json')
        assert script('vmms.postrm', folder, 'purge') == (0, '')
        left = sorted(os.path.relpath(os.path.join(at, f), folder) for at, _, files in os.walk(folder) for f in files)
        assert left == ['etc/vmms/mine'], left


def main(folder):
    tests = (it_builds, lintian_accepts_it, it_has_all, removal, purge)
    bad = 0
    print(f'1..{len(tests)}', flush=True)
    for n, test in enumerate(tests, 1):
        try:
            test(folder)
            print(f'ok {n} - {test.__doc__}', flush=True)
        except (AssertionError, ValueError, OSError) as e:
            bad += 1
            print(f'not ok {n} - {test.__doc__}\n# ' + str(e).replace('\n', '\n# '), flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    if len(sys.argv) > 1:
        sys.exit(main(os.path.abspath(sys.argv[1])))
    with tempfile.TemporaryDirectory(prefix='vmms-package.') as where:
        sys.exit(main(where))
