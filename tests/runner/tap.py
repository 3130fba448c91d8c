# SPDX-License-Identifier: BSD-2-Clause
"""Counts what a test program said in TAP, and what it failed to say.

A plan that is not met, a missing plan, a bail-out and an exit status that contradicts the lines count as failures:
a program that dies halfway must not look like one that passed.
"""
import re

PLAN = re.compile(r'^1\.\.(\d+)(?:\s*#\s*skip\S*\s*(.*))?\s*$', re.IGNORECASE)
LINE = re.compile(r'^(not )?ok\b\s*\d*\s*(?:- )?([^#]*)(?:#\s*(skip|todo)\S*\s*(.*))?', re.IGNORECASE)


class Result:
    """Counts of one program; `failures` are names or reasons, `skips` (name, why)."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    @property
    def failed(self):
        return len(self.failures)

    @property
    def skipped(self):
        return len(self.skips)

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips

    def counts(self):
        parts = [f'{self.passed} passed']
        if self.failures:
            parts.append(f'{self.failed} failed')
        if self.skips:
            parts.append(f'{self.skipped} skipped')
        return ', '.join(parts)


def parse(name, output, status):
    """The Result of a program that printed `output` and ended with `status`."""
    result, plan, seen = Result(), None, 0
    for line in output.split('\n'):
        planned = PLAN.match(line)
        if planned and plan is None:
            plan = int(planned.group(1))
            if plan == 0:
                result.skips.append((name, planned.group(2) or 'no reason given'))
            continue
        if line.startswith('Bail out!'):
            result.failures.append(f'{name}: {line}')
            return result
        test = LINE.match(line)
        if test:
            seen += 1
            count_line(result, name, test)
    count_silence(result, name, plan, seen, status)
    return result


def count_line(result, name, test):
    failed, title, directive, why = test.groups()
    title = f'{name}: {title.strip()}'
    if directive and directive.lower() == 'skip':
        result.skips.append((title, why.strip() or 'no reason given'))
    elif failed:
        result.failures.append(title)
    else:
        result.passed += 1


def count_silence(result, name, plan, seen, status):
    if plan is None:
        result.failures.append(f'{name}: printed no plan')
    elif seen < plan:
        result.failures.append(f'{name}: {plan - seen} of {plan} tests did not run')
    elif seen > plan > 0:
        result.failures.append(f'{name}: ran {seen} tests, planned {plan}')
    if status != 0 and not result.failures:
        result.failures.append(f'{name}: ended with {describe(status)}')


def describe(status):
    return f'signal {-status}' if status < 0 else f'exit status {status}'
