#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks the tree against the house rules; TAP on standard output, one test a rule.

usage: lint.py [ROOT]    (ROOT: the top of the tree, two folders above this file unless named)
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402
import tree  # noqa: E402


def check(rule, root, files):
    """(line of TAP behind the number, diagnostics, ok)"""
    title = rule.__doc__
    try:
        bad = rule(root, files)
    except rules.Skip as why:
        return f'{title} # SKIP {why}', [], True
    return title, bad, not bad


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, '..', '..'))
    files = tree.load(root)
    failed = 0
    print(f'1..{len(rules.RULES)}')
    for n, rule in enumerate(rules.RULES, 1):
        title, bad, ok = check(rule, root, files)
        print(f'{"ok" if ok else "not ok"} {n} - {title}')
        for line in bad:
            print(f'# {line}')
        failed += not ok
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
