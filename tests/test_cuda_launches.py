"""What the host does while a GPU trains: the launches of a step, and what it waits for."""

import numpy as np
import pytest
from test_network import problem

from lstm_numba.kernels.cuda import launches
from lstm_numba.nn import device as engines
from lstm_numba.nn.engine import make_step
from lstm_numba.nn.network import Network
from lstm_numba.train.trainer import train

SMALL = Network(2, 1, 1, 1, hidden_size=2)


@pytest.fixture
def host(cuda_device, monkeypatch):
    """What the host does, in its order: names of kernels, "to host", "to device"."""
    if not cuda_device:
        pytest.skip("counted in the simulator")
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
    from numba.cuda.simulator.kernel import FakeCUDAKernel

    done = []

    def note(owner, method, name):
        original = getattr(owner, method)

        def noted(self, *args, **kwargs):
            if name or not self._device:
                done.append(name or self.fn.__name__)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(owner, method, noted)

    note(FakeCUDAKernel, "__call__", None)
    note(FakeCUDAArray, "copy_to_host", "to host")
    note(FakeCUDAArray, "copy_to_device", "to device")
    return done


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 10),
        ({"num_layers": 2}, 16),
        ({"cell": "gru"}, 11),
        ({"skip": True, "future": 1}, 12),
    ],
)
def test_launches_of_a_training_step(options, expected, host):
    network = Network(2, 2, 1, 1, hidden_size=2, **options)
    params, windows = problem(network, 3)
    with engines.CudaEngine(network, params, 1) as engine:
        engine.train(windows, 0, 3, 1, make_step(), 0)
    made = [name for name in host if not name.startswith("to ")]
    assert len(made) == 3 * expected, made


def test_nothing_waits_inside_an_epoch(host):
    params, windows = problem(SMALL, 5)
    rng, epochs = np.random.default_rng(0), []

    def end(*losses):
        epochs.append(host.copy())
        host.clear()

    options = {"max_epochs": 3, "rng": rng, "device": "cuda", "on_epoch": end}
    train(SMALL, params, windows, batch_size=1, **options)
    for epoch in epochs:
        first, last = epoch.index("gather"), len(epoch) - epoch[::-1].index("clip_and_update")
        assert last - first == 5 * 10
        assert not {"to host", "to device"} & set(epoch[first:last])
    # Which windows in which order, and the rates of the steps.
    assert epochs[-1][:first] == 4 * ["to device"]


class ImaginedGraph:
    """Launches, as a driver would make them."""

    def __init__(self, launches):
        self.launches, self.runs = launches, 0

    def launch(self, stream):
        self.runs += 1
        for make in self.launches:
            make(stream)


def train_for_epochs(batch_size=2):
    params, windows = problem(SMALL, 9)
    rng = np.random.default_rng(0)
    options = {"max_epochs": 3, "batch_size": batch_size, "rng": rng, "device": "cuda"}
    return train(SMALL, params, windows, windows, **options)


@pytest.mark.parametrize("fails", [False, True])
def test_a_graph_is_made_once_and_computes_the_same_bits(fails, cuda_device, monkeypatch):
    expected = train_for_epochs()
    graphs = []

    def graph_of(launches):
        graphs.append(ImaginedGraph(launches))
        return None if fails else graphs[-1]

    monkeypatch.setattr(launches, "GRAPHS", True)
    monkeypatch.setattr(launches, "graph_of", graph_of)
    found = train_for_epochs()
    assert np.array_equal(found.params, expected.params)
    assert (found.train_loss, found.valid_loss) == (expected.train_loss, expected.valid_loss)
    # Of three epochs of five turns the first turn is made of single launches; of the validation
    # part, which is scored four times in one turn, the first three.
    assert sorted(graph.runs for graph in graphs) == ([0, 0] if fails else [1, 14])


def test_calls_of_growing_length_find_room(cuda_device):
    params, windows = problem(SMALL, 6)
    with engines.CudaEngine(SMALL, params, 1) as engine:
        at_once = engine.train(windows, 0, 6, 1, make_step(), 0)
        expected = engine.params
    with engines.CudaEngine(SMALL, params, 1) as engine:
        total = 0.0
        for first, last in ((0, 1), (1, 3), (3, 6)):
            total = engine.train(windows, first, last, 1, make_step(), first, total)
        assert np.array_equal(engine.params, expected)
    assert total == at_once


def test_another_series_is_not_taken_for_the_one_before(cuda_device):
    params, windows = problem(SMALL, 3)
    _, others = problem(SMALL, 3, seed=1)
    with engines.CudaEngine(SMALL, params) as engine:
        first, second = (engine.loss(some, make_step()) for some in (windows, others))
        assert first != second
        assert engine.loss(windows, make_step()) == first
    with engines.CudaEngine(SMALL, params) as engine:
        assert engine.loss(others, make_step()) == second
