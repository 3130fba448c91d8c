# SPDX-License-Identifier: BSD-2-Clause
"""The build folders and the tests that meson knows in each."""
import json
import os
import shutil
import subprocess
import time

from programs import BuildFailed, Program, must, say

OPTIONS = {
    'asan': ['--buildtype=debugoptimized', '-Db_sanitize=address,undefined', '-Db_lundef=false'],
    'release': ['--buildtype=release', '-Db_lto=true'],
    'tsan': ['--buildtype=debugoptimized', '-Db_sanitize=thread', '-Db_lundef=false'],
    'fuzz': ['--buildtype=debugoptimized', '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Dfuzz=true',
             '-Dc_args=-fsanitize=fuzzer-no-link', '-Dc_link_args=-fsanitize=fuzzer-no-link'],
}
WHAT = {'asan': 'with ASan and UBSan', 'release': 'for release, with LTO', 'tsan': 'with TSan',
        'fuzz': 'for libFuzzer'}


class Build:
    """A build folder, made when it is first asked for."""

    def __init__(self, root, kind):
        self.kind = kind
        self.folder = os.path.join(root, f'build-{kind}')
        self._log = os.path.join(self.folder, 'runtests-build.log')
        self._configured = False
        self._made = set()
        self._failed = None

    def configure(self):
        if self._configured:
            return
        os.makedirs(self.folder, exist_ok=True)
        open(self._log, 'wb').close()
        if not os.path.exists(os.path.join(self.folder, 'build.ninja')):
            # Both compilers get to see all of it.
            compiler = ['env', 'CC=clang'] if self.kind in ('asan', 'fuzz') and have('clang') else []
            must([*compiler, 'meson', 'setup', self.folder, '-Dtests=enabled', *OPTIONS[self.kind]],
                 self._log, f'meson setup {os.path.basename(self.folder)}')
        # Configures again when a meson.build has changed; meson's list of tests would be stale otherwise.
        must(['ninja', '-C', self.folder, 'build.ninja'], self._log, f'meson setup {os.path.basename(self.folder)}')
        self._configured = True

    def make(self, *targets):
        """Builds these targets; all without one."""
        self.configure()
        if self._failed:
            raise self._failed
        if targets in self._made:
            return
        began = time.monotonic()
        say(f'Building {WHAT[self.kind]} in {os.path.basename(self.folder)} …')
        try:
            must(['ninja', '-C', self.folder, *targets], self._log, f'The build {WHAT[self.kind]}')
        except BuildFailed as why:
            self._failed = why
            raise
        say(f'  built in {time.monotonic() - began:.0f} s')
        self._made.add(targets)

    def tests(self, suite):
        """The programs of a meson suite. The folder is configured, but they may not be built yet."""
        self.configure()
        told = json.loads(subprocess.run(['meson', 'introspect', self.folder, '--tests'], stdout=subprocess.PIPE,
                                         stdin=subprocess.DEVNULL, check=True).stdout)
        return [self._program(t) for t in told if suite in [s.split(':')[-1] for s in t['suite']]]

    def _program(self, told):
        return Program(told['name'], told['cmd'], told['protocol'], told['env'], told['timeout'] or 60,
                       told['is_parallel'], told['workdir'] or self.folder)

    def target_of(self, program):
        """What ninja must make for this program, relative to the folder; None for a script."""
        path = os.path.relpath(program.argv[0], self.folder)
        return None if path.startswith('..') else path


def have(tool):
    return shutil.which(tool) is not None
