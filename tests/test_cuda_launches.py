"""What the host does while a GPU trains: the launches of a step, and what it waits for."""

import pytest
from test_network import problem

from lstm_numba.nn import device as engines
from lstm_numba.nn.engine import make_step
from lstm_numba.nn.network import Network


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


def launches(host):
    return [name for name in host if not name.startswith("to ")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 11),
        ({"num_layers": 2}, 18),
        ({"cell": "gru"}, 11),
        ({"skip": True, "future": 1}, 13),
    ],
)
def test_launches_of_a_training_step(options, expected, host):
    network = Network(2, 2, 1, 1, hidden_size=2, **options)
    params, windows = problem(network, 3)
    with engines.CudaEngine(network, params, 1) as engine:
        engine.train(windows, 0, 1, 1, make_step(), 0)
        host.clear()
        engine.train(windows, 0, 3, 1, make_step(), 1)
    assert len(launches(host)) == 3 * expected, launches(host)


def test_a_call_waits_for_the_device_once(host):
    network = Network(2, 1, 1, 1, hidden_size=2)
    params, windows = problem(network, 5)
    with engines.CudaEngine(network, params, 1) as engine:
        engine.train(windows, 0, 5, 1, make_step(), 0)
        assert host.count("to host") == 1
        assert host[-1] == "to host"
