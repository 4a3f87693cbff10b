"""Many models side by side: each as if it were alone, whoever its neighbours are."""

import _thread
import signal
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_numba.nn.network import Network, Windows
from lstm_numba.train.many import train_many
from lstm_numba.train.trainer import train

NETWORK = Network(
    seq_len=5, features=1, horizon=2, targets=1, hidden_size=4, skip=True, window_norm="last"
)
LENGTHS = (40, 23, 31, 64, 18)  # of the series; unequal, so that blocks and batches are too
HELD = 6  # windows for validation
SEEDS = np.array([7, 1, 1, 0, 2**64 - 1], np.uint64)


def series(k):
    t = np.arange(LENGTHS[k])
    return (np.sin(t / (2 + k)) + 0.1 * np.cos(7.0 * t)).astype(np.float32)[:, None]


def starts(k):
    return np.arange(LENGTHS[k] - NETWORK.seq_len - NETWORK.horizon + 1)


def problem(models=range(5), held=HELD):
    """Return initial weights, windows and limits of some of the models."""
    params = np.stack([NETWORK.init(np.random.default_rng(k)) for k in models])
    rows = np.concatenate([series(k) for k in models])
    first = np.cumsum([0, *(LENGTHS[k] for k in models)])
    all_starts = np.concatenate([starts(k) + at for k, at in zip(models, first, strict=False)])
    ends = np.cumsum([len(starts(k)) for k in models])
    begins = ends - [len(starts(k)) for k in models]
    limits = np.stack([begins, ends - held, ends - held, ends], axis=1)
    return params, Windows(rows, all_starts, rows, all_starts + NETWORK.seq_len), limits


def run(models=range(5), held=HELD, **options):
    options = {"max_epochs": 8, "batch_size": 16, "seeds": SEEDS[list(models)]} | options
    return train_many(NETWORK, *problem(models, held), **options)


def assert_same_runs(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one.params, other.params)
        assert one.train_loss == other.train_loss
        assert one.valid_loss == other.valid_loss
        assert (one.best_epoch, one.reason) == (other.best_epoch, other.reason)


def parts(k, held=HELD):
    rows, first = series(k), starts(k)
    return (
        Windows(rows, piece, rows, piece + NETWORK.seq_len)
        for piece in (first[: len(first) - held], first[len(first) - held :])
    )


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_one_batch_trains_like_train(loss):
    # With all windows in one batch the shuffling is no more than an order of summation.
    options = {"loss": loss, "max_epochs": 12, "batch_size": 64, "learning_rate": 0.02}
    options["n_iter_no_change"] = 4
    found = run(**options)
    for k in range(5):
        start = NETWORK.init(np.random.default_rng(k))
        expected = train(NETWORK, start, *parts(k), rng=np.random.default_rng(0), **options)
        assert found[k].best_epoch == expected.best_epoch
        assert found[k].reason == expected.reason
        assert_allclose(found[k].train_loss, expected.train_loss, rtol=1e-4)
        assert_allclose(found[k].valid_loss, expected.valid_loss, rtol=1e-4)
        assert_allclose(found[k].params, expected.params, rtol=1e-3, atol=1e-4)


def test_small_batches_train_about_as_well():
    found = run(batch_size=5, max_epochs=20)
    for k in range(5):
        start = NETWORK.init(np.random.default_rng(k))
        expected = train(
            NETWORK, start, *parts(k), rng=np.random.default_rng(0), batch_size=5, max_epochs=20
        )
        assert_allclose(found[k].train_loss, expected.train_loss, rtol=0.25)
        assert found[k].train_loss[-1] < 0.9 * found[k].train_loss[0]


def test_losses_are_those_of_the_weights():
    found = run(learning_rate=0.02, max_epochs=40, n_iter_no_change=40)
    better = [k for k in range(5) if found[k].best_epoch >= 0]
    assert len(better) >= 3
    for k in better:
        one = found[k]
        assert len(one.train_loss) == len(one.valid_loss) == 40
        _, validation = parts(k)
        loss, _ = NETWORK.loss_and_gradient(one.params, validation)
        assert_allclose(loss, one.valid_loss[one.best_epoch], rtol=1e-5)
        assert one.best_epoch == np.argmin(one.valid_loss)


def test_runs_repeat_to_the_bit():  # t01
    assert_same_runs(run(), run())
    options = {"batch_size": 4, "held": 0}
    some, others = run(**options), run(seeds=SEEDS + np.uint64(1), **options)
    assert all((one.params != other.params).any() for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_nothing(n_threads):  # t03
    assert_same_runs(run(n_threads=n_threads), run())


def test_neighbours_change_nothing():
    together = run()
    for models in ([4, 1, 0], [2], [3, 2]):
        assert_same_runs(run(models), [together[k] for k in models])


def test_arguments_are_not_changed():  # p04
    params, windows, limits = problem()
    copies = [np.array(a) for a in (params, *windows, limits, SEEDS)]
    train_many(NETWORK, params, windows, limits, seeds=SEEDS, max_epochs=2)
    for array, copy in zip((params, *windows, limits, SEEDS), copies, strict=True):
        assert_array_equal(array, copy)


def test_without_validation_all_epochs_are_run():
    for one in run(held=0, n_iter_no_change=1):
        assert len(one.train_loss) == 8
        assert (one.valid_loss, one.best_epoch, one.reason) == ([], 7, "max_epochs")


def test_some_with_and_some_without_validation():
    params, windows, limits = problem()
    limits[1, 1], limits[1, 2] = limits[1, 3], limits[1, 3]
    options = {"seeds": SEEDS, "max_epochs": 8, "batch_size": 16}
    found = train_many(NETWORK, params, windows, limits, **options)
    expected = run()
    expected[1] = run([1], held=0)[0]
    assert_same_runs(found, expected)


def test_patience_ends_training():
    for one in run(learning_rate=1e-12, n_iter_no_change=3, max_epochs=50, tol=1.0):
        assert (one.reason, one.best_epoch) == ("no improvement", -1)
        assert len(one.train_loss) == 3


def test_start_is_kept_when_nothing_is_better():
    params = problem()[0]
    for one, start in zip(run(tol=1e9, n_iter_no_change=2), params, strict=True):
        assert_array_equal(one.params, start)


def test_divergence_is_reported_and_stays_with_its_model():  # v19
    params, windows, limits = problem()
    params[1] = np.nan
    params[3, 0] = np.inf
    options = {"seeds": SEEDS, "max_epochs": 8, "batch_size": 16}
    found = train_many(NETWORK, params, windows, limits, **options)
    expected = run()
    assert [one.reason == "diverged" for one in found] == [False, True, False, True, False]
    assert [len(found[k].train_loss) for k in (1, 3)] == [1, 1]
    healthy = [0, 2, 4]
    assert_same_runs([found[k] for k in healthy], [expected[k] for k in healthy])


def test_progress_counts_models():
    seen = []
    run(on_model=seen.append)
    assert seen == sorted(set(seen))
    assert seen[-1] == 5


def interrupted_after(seconds, *arguments, **options):
    # A shell starts what runs in its background with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(seconds, _thread.interrupt_main)
    timer.start()
    began = time.perf_counter()
    found = train_many(NETWORK, *arguments, **options)
    timer.join()
    assert time.perf_counter() - began < seconds + 2
    return found


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_keeps_what_is_trained(n_threads):  # k03
    models = 2000 * [0]
    params, windows, limits = problem(models, held=0)
    options = {"max_epochs": 100, "batch_size": 1, "n_threads": n_threads}
    found = interrupted_after(0.3, params, windows, limits, seeds=SEEDS[models], **options)
    assert (found[0].reason, found[-1].reason) == ("max_epochs", "interrupted")
    assert (found[-1].best_epoch, found[-1].train_loss) == (-1, [])
    assert_array_equal(found[-1].params, params[-1])
    alone = train_many(NETWORK, params[:1], windows, limits[:1], seeds=SEEDS[:1], **options)
    assert_same_runs(found[:1], alone)


def test_ctrl_c_reaches_a_model_that_trains_for_long():  # k03
    options = {"seeds": SEEDS, "max_epochs": 200_000, "n_threads": 2}
    found = interrupted_after(0.3, *problem(held=0), **options)
    assert {one.reason for one in found} == {"interrupted"}
    assert len(found[0].train_loss) == found[0].best_epoch + 1 > 0
    assert np.isfinite(found[0].params).all()
