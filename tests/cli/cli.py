# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the command line share: running vmctl, a fake vmms with canned answers, golden files, TAP.

A test program lists functions with `@test`, and ends with `main()`. With UPDATE_GOLDEN=1 golden files are written
instead of compared; look at the difference before you commit it.
"""
import fcntl
import functools
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import traceback

VMCTL = os.environ.get('VMCTL', '')
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'golden')
_tests = []


class Skip(Exception):
    pass


def test(fn):
    """Registers a function; its docstring is the name."""
    _tests.append(fn)
    return fn


def main():
    print(f'1..{len(_tests)}', flush=True)
    failed = 0
    for n, fn in enumerate(_tests, 1):
        title = fn.__doc__.strip().split('\n', maxsplit=1)[0]
        try:
            fn()
            print(f'ok {n} - {title}', flush=True)
        except Skip as why:
            print(f'ok {n} - {title} # SKIP {why}', flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f'not ok {n} - {title}')
            print('\n'.join(f'# {line}' for line in traceback.format_exc().split('\n')), flush=True)
    sys.exit(1 if failed else 0)


def equal(got, want, what=''):
    if got != want:
        raise AssertionError(f'{what}\n--- want\n{want}\n--- got\n{got}')


def vmctl(*args, sock='/nonexistent/vmms.sock', cwd=None, stdin=None):
    """(exit status, standard output, standard error)"""
    env = {k: v for k, v in os.environ.items() if k != 'VMMS_SOCKET'}
    env['LC_ALL'] = 'C.UTF-8'
    if sock:
        env['VMMS_SOCKET'] = sock
    run = subprocess.run([VMCTL, *args], stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=env, cwd=cwd, timeout=60, check=False)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def vmctl_on_terminal(columns, *args, sock):
    """Standard output of vmctl on a terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 25, columns, 0, 0))
    child = subprocess.Popen([VMCTL, '--socket', sock, *args], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    out = b''
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # EIO: the child is gone
            break
        if not chunk:
            break
        out += chunk
    os.close(master)
    child.wait(60)
    return out.decode().replace('\r\n', '\n')


def golden(name, text):
    path = os.path.join(GOLDEN, name)
    if os.environ.get('UPDATE_GOLDEN'):
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        return
    with open(path, encoding='utf-8') as f:
        equal(text, f.read(), f'differs from tests/cli/golden/{name} (UPDATE_GOLDEN=1 writes it anew)')


def complete(*words):
    """What vmctl offers for the last of these words."""
    return vmctl('__complete', *words)[1].split('\n')[:-1]


@functools.lru_cache(None)
def verbs():
    """Every verb of the code's table, pairs as "noun verb"."""
    found = []
    for word in complete(''):
        second = complete(word, '') if word in nouns() else []
        found += [f'{word} {s}' for s in second] or [word]
    return found


@functools.lru_cache(None)
def nouns():
    return [w for w in complete('') if vmctl(w, '--help')[0] == 2]


def options(verb):
    """The options of a verb, without those that every verb has."""
    return [o for o in complete(*verb.split(), '--') if o not in ('--socket', '--json', '--help')]


class FakeVmms:
    """Answers each method with what `answers` has for it: a result, an Exception-like {'error': …}, or a function
    of the params. `calls` keeps (method, params). Use as a context; `path` is its socket."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []
        self.folder = tempfile.TemporaryDirectory(prefix='cli.')
        self.path = os.path.join(self.folder.name, 'vmms.sock')
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._ending = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *unused):
        self._ending = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wake:
            wake.connect(self.path)
        self._thread.join(10)
        self._listener.close()
        self.folder.cleanup()

    def _serve(self):
        while True:
            conn, _ = self._listener.accept()
            if self._ending:
                conn.close()
                return
            with conn, conn.makefile('r', encoding='utf-8') as lines:
                for line in lines:
                    if not self._answer(conn, json.loads(line)):
                        break

    def _answer(self, conn, request):
        """False: the connection ends here."""
        self.calls.append((request['method'], request.get('params')))
        answer = self.answers.get(request['method'], {'error': {'code': -32601, 'message': 'no such method'}})
        if callable(answer):
            answer = answer(request.get('params'))
        if answer is None:
            return False
        if isinstance(answer, bytes):
            conn.sendall(answer)
            return True
        body = answer if set(answer) == {'error'} else {'result': answer}  # a job has a member of that name
        conn.sendall((json.dumps({'jsonrpc': '2.0', 'id': request['id'], **body}) + '\n').encode())
        return True
