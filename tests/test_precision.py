"""How a GPU takes products of float32: on tensor cores, in parts, or without any."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from sklearn.base import clone
from test_network import TOLERANCE, assert_close, assert_equals_twin, in_float64, problem

from lstm_numba import LSTMRegressor
from lstm_numba.kernels.cuda import buffers, resident
from lstm_numba.kernels.cuda import precision as precision_module
from lstm_numba.nn.network import Network

# Units of 80 and more do not all find room in registers, or not what rounding takes from them.
LARGE = Network(2, 1, 1, 1, hidden_size=65)


@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize("hidden_size", [65, 113])
def test_large_layers_equal_the_twin(hidden_size, precision, cuda_device):
    assert_equals_twin(
        replace(LARGE, hidden_size=hidden_size, precision=precision), 1, device="cuda"
    )


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_block_may_take_several_groups_of_rows(precision, cuda_device, monkeypatch):
    monkeypatch.setattr(buffers, "_MOST_ADDERS", 2)
    monkeypatch.setattr(buffers, "_MOST_CHUNKS", 2)
    network = Network(4, 2, 2, 1, hidden_size=3, num_layers=2, precision=precision)
    assert resident.adds_up(network)
    assert_equals_twin(network, 35, device="cuda")


def test_there_may_be_more_chunks_than_blocks(cuda_device, monkeypatch):
    monkeypatch.setattr(buffers, "_SHORTEST_CHUNK", 4)
    network = Network(4, 2, 2, 1, hidden_size=3)
    assert buffers.chunks_of(network, 9) > resident.blocks_of_samples(9, 16)[0]
    assert_equals_twin(network, 9, device="cuda")


@pytest.mark.parametrize("hidden_size", [17, 65])
def test_without_tensor_cores_products_are_float32(hidden_size, cuda_device, monkeypatch):
    monkeypatch.setattr(precision_module, "has_tensor_cores", lambda: False)
    network = Network(3, 1, 1, 1, hidden_size=hidden_size, precision="tf32")
    assert precision_module.products_of(network) == "ffma"
    assert_equals_twin(replace(network, precision="float32"), 3, device="cuda")


def test_what_rounding_takes_is_given_back(cuda_device):
    """Three products are as good as one in float32, and a single one is not."""
    network = Network(4, 3, 8, 1, hidden_size=32)
    params, windows = problem(network, 5)
    exact = naive.predict(network, in_float64(network, params), windows)
    scale = np.abs(exact).max()

    def error(precision, device="cuda"):
        found = replace(network, precision=precision).predict(params, windows, device=device)
        return np.abs(found - exact).max() / scale

    assert error("float32") < 2 * error("float32", "cpu") < 1e-6
    assert 1e-5 < error("tf32") < TOLERANCE["tf32"]
    assert error("tf32", "cpu") == error("float32", "cpu")


@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize("hidden_size", [3, 65])
@pytest.mark.parametrize("bits", [0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000])
def test_nan_is_not_rounded_to_a_number(bits, hidden_size, precision, cuda_device):
    network = replace(LARGE, hidden_size=hidden_size, precision=precision)
    params, windows = problem(network, 1)
    network.layout.views(params)["weight_hh_l0"].view(np.uint32)[:] = bits
    assert np.isnan(network.predict(params, windows, device="cuda")).all()


@pytest.mark.parametrize(
    ("changes", "units"),
    [
        ({}, 16),
        ({"hidden_size": 17}, 32),
        ({"hidden_size": 128}, 128),
        ({"hidden_size": 129}, 0),
        ({"cell": "gru"}, 0),
        ({"dtype": "float64"}, 0),
    ],
)
def test_which_layers_keep_weights_in_registers(changes, units, cuda_device):
    assert resident.units_of(replace(Network(2, 1, 1, 1, hidden_size=16), **changes)) == units


# --- estimators ---------------------------------------------------------------------------


def test_it_is_a_parameter_of_estimators(cuda_device):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3, 2)), rng.normal(size=12)
    model = LSTMRegressor(hidden_size=3, max_epochs=2, random_state=0, precision="tf32")
    assert clone(model).get_params()["precision"] == "tf32"

    def numbers(**parameters):
        return clone(model).set_params(**parameters).fit(X, y).predict(X)

    on_cpu, on_cuda = numbers(device="cpu"), numbers(device="cuda")
    assert np.array_equal(on_cpu, numbers(device="cpu", precision="float32"))
    assert not np.array_equal(on_cuda, numbers(device="cuda", precision="float32"))
    assert_close(on_cuda, on_cpu, TOLERANCE["tf32"])


def test_weights_of_one_precision_go_on_in_another():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3, 2)), rng.normal(size=12)
    model = LSTMRegressor(hidden_size=3, max_epochs=1, random_state=0, warm_start=True)
    first = model.fit(X, y).params_
    model.set_params(precision="tf32", learning_rate=1e-30).fit(X, y)
    assert model.network_.precision == "tf32"
    assert_close(model.params_, first, 1e-6)
