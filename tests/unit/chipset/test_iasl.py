#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Has ACPICA's compiler read our tables: what it disassembles and compiles again must be what we wrote. TAP.

usage: test_iasl.py DUMP_ACPI
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

BASE = 0xe0000
HEADER = 36
# In the DSDT's disassembly, spaces apart.
WANTED = ['Name (_HID, "ACPI0004"', 'Name (_HID, "VMBus")', 'IRQNoFlags () {5}', 'Method (_PS3, 0, NotSerialized)',
          'EisaId ("PNP0501")', 'EisaId ("PNP0B00")', 'QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,',
          'Name (\\_S5, Package (0x04)']


def table(image, gpa):
    at = gpa - BASE
    length, = struct.unpack_from('<I', image, at + 4)
    return image[at:at + length]


def tables(image):
    xsdt = table(image, struct.unpack_from('<Q', image, 24)[0])
    for at in range(HEADER, len(xsdt), 8):
        found = table(image, struct.unpack_from('<Q', xsdt, at)[0])
        yield found
        if found[:4] == b'FACP':
            yield table(image, struct.unpack_from('<Q', found, 140)[0])


def iasl(*args):
    run = subprocess.run(['iasl', *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False, timeout=60)
    return run.returncode, run.stdout


def round_trip(folder, data):
    """Why the table is not what iasl makes of it, or None."""
    name = data[:4].decode()
    path = os.path.join(folder, name)
    with open(path + '.dat', 'wb') as f:
        f.write(data)
    status, said = iasl('-d', path + '.dat')
    if status:
        return f'iasl -d: {said}'
    with open(path + '.dsl', encoding='utf-8', errors='replace') as f:
        text = ' '.join(f.read().split())
    if 'Checksum' in said and 'ncorrect' in said:
        return f'checksum: {said}'
    missing = [w for w in WANTED if w not in text] if name == 'DSDT' else []
    if missing:
        return f'not in the disassembly: {missing}'
    # -f: "VMBus" is no valid _HID, and is what guests look for. -oa: as it stands, without optimizing.
    os.remove(path + '.dat')
    again = path + '-again'
    status, said = iasl('-oa', '-f', '-p', again, path + '.dsl')
    errors = [line for line in said.split('\n') if line.startswith('Error')]
    if [e for e in errors if '6033' not in e]:
        return f'iasl: {said}'
    with open(again + '.aml', 'rb') as f:
        compiled = f.read()
    if compiled[HEADER:] != data[HEADER:]:
        return 'compiled again it is another table'
    return None


def main():
    rows = [(vps, name) for vps in (1, 4, 64) for name in ('FACP', 'DSDT', 'APIC')]
    print(f'1..{len(rows)}')
    if not shutil.which('iasl'):
        for n, (vps, name) in enumerate(rows, 1):
            print(f'ok {n} - {name} for {vps} VPs # SKIP no iasl here (Debian: apt-get install acpica-tools)')
        return 0
    failed = n = 0
    for vps in (1, 4, 64):
        image = subprocess.run([sys.argv[1], str(vps)], stdout=subprocess.PIPE, check=True).stdout
        with tempfile.TemporaryDirectory(prefix='iasl.') as folder:
            for data in tables(image):
                n += 1
                why = round_trip(folder, data)
                print(f'{"not ok" if why else "ok"} {n} - {data[:4].decode()} for {vps} VPs')
                if why:
                    failed = 1
                    print('\n'.join(f'# {line}' for line in why.split('\n')))
    return failed


if __name__ == '__main__':
    sys.exit(main())
