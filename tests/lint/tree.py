# SPDX-License-Identifier: BSD-2-Clause
"""The source tree as the rules see it: files, their lines, their includes, and the table of floors.

The table is read from docs/architecture.md, so that the page and the check can never differ.
"""
import os
import re

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
ROW = re.compile(r'^\|\s*(\d)\s*\|(.*?)\|.*\|(.*?)\|\s*$')
C_ENDS = ('.c', '.h')
TEXT_ENDS = C_ENDS + ('.S', '.lds', '.py', '.sh', '.build', '.md', '.txt', '.service',
                      '.1', '.5', '.7', '.8')


class TableError(Exception):
    """docs/architecture.md has no table that can be read."""


class File:
    """One text file: path relative to the root, its lines without ends."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding='utf-8', errors='replace') as f:
            self.lines = f.read().split('\n')
        if self.lines and self.lines[-1] == '':
            self.lines.pop()

    @property
    def folder(self):
        return os.path.dirname(self.path)

    def is_c(self):
        return self.path.endswith(C_ENDS)

    def is_script(self):
        shebang = bool(self.lines) and self.lines[0].startswith('#!')
        return shebang or self.path.endswith(('.py', '.sh'))

    def includes(self):
        """Yields (line number, path, quoted)."""
        for n, line in enumerate(self.lines, 1):
            m = INCLUDE.match(line)
            if m:
                yield n, m.group(1) or m.group(2), m.group(1) is not None


def is_text(root, path):
    if path.endswith(TEXT_ENDS):
        return True
    with open(os.path.join(root, path), 'rb') as f:
        return f.read(2) == b'#!'


def load(root):
    """Every text file of the tree but what is built, hidden or generated; sorted by path."""
    found = []
    for folder, dirs, names in os.walk(root):
        rel = os.path.relpath(folder, root)
        rel = '' if rel == '.' else rel
        dirs[:] = sorted(d for d in dirs if not skip_dir(rel, d))
        for name in sorted(names):
            path = os.path.join(rel, name)
            if os.path.isfile(os.path.join(root, path)) and is_text(root, path):
                found.append(File(root, path))
    return found


def skip_dir(parent, name):
    if name == '__pycache__' or (name.startswith('.') and name != '.ci'):
        return True
    return parent == '' and name.startswith('build')


def floors(text):
    """The table: {room: (floor, {what it may include: a room, or room/file.h})}."""
    rooms, wants = {}, {}
    for line in text.split('\n'):
        m = ROW.match(line)
        if not m:
            continue
        for room in re.findall(r'`src/(\w+)`', m.group(2)):
            rooms[room] = int(m.group(1))
            wants[room] = m.group(3).strip()
    if not rooms:
        raise TableError('docs/architecture.md holds no table of floors')
    return {room: (rooms[room], may_include(room, wants[room], rooms)) for room in rooms}


def may_include(room, cell, rooms):
    if cell == 'all below':
        return {r for r in rooms if rooms[r] < rooms[room]}
    allowed = set()
    for word in filter(None, (w.strip() for w in cell.split(','))):
        target = word.split('/')[0]
        if target not in rooms:
            raise TableError(f'floors table: src/{room} may include "{word}", which is no room')
        if rooms[target] > rooms[room]:
            raise TableError(f'floors table: src/{room} may include "{word}" of a higher floor')
        allowed.add(word)
    return allowed
