"""Panels: one model for all series, one model for each."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from test_panel import LENGTHS, SCOPES, SMALL, long, of, part, small, wave

from lstm_numba import LSTMForecaster
from lstm_numba.forecast import _each

# --- one model for each --------------------------------------------------------


def test_local_models_do_not_know_each_other():
    forecast = small().fit(long()).predict(horizon=5)
    for names in ("a", "ca", "abc", "acb"):
        other = small().fit(long(**{name: wave(name) for name in names})).predict(horizon=5)
        for name in names:
            assert_array_equal(of(other, name), of(forecast, name))
    rest = small().fit(long(b=wave("b"), a=1e6 * wave("a") ** 3, x=np.ones(33))).predict(horizon=5)
    assert_array_equal(of(rest, "b"), of(forecast, "b"))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("n_jobs", [2, 3])
def test_threads_change_nothing(scope, n_jobs):  # t03
    frame = long()
    pd.testing.assert_frame_equal(
        small(scope, n_jobs=n_jobs).fit(frame).predict(), small(scope).fit(frame).predict()
    )


def test_columns_are_series():
    columns = {name: wave(name)[:40] for name in "abc"}
    index = pd.date_range("2024-01-01", periods=40, freq="D")
    wide = small().fit(pd.DataFrame(columns, index=index))
    forecast = wide.predict(horizon=3)
    expected = small().fit(long(**columns)).predict(horizon=3)
    assert forecast.columns.tolist() == ["a", "b", "c"]
    assert forecast.index[0] == index[-1] + index.freq
    for name in "abc":
        assert_array_equal(forecast[name], of(expected, name))
    truth = forecast + 0.01
    assert 0.9 < wide.score(truth) < 1
    array = small(season_length=7).fit(np.column_stack(list(columns.values())))
    assert_array_equal(array.predict(horizon=3), forecast)


def test_one_series_has_no_use_for_scope():
    assert_array_equal(
        small("local").fit(wave("a")).predict(), small("global").fit(wave("a")).predict()
    )


def test_attributes_of_local_models_are_lists():
    model = small(max_epochs=3).fit(long())
    assert model.series_ids_.tolist() == ["b", "a", "c"]
    for name in ("network_", "params_", "loss_curve_", "validation_loss_curve_", "best_epoch_"):
        assert len(getattr(model, name)) == 3
    assert model.n_iter_ == [3, 3, 3]
    assert [network.seq_len for network in model.network_] == model.seq_len_
    assert [network.window_norm for network in model.network_] == model.window_norm_
    assert model.season_length_ == 7


def test_local_model_is_about_the_model_of_the_series_alone():
    panel = small(max_epochs=30).fit(long())
    for k, name in enumerate(LENGTHS):
        alone = small("global", max_epochs=30).fit(part(name, wave(name)).set_index("ds")["y"])
        assert (alone.seq_len_, alone.window_norm_) == (panel.seq_len_[k], panel.window_norm_[k])
        assert_array_equal(alone._history, panel._history[k])
        forecast = of(panel.predict(), name)
        assert_allclose(forecast, alone.predict(), atol=0.1 * wave(name).std())


def test_series_of_one_kind_learn_from_warm_start():
    model = small(warm_start=True, max_epochs=2, early_stopping=False).fit(long())
    first = [np.array(params) for params in model.params_]
    model.fit(long(a=wave("a"), c=wave("c"), new=wave("b")))
    for k, before in ((0, 1), (1, 2)):
        assert model.loss_curve_[k][0] < model.loss_curve_[2][0] or (
            np.abs(model.params_[k] - first[before]).max() < 0.02
        )
    cold = small(max_epochs=2, early_stopping=False).fit(long(new=wave("b")))
    assert_array_equal(model.params_[2], cold.params_[0])


def test_divergence_names_the_series(monkeypatch):  # v19
    trained = _each.train_many

    def diverge(*args, **options):
        runs = trained(*args, **options)
        runs[-1].reason = "diverged"
        return runs

    monkeypatch.setattr(_each, "train_many", diverge)
    model = small(window_norm=None, seq_len=7)
    with pytest.raises(
        FloatingPointError, match=r"finite, but it did not for series 'c' .learning"
    ):
        model.fit(long())
    assert not hasattr(model, "params_")


def test_ctrl_c_leaves_a_forecast_for_all(monkeypatch):  # k03
    def stop(self, models_done):
        raise KeyboardInterrupt

    monkeypatch.setattr(_each.ModelProgress, "__call__", stop)
    # Windows of two lengths: two networks, and the second is not begun.
    frame = long(b=wave("b"), e=wave("b"), a=wave("a"))
    model = small(verbose=1, window_norm="last", early_stopping=False, max_epochs=100_000)
    with pytest.warns(UserWarning, match="interrupted by user after 0 of 3 series; series 'b', s"):
        model.fit(frame)
    assert model.n_iter_[0] > 0
    assert model.n_iter_[2] == 0
    assert np.isfinite(model.predict(horizon=9)["y"]).all()


# --- one model for all ---------------------------------------------------------


def test_global_model_is_one():
    model = small("global").fit(long())
    assert model.params_.shape == (model.network_.layout.size,)
    assert model.network_.targets == 1
    assert model.seq_len_ == model.network_.seq_len


def test_global_windows_never_cross_series():
    seen = {}

    class Spy(LSTMForecaster):
        def _fit_network(self, problem):
            seen["problem"] = problem
            return super()._fit_network(problem)

    Spy(**SMALL, seq_len=6, window_norm=None).fit(long())
    ends = np.cumsum(list(LENGTHS.values()))
    for windows, rows in ((seen["problem"].windows, 6 + 2), (seen["problem"].validation, 6 + 2)):
        series = np.searchsorted(ends, windows.starts, side="right")
        assert_array_equal(np.searchsorted(ends, windows.starts + rows - 1, side="right"), series)
        assert_array_equal(windows.target_starts, windows.starts + 6)
        assert set(series.tolist()) == {0, 1, 2}
    # The last part of each series: ceil(10 %) rows and one horizon at least.
    held = [max(2, -(-n // 10)) for n in LENGTHS.values()]
    assert len(seen["problem"].validation.starts) == sum(rows - 2 + 1 for rows in held)


def test_global_scales_each_series_by_itself():  # v08
    plain = long()
    factor = {"b": 1e6, "a": 1.0, "c": 1e-6}
    scaled = plain.assign(y=plain["y"] * plain["unique_id"].map(factor))
    expected, found = (small("global").fit(data).predict() for data in (plain, scaled))
    assert_allclose(found["y"] / found["unique_id"].map(factor), expected["y"], rtol=1e-5)


def test_global_panel_upside_down_is_forecast_upside_down():
    frame = long()
    frame["y"] -= 10
    down = frame.assign(y=-frame["y"])
    expected, found = (small("global").fit(data).predict()["y"] for data in (frame, down))
    assert_array_equal(found, -expected)


def test_global_window_gives_way_to_the_shortest_series():
    def fit(shortest):
        frame = long(a=wave("a"), b=wave("a"), c=wave("a")[:shortest])
        return small("global", early_stopping=False).fit(frame)

    assert fit(50).seq_len_ == 28
    assert fit(20).seq_len_ == 18
    with pytest.raises(ValueError, match=r"at least 16 .*seq_len=14 .*but series 'c' has 15"):
        fit(15)


# --- both ----------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
def test_short_series_are_trained_without_validation(scope):
    frame = long(a=wave("a"), b=wave("b")[:9])
    with pytest.warns(UserWarning, match="series 'b': too short to hold a validation part"):
        model = small(scope, seq_len=6).fit(frame)
    assert model.validation_score_["windows"] == 7 - 2 + 1
    if scope == "local":
        assert model.validation_loss_curve_[1] == []
        assert model.n_iter_[1] == 4
    with pytest.warns(UserWarning, match="series 'b': too short"):
        alone = small(scope, seq_len=6).fit(long(b=wave("b")[:9]))
    assert alone.validation_score_ is None
    quiet = small(scope, seq_len=6, early_stopping=False).fit(frame)
    assert quiet.validation_score_ is None


@pytest.mark.parametrize("scope", SCOPES)
def test_constant_series_stay_constant(scope):  # v07
    values = (0.0, 5.0, -3e7, 1e-9)
    frame = long(**{f"s{k}": np.full(30, value) for k, value in enumerate(values)}, a=wave("a"))
    forecast = small(scope).fit(frame).predict(horizon=4)
    for k, value in enumerate(values):
        assert_array_equal(of(forecast, f"s{k}"), np.full(4, value))
    assert np.ptp(of(forecast, "a")) > 0


@pytest.mark.parametrize("scope", SCOPES)
def test_shorter_and_longer_forecasts_agree(scope):  # p06, p07
    model = small(scope).fit(long())
    far = model.predict(horizon=7)
    near = model.predict()
    for name in LENGTHS:
        assert_array_equal(of(near, name), of(far, name)[:2])
    pd.testing.assert_frame_equal(model.predict(horizon=7), far)


@pytest.mark.parametrize("scope", SCOPES)
def test_refits_pickles_and_clones_agree(scope):  # p08, s01, t01
    model = small(scope).fit(long())
    forecast = model.predict()
    for other in (
        pickle.loads(pickle.dumps(model)),
        clone(model).fit(long()),
        small(scope).fit(wave("a")).fit(long()),
    ):
        pd.testing.assert_frame_equal(other.predict(), forecast)
    model.fit(wave("a"))
    assert not hasattr(model, "series_ids_")
    assert_array_equal(model.predict(), small(scope).fit(wave("a")).predict())


@pytest.mark.parametrize("scope", SCOPES)
def test_validation_score_counts_series_alike(scope):
    plain = long()
    scaled = plain.assign(y=plain["y"] * plain["unique_id"].map({"b": 1e6, "a": 1.0, "c": 1.0}))
    expected, found = (small(scope).fit(data).validation_score_ for data in (plain, scaled))
    assert found.keys() == {"rmse", "rmse_seasonal_naive", "windows"}
    assert found["windows"] == sum(max(2, -(-n // 10)) - 2 + 1 for n in LENGTHS.values())
    for name in found:
        assert_allclose(found[name], expected[name], rtol=1e-4)


@pytest.mark.parametrize("scope", SCOPES)
def test_score_compares_by_series_and_time(scope):
    model = small(scope).fit(long())
    truth = model.predict(horizon=4)
    assert model.score(truth) == 1
    assert model.score(truth.set_index(["unique_id", "ds"])["y"]) == 1
    assert model.score(truth.sort_values("ds")) == 1
    some = truth[truth["unique_id"] != "a"]
    assert model.score(some) == 1
    assert model.score(some.groupby("unique_id").head(3)) == 1
    assert model.score(truth.assign(y=lambda d: d["y"] + 0.05 * np.arange(12))) < 1
    late = truth.assign(ds=truth["ds"] + pd.Timedelta("1D"))
    with pytest.raises(ValueError, match=r"series 'b' must be the 4 steps that follow .* last one"):
        model.score(late)
    with pytest.raises(ValueError, match="among those of the fit, but 'z' are not"):
        model.score(truth.replace({"unique_id": {"a": "z"}}))
    with pytest.raises(ValueError, match="score needs a panel too"):
        model.score(wave("a")[:4])


@pytest.mark.parametrize("scope", SCOPES)
def test_progress_is_shown(scope, capsys):
    small(scope, verbose=1).fit(long())
    err = capsys.readouterr().err
    assert ("model 3/3" if scope == "local" else "epoch 4/4") in err
    assert "validation RMSE" in err
    small(scope).fit(long())
    assert capsys.readouterr().err == ""
