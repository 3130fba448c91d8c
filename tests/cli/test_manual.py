#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The manual: clean mdoc, and complete by the code's own tables."""
import glob
import json
import os
import re
import shutil
import subprocess

from cli import Skip, equal, main, options, test, verbs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RPC_PAGE = os.environ.get('RPC_PAGE', '')
PAGES = sorted(glob.glob(os.path.join(ROOT, 'man', '*.[1-9]'))) + [RPC_PAGE]


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


@test
def mdoc_is_clean():
    """mandoc -T lint finds nothing"""
    if not shutil.which('mandoc'):
        raise Skip('mandoc is not installed')
    for page in PAGES:
        said = subprocess.run(['mandoc', '-T', 'lint', page], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False).stdout
        # Whether the pages referred to are installed is not the page's fault.
        faults = [line for line in said.split('\n')
                  if line and 'referenced manual not found' not in line and 'outdated mandoc.db' not in line]
        equal(faults, [], page)


@test
def references_exist():
    """every reference to a page of ours names one that is there"""
    have = {os.path.basename(p) for p in PAGES}
    for page in PAGES:
        for name, section in re.findall(r'^\.Xr (vm\S*) (\d)', read(page), re.MULTILINE):
            assert f'{name}.{section}' in have, (page, name, section)


def section_of(page, verb):
    """The text of a verb in vmctl.1: from its item to the next of the same level."""
    parts = re.split(r'^(?=\.It Cm )', page, flags=re.MULTILINE)
    found = [p for p in parts if re.match(rf'\.It Cm {verb}( |\n)', p)]
    equal(len(found), 1, f'vmctl.1 has so many items for "{verb}"')
    return found[0]


@test
def verbs_and_options():
    """vmctl(1) has every verb and every option of the code, and no other"""
    page = read(os.path.join(ROOT, 'man', 'vmctl.1'))
    named = re.findall(r'^\.It Cm ([a-z]+(?: [a-z-]+)?)(?= Ar|$)', page, re.MULTILINE)
    equal(sorted(named), sorted(verbs()))
    for verb in verbs():
        has = re.findall(r'^\.It Fl -([a-z-]+)', section_of(page, verb), re.MULTILINE)
        equal(sorted(f'--{o}' for o in has), sorted(options(verb)), verb)
    for option in ('socket', 'json', 'help'):
        assert f'.It Fl -{option}' in page, option


@test
def methods():
    """vmms-rpc(7) has every method that vmctl calls and all have params or a result described"""
    page = read(RPC_PAGE)
    listed = re.findall(r'^\.Ss (\S+)$', page, re.MULTILINE)
    equal(len(listed), len(set(listed)))
    for method in ('vm.create', 'vm.list', 'vm.show', 'vm.start', 'vm.stop', 'vm.restart', 'vm.pause', 'vm.resume',
                   'vm.console', 'vm.set', 'vm.delete', 'vm.wait', 'vm.log', 'events.next', 'host.check',
                   'rpc.discover'):
        assert method in listed, method
    assert '@METHODS@' not in page and '@ERRORS@' not in page


@test
def example_configuration():
    """the example of vm.json(5) is JSON, with the members that the page lists"""
    page = read(os.path.join(ROOT, 'man', 'vm.json.5'))
    example = json.loads(re.search(r'^\.Bd.*?\n(.*?)^\.Ed', page, re.MULTILINE | re.DOTALL).group(1))
    for member in example:
        assert re.search(rf'^\.It Va {member}\b', page, re.MULTILINE), member


def help_options(program):
    """The long options that a program's own --help names."""
    out = subprocess.run([program, '--help'], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    return set(re.findall(r'--([a-z-]+)', out))


@test
def daemons():
    """vmms(8), vmvhd(8) and vmwp(8) have every option that the program's --help has, and no other"""
    for name in ('vmms', 'vmvhd', 'vmwp'):
        page = read(os.path.join(ROOT, 'man', f'{name}.8'))
        program = os.environ.get(name.upper(), '')
        if not program:
            raise Skip(f'{name} is not built')
        listed = set(re.findall(r'^\.It Fl -([a-z-]+)', page, re.MULTILINE))
        equal(sorted(listed - {'help', 'version'}), sorted(help_options(program) - {'help', 'version'}), name)


main()
