#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Counters of VMs as vmms takes them from workers and gives them to clients.

usage: test_perf.py VMMS VMWP [TEST]...
"""
import json
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmmslib import fails, main  # noqa: E402

NOT_FOUND, EXISTS, WRONG_STATE, TIMED_OUT = -32001, -32002, -32004, -32006


def make(c, host, *names):
    for name in names:
        c.call('vm.create', config=host.config(name))
        c.call('vm.start', vm=name)


def of(vm, name, instance=''):
    """The counters of one set and instance."""
    found = [s['counters'] for s in vm['sets'] if (s['set'], s['instance']) == (name, instance)]
    assert len(found) == 1, vm
    return found[0]


def one_and_all(host):
    """a VM's counters, all VMs', the host's; what is off counts nothing"""
    c = host.start()
    make(c, host, 'a', 'b')
    c.call('vm.create', config=host.config('off'))
    fails(NOT_FOUND, 'there is no VM', c.call, 'perf.get', vm='nobody')
    fails(WRONG_STATE, 'off is Off', c.call, 'perf.get', vm='off')
    before = time.monotonic_ns() // 1000
    r = c.call('perf.get', vm='a')
    assert [v['name'] for v in r['vms']] == ['a'] and r['silent'] == []
    assert before <= r['vms'][0]['time_us'] <= time.monotonic_ns() // 1000
    assert of(r['vms'][0], 'vp', '0') == {'run_time_us': 5, 'io': 7}
    memory = of(r['vms'][0], 'memory')
    assert memory['guest_visible_bytes'] == 8 << 20 and memory['physical_bytes'] > 0
    r = c.call('perf.get')
    assert sorted(v['name'] for v in r['vms']) == ['a', 'b'] and r['silent'] == []
    assert of({'sets': r['host']}, 'hypervisor')['partitions'] == 2
    assert of({'sets': r['host']}, 'health') == {'ok': 3, 'critical': 0}
    c.call('vm.stop', vm='b', force=True)
    assert [v['name'] for v in c.call('perf.get')['vms']] == ['a']


def foreign(host):
    """a worker's words are copied through the table; its clock is bounded by the question and the answer"""
    c = host.start()
    make(c, host, 'liar')
    before = time.monotonic_ns() // 1000
    vm = c.call('perf.get', vm='liar')['vms'][0]
    assert before <= vm['time_us'] <= time.monotonic_ns() // 1000
    assert of(vm, 'vp', '?[2J') == {'io': 1}
    assert sorted(s['set'] for s in vm['sets']) == ['memory', 'vp'], vm
    assert of(vm, 'memory')['guest_visible_bytes'] == 8 << 20


def silent(host):
    """a worker that does not answer, or cannot count, is named and holds back nobody else's numbers"""
    c = host.start()
    make(c, host, 'a', 'uncounted', 'slowcount')
    r = c.call('perf.get')
    assert [v['name'] for v in r['vms']] == ['a']
    assert sorted(r['silent']) == ['slowcount', 'uncounted'], r
    assert c.call('perf.get', vm='uncounted')['silent'] == ['uncounted']


def asked_once(host):
    """many who ask at once are one question to the worker; all get the answer, also when it ends meanwhile"""
    c = host.start()
    make(c, host, 'heldcount')
    vm = c.call('vm.show', vm='heldcount')['id']
    clients = [host.client() for _ in range(40)]
    ids = [x.send('perf.get', {'vm': 'heldcount'}) for x in clients]
    worker = host.worker(vm)
    while worker.call('test.counted')['asked'] == 0:
        pass
    for x in clients:  # what was sent before is under way when this is answered
        x.call('host.info')
    assert worker.call('test.counted')['asked'] == 1
    worker.call('test.count')
    for x, i in zip(clients, ids):
        assert of(x.answer(i)['result']['vms'][0], 'vp', '0')['io'] == 7
    ids = [x.send('perf.get', {'vm': 'heldcount'}) for x in clients]
    while worker.call('test.counted')['asked'] == 1:
        pass
    worker.call('test.exit', status=3)
    for x, i in zip(clients, ids):
        # Those that were too late to ask are told that it is off.
        answer = x.answer(i)
        assert answer.get('error', {}).get('code') == WRONG_STATE or answer['result']['silent'] == ['heldcount'], answer
    c.call('vm.wait', vm='heldcount', **{'for': 'off'})


def numbers(n):
    return [{'set': 'vp', 'instance': '0', 'counters': {'run_time_us': n}},
            {'set': 'storage', 'instance': '0:0', 'counters': {'read_bytes': n, 'operations': n, 'latency_us': 5 * n}}]


def metered(host):
    """what a VM used is added up over its restarts and those of vmms; nothing is counted twice or lost"""
    c = host.start()
    ids = {n: c.call('vm.create', config=host.config(n))['id'] for n in ('a', 'b')}
    for method in ('show', 'reset', 'disable'):
        fails(WRONG_STATE, 'a is not metered; to begin: vmctl meter enable a', c.call, f'meter.{method}', vm='a')
    first = c.call('meter.enable', vm='a')
    assert first['cpu_us'] == first['memory_max_bytes'] == 0
    fails(EXISTS, 'metered already', c.call, 'meter.enable', vm='a')
    for name in ids:
        c.call('vm.start', vm=name)
    host.worker(ids['b']).call('test.numbers', sets=numbers(1000))
    assert c.call('meter.enable', vm='b')['cpu_us'] == 0  # what was before does not count
    host.worker(ids['b']).call('test.numbers', sets=numbers(1001))
    assert c.call('meter.show', vm='b')['cpu_us'] == 1
    host.worker(ids['a']).call('test.numbers', sets=numbers(100))
    shown = c.call('meter.show', vm='a')
    assert (shown['cpu_us'], shown['read_bytes'], shown['latency_us']) == (100, 100, 500)
    assert 0 < shown['memory_min_bytes'] <= shown['memory_average_bytes'] <= shown['memory_max_bytes']
    assert shown['running_us'] > 0 and shown['since'] == first['since']
    host.kill()
    host.worker(ids['a']).call('test.numbers', sets=numbers(150))
    c = host.start()
    assert c.call('meter.show', vm='a')['cpu_us'] == 150
    # a worker's last word, then its end; and another one
    host.worker(ids['a']).call('test.raw', text=json.dumps(
        {'jsonrpc': '2.0', 'method': 'vm.counters', 'params': {'time_us': 1, 'sets': numbers(170)}}) + '\n')
    c.call('vm.stop', vm='a', force=True)
    assert c.call('meter.show', vm='a')['cpu_us'] == 170
    host.kill()
    c = host.start()
    c.call('vm.start', vm='a')
    host.worker(ids['a']).call('test.numbers', sets=numbers(8))
    assert c.call('meter.show', vm='a')['cpu_us'] == 178
    assert c.call('meter.reset', vm='a')['cpu_us'] == 0
    host.worker(ids['a']).call('test.numbers', sets=numbers(9))
    assert c.call('meter.show', vm='a')['cpu_us'] == 1
    c.call('meter.disable', vm='a')
    assert not os.path.exists(host.path(f'state/vms/{ids["a"]}/meter.json'))
    host.stop()
    c = host.start()
    fails(WRONG_STATE, 'is not metered', c.call, 'meter.show', vm='a')
    assert c.call('meter.show', vm='b')['cpu_us'] == 1
    c.call('vm.stop', vm='b', force=True)
    c.call('vm.delete', vm='b')


def broken_meters(host):
    """a state file that is none is named and left alone; a worker that does not tell begins nothing"""
    c = host.start()
    vm = c.call('vm.create', config=host.config('uncounted'))['id']
    c.call('vm.start', vm='uncounted')
    fails(TIMED_OUT, 'does not tell its counters', c.call, 'meter.enable', vm='uncounted')
    fails(WRONG_STATE, 'is not metered', c.call, 'meter.show', vm='uncounted')
    host.kill()
    for text in (b'', b'{', b'[]', b'{"schema": 7}', b'x' * (2 << 20)):
        host.file(f'state/vms/{vm}/meter.json', text)
        c = host.start()
        assert 'meter.json cannot be used' in host.logged()
        fails(WRONG_STATE, 'is not metered', c.call, 'meter.show', vm='uncounted')
        host.kill()
        assert os.path.getsize(host.path(f'state/vms/{vm}/meter.json')) == len(text)
        os.unlink(host.log)
    host.start()


if __name__ == '__main__':
    sys.exit(main([one_and_all, foreign, silent, asked_once, metered, broken_meters], sys.argv[1], sys.argv[2]))
