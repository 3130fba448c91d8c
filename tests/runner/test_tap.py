#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The counting of ./runtests: what each kind of program's output and exit status comes to. TAP."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

# what, output, exit status, (passed, failed, skipped)
ROWS = [
    ('all pass', '1..2\nok 1 - a\nok 2 - b\n', 0, (2, 0, 0)),
    ('the plan comes last', 'ok 1 - a\nok 2 - b\n1..2\n', 0, (2, 0, 0)),
    ('one fails', '1..2\nok 1 - a\nnot ok 2 - b\n', 1, (1, 1, 0)),
    ('a failure with exit status 0 is a failure', '1..1\nnot ok 1 - a\n', 0, (0, 1, 0)),
    ('one is skipped', '1..2\nok 1 - a # SKIP no KVM\nok 2 - b\n', 0, (1, 0, 1)),
    ('all are skipped', '1..0 # SKIP no /dev/kvm\n', 0, (0, 0, 1)),
    ('a skipped plan with exit status 1', '1..0 # skip why\n', 1, (0, 1, 1)),
    ('nothing is printed', '', 0, (0, 1, 0)),
    ('no plan', 'ok 1 - a\n', 0, (1, 1, 0)),
    ('it dies before the end', '1..3\nok 1 - a\n', -11, (1, 1, 0)),
    ('it dies behind the end (a leak found by a sanitizer)', '1..1\nok 1 - a\n', 23, (1, 1, 0)),
    ('more tests than planned', '1..1\nok 1 - a\nok 2 - b\n', 0, (2, 1, 0)),
    ('bail out', '1..3\nok 1 - a\nBail out! no memory\n', 1, (1, 1, 0)),
    ('lines of the program between', 'hello\n1..1\n# note\nok 1 - a\nokay then\n', 0, (1, 0, 0)),
    ('subtests are not counted twice', '1..1\n    ok 1 - inner\n    1..1\nok 1 - a\n', 0, (1, 0, 0)),
]


def main():
    failed = False
    print(f'1..{len(ROWS)}')
    for n, (title, output, status, want) in enumerate(ROWS, 1):
        r = tap.parse('p', output, status)
        got = (r.passed, r.failed, r.skipped)
        print(f'{"ok" if got == want else "not ok"} {n} - {title}')
        if got != want:
            print(f'# {got} for {want}: {r.failures}')
            failed = True
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
