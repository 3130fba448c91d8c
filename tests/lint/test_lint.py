#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The lint itself: a good tree passes, and each kind of bad tree fails at the line that is bad. TAP."""
import os
import subprocess
import sys
import tempfile

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lint.py')
SPDX = '/* SPDX-License-Identifier: BSD-2-Clause */\n'
TABLE = '''# Architecture
| floor | room | holds | may include |
|---|---|---|---|
| 6 | `src/top` | the daemon | mid, util |
| 5 | `src/all` | everything | all below |
| 3 | `src/mid` | devices | low/bus.h, util |
| 1 | `src/low` | machine | util |
| 1 | `src/vid` | KVM | util |
| 0 | `src/util`, `src/proto` | helpers | |
'''
GOOD = {
    'docs/architecture.md': TABLE,
    '.clang-format': 'BasedOnStyle: LLVM\nUseTab: Always\nIndentWidth: 8\nTabWidth: 8\n',
    'src/util/u.h': SPDX + 'int u(void);\n',
    'src/util/u.c': SPDX + '#include "util/u.h"\n',
    'src/low/bus.h': SPDX + '#include "util/u.h"\n',
    'src/low/other.h': SPDX,
    'src/low/in_priv.h': SPDX,
    'src/low/in.c': SPDX + '#include "low/in_priv.h"\n',
    'src/mid/dev.c': SPDX + '#include "low/bus.h"\n#include <stdio.h>\n',
    'src/all/a.c': SPDX + '#include "low/other.h"\n#include "mid/dev.h"\n',
    'src/vid/kvm.c': SPDX + '#include <linux/kvm.h>\n',
    'src/proto/wire.h': SPDX + 'struct w {\n\tint a;\n} __attribute__((packed));\n',
    'tests/unit/low/test_in.c': SPDX + '#include "low/in_priv.h"\n',
    'guest-drivers/core/bus.c': SPDX + '#include "proto/wire.h"\n',
    'tools/run': '#!/bin/bash\n# SPDX-License-Identifier: BSD-2-Clause\n# todo lists are fine in lower case\n',
    'build-x/junk.c': 'TO' 'DO\n',
}
# title, files to lay over GOOD, the place that the lint must name
BAD = [
    ('a lower floor includes a higher one', {'src/low/x.c': SPDX + '#include "mid/dev.h"\n'}, 'src/low/x.c:2:'),
    ('a neighbour that the table does not name', {'src/low/x.c': SPDX + '#include "vid/v.h"\n'}, 'src/low/x.c:2:'),
    ('a header beside the one allowed', {'src/mid/x.c': SPDX + '#include "low/other.h"\n'}, 'src/mid/x.c:2:'),
    ('a floor is skipped', {'src/top/x.c': SPDX + '#include "low/bus.h"\n'}, 'src/top/x.c:2:'),
    ('a spaced include', {'src/low/x.c': SPDX + '#  include "mid/dev.h"\n'}, 'src/low/x.c:2:'),
    ('an include that is not rooted', {'src/low/x.c': SPDX + '#include "bus.h"\n'}, 'src/low/x.c:2:'),
    ('a climbing include', {'src/low/x.c': SPDX + '#include "../mid/dev.h"\n'}, 'src/low/x.c:2:'),
    ('a room without a row', {'src/new/x.c': SPDX + '#include "util/u.h"\n'}, 'src/new/x.c:2:'),
    ('a guest driver includes the host', {'guest-drivers/core/x.c': SPDX + '#include "low/bus.h"\n'},
     'guest-drivers/core/x.c:2:'),
    ('no table', {'docs/architecture.md': '# Architecture\n'}, 'docs/architecture.md:1:'),
    ('a table that points up', {'docs/architecture.md': TABLE.replace('| machine | util', '| machine | mid')},
     'docs/architecture.md:1:'),
    ('another header first', {'src/util/u.c': SPDX + '#include "proto/wire.h"\n#include "util/u.h"\n'},
     'src/util/u.c:2:'),
    ('a private header elsewhere', {'src/all/x.c': SPDX + '#include "low/in_priv.h"\n'}, 'src/all/x.c:2:'),
    ('a private header in another test', {'tests/unit/mid/t.c': SPDX + '#include "low/in_priv.h"\n'},
     'tests/unit/mid/t.c:2:'),
    ('kvm.h outside vid', {'src/mid/x.c': SPDX + '#include <linux/kvm.h>\n'}, 'src/mid/x.c:2:'),
    ('a packed struct outside proto', {'src/mid/x.c': SPDX + 'struct w {\n\tint a;\n} __attribute__((packed));\n'},
     'src/mid/x.c:4:'),
    ('packed among attributes', {'src/mid/x.c': SPDX + 'struct __attribute__((aligned(8), packed)) w {\n\tint a;\n};\n'},
     'src/mid/x.c:2:'),
    ('a C file without SPDX', {'src/mid/x.c': 'int x;\n'}, 'src/mid/x.c:1:'),
    ('a script without SPDX', {'tools/other': '#!/bin/sh\ntrue\n'}, 'tools/other:1:'),
    ('an empty header', {'src/mid/x.h': ''}, 'src/mid/x.h:1:'),
    ('a note for later', {'src/mid/x.c': SPDX + '/* TO' 'DO: more */\n'}, 'src/mid/x.c:2:'),
    ('a stub', {'src/mid/x.c': SPDX + '/* Not ' 'implemented. */\n'}, 'src/mid/x.c:2:'),
    ('a note in a page', {'docs/x.md': 'FIX' 'ME\n'}, 'docs/x.md:1:'),
    ('a file of 801 lines', {'src/mid/x.c': SPDX + 'int x;\n' * 800}, 'src/mid/x.c:801:'),
]
BAD_FORMAT = ('spaces where a tab belongs', {'src/mid/x.c': SPDX + 'struct w {\n    int a;\n};\n'}, 'src/mid/x.c:2:')


def lint(files):
    with tempfile.TemporaryDirectory(prefix='lint.') as root:
        for path, text in files.items():
            path = os.path.join(root, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text)
        run = subprocess.run([sys.executable, LINT, root], stdout=subprocess.PIPE, text=True, check=False)
    return run.returncode, run.stdout


def fault(status, out, place):
    """Why a bad tree was not caught, or None."""
    if status != 1:
        return f'exit status {status}'
    named = [line for line in out.split('\n') if line.startswith('# ')]
    if not any(line.startswith(f'# {place}') for line in named):
        return f'{place} is not named'
    if any(not line.startswith(f'# {place.split(":")[0]}:') for line in named):
        return 'other files are named too'
    return None


def report(n, title, why, out):
    print(f'{"not ok" if why else "ok"} {n} - {title}')
    if why:
        print(f'# {why}')
        print('\n'.join(f'# | {line}' for line in out.split('\n')))
    return bool(why)


def main():
    print(f'1..{len(BAD) + 2}')
    status, out = lint(GOOD)
    formats = '# SKIP no clang-format' not in out
    failed = report(1, 'a good tree passes', status and f'exit status {status}', out)
    for n, (title, files, place) in enumerate(BAD, 2):
        status, out = lint({**GOOD, **files})
        failed |= report(n, title, fault(status, out, place), out)
    n = len(BAD) + 2
    title, files, place = BAD_FORMAT
    if not formats:
        print(f'ok {n} - {title} # SKIP no clang-format 14 here')
        return int(failed)
    status, out = lint({**GOOD, **files})
    failed |= report(n, title, fault(status, out, place), out)
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
