"""The same network on each device: against the naive twin, and the devices with each other.

Without a GPU the CUDA kernels run in a simulator, so sizes are tiny: odd, unequal, and some just
above what a tile of a product or a block of rows holds.
"""

import re

import numpy as np
import pytest
from scripts import run_python
from test_network import BOTH_DTYPES, TOLERANCE, assert_close, assert_equals_twin, problem
from test_trainer import assert_trains_like_the_twin, same_bits

from lstm_numba import LSTMForecaster, LSTMRegressor, datasets
from lstm_numba.kernels import load
from lstm_numba.kernels.cuda import device as device_module
from lstm_numba.kernels.cuda import resident
from lstm_numba.nn import device as engines
from lstm_numba.nn.engine import make_step
from lstm_numba.nn.network import Network, Windows
from lstm_numba.train.many import train_many
from lstm_numba.train.trainer import train

HEADS = [
    {"features": 3, "horizon": 3, "targets": 2},
    {"features": 1, "horizon": 3, "targets": 1, "skip": True, "window_norm": "last"},
    {"features": 4, "horizon": 2, "targets": 2, "skip": True, "window_norm": "level", "future": 2},
    {"features": 2, "horizon": 2, "targets": 3, "future": 2},
]


@BOTH_DTYPES
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_cells_equal_the_twin(cell, num_layers, dtype, device):
    network = Network(4, 3, 2, 1, cell=cell, hidden_size=5, num_layers=num_layers, dtype=dtype)
    assert_equals_twin(network, 4, device=device)


@pytest.mark.parametrize(("loss", "huber_delta"), [("mse", 1.0), ("mae", 1.0), ("huber", 0.3)])
@pytest.mark.parametrize("head", HEADS)
def test_heads_and_losses_equal_the_twin(head, loss, huber_delta, device):
    network = Network(3, hidden_size=3, dtype="float64", **head)
    assert_equals_twin(network, 3, loss, huber_delta, device)


@pytest.mark.parametrize(
    ("seq_len", "hidden_size", "n"), [(1, 1, 1), (2, 17, 3), (3, 2, 19), (130, 1, 2)]
)
def test_odd_sizes_equal_the_twin(seq_len, hidden_size, n, device):
    network = Network(seq_len, 1, 1, 1, hidden_size=hidden_size, num_layers=2, dtype="float64")
    assert_equals_twin(network, n, device=device)


@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize(("hidden_size", "n"), [(16, 5), (17, 9), (33, 1)])
def test_weights_in_registers_equal_the_twin(hidden_size, n, precision, device):
    network = Network(3, 2, 70, 1, hidden_size=hidden_size, precision=precision)
    assert_equals_twin(network, n, device=device)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_layers_too_large_for_registers_equal_the_twin(cell, cuda_device, monkeypatch):
    monkeypatch.setitem(resident.MOST_UNITS, "tf32", 0)
    network = Network(3, 2, 2, 1, cell, hidden_size=5, num_layers=2, precision="tf32")
    assert_equals_twin(network, 3, device="cuda")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("loss", "clip_norm", "weight_decay", "batch_size"),
    [("mse", 0.1, 0.0, 3), ("huber", None, 0.3, 100)],
)
def test_training_equals_the_twin(cell, loss, clip_norm, weight_decay, batch_size, device):
    network = Network(
        3, 3, 2, 1, cell, hidden_size=3, future=1, skip=True, window_norm="last", dtype="float64"
    )
    params, windows = problem(network, 7)
    _, validation = problem(network, 2, seed=1)
    given = network, params, windows, validation
    assert_trains_like_the_twin(given, 2, loss, clip_norm, weight_decay, batch_size, device)


def small_run(device, network=None, n=7, seed=0):
    network = network or Network(3, 2, 2, 1, hidden_size=3, num_layers=2, skip=True)
    params, windows = problem(network, n)
    return train(
        network,
        params,
        windows,
        windows,
        max_epochs=2,
        batch_size=5,
        rng=np.random.default_rng(seed),
        device=device,
    )


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_bits_do_not_depend_on_the_order_of_threads(precision, cuda_device):
    network = Network(3, 2, 2, 1, hidden_size=3, num_layers=2, skip=True, precision=precision)
    first = small_run("cuda", network)
    for seed in (1, 2):
        if cuda_device:
            cuda_device.set_seed(seed)
        assert same_bits(first, small_run("cuda", network))


def test_devices_agree_in_float32(cuda_device):
    on_cpu, on_cuda = small_run("cpu"), small_run("cuda")
    assert_close(on_cuda.params, on_cpu.params, TOLERANCE["float32"])
    assert on_cuda.train_loss == pytest.approx(on_cpu.train_loss, rel=TOLERANCE["float32"])


def test_batches_in_several_calls_give_the_same_bits(cuda_device):
    network = Network(3, 2, 2, 1, hidden_size=3)
    params, windows = problem(network, 7)
    step = make_step()
    with engines.CudaEngine(network, params, 3) as engine:
        total = engine.train(windows, 0, 3, 3, step, 0)
        at_once = engine.params
    with engines.CudaEngine(network, params, 3) as engine:
        one_by_one = 0.0
        for batch in range(3):
            one_by_one = engine.train(windows, batch, batch + 1, 3, step, batch, one_by_one)
        assert np.array_equal(engine.params, at_once)
    assert one_by_one == total


def test_forecasts_in_pieces_equal_those_at_once(cuda_device, monkeypatch):
    network = Network(3, 2, 2, 1, hidden_size=3)
    params, windows = problem(network, 5)
    at_once = network.predict(params, windows, device="cuda")
    monkeypatch.setattr(engines, "_FORECAST_BYTES", 4000)
    with engines.CudaEngine(network, params) as engine:
        assert np.array_equal(engine.forecast(windows), at_once)
        assert 1 <= engine._forecasting.batch < 5
        assert engine.loss(windows, make_step()) > 0


# --- estimators ---------------------------------------------------------------------------


def test_forecaster_gives_the_same_forecast(cuda_device):
    y = datasets.load_air_passengers()[-48:]

    def forecast(device):
        model = LSTMForecaster(
            horizon=3,
            seq_len=4,
            hidden_size=3,
            max_epochs=2,
            early_stopping=False,
            learning_rate=0.01,
            # The linear start leaves gradients of rounding errors alone, which Adam blows up to
            # whole steps: in float32 they would be those of two devices.
            dtype="float64",
            random_state=0,
            device=device,
        )
        return model.fit(y).predict().to_numpy()

    assert_close(forecast("cuda"), forecast("cpu"), 1e-5)


def test_regressor_gives_the_same_numbers(cuda_device):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3, 2)), rng.normal(size=12)

    def numbers(device):
        model = LSTMRegressor(hidden_size=3, max_epochs=2, random_state=0, device=device)
        return model.fit(X, y).predict(X)

    assert_close(numbers("cuda"), numbers("cpu"), 1e-5)


# --- models side by side ------------------------------------------------------------------

SMALL = Network(4, 1, 2, 1, hidden_size=3, skip=True, window_norm="last")
# Training and validation windows of each: unequal, and one model has none for validation.
HELD = {0: (9, 3), 1: (5, 5), 2: (13, 0), 3: (2, 1)}


def train_side_by_side(device, models=(0, 1, 2, 3), spoilt=(), **options):
    """Train some of the models on pieces of one series each of its own."""
    rng = np.random.default_rng(0)
    params = np.stack([SMALL.init(rng) for _ in HELD])
    params[list(spoilt)] = np.nan
    values = rng.normal(size=(len(HELD) * 40, 1)).astype(SMALL.dtype)
    starts = np.concatenate([40 * k + np.arange(sum(HELD[k])) for k in models])
    ends = np.cumsum([sum(HELD[k]) for k in models])
    held = ends - [HELD[k][1] for k in models]
    limits = np.stack([np.append(0, ends[:-1]), held, held, ends], axis=1)
    windows = Windows(values, starts, values, starts + SMALL.seq_len)
    options = {"max_epochs": 3, "batch_size": 4, "seeds": 7 + np.array(models)} | options
    return train_many(SMALL, params[list(models)], windows, limits, device=device, **options)


@pytest.mark.parametrize("options", [{}, {"n_iter_no_change": 1, "tol": 0.02}])
def test_models_side_by_side_train_as_on_the_cpu(options, cuda_device):
    found, expected = (train_side_by_side(device, **options) for device in ("cuda", "cpu"))
    assert len({len(one.train_loss) for one in expected}) == (2 if options else 1)
    for one, other in zip(found, expected, strict=True):
        assert (one.best_epoch, one.reason) == (other.best_epoch, other.reason)
        assert one.train_loss == pytest.approx(other.train_loss, rel=TOLERANCE["float32"])
        assert one.valid_loss == pytest.approx(other.valid_loss, rel=TOLERANCE["float32"])
        assert_close(one.params, other.params, TOLERANCE["float32"])


@pytest.mark.parametrize("at_once", [None, 2])
def test_neighbours_do_not_change_a_bit(at_once, cuda_device, monkeypatch):
    together = train_side_by_side("cuda", max_epochs=2)
    if at_once:
        monkeypatch.setattr(load("cuda"), "models_at_once", lambda network, rows: at_once)
    others = train_side_by_side("cuda", (3, 1, 0), max_epochs=2)
    for one, other in zip(others, [together[3], together[1], together[0]], strict=True):
        assert np.array_equal(one.params, other.params)
        assert (one.train_loss, one.valid_loss) == (other.train_loss, other.valid_loss)


def test_a_model_that_diverges_stays_alone(cuda_device):
    healthy = train_side_by_side("cuda", (0, 2), max_epochs=2)
    found = train_side_by_side("cuda", spoilt=(1, 3), max_epochs=2)
    assert [one.reason == "diverged" for one in found] == [False, True, False, True]
    assert [len(found[k].train_loss) for k in (1, 3)] == [1, 1]
    for one, other in zip((found[0], found[2]), healthy, strict=True):
        assert np.array_equal(one.params, other.params)


def test_models_of_a_panel_forecast_as_on_the_cpu(cuda_device):
    t = np.arange(30)
    frame = np.stack([np.sin(t / 3), np.cos(t / 2) + t / 9], axis=1)

    def forecast(device):
        model = LSTMForecaster(
            scope="local",
            seq_len=4,
            hidden_size=3,
            max_epochs=2,
            random_state=0,
            device=device,
        )
        return np.asarray(model.fit(frame).predict())

    assert_close(forecast("cuda"), forecast("cpu"), TOLERANCE["float32"])


# --- which device -------------------------------------------------------------------------

LARGE = Network(96, 8, 12, 1, hidden_size=64)


@pytest.mark.parametrize(
    ("asked", "n", "gpu", "expected"),
    [
        ("auto", 256, True, "cuda"),
        ("auto", 32, True, "cpu"),
        ("auto", 256, False, "cpu"),
        ("cpu", 256, True, "cpu"),
        ("cuda", 1, False, "cuda"),
    ],
)
def test_auto_takes_the_gpu_for_large_batches(asked, n, gpu, expected, monkeypatch):
    kernels = load("cuda")
    monkeypatch.setattr(kernels, "is_simulated", lambda: False)
    monkeypatch.setattr(kernels, "why_not", lambda: None if gpu else "no driver")
    assert engines.choose_device(asked, LARGE, n) == expected


WITHOUT_A_GPU = """
    import numpy as np
    import lstm_numba
    from lstm_numba import LSTMRegressor

    x = np.random.default_rng(0).normal(size=(20, 4, 1))
    model = LSTMRegressor(hidden_size=3, max_epochs=2, device="cuda")
    for call in (lambda: model.fit(x, x[:, 0, 0]), lambda: lstm_numba.warmup(device="cuda")):
        try:
            call()
        except RuntimeError as error:
            print(error)
    assert not hasattr(model, "network_")
    model.set_params(device="auto", hidden_size=100).fit(x, x[:, 0, 0])
    assert lstm_numba.info()["devices"] == ["cpu"]
"""


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"NUMBA_DISABLE_CUDA": "1"}, "NUMBA_DISABLE_CUDA"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "driver|device|numba-cuda"),
    ],
)
def test_without_a_gpu_one_error_says_why(environment, reason):  # e05
    out, err = run_python(WITHOUT_A_GPU, "-W", "error", NUMBA_ENABLE_CUDASIM=None, **environment)
    assert err == ""
    lines = out.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith('device="cuda" needs an NVIDIA GPU that Numba can use, but: ')
        assert re.search(reason, line)
        assert 'pip install "lstm_numba[cuda]"' in line


def test_too_little_memory_is_said_before_it_is_taken(cuda_device, monkeypatch):  # e06a
    monkeypatch.setattr(device_module, "free_bytes", lambda: 1000)
    network = Network(3, 2, 2, 1, hidden_size=3)
    params, windows = problem(network, 7)
    with pytest.raises(MemoryError, match=r"MiB are free\. Use a smaller batch_size"):
        network.loss_and_gradient(params, windows, device="cuda")
    monkeypatch.undo()
    assert_equals_twin(network, 3, device="cuda")


class CudaAPIError(Exception):
    """What Numba raises, by its home and its words."""

    __module__ = "numba.cuda.cudadrv.driver"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("[2] CUDA_ERROR_OUT_OF_MEMORY", MemoryError, "no memory left"),
        ("[222] CUDA_ERROR_UNSUPPORTED_PTX_VERSION", RuntimeError, r"driver is older.*\[cuda12\]"),
        ("[700] CUDA_ERROR_ILLEGAL_ADDRESS", RuntimeError, "The GPU failed: .*ILLEGAL_ADDRESS"),
    ],
)
def test_failures_of_the_device_are_one_error(text, kind, message):  # e05b, e06a
    with pytest.raises(kind, match=message), load("cuda").clear_errors():
        raise CudaAPIError(text)


def test_other_errors_pass():
    with pytest.raises(KeyError), load("cuda").clear_errors():
        raise KeyError("x")
