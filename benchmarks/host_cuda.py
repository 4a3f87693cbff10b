"""How long is the host busy with a training step on a GPU?

Measured without a GPU, on the driver of ``tests/driver.c``, which does nothing: what is left is the
time of Python, Numba and ``cuda.core``. A real driver adds some microseconds for each launch, or
for a graph of launches. Needs the packages of ``lstm_numba[cuda]`` and a C compiler.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import contest, report

STEPS = 400
WAYS = "Numba's launches", "prepared launches", "one graph"
PACKAGES = ("lstm_numba", "numba", "numba-cuda", "cuda-core", "cuda-bindings")
_LIBRARY = "libcuda.so.1"


def build_driver(folder):
    """Compile the driver into a folder; return the environment of a process that is to find it."""
    import nvidia

    headers = [place for root in nvidia.__path__ for place in Path(root).glob("cu*/include")]
    source = contest.ROOT / "tests" / "driver.c"
    options = ["-O2", "-shared", "-fPIC", *(f"-I{place}" for place in headers)]
    subprocess.run(["cc", *options, "-o", Path(folder) / _LIBRARY, source, "-ldl"], check=True)
    places = filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")])
    return {"LD_LIBRARY_PATH": os.pathsep.join(places), "NUMBA_ENABLE_CUDASIM": "0"}


def measure(num_layers, way, repeats):
    """Return launches per step, and microseconds; in a process that has found the driver."""
    from lstm_numba.kernels.cuda import launches
    from lstm_numba.nn.device import CudaEngine
    from lstm_numba.nn.engine import make_step

    from .contestants import Size
    from .contestants.ours import prepared

    network, params, windows, _ = prepared(Size(STEPS, 24, 1, 16, num_layers))
    launches.GRAPHS = way == WAYS[2]
    if way == WAYS[0]:
        launches.prepare = lambda kernel, grid, block, args: (
            lambda stream: kernel[grid, block](*args)
        )
    driver, samples = ctypes.CDLL(_LIBRARY), []
    with CudaEngine(network, params, 1) as engine:
        for _ in range(1 + repeats):
            driver.notes_clear()
            began = time.perf_counter()
            engine.train(windows, 0, STEPS, 1, make_step(), 0)
            samples.append((time.perf_counter() - began) / STEPS * 1e6)
    # Some notes are of copies at the beginning and at the end.
    return {"launches": driver.notes_length() // STEPS, "microseconds": samples[1:]}


def main(argv=None):
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=9, help="epochs of each (default: 9)")
    parser.add_argument("--quick", action="store_true", help="once each, and nothing is written")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    repeats = 1 if args.quick else args.repeats
    if args.measure:
        return print(json.dumps(measure(int(args.measure[0]), args.measure[1], repeats)))

    rows, cases = [], []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | build_driver(folder)
        for num_layers in (1, 2):
            row = [num_layers]
            for way in WAYS:
                command = [sys.executable, "-m", "benchmarks.host_cuda", f"--repeats={repeats}"]
                command += ["--measure", str(num_layers), way]
                done = subprocess.run(
                    command, cwd=contest.ROOT, env=environment, capture_output=True, check=True
                )
                found = json.loads(done.stdout)
                times = report.summary(found["microseconds"], 1)
                cases.append({"layers": num_layers, "way": way} | found | {"microseconds": times})
                row += [found["launches"]] if way == WAYS[0] else []
                row.append(report.spread(times, 1))
            rows.append(row)
    table = report.table(["layers of LSTM", "launches", *WAYS], rows)
    page = f"Microseconds of a step, median (lowest to highest) of {repeats} epochs.\n\n{table}"
    settings = {"steps": STEPS, "repeats": repeats}
    report.publish("host_cuda", page, settings, {"cases": cases}, PACKAGES, keep=not args.quick)


if __name__ == "__main__":
    main()
