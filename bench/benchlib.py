# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmarks in the lab share: where its library is, medians, tables."""

import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "lab"))
sys.dont_write_bytecode = True


def spread(values):
    """Median, least and greatest of some runs, for a table."""
    return statistics.median(values), min(values), max(values)


def table(head, rows):
    """Print a table: the first column to the left, the others to the right."""
    rows = [[str(cell) for cell in row] for row in [head] + rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip(), flush=True)


def ratio(ours, theirs):
    """ours / theirs, for a table."""
    return "%.2f" % (ours / theirs) if theirs else "-"


def progress(text):
    """Say what runs now."""
    print("# " + text, file=sys.stderr, flush=True)
