#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is done with the package on a host with systemd; `container` runs it there, test_package.py prints what it found.

Each step's docstring is its name; a line of JSON a step goes to results.
"""
import glob
import json
import os
import signal
import subprocess
import sys
import time

HERE = '/tmp/package'
WORDS = 'hold'


def sh(*argv, check=True):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    out = p.stdout.decode(errors='replace')
    assert not check or p.returncode == 0, f'{argv}: {p.returncode}: {out}'
    return out.strip()


def vmctl(*words):
    return json.loads(sh('vmctl', '--json', *words))


def show(name):
    return vmctl('show', name)


def unit(name, what):
    return sh('systemctl', 'show', '--value', '-p', what, name)


def vmms_pid():
    return int(unit('vmms.service', 'MainPID'))


def states():
    return {vm['name']: vm['state'] for vm in vmctl('list')['vms']}


def until(good, what):
    """For what systemd does in its own time."""
    end = time.monotonic() + 60
    while not good():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def is_running(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


# ---- the first boot ----

def installs():
    """the package is installed: vmms runs, its groups and socket are there"""
    deb, = glob.glob(f'{HERE}/vmms_*.deb')
    sh('dpkg', '-i', deb)
    for name in ('vmms.service', 'vmms.socket', 'vmms-guests.service'):
        assert unit(name, 'ActiveState') == 'active', sh('systemctl', 'status', '--no-pager', name, check=False)
    sh('getent', 'group', 'vmms', 'vmms-view')
    assert os.stat('/run/vmms/vmms.sock').st_mode & 0o777 == 0o666


def starts():
    """a VM's worker is alone in a scope of its own below vmms.slice, with the VM's limits, and other limits hold at once"""
    for name, *more in (('stays', '--cpu-weight', '300', '--cpu-limit', '50', '--auto-start', 'always'),
                        ('other', '--auto-start', 'nothing')):
        vmctl('create', name, '--memory', '64M', '--kernel', f'{HERE}/bare.elf', '--cmdline', WORDS, '--nic', 'none', *more)
        vmctl('start', name, '--wait', 'heartbeat')
    vm = show('stays')
    scope = f'vmms-{vm["id"]}.scope'
    with open(f'/proc/{vm["worker_pid"]}/cgroup', encoding='utf-8') as f:
        assert f'0::/vmms.slice/{scope}\n' in f.read()
    assert unit(scope, 'CPUWeight') == '300' and unit(scope, 'CPUQuotaPerSecUSec') == '500ms'
    vmctl('set', 'stays', '--cpu-limit', '20')
    until(lambda: unit(scope, 'CPUQuotaPerSecUSec') == '200ms', 'another limit')


def upgrades():
    """an upgrade starts vmms anew, and the VMs go on"""
    deb, = glob.glob(f'{HERE}/vmms_*.deb')
    sh('dpkg-deb', '-R', deb, '/tmp/newer')
    with open('/tmp/newer/DEBIAN/control', encoding='utf-8') as f:
        text = f.read()
    with open('/tmp/newer/DEBIAN/control', 'w', encoding='utf-8') as f:
        f.write(''.join('Version: 99\n' if line.startswith('Version:') else line for line in text.splitlines(True)))
    sh('dpkg-deb', '-b', '/tmp/newer', '/tmp/newer.deb')
    before, pids = vmms_pid(), [show(name)['worker_pid'] for name in ('stays', 'other')]
    sh('dpkg', '-i', '/tmp/newer.deb')
    assert vmms_pid() not in (0, before)
    assert states() == {'stays': 'Running', 'other': 'Running'}, states()
    assert [show(name)['worker_pid'] for name in ('stays', 'other')] == pids


def restarts():
    """systemd starts a vmms that was killed, and one that was stopped when a client comes; the VMs go on"""
    pids = [show(name)['worker_pid'] for name in ('stays', 'other')]
    before = vmms_pid()
    os.kill(before, signal.SIGKILL)
    until(lambda: vmms_pid() not in (0, before) and unit('vmms.service', 'ActiveState') == 'active', 'a start after SIGKILL')
    sh('systemctl', 'stop', 'vmms.service')
    assert all(is_running(pid) for pid in pids)
    assert [show(name)['worker_pid'] for name in ('stays', 'other')] == pids
    assert states() == {'stays': 'Running', 'other': 'Running'}, states()


def refuses_removal():
    """the package is not removed while VMs run"""
    said = sh('dpkg', '-r', 'vmms', check=False)
    assert 'VMs are running (vmctl list)' in said, said
    assert states() == {'stays': 'Running', 'other': 'Running'}, states()


def tells():
    """the journal has each change with who, and the VM's lines by its name"""
    lines = [json.loads(line) for line in sh('journalctl', '-o', 'json', '-u', 'vmms', 'VM_NAME=other').splitlines()]
    assert any(line['MESSAGE'] == 'other: Running' and line['VM_ID'] == show('other')['id'] for line in lines), lines
    made, = [line for line in lines if line.get('AUDIT_METHOD') == 'vm.create']
    assert (made['AUDIT_USER'], made['AUDIT_RESULT'], made['AUDIT_UID']) == ('root', 'done', '0'), made


# ---- the second ----

def comes_back():
    """after a shutdown and a boot the VM that is to start by itself runs, the other does not, and both were shut down in good order"""
    until(lambda: states() == {'stays': 'Running', 'other': 'Off'}, f'the states: {states()}')
    said = vmctl('log', 'stays', '--lines', '200')['lines'] + [show('other')['reason']]
    assert show('other')['health'] == 'Ok', show('other')
    assert not any('signal' in line for line in said), said


def is_purged():
    """removed when its VMs are off, and purged: nothing is left"""
    sh('vmctl', 'stop', 'stays', '--force')
    until(lambda: not glob.glob('/sys/fs/cgroup/vmms.slice/*.scope'), 'scopes are gone')
    sh('dpkg', '-r', 'vmms')
    assert os.path.exists('/var/lib/vmms/vms')
    sh('dpkg', '-P', 'vmms')
    left = [path for path in ('/var/lib/vmms', '/run/vmms', '/usr/sbin/vmms') if os.path.exists(path)]
    assert not left, left


BOOTS = ((installs, starts, upgrades, restarts, refuses_removal, tells), (comes_back, is_purged))


def main():
    with open(f'{HERE}/boot', encoding='utf-8') as f:
        steps = BOOTS[int(f.read()) - 1]
    with open(f'{HERE}/results', 'a', encoding='utf-8') as out:
        for step in steps:
            why = ''
            try:
                step()
            except Exception as e:  # pylint: disable=broad-except
                why = repr(e)[:4000] + '\n' + sh('journalctl', '-b', '-n', '40', '--no-pager', check=False)
            out.write(json.dumps({'name': step.__doc__, 'why': why}) + '\n')
            out.flush()
            if why:
                break


if __name__ == '__main__':
    sys.exit(main())
