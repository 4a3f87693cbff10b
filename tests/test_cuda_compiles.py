"""The CUDA kernels as machine code, built without a GPU: no float64 in float32, no local memory."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_devices import train_side_by_side
from test_network import problem

from lstm_numba.kernels.cuda import resident
from lstm_numba.kernels.cuda.gradient import MOST_UNITS as MOST_SUMMED
from lstm_numba.nn.network import Network
from lstm_numba.train.trainer import train

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("numba_cuda", "nvidia"))),
    reason="the compiler packages of lstm_numba[cuda] are not installed",
)

# Of a multiprocessor, and the threads of the largest block of kernels without bounds.
REGISTERS, THREADS = 65536, 256


def run(network):
    """Train a step and forecast."""
    params, windows = problem(network, 2)
    train(network, params, windows, rng=np.random.default_rng(0), max_epochs=1, device="cuda")
    network.predict(params, windows, device="cuda")


@pytest.fixture(scope="module")
def compiled():
    """Every kernel that a training step and a forecast launch, by name and kinds of arguments."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
        pytest.skip("the simulator says what is launched")
    import simulator

    found = []
    for dtype in ("float32", "float64"):
        simulator.launches.clear()
        network = Network(2, 2, 1, 1, hidden_size=2, future=1, skip=True, dtype=dtype)
        with simulator.installed():
            for cell, most in (("lstm", 128), ("lstm", 0), ("gru", 128), ("rnn", 128)):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setitem(resident.MOST_UNITS, "3xtf32", most)
                    run(replace(network, cell=cell))
            if dtype == "float32":
                train_side_by_side("cuda", max_epochs=1)
        found += [[*where, kinds] for where, kinds in simulator.launches.items()]
    tests = Path(__file__).parent
    environment = {"NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(tests.parent)}
    done = subprocess.run(
        [sys.executable, str(tests / "cuda_compiling.py")],
        input=json.dumps(found),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def test_every_kernel_is_compiled(compiled):
    names = {re.split(r"[\[ ]", name)[0] for name in compiled}
    assert {"resident_forward", "resident_backward", "tiled_product", "plain_product"} <= names
    cells = {f"{cell}_{way}" for cell in ("lstm", "gru", "rnn") for way in ("forward", "backward")}
    others = {"gather", "score_forecast", "write_forecast", "clip_and_update", "copy_models"}
    assert cells | others <= names


def test_float32_is_never_widened(compiled):
    for name, facts in compiled.items():
        assert bool(facts["float64"]) == ("float64" in name), (name, facts["float64"])


def test_no_local_memory(compiled):
    assert {name: f["local_bytes"] for name, f in compiled.items() if f["local_bytes"]} == {}


def test_registers_fit_the_blocks(compiled):
    for name, facts in compiled.items():
        threads, blocks = facts["bounds"] or (THREADS, 1)
        # The device hands them out in eights.
        assert -(-facts["registers"] // 8) * 8 * threads * blocks <= REGISTERS, name


def test_resident_kernels_move_16_bytes_at_once(compiled):
    for name, facts in compiled.items():
        if name.startswith("resident_"):
            assert set(facts["wide"]) >= {"ld.shared.v4", "ld.global.v4"}, name
            assert "st.global.v4" in facts["wide"], name


def test_tensor_cores_take_the_products(compiled):
    """Of a step: 4 units times as many weights, for eight rows, 1024 to an instruction.

    Their gradients are as many, where they add up in registers.
    """
    for name, facts in compiled.items():
        if found := re.match(r"resident_\w+\[(\w+), (\d+)\]", name):
            products, units = found[1], int(found[2])
            tiles = {"ffma": 0, "tf32": 1, "3xtf32": 3}[products] * units // 4
            adds_up = found[0].startswith("resident_backward") and units <= MOST_SUMMED[products]
            assert facts["tensor_cores"] == (2 * tiles if adds_up else tiles), name
        elif found := re.match(r"tiled_product\[(\w+)\]", name):
            assert facts["tensor_cores"] == {"ffma": 0, "tf32": 8, "3xtf32": 24}[found[1]]
        else:
            assert facts["tensor_cores"] == 0, name
