#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Help: of vmctl and of each verb, as golden files; the ways to ask for it."""
from cli import complete, equal, golden, main, nouns, options, test, verbs, vmctl


@test
def general_help():
    """vmctl --help lists every verb"""
    status, out, err = vmctl('--help')
    equal((status, err), (0, ''))
    golden('help.txt', out)
    for verb in verbs():
        assert f'\n  {verb} ' in out, verb


@test
def no_command():
    """vmctl alone prints its help to standard error, exit status 2"""
    status, out, err = vmctl()
    equal((status, out), (2, ''))
    equal(err, vmctl('--help')[1])


@test
def help_of_each_verb():
    """each verb's --help: golden, with every option and an example"""
    assert len(verbs()) >= 16, verbs()
    for verb in verbs():
        status, out, err = vmctl(*verb.split(), '--help')
        equal((status, err), (0, ''), verb)
        golden(f'help-{verb.replace(" ", "-")}.txt', out)
        assert f'Examples:\n  vmctl {verb}' in out, verb
        for option in options(verb):
            assert f'\n  {option}' in out, (verb, option)
        for line in out.split('\n'):
            assert len(line) <= 100 or line.startswith('  vmctl'), (verb, line)


@test
def other_ways_to_ask():
    """vmctl help VERB, VERB -h and --help before the verb say the same"""
    for verb in verbs():
        want = vmctl(*verb.split(), '--help')[1]
        equal(vmctl('help', *verb.split())[1], want)
        equal(vmctl(*verb.split(), '-h')[1], want)
        equal(vmctl('--help', *verb.split())[1], want)
    equal(vmctl('help')[1], vmctl('--help')[1])


@test
def version():
    """vmctl --version"""
    status, out, _ = vmctl('--version')
    equal(status, 0)
    assert out.startswith('vmctl ') and out.count('\n') == 1, out


@test
def help_needs_no_vmms():
    """help works with a socket that is not there"""
    equal(vmctl('list', '--help', '--socket', '/nonexistent/x')[0], 0)


@test
def completion():
    """completion offers verbs, their second words, options and values"""
    equal(complete('sta'), ['start'])
    equal(complete('host', ''), ['check', 'info', 'stop-vms'])
    equal(nouns(), ['disk', 'dvd', 'vhd', 'job', 'nic', 'meter', 'switch', 'host'])
    equal(complete('start', 'web1', '--wait', ''), ['running', 'heartbeat'])
    equal(complete('start', 'web1', '--wait', 'h'), ['heartbeat'])
    equal(complete('wait', 'web1', 'o'), ['off'])
    equal(complete('create', 'web1', '--disk', ''), [':files'])
    equal(complete('disk', 'attach', 'web1', ''), [':files'])
    equal(complete('disk', 'set', 'web1', '0:0', '--on-error', 'p'), ['pause'])
    equal(complete('--socket', ''), [':files'])
    equal(complete('vhd', 'convert', 'a.vhdx', ''), [':files'])
    equal(complete('--socket', '/x', '--json', 'pau'), ['pause'])
    equal(complete('list', '--js'), ['--json'])
    equal(complete('nonsense', ''), complete(''))


main()
