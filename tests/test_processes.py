"""Processes: forks, workers of joblib and Dask, signals."""

import hashlib
import os
import signal
import time

import joblib
import numpy as np
import pytest
from scripts import finish, run_python, start_python
from sklearn.model_selection import cross_val_score

from lstm_numba import LSTMForecaster, LSTMRegressor

WAVE = np.sin(np.arange(48) / 3) + 0.01 * np.arange(48)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5, 2))
Y = X[:, 1, 1] - X[:, 4, 0] ** 2

needs_posix = pytest.mark.skipif(os.name != "posix", reason="forks and signals of POSIX")


def fit_and_predict(seed, n_jobs=None):
    """Return what a fit in a worker leaves, as bytes."""
    forecaster = LSTMForecaster(3, 6, hidden_size=5, max_epochs=3, random_state=seed, n_jobs=n_jobs)
    regressor = LSTMRegressor(hidden_size=5, max_epochs=3, random_state=seed, n_jobs=n_jobs)
    forecast, numbers = forecaster.fit(WAVE).predict(), regressor.fit(X, Y).predict(X)
    found = forecaster.params_, forecast, regressor.params_, numbers
    return hashlib.sha256(b"".join(part.tobytes() for part in found)).hexdigest()


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_workers_of_joblib(backend):  # t08
    expected = [fit_and_predict(seed, n_jobs=2) for seed in range(4)]
    parallel = joblib.Parallel(n_jobs=2, backend=backend)
    assert parallel(joblib.delayed(fit_and_predict)(seed, 2) for seed in range(4)) == expected


@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_workers_of_dask(scheduler):  # t09
    dask = pytest.importorskip("dask")
    expected = tuple(fit_and_predict(seed, n_jobs=2) for seed in range(3))
    tasks = [dask.delayed(fit_and_predict)(seed, 2) for seed in range(3)]
    assert dask.compute(*tasks, scheduler=scheduler, num_workers=2) == expected


# --- threads of a worker --------------------------------------------------------------


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_workers_do_not_take_more_than_the_cores(backend, monkeypatch):  # t12
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    parallel = joblib.Parallel(n_jobs=2, backend=backend)
    asked = (None, 1, 2, -1)
    threads = parallel(joblib.delayed(LSTMRegressor(n_jobs=n)._n_threads)() for n in asked)
    assert threads[:2] == [1, 1]
    assert 2 * max(threads) <= max(2, joblib.cpu_count())


def test_n_jobs_outside_of_workers(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    asked = (None, 1, 3, -1)
    assert [LSTMRegressor(n_jobs=n)._n_threads() for n in asked] == [1, 1, 3, joblib.cpu_count()]
    with joblib.parallel_config(n_jobs=2):
        assert LSTMRegressor()._n_threads() == 2
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert [LSTMRegressor(n_jobs=n)._n_threads() for n in (None, 1, 3)] == [1, 1, 2]


@pytest.mark.parametrize("limit", [1, 2])
def test_workers_have_the_threads_that_joblib_leaves_them(limit, monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=limit):
        task = joblib.delayed(LSTMRegressor(n_jobs=4)._n_threads)
        assert joblib.Parallel()(task() for _ in range(2)) == [limit, limit]


def test_cross_validation_around_a_parallel_fit():  # t12
    model = LSTMRegressor(hidden_size=5, max_epochs=3, random_state=0)
    serial = cross_val_score(model, X, Y, cv=3)
    for n_jobs in (2, -1):
        model.set_params(n_jobs=n_jobs)
        assert cross_val_score(model, X, Y, cv=3, n_jobs=2).tolist() == serial.tolist()


# --- forks and signals ----------------------------------------------------------------


@needs_posix
def test_fork_after_a_fit():  # t07
    code = """
        import hashlib, os, sys, warnings
        import numpy as np
        from lstm_numba import LSTMRegressor

        x = np.random.default_rng(0).normal(size=(90, 5, 2))
        y = x[:, 1, 1]

        def fit(seed):
            model = LSTMRegressor(hidden_size=5, max_epochs=3, n_jobs=2, random_state=seed)
            return model.fit(x, y)

        model, expected = fit(0), fit(1).params_
        forecast = model.predict(x)
        for _ in range(3):
            child = os.fork()
            if child == 0:
                equal = np.array_equal(model.predict(x), forecast)
                equal &= np.array_equal(fit(1).params_, expected)
                os._exit(0 if equal else 1)
            assert np.array_equal(fit(1).params_, expected)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_python(code, "-W", "error") == ("0\n0\n0\n", "")


LONG_FIT = """
    import sys, time, warnings
    import numpy as np
    from lstm_numba import LSTMRegressor

    warnings.simplefilter("ignore")
    x = np.random.default_rng(0).normal(size=(4000, 50, 2))
    y = x[:, 1, 1]
    small = LSTMRegressor(hidden_size=3, max_epochs=2, random_state=0, n_jobs={n_jobs})
    expected = small.fit(x[:20], y[:20]).params_
    model = LSTMRegressor(hidden_size=32, max_epochs=10**6, random_state=0, n_jobs={n_jobs})
    print("fitting", flush=True)
    try:
        model.fit(x, y)
    except KeyboardInterrupt:
        print("unfitted", flush=True)
        assert not hasattr(model, "params_")
    else:
        print("stopped", flush=True)
        assert np.isfinite(model.predict(x[:20])).all()
    assert np.array_equal(small.fit(x[:20], y[:20]).params_, expected)
"""


@needs_posix
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("moment", [0.05, 1.0])
def test_ctrl_c_stops_a_fit(n_jobs, moment):  # k03
    process = start_python(LONG_FIT.format(n_jobs=n_jobs))
    assert process.stdout.readline() == "fitting\n"
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    ending = process.stdout.readline()
    assert time.monotonic() - sent < 2
    # Early on, training may not have begun.
    assert ending == "stopped\n" or (moment < 1 and ending == "unfitted\n"), finish(process)
    assert finish(process) == ("", "")


@needs_posix
def test_sigterm_ends_a_fit():  # k04
    process = start_python(LONG_FIT.format(n_jobs=2))
    assert process.stdout.readline() == "fitting\n"
    time.sleep(0.3)
    process.terminate()
    assert process.wait(timeout=2) == -signal.SIGTERM
    assert process.communicate() == ("", "")
