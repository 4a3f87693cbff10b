"""LSTMForecaster: forms in and out, time, covariates, training, scikit-learn."""

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

from lstm_numba import LSTMForecaster, baselines, datasets
from lstm_numba.forecast import _fitting, _preparing
from lstm_numba.nn.network import Windows

SMALL = {"horizon": 3, "seq_len": 6, "hidden_size": 4, "max_epochs": 3, "random_state": 0}
STEPS = np.arange(48)
WAVE = np.sin(STEPS / 3) + 0.1 * np.cos(7.0 * STEPS) + 0.01 * STEPS + 2


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


# --- lengths, scaling, window_norm -------------------------------------------------


def test_choices_are_stored():
    y = datasets.load_air_passengers()
    model = LSTMForecaster(horizon=12, max_epochs=1, hidden_size=4).fit(y)
    assert (model.season_length_, model.seq_len_) == (12, 24)
    model = LSTMForecaster(horizon=12, season_length=6, seq_len=18, max_epochs=1).fit(y)
    assert (model.season_length_, model.seq_len_) == (6, 18)


def test_scaler_knows_the_training_part_only():
    late = WAVE.copy()
    late[-5:] *= 50  # the validation part: ceil(0.1 * 48) rows
    scaler = small(window_norm=None).fit(WAVE)._target_scaler
    assert_array_equal(small(window_norm=None).fit(late)._target_scaler.mean, scaler.mean)
    assert_allclose(scaler.transform(WAVE[:43, np.newaxis]).mean(), 0, atol=1e-12)
    whole = small(window_norm=None, early_stopping=False).fit(WAVE)._target_scaler
    assert_allclose(whole.transform(WAVE[:, np.newaxis]).mean(), 0, atol=1e-12)


def test_scaler_none_leaves_the_data():
    model = small(scaler=None).fit(WAVE)
    assert_array_equal(model._history[:, 0], WAVE[-6:].astype(np.float32))


@pytest.mark.parametrize(
    ("y", "candidates"),
    [
        (WAVE, {None, "last", "level"}),
        (-WAVE, {None, "last"}),  # not positive
        (WAVE + 100, {None, "last"}),  # spreads by less than 5 % of its level
        (np.append(WAVE, 0.0), {None, "last"}),
    ],
    ids=["positive", "negative", "offset", "zero"],
)
def test_window_norm_with_the_least_error_is_chosen(y, candidates, monkeypatch):
    errors = {None: 3.0, "last": 2.0, "level": 1.0}
    asked, fit_linear = [], _preparing.fit_linear

    def fit_with_given_error(network, windows, validation):
        asked.append(network.window_norm)
        return fit_linear(network, windows, validation)[0], errors[network.window_norm]

    monkeypatch.setattr(_preparing, "fit_linear", fit_with_given_error)
    model = small().fit(y)
    assert set(asked) == candidates
    assert model.window_norm_ == model.network_.window_norm == min(candidates, key=errors.get)


def test_errors_of_window_norms_are_in_the_same_units(monkeypatch):
    # One linear forecast, whatever the norm, has one error: that of the last value does.
    errors = {}

    def error_of_last_value(network, windows, validation):
        last = validation.inputs[validation.target_starts - 1, 0].astype(float)
        truth = validation.targets[validation.target_starts, 0].astype(float)
        errors[network.window_norm] = np.mean((truth - last) ** 2)
        return {}, errors[network.window_norm]

    monkeypatch.setattr(_preparing, "fit_linear", error_of_last_value)
    small().fit(WAVE)
    assert len(errors) == 3
    assert_allclose(list(errors.values()), errors[None], rtol=1e-5)


def test_growth_in_proportion_is_taken_as_such():
    growth = np.exp(0.02 * np.arange(160)) * (2 + np.sin(np.arange(160) * np.pi / 6))
    model = LSTMForecaster(horizon=6, max_epochs=1, hidden_size=2, random_state=0).fit(growth)
    assert model.window_norm_ == "level"


@pytest.mark.parametrize("window_norm", [None, "last", "level"])
def test_window_norm_that_is_asked_for(window_norm):
    assert small(window_norm=window_norm).fit(WAVE).window_norm_ == window_norm


@pytest.mark.parametrize("constant", [0.0, 5.0, -3e7, 1e-9, 0.1, 1e300])  # v07
@pytest.mark.parametrize("changes", [{}, {"linear_skip": False}, {"scaler": None}])
def test_constant_series_stays_constant(constant, changes):
    if changes == {"scaler": None}:
        constant = np.float64(np.float32(min(constant, 1e30)))  # what the network can hold
    assert_array_equal(small(**changes).fit(np.full(40, constant)).predict(horizon=7), constant)


def test_constant_column_beside_another():
    forecast = small().fit(np.column_stack([WAVE, np.full(48, 0.1)])).predict(horizon=7)
    assert_array_equal(forecast[:, 1], 0.1)
    assert np.ptp(forecast[:, 0]) > 0


@pytest.mark.parametrize("window_norm", ["auto", None, "last"])
@pytest.mark.parametrize("factor", [1e12, 1e-12, -1.0, 1e150, 1e300, 1e-300])  # v08, v10
def test_scaled_series_give_scaled_forecasts(factor, window_norm):
    y = WAVE - 2.5
    expected = small(window_norm=window_norm).fit(y).predict(horizon=5) * factor
    found = small(window_norm=window_norm).fit(y * factor).predict(horizon=5)
    assert_allclose(found, expected, rtol=1e-4)


def test_offset_keeps_the_shape():  # v09
    found = small(window_norm=None).fit(WAVE + 1e6).predict() - 1e6
    assert_allclose(found, small(window_norm=None).fit(WAVE).predict(), atol=1e-6)


# --- training ----------------------------------------------------------------------


CELLS = pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])


@CELLS
@pytest.mark.parametrize("n_jobs", [None, 2, -1])
def test_same_random_state_same_bits(cell, n_jobs):  # t01, t03
    expected = small(cell=cell).fit(WAVE)
    model = small(cell=cell, n_jobs=n_jobs).fit(WAVE)
    assert_array_equal(model.params_, expected.params_)
    other = small(cell=cell, random_state=1).fit(WAVE)
    assert not np.array_equal(other.params_, expected.params_)


@CELLS
def test_each_cell_learns_what_is_not_linear(cell):
    # The logistic map: each value follows from the last, and not linearly.
    chaos = [0.3]
    while len(chaos) < 400:
        chaos.append(3.8 * chaos[-1] * (1 - chaos[-1]))
    model = LSTMForecaster(
        1, 4, cell=cell, hidden_size=16, learning_rate=0.01, max_epochs=40, random_state=0
    ).fit(chaos)
    linear_error = np.sqrt(model.validation_loss_curve_[0])
    assert model.validation_score_["rmse"] < 0.25 * linear_error * np.std(chaos)


def test_cells_differ():
    fits = [small(cell=cell).fit(WAVE) for cell in ("lstm", "gru", "rnn")]
    assert [model.network_.cell for model in fits] == ["lstm", "gru", "rnn"]
    assert len({model.predict().tobytes() for model in fits}) == 3
    gru = small(cell="gru", warm_start=True).fit(WAVE)
    assert_array_equal(gru.set_params(cell="lstm").fit(WAVE).params_, fits[0].params_)


def test_random_state_objects_advance():
    first, second = (
        small(random_state=np.random.RandomState(5)).fit(WAVE).params_ for _ in range(2)
    )
    assert_array_equal(first, second)
    model = small(random_state=np.random.RandomState(5))
    assert not np.array_equal(model.fit(WAVE).params_, model.fit(WAVE).params_)


def test_global_random_state_is_left_alone():  # t02
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = small(random_state=None).fit(WAVE).params_
    np.random.seed(0)  # noqa: NPY002
    second = small(random_state=None).fit(WAVE).params_
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float64])
def test_dtype_is_the_network_s(dtype):
    model = small(dtype=dtype).fit(WAVE)
    assert model.params_.dtype == dtype
    assert model.predict().dtype == np.float64


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_best_weights_are_kept(loss):
    model = small(loss=loss, max_epochs=60, n_iter_no_change=5, learning_rate=0.05)
    noisy = np.sin(STEPS) + 2 * np.random.default_rng(0).normal(size=48)
    model.fit(noisy)
    curve = model.validation_loss_curve_
    assert len(curve) == len(model.loss_curve_) == model.n_iter_
    best = model.best_epoch_
    assert best == -1 or curve[best] == min(curve)
    assert model.n_iter_ in (60, best + 6)
    # Weights of the best epoch, not of the last: training that ends there gives the same.
    again = small(loss=loss, max_epochs=best + 1, learning_rate=0.05)
    assert_array_equal(again.fit(noisy).params_, model.params_)


def test_validation_score_matches_naive():
    y = pd.Series(WAVE, index=INDICES["months"])
    model = small(validation_fraction=0.25).fit(y)
    own, naive = [], []
    for origin in range(36, 46):
        inputs = model._target_scaler.transform(WAVE[:, None]).astype(np.float32)
        window = Windows(inputs, np.array([origin - 6]), inputs, np.array([origin]))
        forecast = model.network_.predict(model.params_, window)[0].astype(float)
        forecast = model._target_scaler.inverse_transform(forecast)[:, 0]
        truth = WAVE[origin : origin + 3]
        own.append(forecast - truth)
        naive.append(baselines.seasonal_naive(y[:origin], 3) - truth)
    score = model.validation_score_
    assert score["windows"] == 10
    assert_allclose(score["rmse"], np.sqrt(np.mean(np.square(own))), rtol=1e-6)
    assert_allclose(score["rmse_seasonal_naive"], np.sqrt(np.mean(np.square(naive))), rtol=1e-12)


def test_without_early_stopping_all_epochs_run():
    model = small(early_stopping=False, max_epochs=17).fit(WAVE)
    assert model.n_iter_ == 17
    assert model.validation_loss_curve_ == []
    assert model.validation_score_ is None


@pytest.mark.parametrize(("n", "seq_len"), [(9, 6), (11, 6), (5, None), (4, None)])
def test_too_short_for_validation_is_said(n, seq_len):  # v05
    with pytest.warns(UserWarning, match=f"{n} observations .* validation part of 3 .* early stop"):
        model = small(seq_len=seq_len).fit(WAVE[:n])
    assert model.validation_score_ is None
    assert np.isfinite(model.predict(horizon=7)).all()


def test_a_season_is_worth_more_than_a_validation_part():
    y = pd.Series(WAVE, index=INDICES["months"])
    model = small(seq_len=None, horizon=12).fit(y)
    assert model.seq_len_ == 12
    assert model.validation_score_ is not None
    with pytest.warns(UserWarning, match="30 observations does not hold a validation part of 12"):
        model.fit(y[:30])
    assert model.seq_len_ == 12


def test_shortest_series_with_a_validation_part():
    assert small().fit(WAVE[:12]).validation_score_["windows"] == 1


def test_shortest_series_of_all():  # v05, v20
    model = LSTMForecaster(1, 1, early_stopping=False, hidden_size=1, max_epochs=2, batch_size=1)
    assert np.isfinite(model.fit([1.0, 2.0]).predict(horizon=4)).all()


def test_warm_start_goes_on():
    still = {"learning_rate": 1e-30, "early_stopping": False}
    model = small(warm_start=True, window_norm="last", max_epochs=30, learning_rate=0.01).fit(WAVE)
    learnt = model.params_.copy()
    model.set_params(**still).fit(WAVE)
    assert_array_equal(model.params_, learnt)
    model.set_params(warm_start=False).fit(WAVE)
    assert not np.allclose(model.params_, learnt)


def test_warm_start_keeps_the_orientation_of_its_weights():
    upside_down = 5 - WAVE
    model = small(window_norm=None, warm_start=True).fit(WAVE)
    before = np.sign(model._target_scaler.scale)
    assert np.sign(small(window_norm=None).fit(upside_down)._target_scaler.scale) == -before
    assert np.sign(model.fit(upside_down)._target_scaler.scale) == before


def test_warm_start_of_another_network_begins_anew():
    model = small(warm_start=True).fit(WAVE)
    model.set_params(hidden_size=5).fit(WAVE)
    assert_array_equal(model.params_, small(hidden_size=5).fit(WAVE).params_)


def test_refit_equals_fresh_fit(driven):  # p08
    X, y = driven
    model = small().fit(X, y)
    model.fit(WAVE)
    fresh = small().fit(WAVE)
    assert vars(model).keys() == vars(fresh).keys()
    assert_array_equal(model.predict(), fresh.predict())


class InterruptedAfter(_fitting.Progress):
    """Ctrl-C after some epochs."""

    def __call__(self, epoch, train_loss, valid_loss):
        super().__call__(epoch, train_loss, valid_loss)
        if epoch == 2:
            raise KeyboardInterrupt


def test_interrupted_training_is_usable(monkeypatch):  # k03
    monkeypatch.setattr(_fitting, "Progress", InterruptedAfter)
    model = small(max_epochs=50, verbose=1, early_stopping=False)
    with pytest.warns(UserWarning, match="interrupted by user after 3 epochs"):
        model.fit(WAVE)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict()).all()
    expected = small(max_epochs=3, early_stopping=False).fit(WAVE)
    assert_array_equal(model.params_, expected.params_)


def test_verbose_says_how_it_did(capfd):
    model = small(verbose=1).fit(WAVE)
    out, err = capfd.readouterr()
    assert out == ""
    assert "epoch 3/3" in err
    assert "seasonal naive" in err
    assert f"{model.validation_score_['rmse']:.6g}" in err


def test_silent_by_default(capfd):  # e11
    small().fit(WAVE).predict()
    assert capfd.readouterr() == ("", "")


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
