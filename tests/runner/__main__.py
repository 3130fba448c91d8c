# SPDX-License-Identifier: BSD-2-Clause
"""usage: ./runtests [--list] [--help] [SUITE...]

Installs what is missing, builds (build-asan, build-release, …), runs every suite or those named, and ends with a
line "N passed, N failed, N skipped". Exit status 1 when anything failed, 2 on wrong use.

  FUZZ_SECONDS=N  how long each fuzz target runs (60)

Logs are kept in build-logs/. To run one test by hand:  meson test -C build-asan -v NAME
"""
import os
import subprocess
import sys
import time

import suites
import tap
from programs import BuildFailed, say


def usage(out):
    print(__doc__.strip(), file=out)
    print('\nSuites:', file=out)
    for name, what, _ in suites.SUITES:
        print(f'  {name:<8}{what}', file=out)


def choose(args):
    names = [name for name, _, _ in suites.SUITES]
    for arg in args:
        if arg in ('-h', '--help'):
            usage(sys.stdout)
            sys.exit(0)
        if arg == '--list':
            print('\n'.join(names))
            sys.exit(0)
        if arg not in names:
            print(f'runtests: no suite is called "{arg}"; there are {", ".join(names)}', file=sys.stderr)
            sys.exit(2)
    return [s for s in suites.SUITES if not args or s[0] in args]


def main():
    chosen = choose(sys.argv[1:])
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.chdir(root)
    if subprocess.run(['tools/need-packages', 'build', 'test'], check=False).returncode:
        return 1
    context, total, began = suites.Context(root), tap.Result(), time.monotonic()
    for name, what, run in chosen:
        say(f'== {name}: {what}')
        total.add(run_suite(name, run, context))
    report(total, time.monotonic() - began)
    return 1 if total.failures else 0


def run_suite(name, run, context):
    try:
        return run(context)
    except BuildFailed as why:
        result = tap.Result()
        result.failures.append(f'{name}: {why}')
        return result


def report(total, seconds):
    say(f'\nDone in {seconds // 60:.0f} min {seconds % 60:.0f} s.')
    for name, why in total.skips:
        say(f'SKIP {name}: {why}')
    for why in total.failures:
        say(f'FAIL {why}')
    say(f'{total.passed} passed, {total.failed} failed, {total.skipped} skipped')


if __name__ == '__main__':
    sys.exit(main())
