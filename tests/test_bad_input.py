"""What a user gets wrong: the error comes before training, names the culprit and leaves the
estimator as it was."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lstm_numba import LSTMForecaster
from lstm_numba.forecast import _fitting

N = 60
TIME = pd.date_range("2024-01-01", periods=N, freq="D")
Y = pd.Series(2 + np.sin(np.arange(N) / 3), index=TIME, name="y")
X = pd.DataFrame({"a": np.arange(N) / 10, "b": np.cos(np.arange(N))}, index=TIME)
SMALL = {"horizon": 3, "seq_len": 6, "hidden_size": 4, "max_epochs": 2, "random_state": 0}


def small(**changes):
    return LSTMForecaster(**(SMALL | changes))


def but(data, position, value, column=None):
    """A copy of a Series or frame with another value at a position."""
    data = data.copy()
    if column is None:
        data.iloc[position] = value
    else:
        data[column] = data[column].astype(object if isinstance(value, str) else float)
        data.iloc[position, data.columns.get_loc(column)] = value
    return data


def at(index):
    return Y[: len(index)].set_axis(index)


FITS = {
    "v01 NaN": ((but(Y, 17, np.nan),), r"NaN \(missing.*position 17 \(2024-01-18"),
    "v02 inf": ((but(Y, 5, np.inf),), r"infinity \(inf\).*position 5"),
    "v02 -inf": ((but(Y, 5, -np.inf),), r"infinity \(inf\)"),
    "v03 NaN covariate": ((but(X, 4, np.nan, "b"), Y), "column 'b' of X.*NaN.*position 4"),
    "v03 inf covariate": ((but(X, 4, np.inf, "a"), Y), "column 'a' of X.*inf"),
    "v04 too short": ((Y[:8],), r"at least 9 .*\(seq_len=6 \+ horizon=3\), but has 8"),
    "v06 empty": ((Y[:0],), r"0 sample\(s\)"),
    "v06 empty frame": ((pd.DataFrame(),), r"0 sample\(s\)"),
    "v06 no columns": ((X[[]],), r"0 feature\(s\)"),
    "v06 no covariates": ((X[[]], Y), r"X with 0 feature\(s\)"),
    "v11 complex": ((Y.to_numpy() + 0j,), "Complex data not supported"),
    "v12 text": ((Y.astype(str),), "y must be numeric, but"),
    "v12 text objects": (
        (Y.astype(str).astype(object),),
        "y must be numeric.*position 0 holds '2.0'",
    ),
    "v12 lists": ((pd.Series([[1.0]] * N),), r"position 0 holds \[1.0\]"),
    "v13 NA": ((pd.Series([1, None] * 30, dtype="Int64"),), "NaN .*30 times, first at position 1"),
    "v17 text covariate": ((but(X, 4, "x", "b"), Y), "column 'b' of X.*position 4 holds 'x'"),
    "v17 category": ((X.assign(c=pd.Categorical(["u", "v"] * 30)), Y), "column 'c' of X.*category"),
    "v17 datetime": ((X.assign(t=TIME), Y), "column 't' of X.*datetime64"),
    "v17 duration": ((X.assign(t=TIME - TIME[0]), Y), "column 't' of X.*timedelta64"),
    "v10 beyond float32": ((Y * 1e300,), None),
    "i04 gap": ((Y.drop(TIME[7]),), "2024-01-07 .*2024-01-09"),
    "i04 duplicate": ((at(TIME[[*range(9), *range(8, 40)]]),), "2024-01-09.* twice"),
    "i04 unsorted": ((Y.iloc[[1, 0, *range(2, N)]],), "must be sorted .*position 1"),
    "i04 reversed": ((Y[::-1],), "must be sorted"),
    "i04 irregular": (
        (at(pd.DatetimeIndex(np.cumsum(np.arange(30)) * 10**15)),),
        "must be regular",
    ),
    "i04 NaT": ((at(pd.DatetimeIndex([*TIME[:30], pd.NaT])),), "position 30 is NaT"),
    "i10 MultiIndex": ((at(pd.MultiIndex.from_product([["a"], ["b"], range(60)])),), "MultiIndex"),
    "i10 text index": ((at(TIME.astype(str)),), "index must be a DatetimeIndex.*to_datetime"),
    "p03 misaligned": ((X.shift(freq="D"), Y), "not aligned: row 0 is 2024-01-02"),
    "p03 other index": ((X.reset_index(drop=True), Y), "not aligned"),
    "p03 rows missing": ((X[:-2], Y), "X has 58 rows and y has 60"),
    "p03 same name twice": ((X.set_axis(["a", "a"], axis=1), Y), "'a' is there twice"),
    "three axes": ((np.zeros((9, 9, 9)),), "one or two dimensions"),
    "nothing": ((None,), "one or two dimensions"),
    "covariates in a row": ((X["a"].to_numpy(), Y), "Expected 2D array"),
}


@pytest.fixture
def no_training(monkeypatch):
    def train(*_, **__):
        raise AssertionError("training began")

    monkeypatch.setattr(_fitting, "train", train)


def same(left, right):
    return left.keys() == right.keys() and all(left[name] is right[name] for name in left)


@pytest.mark.parametrize("fault", FITS)
def test_fit_refuses(fault, monkeypatch):
    data, message = FITS[fault]
    changes = {}
    if message is None:
        changes, message = {"scaler": None}, "magnitude of y is too large for float32"
    fitted, fresh = small().fit(Y), small(**changes)
    forecast, before = fitted.predict(), dict(vars(fitted))
    monkeypatch.setattr(_fitting, "train", lambda *_, **__: pytest.fail("training began"))
    fitted.set_params(**changes)
    before |= changes
    for model in (fresh, fitted):
        with pytest.raises((ValueError, TypeError), match=message):
            model.fit(*data)
    assert not hasattr(fresh, "params_")
    assert not hasattr(fresh, "n_features_in_")
    assert same(vars(fitted), before)
    pd.testing.assert_series_equal(fitted.predict(), forecast)


PARAMETERS = [("horizon", 0), ("seq_len", "8"), ("seq_len", 2.5), ("max_epochs", -1)]
PARAMETERS += [("random_state", "x"), ("cell", "elman"), ("window_norm", "first"), ("n_jobs", 0)]


@pytest.mark.parametrize(("name", "value"), PARAMETERS)
@pytest.mark.usefixtures("no_training")
def test_fit_refuses_parameters(name, value):  # p09
    model = small(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of LSTMForecaster must be .* Got"):
        model.fit(Y)
    assert not hasattr(model, "params_")


@pytest.mark.usefixtures("no_training")
def test_level_needs_positive_data():
    with pytest.raises(ValueError, match="window_norm='level' needs positive data, but y holds -1"):
        small(window_norm="level").fit(but(Y, 3, -1.0))


@pytest.mark.parametrize("size", [2**53 + 2, -(2**60)])
def test_integers_that_float64_rounds(size):  # v18
    with pytest.warns(UserWarning, match=r"y holds integers beyond 2\*\*53"):
        small().fit(np.arange(N) + size)


def test_training_that_diverges():  # v19
    model = small(max_epochs=200, learning_rate=1e30, clip_norm=1e30, early_stopping=False).fit
    before = small().fit(Y)
    kept = before.params_
    before.set_params(max_epochs=200, learning_rate=1e30, clip_norm=1e30, early_stopping=False)
    for fit in (model, before.fit):
        with pytest.raises(FloatingPointError, match="learning_rate"):
            fit(Y)
    assert before.params_ is kept


STEPS = [0, -1, 1.5, "3", [], np.nan, True, 2.0]


@pytest.mark.parametrize("horizon", STEPS)
def test_predict_refuses_horizons(horizon):  # p02
    with pytest.raises(ValueError, match=r"'horizon' parameter of LSTMForecaster\.predict must be"):
        small().fit(Y).predict(horizon=horizon)


LATER = X[50:]
PREDICTS = {
    "none": (None, r"fitted with covariates \(a, b\).*future"),
    "column missing": (LATER[["a"]], "now missing:\n- b"),
    "column renamed": (LATER.rename(columns={"b": "c"}), "- c\n.*\n- b"),
    "column too many": (LATER.assign(z=1.0), "unseen at fit time:\n- z"),
    "reordered": (LATER[["b", "a"]], "same order"),
    "earlier dates": (X[45:55], "2024-02-20 .* row 0 is 2024-02-15"),
    "later dates": (X[52:], "row 0 is 2024-02-22"),
    "gap": (X[50:].drop(TIME[53]), "row 3 is 2024-02-24"),
    "reversed": (LATER[::-1], "row 0 is 2024-02-29"),
    "numbered": (LATER.reset_index(drop=True), "RangeIndex"),
    "time zone": (LATER.tz_localize("UTC"), "row 0 is"),
    "NaN": (but(LATER, 2, np.nan, "b"), r"column 'b' of X.*NaN.*position 2 \(2024-02-22"),
    "inf": (but(LATER, 2, np.inf, "a"), "column 'a' of X.*inf"),
    "text": (but(LATER, 2, "x", "a"), "column 'a' of X must be numeric.*'x'"),
    "empty": (LATER[:0], r"0 sample\(s\)"),
    "beyond float32": (LATER * 1e300, "magnitude of X"),
}


@pytest.mark.parametrize("fault", PREDICTS)
def test_predict_refuses_covariates(fault):  # p03, v03
    data, message = PREDICTS[fault]
    model = small().fit(X[:50], Y[:50])
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=message):
        model.predict(data)
    assert same(vars(model), before)
    assert len(model.predict(LATER)) == 10


def test_predict_refuses_another_number_of_columns():  # p03
    model = small().fit(X[:50].to_numpy(), Y[:50].to_numpy())
    with pytest.raises(ValueError, match="X has 1 features, but LSTMForecaster is expecting 2"):
        model.predict(LATER[["a"]].to_numpy())


def test_columns_without_text_names_are_compared_too():  # p03
    numbered = X.set_axis([0, 1], axis=1)
    model = small().fit(numbered[:50], Y[:50])
    with pytest.raises(ValueError, match="same order"):
        model.predict(numbered[50:][[1, 0]])


def test_too_few_rows_for_the_horizon():  # p03
    model = small().fit(X[:50], Y[:50])
    with pytest.raises(ValueError, match="horizon=8 was asked for, but X has 5 rows"):
        model.predict(LATER[:5], horizon=8)
    assert len(model.predict(LATER[:5])) == 5


def test_covariates_unknown_to_the_fit():  # p03
    with pytest.raises(ValueError, match="fitted without covariates, so predict takes no X"):
        small().fit(Y[:50]).predict(LATER)


def test_score_refuses_other_steps():
    model = small().fit(Y[:50])
    with pytest.raises(ValueError, match="rows of y must be the 10 steps that follow"):
        model.score(Y[40:50])
    assert np.isfinite(model.score(Y[50:]))


def test_forecast_beyond_the_calendar():  # i11
    model = small().fit(Y.set_axis(pd.date_range("2262-01-01", periods=N, freq="D", unit="ns")))
    assert len(model.predict(horizon=30)) == 30
    with pytest.raises((ValueError, OverflowError)):
        model.predict(horizon=100)


def test_forecast_that_leaves_the_range_of_numbers():  # v10
    model = small(window_norm="last").fit(np.linspace(1e308, 1.7e308, 60))
    assert_allclose(model.predict(), 1.7e308 + 1.19e306 * np.arange(1, 4), rtol=1e-3)
    with pytest.raises(ValueError, match=r"forecast contains infinity \(inf\)"):
        model.predict(horizon=120)
