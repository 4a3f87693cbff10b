"""The host's part of CUDA, as numba-cuda and cuda.core do it, on a driver without a device."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from scripts import ROOT, run_python

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("numba_cuda", "nvidia"))) or not shutil.which("cc"),
    reason="the packages of lstm_numba[cuda] or a C compiler are not installed",
)

# Prints what the driver was asked to do, call by call.
CALLS = """
    import ctypes, json
    import numpy as np
    from test_network import problem
    from lstm_numba.nn.device import CudaEngine
    from lstm_numba.nn.engine import make_step
    from lstm_numba.nn.network import Network

    driver, line = ctypes.CDLL("libcuda.so.1"), ctypes.create_string_buffer(500)

    def notes():
        found = []
        for at in range(driver.notes_length()):
            driver.note_at(at, line)
            found.append(line.value.decode())
        driver.notes_clear()
        return found

    driver.refuse_graphs({refused})
    network = Network(3, 1, 1, 1, hidden_size=16, num_layers=2)
    params, windows = problem(network, 5)
    with CudaEngine(network, params, 1) as engine:
        notes()
        calls = []
        for first, last in ((0, 5), (1, 4)):
            engine.train(windows, first, last, 1, make_step(), 0)
            calls.append(notes())
        forecast = engine.forecast(windows)
        assert forecast.shape == (5, 1, 1)
        print(json.dumps(calls))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of a process that finds the driver."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        host_cuda = importlib.import_module("benchmarks.host_cuda")
    return host_cuda.build_driver(tmp_path_factory.mktemp("driver"))


@pytest.mark.parametrize("refused", [False, True])
def test_turns_become_a_graph(refused, environment):
    tests = str(Path(__file__).parent)
    out, err = run_python(CALLS.format(refused=int(refused)), PYTHONPATH=tests, **environment)
    assert err == ""
    calls = json.loads(out)
    turn = [note for note in calls[0] if "copy" not in note][:16]
    assert len({note.split()[1] for note in turn}) == 8
    again = turn if refused else [note.replace("1", "2", 1) for note in turn]
    # The first turn loads the kernels. A call copies what its turns are before the first launch,
    # and the losses behind the last.
    for call, launches in zip(calls, (turn + 4 * again, 3 * again), strict=True):
        assert call[-len(launches) - 1 : -1] == launches
        assert {note.split()[1] for note in [*call[: -len(launches) - 1], call[-1]]} == {"copy"}


def test_a_benchmark_measures_the_host(environment):
    imports = "from benchmarks.host_cuda import WAYS, measure"
    code = f"{imports}; print(*measure(1, WAYS[0], 2).values())"
    out, err = run_python(code, **environment)
    launches, seconds = out.split(maxsplit=1)
    assert (int(launches), len(json.loads(seconds)), err) == (10, 2, "")
