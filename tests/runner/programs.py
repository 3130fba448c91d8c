# SPDX-License-Identifier: BSD-2-Clause
"""Runs test programs: each in a process group of its own, with a time limit, its output kept."""
import concurrent.futures
import os
import re
import signal
import subprocess
import threading
import time

import tap

CORES = os.cpu_count() or 1
SHOW_LINES = 150
SANITIZERS = {
    'ASAN_OPTIONS': 'abort_on_error=1:detect_stack_use_after_return=1:allocator_may_return_null=1',
    'UBSAN_OPTIONS': 'halt_on_error=1:abort_on_error=1:print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1:second_deadlock_stack=1',
}
_print_lock = threading.Lock()


class BuildFailed(Exception):
    pass


class Program:
    """name for people; argv; protocol 'tap' or 'exitcode'; `parallel`: may share the machine with others."""

    def __init__(self, name, argv, protocol='tap', env=None, timeout=60, parallel=True, cwd=None):
        self.name = name
        self.argv = argv
        self.protocol = protocol
        self.env = env or {}
        self.timeout = timeout
        self.parallel = parallel
        self.cwd = cwd


def say(text):
    with _print_lock:
        print(text, flush=True)


def run(program, log):
    """(Result, output, seconds)"""
    env = {**os.environ, **SANITIZERS, **program.env}
    began = time.monotonic()
    with open(log, 'wb') as out:
        child = subprocess.Popen(program.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 env=env, cwd=program.cwd, start_new_session=True)
        late = False
        try:
            status = child.wait(program.timeout)
        except subprocess.TimeoutExpired:
            late, status = True, None
        finally:
            end_group(child)
    with open(log, encoding='utf-8', errors='replace') as f:
        output = f.read()
    return judge(program, output, status, late), output, time.monotonic() - began


def end_group(child):
    """Ends what is left of the program and of what it started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def judge(program, output, status, late):
    if program.protocol == 'tap':
        result = tap.parse(program.name, output, 0 if late else status)
    else:
        result = tap.Result()
        if status == 0:
            result.passed = 1
        elif status == 77:
            result.skips.append((program.name, (output.strip().split('\n')[-1] or 'no reason given')))
        elif not late:
            result.failures.append(f'{program.name}: ended with {tap.describe(status)}')
    if late:
        result.failures = [f'{program.name}: not done after {program.timeout} s'] + result.failures
    return result


def run_all(suite, programs, log_dir, jobs=CORES):
    """Runs them, prints a line for each as it ends and the output of those that fail; the sum."""
    os.makedirs(log_dir, exist_ok=True)
    total, done, width = tap.Result(), 0, max((len(p.name) for p in programs), default=0)

    def one(program):
        log = os.path.join(log_dir, f'{suite}-{program.name}.log'.replace('/', '_').replace(' ', '_'))
        return program, log, run(program, log)

    def finish(program, log, outcome):
        nonlocal done
        result, output, seconds = outcome
        done += 1
        total.add(result)
        say(f'  {suite:<14} {done:>3}/{len(programs):<3} {program.name:<{width}}  {result.counts()}  ({seconds:.1f} s)')
        for name, why in result.skips:
            say(f'      SKIP {name}: {why}')
        if result.failures:
            show_failure(result, output, log)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tasks = [pool.submit(one, p) for p in programs if p.parallel]
        for task in concurrent.futures.as_completed(tasks):
            finish(*task.result())
    for program in programs:
        if not program.parallel:
            finish(*one(program))
    return total


def show_failure(result, output, log):
    lines = output.rstrip('\n').split('\n')
    say('\n'.join([f'      FAIL {why}' for why in result.failures]
                  + ([f'      | ({len(lines) - SHOW_LINES} lines more in {os.path.relpath(log)})']
                     if len(lines) > SHOW_LINES else [])
                  + [f'      | {line}' for line in lines[-SHOW_LINES:]]))


def must(argv, log, what):
    """Runs a step of a build; on failure shows its last lines and raises BuildFailed."""
    with open(log, 'ab') as out:
        status = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                check=False).returncode
    if status == 0:
        return
    with open(log, encoding='utf-8', errors='replace') as f:
        tail = f.read().rstrip('\n').split('\n')
    # What ninja printed from the first failure on; the compiler's lines before it say nothing.
    first = next((n for n, line in enumerate(tail) if line.startswith('FAILED')), max(0, len(tail) - 60))
    tail = [line for line in tail[first:first + 60] if not re.match(r'\[\d+/\d+\] ', line)]
    say('\n'.join(f'  | {line}' for line in tail))
    raise BuildFailed(f'{what} failed; the whole log is {os.path.relpath(log)}')
