"""How much memory does a fit on 1,000,000 points take?

A fresh process imports the library, makes a series and fits
``LSTMForecaster(seq_len=336, horizon=24, hidden_size=8, max_epochs=1)``; after each of these steps
it asks the system for the most memory that it has ever held (``ru_maxrss``). The growth is what the
fit adds at its peak to what was there when it began: its copies of the data, and its own code and
arrays. The compiled kernels come from the disk cache, which an earlier process has filled.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from . import report

ROOT = Path(__file__).parents[1]
PACKAGES = ("lstm_numba", "numba", "llvmlite", "numpy", "pandas", "scikit-learn")
STEPS = ("import", "data", "fit")
WARM_POINTS = 2000

# Linux hands the peak of a process down to those that it starts, so this file, which starts the
# one that is measured, imports nothing large.
WORK = """
import json, resource, sys, time
points = int(sys.argv[1])
marks = []
def mark():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    marks.append(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
import numpy as np
import pandas as pd
from lstm_numba import LSTMForecaster
mark()
hours = np.arange(points)
y = pd.Series(10 + np.sin(2 * np.pi / 24 * hours))
y += 0.3 * np.random.default_rng(0).standard_normal(points)
del hours
mark()
began = time.perf_counter()
LSTMForecaster(
    seq_len=336, horizon=24, hidden_size=8, max_epochs=1, random_state=0
).fit(y)
seconds = time.perf_counter() - began
mark()
print(json.dumps({"data": y.memory_usage(index=False) / 2**20, "peaks": marks, "seconds": seconds}))
"""


def measure(points):
    """Fit in a fresh process; return megabytes of the data and peaks after each step, seconds."""
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(points)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    peaks = {step: round(peak, 1) for step, peak in zip(STEPS, found["peaks"], strict=True)}
    return {
        "points": points,
        "data_mb": round(found["data"], 1),
        "peak_mb": peaks,
        "growth_mb": round(peaks["fit"] - peaks["data"], 1),
        "seconds": round(found["seconds"], 1),
    }


def main(argv=None):
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--points",
        type=int,
        nargs="+",
        default=[10_000, 1_000_000],
        help="lengths of series (default: 10000 1000000; the first shows what does not grow)",
    )
    parser.add_argument("--quick", action="store_true", help="5,000 points, and nothing is written")
    args = parser.parse_args(argv)
    measure(WARM_POINTS)
    results = [measure(points) for points in ([5000] if args.quick else args.points)]
    rows = [
        [
            f"{one['points']:,}",
            one["data_mb"],
            *(one["peak_mb"][step] for step in STEPS),
            one["growth_mb"],
            one["seconds"],
        ]
        for one in results
    ]
    header = ["points", "data", *(f"peak after {step}" for step in STEPS), "growth", "seconds"]
    page = f"Megabytes, and the seconds of the fit.\n\n{report.table(header, rows)}"
    settings = {"seq_len": 336, "horizon": 24, "hidden_size": 8, "max_epochs": 1}
    report.publish("memory", page, settings, {"cases": results}, PACKAGES, keep=not args.quick)


if __name__ == "__main__":
    main()
