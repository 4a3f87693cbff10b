"""How fast can this machine multiply and add, and how fast can it read and write memory?

Multiply-adds: a matrix product on register tiles whose numbers stay in the first-level cache, and
whose results stay in registers. That is the most that an LSTM of any size could reach. Memory: the
triad of STREAM, ``a = b + s c`` on arrays of 256 MB each, counted as three transfers of each array;
what the processor reads before it writes is not counted.
"""

import argparse
import functools
import time

import numpy as np
from numba import njit

from lstm_numba.kernels.cpu import Team
from lstm_numba.kernels.tile import ROWS, VECTOR_BYTES, lanes, outer_add, store, zeros

from . import report

DEPTH = 64
SECONDS = 0.05
MEGABYTE = 2**20


@njit(nogil=True, boundscheck=False)
def _multiply_add(a, w, out, turns):
    """out (ROWS, 4 vectors) = turns times a (DEPTH, ROWS) w (DEPTH, 4 vectors)"""
    acc = zeros(a, ROWS, 4)
    for _ in range(turns):
        for k in range(DEPTH):
            acc = outer_add(acc, a, k * ROWS, 1, w, k * 4 * lanes(w))
    store(out, 0, 4 * lanes(out), acc)


@njit(nogil=True, boundscheck=False, fastmath=True)
def _triad(a, b, c, scale):
    for n in range(len(a)):
        a[n] = b[n] + scale * c[n]


def multiply_add_peak(threads, repeats=10):
    """Return float32 GFLOP/s (a multiply-add is two), the best of some repeats."""
    width = 4 * VECTOR_BYTES // 4
    a = np.full(DEPTH * ROWS, 1e-3, np.float32)
    w = np.full(DEPTH * width, 1e-3, np.float32)
    out = np.empty((threads, ROWS * width), np.float32)

    def seconds(team, turns):
        began = time.perf_counter()
        team.run(lambda rank: _multiply_add(a, w, out[rank], turns))
        return time.perf_counter() - began

    with Team(threads) as team:
        seconds(team, 1)
        turns = max(1, int(1000 * SECONDS / seconds(team, 1000)))
        best = min(seconds(team, turns) for _ in range(repeats))
    return 2 * threads * turns * DEPTH * ROWS * width / best / 1e9


def triad(threads, megabytes=256, repeats=5):
    """Return GB/s, the best of some repeats."""
    a, b, c = (np.ones(megabytes * MEGABYTE // 4, np.float32) for _ in range(3))
    parts = np.linspace(0, len(a), threads + 1).astype(int)

    def share(rank):
        part = slice(parts[rank], parts[rank + 1])
        _triad(a[part], b[part], c[part], np.float32(2))

    def seconds(team):
        began = time.perf_counter()
        team.run(share)
        return time.perf_counter() - began

    with Team(threads) as team:
        seconds(team)
        best = min(seconds(team) for _ in range(repeats))
    return 3 * a.nbytes / best / 1e9


@functools.cache
def measure(threads, megabytes=256):
    """Return both limits by name, for use beside what a benchmark has reached."""
    return {
        "multiply_add_gflops": round(multiply_add_peak(threads), 1),
        "triad_gb_per_s": round(triad(threads, megabytes), 1),
    }


def sentence(limits, threads):
    """Say what was measured."""
    return (
        f"Limits of the machine with {threads} thread{'s' if threads > 1 else ''}: "
        f"{limits['multiply_add_gflops']:.0f} GFLOP/s of multiply-adds (float32), "
        f"{limits['triad_gb_per_s']:.0f} GB/s to and from memory."
    )


def main(argv=None):
    """Measure with one thread and with all cores, and publish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--megabytes", type=int, default=256, help="of each array (default: 256)")
    megabytes = parser.parse_args(argv).megabytes
    results = {
        str(threads): measure(threads, megabytes)
        for threads in sorted({1, report.machine()["cores"]})
    }
    rows = [
        [threads, one["multiply_add_gflops"], one["triad_gb_per_s"]]
        for threads, one in results.items()
    ]
    page = report.table(["threads", "multiply-adds, GFLOP/s", "memory, GB/s"], rows)
    settings = {"megabytes": megabytes, "vector_bytes": VECTOR_BYTES}
    report.publish("limits", page, settings, results, ("numba", "numpy"))


if __name__ == "__main__":
    main()
