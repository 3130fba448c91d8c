#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The systemd units, sysusers.d and tmpfiles.d files, by systemd's own programs; what is installed; the watchdog; socket activation.

usage: test_service.py VMMS UNIT SYSUSERS TMPFILES BUILD PREFIX GUESTS_UNIT
"""
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

vmms, unit, sysusers, tmpfiles, build, prefix, guests = sys.argv[1:8]
HERE = os.path.dirname(os.path.abspath(__file__))


def run(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    assert p.returncode == 0, f'{argv}: {p.returncode}: {p.stdout.decode()}'
    return p.stdout.decode()


def the_unit(folder):
    """the units are such that systemd takes them without a word"""
    with open(unit, encoding='utf-8') as f:
        text = f.read()
    assert re.search(r'^ExecStart=/\S+/vmms$', text, re.M), text
    copy = os.path.join(folder, 'vmms.service')
    with open(copy, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'^ExecStart=\S+', f'ExecStart={os.path.abspath(vmms)}', text, flags=re.M))
    others = glob.glob(os.path.join(os.path.dirname(sysusers), 'vmms*.s[lo]*'))
    copies = [shutil.copy(other, folder) for other in others]
    copies.append(os.path.join(folder, 'vmms-guests.service'))
    with open(guests, encoding='utf-8') as f, open(copies[-1], 'w', encoding='utf-8') as out:
        # The program need not be installed where the tests run.
        out.write(re.sub(r'^ExecStop=\S+', 'ExecStop=/bin/true', f.read(), flags=re.M))
    assert len(copies) == 3, copies
    said = [line for line in run('systemd-analyze', 'verify', '--man=no', copy, *copies).splitlines() if 'vmms' in line]
    assert not said, said


def the_group(folder):
    """sysusers.d makes the groups"""
    os.makedirs(f'{folder}/etc')
    run('systemd-sysusers', f'--root={folder}', os.path.abspath(sysusers))
    with open(f'{folder}/etc/group', encoding='utf-8') as f:
        assert len(re.findall(r'^vmms(?:-view)?:x:\d+:$', f.read(), re.M)) == 2


def the_folders(folder):
    """tmpfiles.d makes the folders, which members of the group can enter"""
    if os.geteuid() != 0:
        return 'needs root'
    os.makedirs(f'{folder}/etc')
    for name, line in (('passwd', 'root:x:0:0:::'), ('group', 'root:x:0:')):
        with open(f'{folder}/etc/{name}', 'w', encoding='utf-8') as f:
            f.write(line + '\n')
    run('systemd-tmpfiles', f'--root={folder}', '--create', os.path.abspath(tmpfiles))
    for path in ('run/vmms', 'var/lib/vmms'):
        assert os.stat(f'{folder}/{path}').st_mode & 0o777 == 0o755
    return None


def the_files(folder):
    """meson install puts each file where it belongs"""
    env = dict(os.environ, DESTDIR=folder)
    p = subprocess.run(['meson', 'install', '--no-rebuild', '-C', build], env=env, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60, check=False)
    assert p.returncode == 0, p.stdout.decode()
    root = folder + prefix
    found = sorted(os.path.relpath(os.path.join(at, f), root) for at, _, files in os.walk(folder) for f in files)
    with open(os.path.join(HERE, 'installed.txt'), encoding='utf-8') as f:
        wanted = f.read().split()
    assert found == wanted, f'not in installed.txt: {set(found) - set(wanted)}; missing: {set(wanted) - set(found)}'


def told(notify):
    notify.settimeout(60)
    return notify.recv(100)


def the_manager(folder):
    """vmms takes the socket that it is handed, says READY, then WATCHDOG again and again, and leaves the socket"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, socket.socket(socket.AF_UNIX) as listener:
        notify.bind(f'{folder}/notify')
        listener.bind(f'{folder}/socket')
        listener.listen(5)
        # LISTEN_PID is that of the shell, and so of what it becomes; the other two are for somebody else.
        script = 'exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$@"'
        p = subprocess.Popen(['sh', '-c', script, 'sh', vmms, '--state-dir', f'{folder}/state', '--run-dir', f'{folder}/run'],
                             stdin=listener, stderr=subprocess.PIPE,
                             env=dict(os.environ, NOTIFY_SOCKET=f'{folder}/notify', WATCHDOG_USEC='300000'))
        try:
            assert [told(notify) for _ in range(3)] == [b'READY=1', b'WATCHDOG=1', b'WATCHDOG=1']
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f'{folder}/socket')
                client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"host.info"}\n')
                assert b'"result"' in client.recv(4096)
            assert not os.path.exists(f'{folder}/run/vmms.sock')
        finally:
            p.terminate()
            said = p.communicate(timeout=60)[1].decode()
        assert p.returncode == 0, said
        assert os.path.exists(f'{folder}/socket')


def main():
    tests = (('meson', the_files), ('sh', the_manager), ('systemd-analyze', the_unit), ('systemd-sysusers', the_group), ('systemd-tmpfiles', the_folders))
    bad = 0
    print(f'1..{len(tests)}')
    for n, (tool, test) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix='vmms.') as folder:
            try:
                why = test(folder) if shutil.which(tool) else f'there is no {tool}'
                print(f'ok {n} - {test.__doc__}' + (f' # SKIP {why}' if why else ''))
            except AssertionError as e:
                bad += 1
                print(f'not ok {n} - {test.__doc__}')
                print('# ' + str(e).replace('\n', '\n# '))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
