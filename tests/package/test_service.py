#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The package on a host with systemd, in a container that is booted twice: install, start, upgrade, reboot, remove.

usage: test_service.py FOLDER BARE      the folder has the package; BARE is the bare guest
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

import inside

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 400


def missing():
    if os.geteuid() != 0:
        return 'needs root, for namespaces'
    if not os.path.exists('/lib/systemd/systemd'):
        return 'systemd is not installed'
    if not os.path.exists('/dev/kvm'):
        return 'there is no /dev/kvm'
    with open('/proc/mounts', encoding='utf-8') as f:
        if not any(line.split()[2] == 'cgroup2' for line in f):
            return 'no version 2 control groups are mounted'
    return None


def boot(package, bare, folder):
    shared = os.path.join(folder, 'shared')
    os.mkdir(shared)
    deb, = glob.glob(os.path.join(package, 'vmms_*.deb'))
    shutil.copy(deb, shared)
    shutil.copy(bare, os.path.join(shared, 'bare.elf'))
    shutil.copy(os.path.join(HERE, 'inside.py'), os.path.join(shared, 'job'))
    run = subprocess.run([os.path.join(HERE, 'container'), folder, str(len(inside.BOOTS))], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    results = os.path.join(shared, 'results')
    lines = []
    if os.path.exists(results):
        with open(results, encoding='utf-8') as f:
            lines = [json.loads(line) for line in f]
    return lines, run.stdout.decode(errors='replace')


def main(package, bare):
    names = [step.__doc__ for steps in inside.BOOTS for step in steps]
    why = missing()
    if why:
        print(f'1..0 # SKIP {why}')
        return 0
    print(f'1..{len(names)}')
    with tempfile.TemporaryDirectory(prefix='vmms-service.') as folder:
        lines, said = boot(package, bare, folder)
    found = {line['name']: line['why'] for line in lines}
    bad = 0
    for n, name in enumerate(names, 1):
        why = found.get(name, 'it was not reached\n' + said[-2000:])
        bad += bool(why)
        print(f'{"not ok" if why else "ok"} {n} - {name}')
        for line in why.splitlines():
            print(f'# {line}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3]))
