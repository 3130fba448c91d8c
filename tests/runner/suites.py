# SPDX-License-Identifier: BSD-2-Clause
"""The suites of ./runtests, in the order in which they run. Each gives a tap.Result."""
import glob
import os
import subprocess
import tempfile

import programs
import tap
from builds import Build, have

FUZZ_SECONDS = int(os.environ.get('FUZZ_SECONDS', '60'))
# Two emulated hosts fill the times in which one of them waits: for its own start, for the minute of a clock's drift.
LAB_JOBS = 2
LAB_LONGEST = ['test_boot.py', 'test_chain.py', 'test_crash.py', 'test_time.py', 'test_data.py']
# Beyond what the tests themselves allow (lablib.TEST_SECONDS): they say more.
LAB_SECONDS = 2700
QUICKSTART_SECONDS = 900
PACKAGE_SECONDS = 900


class Context:
    """What the suites share: the tree's root, the build folders, the folder of logs."""

    def __init__(self, root):
        self.root = root
        self.builds = {}
        self.logs = os.path.join(root, 'build-logs')

    def build(self, kind):
        return self.builds.setdefault(kind, Build(self.root, kind))


def no_tests(name):
    result = tap.Result()
    result.failures.append(f'{name}: there is no test in this suite')
    programs.say(f'  FAIL the suite {name} has no test')
    return result


def skip(name, why):
    result = tap.Result()
    result.skips.append((name, why))
    programs.say(f'  SKIP {name}: {why}')
    return result


def meson_suite(name, kinds, compiled=True):
    """A suite of meson's, run from each of these build folders; scripts alone need no compiling."""
    def suite(context):
        total = tap.Result()
        for kind in kinds:
            build = context.build(kind)
            if compiled:
                build.make()
            found = build.tests(name)
            label = f'{name} ({kind})' if len(kinds) > 1 else name
            total.add(programs.run_all(label, found, context.logs) if found else no_tests(label))
        return total
    return suite


def tsan(context):
    """The tests where threads meet: the suite loop, and what is marked with the suite tsan."""
    if not tsan_runs(context):
        return skip('tsan', 'a program built with -fsanitize=thread does not run on this machine')
    build = context.build('tsan')
    found = {p.name: p for suite in ('loop', 'tsan') for p in build.tests(suite)}.values()
    if not found:
        return no_tests('tsan')
    build.make(*sorted({build.target_of(p) for p in found} - {None}))
    for p in found:
        p.argv = ['setarch', '-R', *p.argv] if have('setarch') else p.argv
        p.timeout *= 3
    return programs.run_all('tsan', list(found), context.logs)


def tsan_runs(context):
    """TSan needs its own layout of the address space, which not every kernel grants."""
    os.makedirs(context.logs, exist_ok=True)
    probe = os.path.join(context.logs, 'tsan-probe')
    made = subprocess.run(['gcc', '-x', 'c', '-fsanitize=thread', '-o', probe, '-'], text=True,
                          input='int main(void) { return 0; }\n', stderr=subprocess.DEVNULL, check=False)
    run = ['setarch', '-R', probe] if have('setarch') else [probe]
    return made.returncode == 0 and subprocess.run(run, stderr=subprocess.DEVNULL, check=False).returncode == 0


def fuzz(context):
    """Each target for FUZZ_SECONDS, one a core."""
    if not have('clang'):
        return skip('fuzz', 'libFuzzer needs clang')
    names = sorted(os.path.basename(s)[:-2] for s in glob.glob(os.path.join(context.root, 'tests/fuzz/fuzz_*.c')))
    if not names:
        return no_tests('fuzz')
    build = context.build('fuzz')
    build.make('fuzz')
    targets = [os.path.join(build.folder, 'tests/fuzz', name) for name in names]
    programs.say(f'  {len(targets)} targets, {FUZZ_SECONDS} s each, {programs.CORES} at a time')
    return programs.run_all('fuzz', [fuzz_program(context, build, t) for t in targets], context.logs)


def fuzz_program(context, build, target):
    name = os.path.basename(target)
    corpus = os.path.join(build.folder, 'corpus', name)
    seeds = os.path.join(context.root, 'tests/fuzz/corpus', name[len('fuzz_'):])
    os.makedirs(corpus, exist_ok=True)
    argv = [target, f'-max_total_time={FUZZ_SECONDS}', '-timeout=10', '-rss_limit_mb=1024', '-print_final_stats=1',
            f'-artifact_prefix={build.folder}/{name}-', corpus]
    if os.path.isdir(seeds):
        argv.append(seeds)
    return programs.Program(name, argv, 'exitcode', timeout=FUZZ_SECONDS + 120)


def lab(context):
    """Stock guests on emulated KVM hosts: every executable tests/lab/test_*, two at a time, the longest first."""
    if subprocess.run([os.path.join(context.root, 'tools/need-packages'), 'lab'], check=False).returncode:
        return skip('lab', 'packages of the lab are missing (above)')
    build = context.build('release')
    build.make()
    found = [programs.Program(os.path.basename(t), [t], timeout=LAB_SECONDS, cwd=context.root,
                              env={'VMMS_BUILD': build.folder})
             for t in sorted(glob.glob(os.path.join(context.root, 'tests/lab/test[_-]*')), key=lab_order)
             if os.access(t, os.X_OK)]
    return programs.run_all('lab', found, context.logs, jobs=LAB_JOBS) if found else no_tests('lab')


def lab_order(path):
    name = os.path.basename(path)
    return LAB_LONGEST.index(name) if name in LAB_LONGEST else len(LAB_LONGEST), name


def quickstart(context):
    """The README's first commands, with the build that they make: for release without LTO, where gcc warns of more."""
    script = os.path.join(context.root, 'quickstart')
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return skip('quickstart', '/dev/kvm is missing or not ours to use')
    found = [programs.Program('quickstart', [script], 'exitcode', timeout=QUICKSTART_SECONDS, parallel=False,
                              cwd=context.root)]
    result = tap.Result()
    if subprocess.run([os.path.join(context.root, 'tools/need-packages'), 'lab'], check=False).returncode:
        result = skip('quickstart linux', 'packages of the lab are missing (above)')
    else:
        found.append(programs.Program('quickstart linux --check', [script, 'linux', '--check'], 'exitcode',
                                      timeout=QUICKSTART_SECONDS, parallel=False, cwd=context.root))
    result.add(programs.run_all('quickstart', found, context.logs))
    return result


def package(context):
    """The Debian package, from the tree as git has it."""
    if subprocess.run([os.path.join(context.root, 'tools/need-packages'), 'package'], check=False).returncode:
        return skip('package', 'packages that make packages are missing (above)')
    build = context.build('release')
    bare = 'guest-drivers/bare/bare.elf'
    build.make(bare)
    tests = os.path.join(context.root, 'tests/package')
    with tempfile.TemporaryDirectory(prefix='vmms-package.') as folder:
        result = programs.run_all('package', [programs.Program(
            'package', [os.path.join(tests, 'test_package.py'), folder], timeout=PACKAGE_SECONDS)], context.logs)
        result.add(programs.run_all('package', [programs.Program(
            'service', [os.path.join(tests, 'test_service.py'), folder, os.path.join(build.folder, bare)],
            timeout=PACKAGE_SECONDS)], context.logs))
    return result


# name, what it is, how it runs
SUITES = [
    ('lint', 'the house rules: floors, format, licences', meson_suite('lint', ['asan'], compiled=False)),
    ('unit', 'each room by itself, no KVM', meson_suite('unit', ['asan', 'release'])),
    ('loop', 'the guest library against the real VMBus server in one process', meson_suite('loop', ['asan', 'release'])),
    ('cli', 'vmctl, vmms and their man pages', meson_suite('cli', ['asan'])),
    ('guest', 'the bare guest on /dev/kvm', meson_suite('guest', ['asan', 'release'])),
    ('tsan', 'the tests where threads meet, with ThreadSanitizer', tsan),
    ('fuzz', f'every decoder, {FUZZ_SECONDS} s each (FUZZ_SECONDS)', fuzz),
    ('quickstart', 'the first commands of the README, with the build that they make', quickstart),
    ('package', 'the Debian package: made, checked by lintian, installed, upgraded and booted under systemd', package),
    ('lab', 'stock Debian kernels on an emulated KVM host', lab),
]
