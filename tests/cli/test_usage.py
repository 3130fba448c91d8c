#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Wrong use: one line that says what is wrong, on standard error, and the right exit status."""
from cli import FakeVmms, equal, main, test, verbs, vmctl

WORDS = {'wait': ['web1', 'off'], 'list': [], 'events': [], 'host check': [], 'host info': [], 'proxy': [], 'host stop-vms': [], 'job list': [],
         'job show': ['1'], 'job cancel': ['1'], 'job wait': ['1'], 'vhd convert': ['a.vhdx', 'b.vhdx'],
         'vhd set-parent': ['a.vhdx', 'b.vhdx'],
         'switch list': [],
         'nic add': ['web1', 'user'], 'nic remove': ['web1', '0'], 'nic set': ['web1', '0'],
         'disk attach': ['web1', '/x.img'], 'disk detach': ['web1', '0:1'], 'disk set': ['web1', '0:1'],
         'disk resize': ['web1', '0:1'], 'rename': ['web1', 'www'], 'dvd insert': ['web1', '/x.iso']}
EXTRA = {'switch create': ['--type', 'private'], 'switch set': ['--mtu', '1400'], 'set': ['--memory', '64M'], 'disk set': ['--max-iops', '10'], 'nic set': ['--link', 'up']}


def words(verb):
    return WORDS.get(verb, ['web1'])


def one_line(err):
    assert err.endswith('\n') and err.count('\n') == 1, err


@test
def missing_words():
    """each verb without its words"""
    for verb in verbs():
        for n in range(len(words(verb))):
            status, out, err = vmctl(*verb.split(), *words(verb)[:n])
            equal((status, out), (2, ''), verb)
            one_line(err)
            what = {'vhd': 'IMAGE', 'job': 'JOB',
                    'switch': 'NAME' if verb == 'switch create' else 'SWITCH'}.get(verb.split()[0], 'NAME')
            assert err.startswith(f'vmctl {verb}: it wants {what}'), err
            assert err.endswith(f'(help: vmctl {verb} --help)\n'), err


@test
def words_too_many():
    """each verb with a word too many"""
    for verb in verbs():
        status, out, err = vmctl(*verb.split(), *words(verb), 'surplus')
        equal((status, out), (2, ''), verb)
        equal(err, f'vmctl {verb}: "surplus" is one word too many (help: vmctl {verb} --help)\n')


@test
def unknown_options():
    """each verb with an unknown option"""
    for verb in verbs():
        status, out, err = vmctl(*verb.split(), *words(verb), '--nonsense')
        equal((status, out), (2, ''), verb)
        equal(err, f'vmctl {verb}: there is no option --nonsense (help: vmctl {verb} --help)\n')


@test
def no_vmms():
    """each verb where no vmms answers: how to start one"""
    for verb in verbs():
        status, out, err = vmctl(*verb.split(), *words(verb), *EXTRA.get(verb, []), sock='/nonexistent/vmms.sock')
        equal((status, out), (1, ''), verb)
        one_line(err)
        assert err.startswith(f'vmctl {verb}: no vmms answers at /nonexistent/vmms.sock; to start it: '), err


@test
def unknown_vm():
    """each verb that names a VM passes on what vmms says of an unknown one"""
    error = {'error': {'code': -32001, 'message': 'there is no VM "web1"', 'data': {'errno': 'ENOENT'}}}
    for verb in verbs():
        if words(verb) and verb.split()[0] not in ('vhd', 'job', 'perf', 'switch'):
            methods = [f'vm.{v}' for v in 'create show start stop restart pause resume console set delete wait log'.split()]
            methods += [f'disk.{v}' for v in 'list attach detach set resize'.split()] + ['dvd.insert', 'dvd.eject', 'nic.add', 'nic.set', 'nic.remove', 'perf.get']
            methods += [f'meter.{v}' for v in 'enable show reset disable'.split()]
            with FakeVmms({m: error for m in methods}) as fake:
                status, out, err = vmctl(*verb.split(), *words(verb), *EXTRA.get(verb, []), sock=fake.path)
                equal((status, out, err), (1, '', f'vmctl {verb}: there is no VM "web1"\n'), verb)


@test
def mistyped_verbs():
    """a mistyped verb: the one that may be meant"""
    rows = {'craete': 'create', 'lst': 'list', 'strat': 'start', 'resme': 'resume', 'del': 'delete', 'evnts': 'events'}
    for typed, meant in rows.items():
        equal(vmctl(typed), (2, '', f'vmctl: there is no command "{typed}"; did you mean "{meant}"? '
                                    '(help: vmctl --help)\n'))
    equal(vmctl('host', 'chekc')[2],
          'vmctl: there is no command "host chekc"; did you mean "host check"? (help: vmctl --help)\n')
    equal(vmctl('frobnicate'), (2, '', 'vmctl: there is no command "frobnicate" (help: vmctl --help)\n'))


@test
def noun_alone():
    """a noun without its verb"""
    status, _, err = vmctl('host')
    equal(status, 2)
    equal(err, 'vmctl: "host" wants one more word: check or info or stop-vms (help: vmctl --help)\n')


@test
def values():
    """values that are none"""
    rows = [
        (['create', 'x', '--memory', 'lots'], '--memory wants a size such as 64M or 2G, not "lots"'),
        (['create', 'x', '--cpus', '0'], '--cpus wants a number such as 2, not "0"'),
        (['create', 'x', '--cpus'], '--cpus wants a value: --cpus N'),
        (['create', 'x', '--cpus=1', '--cpus=2'], '--cpus is given twice'),
        (['create', 'x', '--heartbeat', 'maybe'], '--heartbeat is one of on|off, not "maybe"'),
        (['start', 'x', '--wait', 'off'], '--wait is one of running|heartbeat, not "off"'),
        (['disk', 'attach', 'x', '/y', '--at', '4:0'], '--at wants a controller (0 to 3) and a LUN (0 to 63), such as '
                                                       '0:1, not "4:0"'),
        (['dvd', 'eject', 'x', '--at', '0:64'], '--at wants a controller (0 to 3) and a LUN (0 to 63), such as 0:1, '
                                                'not "0:64"'),
        (['disk', 'set', 'x', '0:0'], 'it wants an option that says what to change'),
        (['disk', 'set', 'x', '0:0', '--max-iops', 'many'], '--max-iops wants a number or none, not "many"'),
        (['start', 'x', '--timeout', '5'], '--timeout needs --wait heartbeat'),
        (['wait', 'x', 'sleeping'], 'STATE is one of running|paused|off|heartbeat, not "sleeping"'),
        (['stop', 'x', '--force=yes'], '--force takes no value'),
        (['stop', 'x', '--forc'], 'there is no option --forc; did you mean --force?'),
        (['stop', 'x', '-f'], 'there is no option -f; options have two dashes'),
        (['set', 'x'], 'it wants an option that says what to change'),
    ]
    for argv, says in rows:
        verb = ' '.join(argv[:2]) if argv[0] in ('disk', 'dvd') else argv[0]
        equal(vmctl(*argv), (2, '', f'vmctl {verb}: {says} (help: vmctl {verb} --help)\n'))


@test
def missing_files():
    """a disk that is not there: how to make one"""
    equal(vmctl('create', 'x', '--disk', '/nonexistent/d.img')[::2],
          (1, 'vmctl create: /nonexistent/d.img: there is no such file; to make an empty disk: '
              '--disk /nonexistent/d.img,size=10G\n'))
    for size in ('', '0', 'x', '-1', '20G,size=1'):
        equal(vmctl('create', 'x', '--disk', f'/a.vhdx,size={size}')[::2],
              (2, 'vmctl create: --disk FILE,size=SIZE wants a size such as 20G, not "' + size + '" (help: vmctl create --help)\n'))
    equal(vmctl('create', 'x', '--dvd', '/nonexistent/d.iso')[::2],
          (1, 'vmctl create: /nonexistent/d.iso: there is no such file\n'))


@test
def text_that_is_none():
    """words that are no UTF-8 text"""
    status, _, err = vmctl('show', b'\xff\xfe')
    equal(status, 1)
    one_line(err)
    status, _, err = vmctl('create', 'x', '--notes', b'\xff')
    equal(status, 1)
    one_line(err)


@test
def vmms_goes_away():
    """a vmms that closes the connection, or answers nonsense"""
    for answer in (None, b'nonsense\n'):
        with FakeVmms({'vm.list': (lambda a: lambda params: a)(answer)}) as fake:
            status, out, err = vmctl('list', sock=fake.path)
            equal((status, out), (1, ''), answer)
            one_line(err)


@test
def failures_as_json():
    """--json: a failure is a document, too"""
    error = {'code': -32004, 'message': 'the VM is off', 'data': {'errno': 'EBUSY'}}
    with FakeVmms({'vm.pause': {'error': error}}) as fake:
        status, out, err = vmctl('pause', 'web1', '--json', sock=fake.path)
    equal((status, err), (1, 'vmctl pause: the VM is off\n'))
    assert '"code": -32004' in out and '"message": "the VM is off"' in out, out


main()
