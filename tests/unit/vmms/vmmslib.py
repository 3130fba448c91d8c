# SPDX-License-Identifier: BSD-2-Clause
"""What tests of a running vmms share: a private instance, a JSON-RPC client, TAP."""
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback

TIMEOUT = 30.0


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(error['message'])
        self.code, self.message, self.data = error['code'], error['message'], error.get('data')


class Client:
    """A connection. Results are checked against the schemas of rpc.discover, where `schemas` is given."""

    def __init__(self, path, schemas=None):
        self.sock = socket.socket(socket.AF_UNIX)
        # Through a descriptor, so that the path may be longer than an address.
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock.connect(f'/proc/self/fd/{folder}/{os.path.basename(path)}')
        finally:
            os.close(folder)
        self.sock.settimeout(TIMEOUT)
        self.buf = b''
        self.id = 0
        self.notes = []
        self.schemas = schemas or {}

    def send(self, method, params=None):
        self.id += 1
        m = {'jsonrpc': '2.0', 'id': self.id, 'method': method}
        if params is not None:
            m['params'] = params
        self.raw(json.dumps(m).encode() + b'\n')
        return self.id

    def raw(self, data):
        self.sock.sendall(data)

    def line(self):
        while b'\n' not in self.buf:
            data = self.sock.recv(1 << 16)
            if not data:
                raise EOFError('connection closed')
            self.buf += data
        line, self.buf = self.buf.split(b'\n', 1)
        return json.loads(line)

    def answer(self, id_):
        while True:
            m = self.line()
            if 'method' in m:
                self.notes.append(m)
            elif m.get('id') == id_:
                return m

    def call(self, method, **params):
        m = self.answer(self.send(method, params))
        if 'error' in m:
            assert '\n' not in m['error']['message'], m
            raise RpcError(m['error'])
        if method in self.schemas:
            check_schema(m['result'], self.schemas[method], method)
        return m['result']

    def note(self):
        """The next notification."""
        if self.notes:
            return self.notes.pop(0)
        while True:
            m = self.line()
            if 'method' in m:
                return m

    def close(self):
        self.sock.close()


TYPES = {'string': str, 'boolean': bool, 'integer': int, 'object': dict, 'array': list, 'null': type(None)}


def check_schema(value, schema, where):
    """The part of JSON Schema that rpc.discover uses."""
    types = schema['type'] if isinstance(schema['type'], list) else [schema['type']]
    ok = any(isinstance(value, TYPES[t]) and not (t == 'integer' and isinstance(value, bool)) for t in types)
    assert ok, f'{where}: {value!r} is no {types}'
    assert value in schema.get('enum', [value]), f'{where}: {value!r} is none of {schema["enum"]}'
    if isinstance(value, dict) and 'properties' in schema:
        for key in schema['required']:
            assert key in value, f'{where}: no {key}'
        for key, v in value.items():
            assert key in schema['properties'], f'{where}: {key} is not in the table'
            check_schema(v, schema['properties'][key], f'{where}.{key}')
    if isinstance(value, list) and 'items' in schema:
        for v in value:
            check_schema(v, schema['items'], f'{where}[]')


class Host:
    """A folder with a vmms of its own."""

    def __init__(self, vmms, vmwp):
        self.vmms, self.vmwp = vmms, vmwp
        self.dir = tempfile.mkdtemp(prefix='vmms.')
        self.socket = self.path('run/vmms.sock')
        self.conf = self.path('vmms.conf')
        self.kernel = self.file('kernel')
        self.log = self.path('log')
        self.process = None
        self.schemas = {}
        self.clients = []
        self.env = {}
        self.undo = []  # commands for the end
        self.settings(kvm_device='/dev/null')

    def path(self, name):
        return os.path.join(self.dir, name)

    def file(self, name, data=b'x' * 4096):
        with open(self.path(name), 'wb') as f:
            f.write(data)
        return self.path(name)

    def settings(self, **what):
        with open(self.conf, 'w', encoding='utf-8') as f:
            json.dump(what, f)

    def argv(self, *more):
        return [self.vmms, '--state-dir', self.path('state'), '--run-dir', self.path('run'),
                '--vmwp', self.vmwp, '--config', self.conf, *more]

    def start(self, *more):
        """Starts vmms; returns once it is ready, which it says by the service manager's datagram."""
        notify = self.path('notify')
        if os.path.exists(notify):
            os.unlink(notify)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(notify)
            s.settimeout(TIMEOUT)
            with open(self.log, 'ab') as log:
                self.process = subprocess.Popen(self.argv(*more), stderr=log, stdin=subprocess.DEVNULL,
                                                env=dict(os.environ, NOTIFY_SOCKET=notify, **self.env))
            assert s.recv(100) == b'READY=1'
        with_schemas = self.client()
        doc = with_schemas.call('rpc.discover')
        self.schemas = {m['name']: m['result']['schema'] for m in doc['methods']}
        with_schemas.schemas = self.schemas
        return with_schemas

    def run_to_end(self, *more):
        """For a vmms that does not come up: (status, what it said)."""
        p = subprocess.run(self.argv(*more), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                           timeout=TIMEOUT, check=False)
        return p.returncode, p.stderr.decode()

    def client(self):
        c = Client(self.socket, self.schemas)
        self.clients.append(c)
        return c

    def worker(self, vm_id):
        c = Client(self.path(f'run/vms/{vm_id}/worker.sock'))
        self.clients.append(c)
        return c

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(TIMEOUT)
        assert status == 0 and 'Sanitizer' not in self.logged(), f'vmms ended with {status}'

    def logged(self):
        if not os.path.exists(self.log):
            return ''
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()

    def config(self, name, **more):
        return dict({'schema': 1, 'name': name, 'memory': {'bytes': 8 << 20},
                     'boot': {'kernel': self.kernel}}, **more)

    def left_in_run_dir(self):
        return os.listdir(self.path('run/vms'))

    def close(self):
        for c in self.clients:
            c.close()
        if self.process and self.process.poll() is None:
            c = self.client()
            for vm in c.call('vm.list')['vms']:
                if vm['state'] != 'Off':
                    c.call('vm.stop', vm=vm['id'], force=True)
            c.close()
            self.stop()
        for argv in reversed(self.undo):
            subprocess.run(argv, check=True)
        shutil.rmtree(self.dir)


def drive(lun, path, **more):
    return dict({'lun': lun, 'kind': 'disk', 'path': path}, **more)


def fails(code, words, fn, *args, **params):
    """That a call fails with this code and these words."""
    try:
        fn(*args, **params)
    except RpcError as e:
        assert e.code == code, f'{e.code}: {e.message}'
        assert words in e.message, e.message
        return
    raise AssertionError(f'{args} {params} did not fail')


def run(test, vmms, vmwp):
    """One test with a host of its own; (passed, lines of diagnostics)."""
    host = Host(vmms, vmwp)
    said = []
    ok = True
    try:
        test(host)
    except Exception:  # noqa: BLE001: whatever it is, the test failed
        ok = False
        said = traceback.format_exc().splitlines() + host.logged().splitlines()[-30:]
    try:
        host.close()
    except Exception as e:  # noqa: BLE001
        ok = False
        said.append(f'while cleaning up: {e!r}')
        host.process.kill()
    return ok, said


def main(tests, vmms, vmwp):
    """Runs the tests, a few at a time because most of their time is waiting; TAP."""
    chosen = [t for t in tests if len(sys.argv) < 4 or t.__name__ in sys.argv[3:]]
    print(f'1..{len(chosen)}', flush=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda t: run(t, vmms, vmwp), chosen)
        for n, (test, (ok, said)) in enumerate(zip(chosen, results), 1):
            bad += not ok
            print(f'{"ok" if ok else "not ok"} {n} - {test.__name__}: {test.__doc__}')
            for line in said:
                print(f'# {line}')
            sys.stdout.flush()
    return 1 if bad else 0
