#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Who may do what, by the groups that a client has, and the audit's lines: clients that are other users.

usage: test_rights.py VMMS FAKE_VMWP [TEST]...
"""
import grp
import json
import os
import sys

import vmmslib

NOBODY = 65534
STRANGER = 4000001
# Any two groups that this machine knows and root's clients do not need.
ADMIN, VIEW = [g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY)][:2]


def as_user(host, uid, gid, groups, calls):
    """The error codes (0: done; None: not served) of calls that a process of another user makes."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        answers = []
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            client = vmmslib.Client(host.socket)
            for method, params in calls:
                try:
                    client.call(method, **params)
                    answers.append(0)
                except vmmslib.RpcError as e:
                    answers.append(e.code)
                except (EOFError, OSError):
                    answers.append(None)
        except PermissionError:
            answers = ['no socket']
        os.write(into, json.dumps(answers).encode())
        os._exit(0)  # pylint: disable=protected-access
    os.close(into)
    with os.fdopen(out) as f:
        answers = json.load(f)
    os.waitpid(pid, 0)
    return answers


def open_up(host, **settings):
    os.chmod(host.dir, 0o755)
    host.settings(kvm_device='/dev/null', **settings)


CALLS = [('vm.list', {}), ('vm.show', {'vm': 'a'}), ('vm.set', {'vm': 'a', 'patch': {'notes': 'x'}}),
         ('vm.start', {'vm': 'nobody'}), ('rpc.discover', {})]
DENIED, NOT_FOUND = -32003, -32001


def the_groups(host):
    """a member of view_group looks, of group changes too, anybody else is refused; primary and supplementary groups"""
    open_up(host, group=ADMIN.gr_name, view_group=VIEW.gr_name)
    c = host.start()
    c.call('vm.create', config=host.config('a'))
    look = [0, 0, DENIED, DENIED, 0]
    all_ = [0, 0, 0, NOT_FOUND, 0]
    rows = (
        (STRANGER, [], None), (VIEW.gr_gid, [], look), (STRANGER, [VIEW.gr_gid], look),
        (ADMIN.gr_gid, [], all_), (STRANGER, [1234567, ADMIN.gr_gid], all_),
        (VIEW.gr_gid, [ADMIN.gr_gid], all_), (STRANGER, list(range(4000000, 4000500)), None))
    for gid, groups, expected in rows:
        got = as_user(host, STRANGER, gid, groups, CALLS)
        assert got == (expected or [None] * len(CALLS)), f'{gid} {groups}: {got}'
    assert as_user(host, 0, 0, [], CALLS) == all_


def one_group(host):
    """without a group for viewers the socket is its group's alone"""
    open_up(host, group=ADMIN.gr_name, view_group='')
    c = host.start()
    c.call('vm.create', config=host.config('a'))
    assert os.stat(host.socket).st_mode & 0o777 == 0o660
    assert as_user(host, STRANGER, STRANGER, [], CALLS) == ['no socket']
    assert as_user(host, STRANGER, STRANGER, [ADMIN.gr_gid], CALLS[:1]) == [0]


def private(host):
    """a private instance is nobody else's"""
    open_up(host, group='', view_group='')
    host.start()
    assert os.stat(host.socket).st_mode & 0o777 == 0o600


def the_audit(host):
    """a line for each change, done or refused, with who, what, on which VM; none for looks"""
    open_up(host, group=ADMIN.gr_name, view_group=VIEW.gr_name)
    c = host.start()
    c.call('vm.create', config=host.config('a'))
    as_user(host, STRANGER, VIEW.gr_gid, [], CALLS)
    vmmslib.fails(NOT_FOUND, 'nobody', c.call, 'vm.start', vm='nobody')
    c.call('vm.delete', vm='a')
    lines = [line.split('audit: ', 1)[1] for line in host.logged().splitlines() if 'audit: ' in line]
    me = f'root (uid 0, pid {os.getpid()})'
    assert len(lines) == 5, lines
    assert lines[0] == f'{me} vm.create a: done', lines
    assert lines[1].startswith(f'{STRANGER} (uid {STRANGER}, pid '), lines
    assert lines[1].endswith(' vm.set: failed: vm.set: you may look, but not change'), lines
    assert ' vm.start: failed: ' in lines[2], lines
    assert lines[3].startswith(f'{me} vm.start nobody: failed: '), lines
    assert lines[4] == f'{me} vm.delete a: done', lines


TESTS = (the_groups, one_group, private, the_audit)

if __name__ == '__main__':
    if os.geteuid() != 0:
        print('1..0 # SKIP needs root, to be other users')
        sys.exit(0)
    sys.exit(vmmslib.main(TESTS, sys.argv[1], sys.argv[2]))
