"""How long does a fresh process take to its first forecast, with an empty and a warm cache?

Each sample is a process of its own that imports the library, fits one epoch on 144 points and
predicts 12 steps. ``empty cache`` starts with an empty folder for compiled kernels, ``warm cache``
with one that an earlier process has filled. torch, where it is installed, does the same work: one
epoch over windows of the same length with an LSTM of the same size, in plain torch. The kinds take
turns, so that a slow minute of the machine hits all of them. ``whole process`` includes the start
of Python.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time

from benchmarks import report

PACKAGES = ("lstm_numba", "numba", "llvmlite", "numpy", "pandas", "scikit-learn", "torch")
PHASES = ("import", "first fit", "first predict", "whole process")

SERIES = """
import json, math, time
values = [(1 + 0.01 * t) * (10 + math.sin(2 * math.pi * t / 12)) for t in range(144)]
marks = [time.perf_counter()]
"""

OURS = """
import pandas as pd
from lstm_numba import LSTMForecaster
marks.append(time.perf_counter())
y = pd.Series(values)
model = LSTMForecaster(horizon=12, seq_len=24, hidden_size=64, max_epochs=1, random_state=0).fit(y)
marks.append(time.perf_counter())
forecast = model.predict()
"""

TORCH = """
import pandas as pd
import torch
marks.append(time.perf_counter())
torch.manual_seed(0)
series = torch.tensor(pd.Series(values).to_numpy(), dtype=torch.float32)
series = (series - series.mean()) / series.std()
pairs = series.unfold(0, 24 + 12, 1)
x, y = pairs[:, :24, None], pairs[:, 24:]


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(1, 64, batch_first=True)
        self.head = torch.nn.Linear(64, 12)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


network = Network()
adam = torch.optim.Adam(network.parameters(), lr=1e-3)
for rows in torch.randperm(len(x)).split(64):
    adam.zero_grad()
    torch.nn.functional.mse_loss(network(x[rows]), y[rows]).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    adam.step()
marks.append(time.perf_counter())
with torch.no_grad():
    forecast = network(series[None, -24:, None])[0].numpy()
"""

FINISH = """
marks.append(time.perf_counter())
assert len(forecast) == 12
print(json.dumps([later - earlier for earlier, later in zip(marks, marks[1:])]))
"""


def measure(work, cache):
    """Run `work` in a fresh process whose kernel cache is the folder `cache`: seconds by phase."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SERIES + work + FINISH],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    whole = time.perf_counter() - started
    return dict(zip(PHASES, [*json.loads(done.stdout), whole], strict=True))


def main(argv=None):
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=5, help="samples of each kind (default: 5)")
    repeats = parser.parse_args(argv).repeats

    kinds = {"lstm_numba, empty cache": OURS, "lstm_numba, warm cache": OURS}
    if importlib.util.find_spec("torch") is not None:
        kinds["torch"] = TORCH
    samples = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as warm:
        # Unmeasured: fills the cache, the bytecode of all packages and the system's file cache.
        for work in set(kinds.values()):
            measure(work, warm)
        for _ in range(repeats):
            for kind, work in kinds.items():
                with tempfile.TemporaryDirectory() as empty:
                    cache = empty if kind.endswith("empty cache") else warm
                    samples[kind].append(measure(work, cache))

    results = {
        kind: {phase: report.summary([one[phase] for one in runs]) for phase in PHASES}
        for kind, runs in samples.items()
    }
    rows = [
        [kind, *(report.spread(phases[phase], digits=3) for phase in PHASES)]
        for kind, phases in results.items()
    ]
    page = f"Seconds, median (lowest to highest) of {repeats} processes each.\n\n"
    page += report.table(["", *PHASES], rows)
    settings = {"repeats": repeats, "points": 144, "seq_len": 24, "horizon": 12, "hidden_size": 64}
    report.publish("cold_start", page, settings, results, PACKAGES)


if __name__ == "__main__":
    main()
