# SPDX-License-Identifier: BSD-2-Clause
"""The rules. Each takes (root, files) and gives a list of "path:line: what is wrong and what to do".

A rule that cannot be checked on this machine raises Skip with the reason.
"""
import os
import re
import shutil
import subprocess

import tree

SPDX = 'SPDX-License-Identifier: BSD-2-Clause'
MAX_LINES = 800
# Split, so that this file does not find itself.
UNFINISHED = re.compile(r'\b(TO' r'DO|FIX' r'ME)\b|not ' r'implemented', re.IGNORECASE)
UNFINISHED_CASE = re.compile(r'\b(to' r'do|fix' r'me)\b')
PACKED = re.compile(r'__attribute__\s*\(\(.*\bpacked\b|\b__packed(__)?\b|#\s*pragma\s+pack')
# The benchmarks measure KVM alone as the floor; guest tests drive it directly.
KVM_FOLDERS = ('src/vid', 'src/sandbox', 'tests/unit/vid', 'tests/guest', 'tests/lab', 'bench')


class Skip(Exception):
    pass


def under(path, *folders):
    return any(path.startswith(f + '/') for f in folders)


def room_of(path):
    parts = path.split('/')
    return parts[1] if len(parts) > 2 and parts[0] == 'src' else None


def read_floors(root):
    with open(os.path.join(root, 'docs/architecture.md'), encoding='utf-8') as f:
        return tree.floors(f.read())


def rule_floors(root, files):
    """includes keep to the floors of docs/architecture.md"""
    try:
        table = read_floors(root)
    except (OSError, tree.TableError) as e:
        return [f'docs/architecture.md:1: {e}']
    bad = []
    for f in filter(lambda f: f.is_c() and under(f.path, 'src', 'guest-drivers'), files):
        for n, path, quoted in f.includes():
            why = quoted and include_fault(f.path, path, table)
            if why:
                bad.append(f'{f.path}:{n}: {why}')
    return bad


def include_fault(path, included, table):
    target = included.split('/')[0]
    if under(path, 'guest-drivers'):
        if target in table and target != 'proto':
            return f'guest-drivers may include "{included}" of src/proto only'
        return None
    room = room_of(path)
    if room not in table:
        return f'src/{room} is not in the table of floors; add its row'
    if '/' not in included or target not in table:
        return f'"{included}" is not rooted at src; write "room/file.h"'
    if target == room or target in table[room][1] or included in table[room][1]:
        return None
    return f'src/{room} (floor {table[room][0]}) may not include "{included}" (floor {table[target][0]})'


def rule_own_header(root, files):
    """a source includes its own header first"""
    headers = {f.path for f in files if f.path.endswith('.h')}
    bad = []
    for f in files:
        own = f.path[:-2] + '.h'
        if not (f.path.endswith('.c') and under(f.path, 'src') and own in headers):
            continue
        first = next(f.includes(), (1, None, True))
        if 'src/' + str(first[1]) != own:
            bad.append(f'{f.path}:{first[0]}: the first include is not "{own[4:]}"')
    return bad


def rule_private(root, files):
    """a *_priv.h stays in its folder"""
    bad = []
    for f in files:
        for n, path, quoted in f.includes() if f.is_c() else ():
            home = 'src/' + os.path.dirname(path)
            mirrors = 'tests/unit/' + os.path.dirname(path), 'tests/unit/' + path.split('/')[0]
            if quoted and path.endswith('_priv.h') and f.folder not in (home, *mirrors):
                bad.append(f'{f.path}:{n}: "{path}" is private to {home}')
    return bad


def rule_kvm(root, files):
    """<linux/kvm.h> is included in src/vid only, and for src/sandbox's lists"""
    return [f'{f.path}:{n}: <{path}> belongs to src/vid; use its interface'
            for f in files if f.is_c() and not under(f.path, *KVM_FOLDERS)
            for n, path, _ in f.includes() if path in ('linux/kvm.h', 'asm/kvm.h')]


def rule_packed(root, files):
    """packed structs live in src/proto only"""
    return [f'{f.path}:{n}: a wire struct; move it to src/proto'
            for f in files
            if f.is_c() and under(f.path, 'src', 'guest-drivers/core') and not under(f.path, 'src/proto')
            for n, line in enumerate(f.lines, 1) if PACKED.search(line)]


def rule_spdx(root, files):
    """sources and scripts carry an SPDX line"""
    bad = []
    for f in files:
        if f.is_c() or f.path.endswith(('.S', '.lds')):
            has = bool(f.lines) and SPDX in f.lines[0]
        elif f.is_script():
            has = any(SPDX in line for line in f.lines[:3])
        else:
            continue
        if not has:
            bad.append(f'{f.path}:1: no "{SPDX}"')
    return bad


def rule_finished(root, files):
    """nothing is left for later"""
    return [f'{f.path}:{n}: "{m.group(0)}": finish it or leave it out'
            for f in files for n, line in enumerate(f.lines, 1)
            for m in [UNFINISHED.search(line)]
            if m and not UNFINISHED_CASE.fullmatch(m.group(0))]


def rule_size(root, files):
    """no source is longer than 800 lines"""
    return [f'{f.path}:{MAX_LINES + 1}: {len(f.lines)} lines; two things share this file'
            for f in files
            if (f.is_c() or f.is_script() or f.path.endswith('.S')) and len(f.lines) > MAX_LINES]


def rule_format(root, files):
    """C sources are clang-format clean"""
    tool = find_clang_format()
    bad, paths = [], [f.path for f in files if f.is_c()]
    for i in range(0, len(paths), 50):
        run = subprocess.run([tool, '--dry-run', '--style=file', *paths[i:i + 50]], cwd=root,
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        places = re.findall(r'^(\S+?):(\d+):\d+: (?:warning|error)', run.stderr, re.MULTILINE)
        bad += [f'{path}:{n}: run clang-format -i {path}' for path, n in dict(reversed(places)).items()]
        if run.returncode and not places:
            bad.append(f'.clang-format:1: {tool}: {run.stderr.strip()[:200]}')
    return bad


def find_clang_format():
    for name in ('clang-format-14', 'clang-format'):
        tool = shutil.which(name)
        if not tool:
            continue
        says = subprocess.run([tool, '--version'], stdout=subprocess.PIPE, text=True, check=False).stdout
        if re.search(r'version 14\.', says):
            return tool
    raise Skip('no clang-format 14 here (Debian 12: apt-get install clang-format)')


RULES = [rule_floors, rule_own_header, rule_private, rule_kvm, rule_packed, rule_spdx,
         rule_finished, rule_size, rule_format]
