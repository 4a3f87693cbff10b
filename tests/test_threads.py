"""Threads: any number of them, Python's own, and no trace of them in the results."""

import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scripts import run_python

from lstm_numba import LSTMForecaster, LSTMRegressor
from lstm_numba.nn.network import Network, Windows
from lstm_numba.train.trainer import train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(130, 7, 3))
Y = X[:, 2, 1] - X[:, 6, 0] ** 2
WAVE = np.sin(np.arange(48) / 3) + 0.01 * np.arange(48)


def regressor(**changes):
    # Batches of several chunks, the last one of another size; two layers.
    given = {"hidden_size": 9, "num_layers": 2, "max_epochs": 3, "batch_size": 50}
    return LSTMRegressor(**(given | {"random_state": 0} | changes))


def forecaster(**changes):
    given = {"horizon": 3, "seq_len": 6, "hidden_size": 5, "max_epochs": 3, "random_state": 0}
    return LSTMForecaster(**(given | changes))


def digest(model):
    return hashlib.sha256(model.params_.tobytes()).hexdigest()


def at_once(calls):
    """Return the results of functions that are called at the same moment, a thread for each."""
    barrier = threading.Barrier(len(calls))

    def call(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_bits_do_not_depend_on_n_jobs_or_the_run(cell):  # t01, t03
    fits = [regressor(cell=cell, n_jobs=n_jobs).fit(X, Y) for n_jobs in (1, 1, 2, 3, -1)]
    assert len({digest(model) for model in fits}) == 1
    assert len({model.predict(X).tobytes() for model in fits}) == 1
    assert digest(regressor(cell=cell, random_state=1).fit(X, Y)) != digest(fits[0])


SETTINGS = [
    {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    {"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": None, "OPENBLAS_NUM_THREADS": None},
]


def test_bits_do_not_depend_on_thread_settings():  # t03
    code = """
        import hashlib
        import numpy as np
        from lstm_numba import LSTMForecaster
        steps = np.arange(400)
        model = LSTMForecaster(12, 24, hidden_size=4, max_epochs=2, random_state=0, n_jobs=3)
        model.fit(np.sin(steps / 3) + np.cos(steps**2))
        print(hashlib.sha256(model.params_.tobytes()).hexdigest())
    """
    assert len({run_python(code, **settings) for settings in SETTINGS}) == 1


def test_linear_start_does_not_depend_on_the_threads_of_blas():  # t03
    # Long enough for BLAS to share the products out to threads, and the eigenvectors, too.
    code = """
        import hashlib
        import numpy as np
        from lstm_numba.nn.network import Network, Windows
        from lstm_numba.train.linear import fit_linear
        network = Network(400, 1, 24, 1, hidden_size=1, skip=True, dtype="float64")
        series, starts = np.random.default_rng(0).normal(size=(1500, 1)), np.arange(1000)
        start, _ = fit_linear(network, Windows(series, starts, series, starts + 400))
        for weight in start.values():
            print(hashlib.sha256(weight.tobytes()).hexdigest())
    """
    assert len({run_python(code, **settings) for settings in SETTINGS}) == 1


def test_the_global_random_state_is_left_alone():  # t02
    found = set()
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        before = [part.tolist() for part in map(np.asarray, np.random.get_state())]  # noqa: NPY002
        before_python = random.getstate()
        found.add(digest(forecaster().fit(WAVE)))
        found.add(digest(forecaster(random_state=np.random.RandomState(0)).fit(WAVE)))
        forecaster(random_state=None).fit(WAVE).predict()
        after = [part.tolist() for part in map(np.asarray, np.random.get_state())]  # noqa: NPY002
        assert after == before
        assert random.getstate() == before_python
    assert len(found) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_predict_on_one_estimator(n_jobs):  # t04
    model = regressor(n_jobs=n_jobs).fit(X, Y)
    series = forecaster(n_jobs=n_jobs).fit(WAVE)
    expected = model.predict(X).tobytes(), series.predict(horizon=7).tobytes()

    def predict():
        return {
            (model.predict(X).tobytes(), series.predict(horizon=7).tobytes()) for _ in range(20)
        }

    assert at_once([predict] * 8) == [{expected}] * 8


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_fit_different_estimators(n_jobs):  # t05
    models = [regressor(n_jobs=n_jobs, random_state=seed) for seed in range(6)]
    models += [forecaster(n_jobs=n_jobs, random_state=seed) for seed in range(2)]
    data = [(X, Y)] * 6 + [(WAVE,)] * 2
    serial = [digest(model.fit(*given)) for model, given in zip(models, data, strict=True)]
    fits = [lambda m=m, given=given: m.fit(*given) for m, given in zip(models, data, strict=True)]
    assert [digest(model) for model in at_once(fits)] == serial
    assert len(set(serial)) == 8


def test_threads_end_with_the_call_that_needed_them():  # k04
    network = Network(seq_len=4, features=1, horizon=1, targets=1, hidden_size=3)
    series, starts = np.sin(np.arange(40, dtype=np.float32))[:, np.newaxis], np.arange(30)
    windows = Windows(series, starts, series, starts + 4)
    rng = np.random.default_rng(0)
    params = network.init(rng)
    before, seen = set(threading.enumerate()), []

    def fail(epoch, train_loss, valid_loss):
        seen.extend(set(threading.enumerate()) - before)
        raise LookupError("from on_epoch")

    with pytest.raises(LookupError, match="from on_epoch"):
        train(network, params, windows, rng=rng, n_threads=3, on_epoch=fail)
    assert len(seen) == 2
    assert not any(thread.is_alive() for thread in seen)


def test_an_error_of_one_thread_ends_the_wait_of_the_others():
    out, _ = run_python(
        """
        from numba import njit

        from lstm_numba.kernels.cpu.team import Team, meet


        @njit(nogil=True)
        def wait_for_all(shared, size):
            meet(shared, size)


        def share(rank):
            if rank == 1:
                raise MemoryError("of thread 1")
            wait_for_all(team.shared, team.size)


        with Team(3) as team:
            try:
                team.run(share)
            except MemoryError as error:
                print(error)
        """
    )
    assert out == "of thread 1\n"
