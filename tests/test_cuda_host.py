"""The host's part of CUDA, as numba-cuda and cuda.core do it, on a driver without a device."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from scripts import run_python

HEADERS = [
    place / "cu13" / "include"
    for package in ("numba_cuda", "nvidia")
    if (found := importlib.util.find_spec(package))
    for place in map(Path, found.submodule_search_locations)
    if (place / "cu13" / "include" / "cuda.h").exists()
]
pytestmark = pytest.mark.skipif(
    not HEADERS or not importlib.util.find_spec("numba_cuda") or not shutil.which("cc"),
    reason="numba-cuda, the headers of CUDA 13 or a C compiler are not installed",
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
def driver(tmp_path_factory):
    """The folder of a libcuda that notes what it is asked to do."""
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("driver.c")
    options = ["-shared", "-fPIC", f"-I{HEADERS[0]}", "-o", folder / "libcuda.so.1"]
    subprocess.run(["cc", *options, source, "-ldl"], check=True)
    return folder


@pytest.mark.parametrize("refused", [False, True])
def test_turns_become_a_graph(refused, driver):
    places = [str(driver), os.environ.get("LD_LIBRARY_PATH", "")]
    out, err = run_python(
        CALLS.format(refused=int(refused)),
        NUMBA_ENABLE_CUDASIM="0",
        LD_LIBRARY_PATH=os.pathsep.join(filter(None, places)),
        PYTHONPATH=str(Path(__file__).parent),
    )
    assert err == ""
    calls = json.loads(out)
    turn = [note for note in calls[0] if "copy" not in note][:18]
    assert len({note.split()[1] for note in turn}) == 8
    again = turn if refused else [note.replace("1", "2", 1) for note in turn]
    # The first turn loads the kernels. A call copies what its turns are before the first launch,
    # and the losses behind the last.
    for call, launches in zip(calls, (turn + 4 * again, 3 * again), strict=True):
        assert call[-len(launches) - 1 : -1] == launches
        assert {note.split()[1] for note in [*call[: -len(launches) - 1], call[-1]]} == {"copy"}
