"""LSTMForecaster: lengths, scaling, training, and what is said about it."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_forecaster import CELLS, INDICES, STEPS, WAVE, small

from lstm_numba import LSTMForecaster, baselines, datasets
from lstm_numba.forecast import _fitting, _preparing
from lstm_numba.nn.network import Windows

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


def test_refit_equals_fresh_fit():  # p08
    model = small().fit(np.cos(STEPS)[:, np.newaxis], WAVE)
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
