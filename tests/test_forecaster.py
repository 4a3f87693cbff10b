"""LSTMForecaster: forms in and out, time, covariates, scikit-learn."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lstm_numba import LSTMForecaster
from lstm_numba.nn.network import Windows

SMALL = {"horizon": 3, "seq_len": 6, "hidden_size": 4, "max_epochs": 3, "random_state": 0}
STEPS = np.arange(48)
WAVE = np.sin(STEPS / 3) + 0.1 * np.cos(7.0 * STEPS) + 0.01 * STEPS + 2
CELLS = pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])


def small(**changes):
    return LSTMForecaster(**(SMALL | changes))


REASONS = {
    "check_methods_subset_invariance": "a part of the next steps is not the next steps",
    "check_methods_sample_order_invariance": "steps in another order are other steps",
    "check_regressor_data_not_an_array": "the index of the fitted rows says they do not come next",
}


@parametrize_with_checks([LSTMForecaster()], expected_failed_checks=lambda _: REASONS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_reasons_are_in_the_docstring():
    for name in REASONS:
        assert name in LSTMForecaster.__doc__


# --- forms ---------------------------------------------------------------------

INDICES = {
    "range": pd.RangeIndex(48),
    "steps": pd.RangeIndex(100, 340, 5),
    "months": pd.date_range("2020-01-01", periods=48, freq="MS", name="month"),
    "berlin days": pd.date_range("2024-02-15", periods=48, freq="D", tz="Europe/Berlin"),
    "berlin hours": pd.date_range("2024-03-29 20:00", periods=48, freq="h", tz="Europe/Berlin"),
    "quarters": pd.period_range("2010Q1", periods=48, freq="Q"),
}


@pytest.mark.parametrize("kind", INDICES)
def test_series_goes_on(kind):  # i01 to i08, i12
    index = INDICES[kind]
    y = pd.Series(WAVE, index=index, name="sales")
    forecast = small().fit(y[:40]).predict(horizon=8)
    pd.testing.assert_index_equal(forecast.index, index[40:])
    assert forecast.name == "sales"
    assert forecast.dtype == np.float64
    assert_array_equal(forecast, small().fit(WAVE[:40]).predict(horizon=8))


def test_stamps_without_frequency_give_the_same():  # i03
    y = pd.Series(WAVE, index=INDICES["months"])
    bare = y.set_axis(pd.DatetimeIndex(list(y.index), name="month"))
    pd.testing.assert_series_equal(small().fit(bare).predict(), small().fit(y).predict())


def test_frame_of_targets_keeps_its_columns():
    frame = pd.DataFrame({"a": WAVE, 7: -5 * WAVE}, index=INDICES["months"])
    forecast = small().fit(frame).predict()
    assert list(forecast.columns) == ["a", 7]
    assert forecast.shape == (3, 2)
    assert forecast.index[0] == frame.index[-1] + frame.index.freq
    # Targets share a scaled model; -5 times a series is -1 times it, scaled.
    assert not np.allclose(forecast["a"], forecast[7])


def test_arrays_give_arrays():
    assert small().fit(WAVE).predict().shape == (3,)
    assert small().fit(WAVE[:, np.newaxis]).predict().shape == (3, 1)
    assert type(small().fit(list(WAVE)).predict()) is np.ndarray


@pytest.mark.parametrize(
    "values",
    [
        np.repeat(WAVE, 2)[::2],
        WAVE[::-1].copy()[::-1],
        WAVE.astype(">f8"),
        np.broadcast_to(WAVE, (48,)),
        np.frombuffer(b"\0" + WAVE.tobytes(), dtype=np.uint8)[1:].view(np.float64),
        WAVE.astype(object),
        pd.array(WAVE, dtype="Float64"),
    ],
    ids=["strided", "reversed", "big-endian", "read-only", "unaligned", "object", "Float64"],
)
def test_memory_does_not_matter(values):  # p05, v12, v13
    assert_array_equal(small().fit(values).predict(), small().fit(WAVE).predict())


def test_nothing_is_changed_or_shared():  # p04
    y = pd.Series(WAVE.copy(), index=INDICES["months"])
    X = pd.DataFrame({"x": np.cos(STEPS)}, index=y.index)
    before_y, before_X = y.copy(), X.copy()
    model = small().fit(X, y)
    future = X[:3].set_axis(model._form.calendar.future(3))
    forecast = model.predict(future)
    pd.testing.assert_series_equal(y, before_y)
    pd.testing.assert_frame_equal(X, before_X)
    kept = forecast.copy()
    y += 100
    X *= -1
    forecast += 5
    pd.testing.assert_series_equal(model.predict(future), kept)


# --- predict -------------------------------------------------------------------


def test_predict_before_fit():  # p01
    with pytest.raises(NotFittedError):
        small().predict()
    with pytest.raises(NotFittedError):
        small().score(WAVE)


def test_shorter_and_longer_forecasts_agree():  # p06, p07
    model = small().fit(WAVE)
    long = model.predict(horizon=10)
    for horizon in (1, 2, 3, 4, 9):
        assert_array_equal(model.predict(horizon=horizon), long[:horizon])
    assert_array_equal(model.predict(), long[:3])
    assert len(model.predict(horizon=np.int64(2))) == 2


@pytest.mark.parametrize("window_norm", [None, "last", "level"])
def test_longer_forecasts_feed_back(window_norm):
    model = small(window_norm=window_norm, dtype="float64").fit(WAVE)
    scaler = model._target_scaler
    seen = WAVE
    for _ in range(3):
        inputs = scaler.transform(seen[-6:, np.newaxis])
        window = Windows(inputs, np.array([0]), inputs, np.array([0]))
        block = model.network_.predict(model.params_, window)[0]
        seen = np.append(seen, scaler.inverse_transform(block))
    assert_allclose(model.predict(horizon=9), seen[48:], rtol=1e-10)


@pytest.mark.parametrize("linear_skip", [True, False])
@pytest.mark.parametrize("window_norm", [None, "last", "level"])
def test_every_step_depends_on_every_observation(linear_skip, window_norm):
    model = small(linear_skip=linear_skip, window_norm=window_norm, dtype="float64", max_epochs=20)
    model.fit(WAVE)
    history = model._history
    for row in range(6):
        nudged = history.copy()
        nudged[row] += 1e-3
        windows = Windows(
            np.concatenate([history, nudged]), np.array([0, 6]), np.zeros((12, 1)), np.array([0, 0])
        )
        plain, other = model.network_.predict(model.params_, windows)
        assert (np.abs(plain - other) > 1e-9).all()


# --- covariates ------------------------------------------------------------------


@pytest.fixture
def driven():
    """A target that follows a covariate of the same step, which its own past does not tell."""
    rng = np.random.default_rng(3)
    index = pd.date_range("2024-01-01", periods=160, freq="h")
    X = pd.DataFrame({"noise": rng.normal(size=160), "load": rng.normal(size=160)}, index=index)
    y = (3 * X["load"] + 10 + 0.05 * rng.normal(size=160)).rename("y")
    return X, y


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_covariates_of_the_forecast_steps_are_used(driven, steps):
    X, y = driven
    model = small(horizon=5, max_epochs=10).fit(X[:140], y[:140])
    forecast = model.predict(X[140 : 140 + steps])
    truth = y[140 : 140 + steps]
    pd.testing.assert_index_equal(forecast.index, truth.index)
    assert np.abs(forecast - truth).max() < 0.5  # the standard deviation of y is 3


def test_arrays_of_covariates_equal_frames(driven):
    X, y = driven
    expected = small().fit(X[:140], y[:140]).predict(X[140:150])
    found = small().fit(X[:140].to_numpy(), y[:140].to_numpy()).predict(X[140:150].to_numpy())
    assert_array_equal(found, expected)
    one = small().fit(X["load"][:140], y[:140]).predict(X["load"][140:])
    pd.testing.assert_series_equal(
        one, small().fit(X[["load"]][:140], y[:140]).predict(X[["load"]][140:])
    )


def test_a_longer_forecast_begins_like_a_shorter_one(driven):
    X, y = driven
    model = small().fit(X[:140], y[:140])
    assert_array_equal(model.predict(X[140:144]), model.predict(X[140:])[:4])


def test_features_are_counted(driven):
    X, y = driven
    model = small().fit(X, y)
    assert model.n_features_in_ == 2
    assert list(model.feature_names_in_) == ["noise", "load"]
    model.fit(y)
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "feature_names_in_")


# --- scikit-learn ----------------------------------------------------------------


def test_score_is_r2_of_the_next_steps(driven):
    X, y = driven
    model = small().fit(X[:140], y[:140])
    assert model.score(X[140:150], y[140:150]) == r2_score(y[140:150], model.predict(X[140:150]))
    model = small().fit(y[:140])
    assert model.score(y[140:145]) == r2_score(y[140:145], model.predict(horizon=5))
    frame = pd.DataFrame({"a": WAVE, "b": 2 - WAVE})
    model = small().fit(frame[:40])
    assert model.score(frame[40:]) == r2_score(frame[40:], model.predict(horizon=8))


def test_pipeline_and_grid_search(driven):
    X, y = driven
    pipeline = make_pipeline(StandardScaler(), small()).set_output(transform="pandas")
    pipeline.fit(X[:140], y[:140])
    pd.testing.assert_index_equal(pipeline.predict(X[140:]).index, X.index[140:])
    search = GridSearchCV(
        pipeline,
        {"lstmforecaster__hidden_size": [2, 3]},
        cv=TimeSeriesSplit(n_splits=2, test_size=10),
        scoring="neg_root_mean_squared_error",
        error_score="raise",
    ).fit(X[:140], y[:140])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pd.testing.assert_index_equal(search.predict(X[140:]).index, X.index[140:])


@pytest.mark.parametrize("form", [np.asarray, pd.Series])
def test_grid_search_without_covariates(form):
    search = GridSearchCV(
        small(), {"hidden_size": [2, 3]}, cv=TimeSeriesSplit(2, test_size=6), error_score="raise"
    ).fit(form(WAVE))
    assert search.best_params_["hidden_size"] in (2, 3)
    assert len(search.best_estimator_.predict()) == 3


@CELLS
@pytest.mark.parametrize(
    "carry",
    [pickle.dumps, copy.deepcopy, "joblib", "memmap"],
    ids=["pickle", "copy", "joblib", "mmap"],
)
def test_carried_estimator_forecasts_the_same(carry, cell, tmp_path):  # s01
    y = pd.Series(WAVE, index=INDICES["berlin days"], name="y")
    model = small(cell=cell).fit(y)
    if isinstance(carry, str):
        joblib.dump(model, tmp_path / "model")
        other = joblib.load(tmp_path / "model", mmap_mode="r" if carry == "memmap" else None)
    else:
        other = carry(model)
        other = pickle.loads(other) if isinstance(other, bytes) else other
    pd.testing.assert_series_equal(other.predict(horizon=5), model.predict(horizon=5))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int64])
@pytest.mark.parametrize("changes", [{}, {"stateful": True}])
def test_integers_of_numpy_are_as_those_of_python(kind, changes):
    y = np.tile(WAVE, 9)  # 432 steps: more than the small kinds hold
    sizes = {
        "horizon": 70, "seq_len": 80, "hidden_size": 3, "num_layers": 2, "season_length": 120,
        "max_epochs": 2, "batch_size": 100, "n_iter_no_change": 2, "n_jobs": 2, "random_state": 3,
    }  # fmt: skip
    expected = LSTMForecaster(**sizes, **changes).fit(y)
    model = clone(LSTMForecaster(**{name: kind(size) for name, size in sizes.items()}, **changes))
    assert_array_equal(model.fit(y).params_, expected.params_)
    assert_array_equal(model.predict(horizon=kind(120)), expected.predict(horizon=120))
    model.set_params(seq_len=kind(90), batch_size=kind(120)).fit(y)
    expected.set_params(seq_len=90, batch_size=120).fit(y)
    assert_array_equal(model.params_, expected.params_)


def test_clone_and_parameters():
    model = small(window_norm="last", cell="gru").fit(WAVE)
    other = clone(model)
    assert other.get_params() == model.get_params()
    assert not hasattr(other, "params_")
    with pytest.raises(TypeError, match="unexpected keyword"):
        LSTMForecaster(hidden=3)
