#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The methods on network adapters, over workers without a VM: what is on disk, what the worker is told, what happens when it fails. TAP.

usage: test_nics.py VMMS FAKE_VMWP [TEST…]
"""
import json
import socket
import sys

sys.dont_write_bytecode = True
from vmmslib import fails, main  # noqa: E402

FAILED, INVALID, NOT_FOUND, EXISTS, WRONG_STATE, LIMIT = -32000, -32602, -32001, -32002, -32004, -32007
NONE = {'kind': 'none'}


def on_disk(host, vm_id):
    """The adapters of a VM's configuration, as the next vmms would read them."""
    with open(host.path(f'state/vms/{vm_id}/config.json'), encoding='utf-8') as f:
        return {n['number']: n for n in json.load(f)['nics']}


def make(host, c, name, *nics, run=True):
    """A VM with these adapters, running or not; its id."""
    vm = c.call('vm.create', config=host.config(name, nics=list(nics)))
    if run:
        c.call('vm.start', vm=name)
    return vm['id']


def off(host):
    """adapters of a VM that is off: only its configuration changes, and each keeps its number"""
    c = host.start()
    vm = make(host, c, 't', NONE, run=False)
    got = [c.call('nic.add', vm='t', nic=NONE) for _ in range(7)]
    assert [g['number'] for g in got] == [1, 2, 3, 4, 5, 6, 7], got
    assert len({g['mac'] for g in got}) == 7 and all(g['mac'].startswith('00:15:5d:') for g in got), got
    fails(LIMIT, 'it has 8 network adapters', c.call, 'nic.add', vm='t', nic=NONE)
    c.call('nic.remove', vm='t', number=0)
    c.call('nic.remove', vm='t', number=3)
    assert sorted(on_disk(host, vm)) == [1, 2, 4, 5, 6, 7]
    assert c.call('nic.add', vm='t', nic=NONE)['number'] == 0
    assert c.call('nic.add', vm='t', nic=dict(NONE, link=False))['number'] == 3
    assert [on_disk(host, vm)[n]['link'] for n in (0, 3)] == [True, False]
    again = c.call('nic.set', vm='t', number=4, patch={'mac': '02:00:00:00:00:01', 'link': False})
    assert again['mac'] == '02:00:00:00:00:01' and again['nic'] == on_disk(host, vm)[4], again
    assert c.call('nic.set', vm='t', number=4, patch={'mac': None, 'link': None})['mac'] == got[3]['mac']
    assert on_disk(host, vm)[4]['link'] is True


def wrong(host):
    """what cannot be: one line, and the configuration is as before"""
    c = host.start()
    mac = '02:00:00:00:00:01'
    make(host, c, 'other', dict(NONE, mac=mac), run=False)
    vm = make(host, c, 't', NONE, run=False)
    before = on_disk(host, vm)

    def no(code, words, method, **params):
        fails(code, words, c.call, method, vm='t', **params)
        assert on_disk(host, vm) == before

    no(EXISTS, 'there is a network adapter 0 already', 'nic.add', nic=dict(NONE, number=0))
    for number in (8, -1, 1 << 32, 'x', None, 1.5):
        no(INVALID, 'number: must be an integer from 0 to 7', 'nic.add', nic=dict(NONE, number=number))
    no(INVALID, 'kind: is missing', 'nic.add', nic={})
    no(INVALID, 'link: must be true or false', 'nic.add', nic=dict(NONE, link='up'))
    no(EXISTS, f'network adapter 0 of other has the address {mac} already', 'nic.add', nic=dict(NONE, mac=mac))
    no(EXISTS, f'network adapter 0 of other has the address {mac} already', 'nic.set', number=0, patch={'mac': mac})
    fails(EXISTS, 'of other has the address', c.call, 'vm.set', vm='t', patch={'nics': [dict(NONE, mac=mac)]})
    fails(EXISTS, 'of other has the address', c.call, 'vm.create',
          config=host.config('new', nics=[dict(NONE, mac=mac)]))
    own = c.call('nic.add', vm='t', nic=NONE)['mac']
    before = on_disk(host, vm)
    no(EXISTS, 'network adapters 1 and 2 have the same address', 'nic.add', nic=dict(NONE, mac=own))
    no(NOT_FOUND, 'there is no network adapter 5', 'nic.remove', number=5)
    no(NOT_FOUND, 'there is no network adapter 5', 'nic.set', number=5, patch={})
    no(INVALID, 'without a number', 'nic.set', number=0, patch={'number': 3})
    no(INVALID, 'there is no such member', 'nic.set', number=0, patch={'speed': 3})


def hot(host):
    """a running VM: written first, the worker told, an answer when that has done it"""
    c = host.start()
    vm = make(host, c, 't', NONE)
    w = host.worker(vm)

    def told():
        return w.call('test.facts')['nics'][-1]

    got = c.call('nic.add', vm='t', nic=NONE)
    assert told() == ['nic.attach', {'index': 1, 'nic': got['nic'], 'fds': []}, 0], told()
    assert on_disk(host, vm)[1] == got['nic']
    c.call('nic.set', vm='t', number=1, patch={'link': False})
    assert told() == ['nic.link', {'index': 1, 'up': False}, 0] and on_disk(host, vm)[1]['link'] is False
    fails(WRONG_STATE, 'port of network adapter 1 can change now', c.call, 'nic.set', vm='t', number=1,
          patch={'mac': '02:00:00:00:00:01'})
    c.call('nic.remove', vm='t', number=0)
    assert told() == ['nic.detach', {'index': 0}, 0] and sorted(on_disk(host, vm)) == [1]
    c.call('vm.pause', vm='t')
    assert c.call('nic.add', vm='t', nic=NONE)['number'] == 0
    c.call('vm.stop', vm='t', force=True)
    assert sorted(on_disk(host, vm)) == [0, 1]


def user(host):
    """an adapter behind address translation: its descriptor goes to the worker, and its port is taken while it is there"""
    c = host.start()
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    nic = {'kind': 'user', 'forwards': [{'protocol': 'tcp', 'address': '127.0.0.1', 'port': port, 'guest_port': 80}]}
    vm = make(host, c, 't')
    c.call('nic.add', vm='t', nic=nic)
    assert host.worker(vm).call('test.facts')['nics'][-1][1]['fds'] == ['nic/0']
    assert sorted(on_disk(host, vm)) == [0]
    # vmnat binds it as it begins.
    while not taken(port):
        pass
    fails(FAILED, f'TCP port {port} of 127.0.0.1 cannot be forwarded', c.call, 'nic.add', vm='t', nic=nic)
    assert sorted(on_disk(host, vm)) == [0]
    c.call('nic.remove', vm='t', number=0)
    while taken(port):
        pass


def taken(port):
    """Whether somebody has it."""
    with socket.socket() as s:
        try:
            s.bind(('127.0.0.1', port))
            return False
        except OSError:
            return True


def undone(host):
    """a worker that can not: the error is its own, the configuration is as before"""
    c = host.start()
    vm = make(host, c, 'nicless', NONE)
    before = on_disk(host, vm)
    fails(FAILED, 'cannot add a network adapter to nicless: the fake cannot', c.call, 'nic.add', vm='nicless', nic=NONE)
    assert on_disk(host, vm) == before
    fails(FAILED, 'cannot change a network adapter of nicless: the fake cannot', c.call, 'nic.set', vm='nicless',
          number=0, patch={'link': False})
    assert on_disk(host, vm) == before
    fails(FAILED, 'cannot take a network adapter from nicless: the fake cannot', c.call, 'nic.remove', vm='nicless',
          number=0)
    assert on_disk(host, vm) == before


def killed(host):
    """a vmms that is killed while the worker is asked: the next one has what is on disk, and goes on"""
    c = host.start()
    vm = make(host, c, 'slownic', NONE)
    w = host.worker(vm)
    c.send('nic.add', {'vm': 'slownic', 'nic': NONE})
    while not w.call('test.facts')['nics']:
        pass
    other = host.client()
    fails(WRONG_STATE, 'another change of the network adapters', other.call, 'nic.add', vm='slownic', nic=NONE)
    host.kill()
    c = host.start()
    assert sorted(on_disk(host, vm)) == [0, 1]
    c.call('nic.set', vm='slownic', number=1, patch={'link': False})
    c.call('nic.remove', vm='slownic', number=1)
    assert sorted(on_disk(host, vm)) == [0]


TESTS = [off, wrong, hot, user, undone, killed]

if __name__ == '__main__':
    sys.exit(main(TESTS, *sys.argv[1:3]))
