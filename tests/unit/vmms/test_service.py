#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The systemd unit, sysusers.d and tmpfiles.d files, by systemd's own programs.

usage: test_service.py VMMS UNIT SYSUSERS TMPFILES
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

vmms, unit, sysusers, tmpfiles = sys.argv[1:5]


def run(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    assert p.returncode == 0, f'{argv}: {p.returncode}: {p.stdout.decode()}'
    return p.stdout.decode()


def the_unit(folder):
    """the unit is one that systemd takes without a word"""
    with open(unit, encoding='utf-8') as f:
        text = f.read()
    assert re.search(r'^ExecStart=/\S+/vmms$', text, re.M), text
    copy = os.path.join(folder, 'vmms.service')
    with open(copy, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'^ExecStart=\S+', f'ExecStart={os.path.abspath(vmms)}', text, flags=re.M))
    said = [line for line in run('systemd-analyze', 'verify', '--man=no', copy).splitlines() if 'vmms' in line]
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


def main():
    tests = (('systemd-analyze', the_unit), ('systemd-sysusers', the_group), ('systemd-tmpfiles', the_folders))
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
