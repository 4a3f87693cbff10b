"""The training loop against its twin, and how it ends: best weights, Ctrl-C, a loss gone wild."""

import _thread
import threading
import time

import naive
import numpy as np
import pytest
from test_network import BOTH_DTYPES, assert_close, in_float64, problem

from lstm_numba.kernels.cpu import train_batches
from lstm_numba.nn import engine
from lstm_numba.nn.network import Network
from lstm_numba.train.trainer import train


def training_problem(dtype="float64", n=23):
    """Return a network, its first weights, windows and other windows for validation."""
    network = Network(
        4,
        3,
        3,
        1,
        hidden_size=7,
        num_layers=2,
        future=1,
        skip=True,
        window_norm="last",
        dtype=dtype,
    )
    params, windows = problem(network, n)
    _, validation = problem(network, 11, seed=1)
    return network, params, windows, validation


def same_bits(one, other):
    """Compare two runs: weights and all losses."""
    return (
        np.array_equal(one.params, other.params)
        and one.train_loss == other.train_loss
        and one.valid_loss == other.valid_loss
    )


def assert_trains_like_the_twin(
    problem, epochs, loss, clip_norm, weight_decay, batch_size, device="cpu"
):
    network, params, windows, validation = problem
    run = train(
        network,
        params,
        windows,
        validation,
        loss=loss,
        huber_delta=0.3,
        learning_rate=0.01,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        max_epochs=epochs,
        batch_size=batch_size,
        rng=np.random.default_rng(7),
        device=device,
    )

    weights, rng = in_float64(network, params), np.random.default_rng(7)
    adam = naive.Adam(weights, 0.01, weight_decay)
    train_loss, valid_loss, kept = [], [], []
    for _ in range(epochs):
        order = rng.permutation(len(windows.starts))
        limit = np.inf if clip_norm is None else clip_norm
        train_loss.append(
            naive.train_epoch(
                network,
                weights,
                adam,
                windows,
                order,
                batch_size,
                limit,
                loss=loss,
                huber_delta=0.3,
            )
        )
        value, _ = naive.loss_and_gradient(network, weights, validation, loss, huber_delta=0.3)
        valid_loss.append(value)
        kept.append({name: weight.copy() for name, weight in weights.items()})

    assert run.train_loss == pytest.approx(train_loss, rel=1e-9)
    assert run.valid_loss == pytest.approx(valid_loss, rel=1e-9)
    assert run.best_epoch == np.argmin(valid_loss)
    for name, view in network.views(run.params).items():
        assert_close(view, kept[run.best_epoch][name], 1e-9, name)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize(
    ("clip_norm", "weight_decay", "batch_size"), [(0.1, 0.0, 5), (None, 0.3, 5), (1.0, 0.3, 1000)]
)
def test_training_equals_the_twin(loss, clip_norm, weight_decay, batch_size):
    problem = training_problem()
    assert_trains_like_the_twin(problem, 4, loss, clip_norm, weight_decay, batch_size)


@BOTH_DTYPES
def test_early_stopping_gives_back_the_best_weights(dtype):
    network, params, windows, validation = training_problem(dtype)
    run = train(
        network,
        params,
        windows,
        validation,
        learning_rate=0.03,
        max_epochs=1000,
        n_iter_no_change=3,
        rng=np.random.default_rng(0),
    )
    assert run.reason == "no improvement"
    assert 0 <= run.best_epoch == np.argmin(run.valid_loss)
    assert len(run.valid_loss) == len(run.train_loss) == run.best_epoch + 1 + 3
    value, _ = network.loss_and_gradient(run.params, validation)
    assert value == pytest.approx(run.valid_loss[run.best_epoch], rel=1e-5)


def test_weights_that_are_best_already_are_kept():
    network = Network(4, 3, 2, 1, hidden_size=7, dtype="float64")
    params, windows = problem(network, 23)
    _, validation = problem(network, 11, seed=1)
    perfect = validation._replace(
        targets=network.predict(params, validation).reshape(-1, 1),
        target_starts=np.arange(11) * network.horizon,
    )
    run = train(network, params, windows, perfect, n_iter_no_change=2, rng=np.random.default_rng(0))
    assert run.best_epoch == -1
    assert len(run.valid_loss) == 2
    assert np.array_equal(run.params, params)


def test_an_improvement_within_tol_is_none():
    network, params, windows, validation = training_problem()
    given = {"learning_rate": 0.01, "n_iter_no_change": 2, "max_epochs": 5}
    run = train(network, params, windows, validation, rng=np.random.default_rng(0), **given)
    assert run.best_epoch == 4
    assert run.reason == "max_epochs"
    run = train(
        network, params, windows, validation, rng=np.random.default_rng(0), tol=9.0, **given
    )
    assert run.best_epoch == -1
    assert run.reason == "no improvement"


def test_without_validation_the_last_weights_stay():
    network, params, windows, _ = training_problem()
    seen = []
    run = train(
        network,
        params,
        windows,
        max_epochs=3,
        n_iter_no_change=1,
        rng=np.random.default_rng(0),
        on_epoch=lambda *given: seen.append(given),
    )
    assert [epoch for epoch, _, _ in seen] == [0, 1, 2]
    assert [loss for _, loss, _ in seen] == run.train_loss
    assert run.valid_loss == []
    assert run.best_epoch == 2
    assert run.reason == "max_epochs"
    assert not np.array_equal(run.params, params)


@pytest.mark.parametrize("with_validation", [True, False])
def test_ctrl_c_after_an_epoch_keeps_what_was_learnt(with_validation):  # k03
    network, params, windows, validation = training_problem()
    validation = validation if with_validation else None

    def stop(epoch, train_loss, valid_loss):
        if epoch == 2:
            raise KeyboardInterrupt

    given = (network, params, windows, validation)
    interrupted = train(*given, rng=np.random.default_rng(0), on_epoch=stop)
    assert interrupted.reason == "interrupted"
    assert same_bits(interrupted, train(*given, rng=np.random.default_rng(0), max_epochs=3))


def test_ctrl_c_before_the_first_epoch_gives_back_the_start(monkeypatch):  # k03
    network, params, windows, validation = training_problem()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.Engine, "loss", stop)
    run = train(network, params, windows, validation, rng=np.random.default_rng(0))
    assert run.reason == "interrupted"
    assert run.best_epoch == -1
    assert np.array_equal(run.params, params)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_is_heard_soon(n_threads):  # k03
    network, params, windows, validation = training_problem()
    given = (network, params, windows, validation)
    train(*given, rng=np.random.default_rng(0), max_epochs=1, n_threads=n_threads)
    threading.Timer(0.3, _thread.interrupt_main).start()
    began = time.monotonic()
    run = train(
        *given,
        rng=np.random.default_rng(0),
        max_epochs=10**9,
        n_iter_no_change=10**9,
        n_threads=n_threads,
    )
    assert time.monotonic() - began < 2
    assert run.reason == "interrupted"
    assert np.all(np.isfinite(run.params))


def test_an_error_in_on_epoch_is_passed_on():  # k04
    network, params, windows, _ = training_problem()

    def fail(epoch, train_loss, valid_loss):
        raise RuntimeError("from on_epoch")

    with pytest.raises(RuntimeError, match="from on_epoch"):
        train(network, params, windows, rng=np.random.default_rng(0), on_epoch=fail)


@pytest.mark.parametrize("with_validation", [True, False])
def test_a_loss_that_is_not_finite_is_an_error(with_validation):  # v19
    network, params, windows, validation = training_problem("float32")
    validation = validation if with_validation else None
    before = params.copy()
    with pytest.raises(FloatingPointError, match=r"learning_rate=1e\+30"):
        train(
            network,
            params,
            windows,
            validation,
            learning_rate=1e30,
            rng=np.random.default_rng(0),
        )
    assert np.array_equal(params, before)


@BOTH_DTYPES
def test_same_seed_same_bits_for_any_number_of_threads(dtype):  # t01, t03
    network, params, windows, validation = training_problem(dtype, n=150)
    for array in (params, *windows, *validation):
        array.flags.writeable = False
    given = {"learning_rate": 0.01, "batch_size": 40, "max_epochs": 3}

    def run(seed, n_threads):
        rng = np.random.default_rng(seed)
        return train(network, params, windows, validation, rng=rng, n_threads=n_threads, **given)

    first = run(0, 1)
    for n_threads in (1, 2, 3):
        assert same_bits(first, run(0, n_threads)), n_threads
    assert not same_bits(first, run(1, 1))


def test_bits_do_not_depend_on_the_clock(monkeypatch):
    network, params, windows, validation = training_problem(n=150)

    def run():
        return train(
            network,
            params,
            windows,
            validation,
            batch_size=4,
            max_epochs=3,
            rng=np.random.default_rng(0),
        )

    monkeypatch.setattr(engine, "KERNEL_SECONDS", 0.0)  # back to Python after every batch
    one_by_one = run()
    monkeypatch.setattr(engine, "KERNEL_SECONDS", 1e9)  # as seldom as allowed
    assert same_bits(one_by_one, run())


def test_the_global_random_state_is_left_alone():  # t02
    network, params, windows, _ = training_problem()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    train(network, params, windows, max_epochs=2, rng=np.random.default_rng(0))
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_batch_size_may_be_of_any_integer_type():  # x01
    network, params, windows, _ = training_problem()

    def run(batch_size):
        rng = np.random.default_rng(0)
        return train(network, params, windows, max_epochs=2, batch_size=batch_size, rng=rng)

    expected, compiled = run(5), len(train_batches.overloads)
    assert same_bits(run(np.uint8(5)), expected)
    assert len(train_batches.overloads) == compiled
