"""LSTMForecaster.update: what was observed since the fit, with a window and with a state."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from test_forecaster import INDICES, WAVE, small
from test_stateful import LENGTHS, following, long, of

from lstm_numba.nn.network import Windows

STATEFUL = pytest.mark.parametrize("stateful", [True, False])
SCOPES = pytest.mark.parametrize(
    "options", [{"stateful": True}, {"scope": "global"}, {"scope": "local"}], ids=str
)


@STATEFUL
@pytest.mark.parametrize("kind", INDICES)
def test_the_index_goes_on(kind, stateful):  # i01 to i08
    index = INDICES[kind]
    y = pd.Series(WAVE, index=index, name="sales")
    model = small(stateful=stateful).fit(y[:30])
    assert model.update(y[30:31]) is model
    forecast = model.update(y[31:40]).predict(horizon=8)
    pd.testing.assert_index_equal(forecast.index, index[40:])
    assert forecast.name == "sales"
    by_array = small(stateful=stateful).fit(y[:30]).update(WAVE[30:40]).predict(horizon=8)
    pd.testing.assert_series_equal(by_array, forecast)
    assert_array_equal(
        small(stateful=stateful).fit(WAVE[:30]).update(y[30:40]).predict(horizon=8), forecast
    )


def test_a_window_is_shifted():
    model = small(window_norm=None).fit(WAVE[:30])
    for first, k in ((30, 31), (31, 33), (33, 48)):
        model.update(WAVE[first:k])
        scaled = model._target_scaler.transform(WAVE[k - 6 : k, np.newaxis]).astype(np.float32)
        window = Windows(scaled, np.array([0]), np.zeros((3, 1), np.float32), np.array([0]))
        expected = model.network_.predict(model.params_, window)[0].astype(float)
        expected = model._target_scaler.inverse_transform(expected)[:, 0]
        assert_array_equal(model.predict(), expected)


@STATEFUL
def test_updates_equal_stream_steps(stateful):  # r01
    frame = np.column_stack([WAVE, np.cos(WAVE)])
    model = small(stateful=stateful).fit(frame[:30])
    at_once, stream = copy.deepcopy(model).update(frame[30:]), model.stream()
    for row in frame[30:]:
        found = stream.step(row)
        assert_array_equal(model.update(row[np.newaxis]).predict(), found)
    assert_array_equal(at_once.predict(), found)
    # A stream begins where the forecaster stands.
    other = small(stateful=stateful).fit(frame[:30]).update(frame[30:40]).stream()
    for row in frame[40:]:
        again = other.step(row)
    assert_array_equal(again, found)


@STATEFUL
def test_covariates_go_on(stateful):
    index = INDICES["berlin days"]
    X = pd.DataFrame({"x": np.cos(WAVE), "z": np.sin(9 * WAVE)}, index=index)
    y = pd.Series(WAVE, index=index)
    model = small(stateful=stateful).fit(X[:30], y[:30])
    twice = copy.deepcopy(model).update(y[30:33], X[30:33]).update(y[33:40], X[33:40])
    once = model.update(y[30:40], X[30:40])
    pd.testing.assert_series_equal(once.predict(X[40:45]), twice.predict(X[40:45]))
    other = copy.deepcopy(model).fit(X[:30], y[:30]).update(y[30:40], -X[30:40])
    assert not np.allclose(other.predict(X[40:45]), once.predict(X[40:45]))


@SCOPES
def test_series_of_a_panel_go_on(options):
    options = {"seq_len": 4, "early_stopping": False, "horizon": 1} | options
    model = small(**options).fit(long())
    before = model.predict(horizon=3)
    some = following("ca", 4)
    model.update(some)
    after = model.predict(horizon=3)
    for name in LENGTHS:
        days = after.loc[after["unique_id"] == name, "ds"]
        moved = 4 if name in "ca" else 0
        start = pd.Timestamp("2024-01-01") + pd.Timedelta(days=LENGTHS[name] + moved)
        assert days.iloc[0] == start
        assert np.array_equal(of(after, name), of(before, name)) == (name in "bd")
    other = small(**options).fit(long())
    other.update(following("a", 4)).update(following("c", 2))
    rest = following("c", 4).tail(2)
    assert_array_equal(of(other.update(rest).predict(horizon=3), "c"), of(after, "c"))


def test_columns_with_models_of_their_own_go_on():
    frame = pd.DataFrame({"a": WAVE, "b": np.cos(WAVE)})
    model = small(scope="local").fit(frame[:30]).update(frame[30:40])
    for name in frame:
        alone = small(scope="local").fit(frame[[name]][:30]).update(frame[[name]][30:40])
        assert_array_equal(alone.predict()[name], model.predict()[name])
    assert model.predict().index[0] == 40


@STATEFUL
def test_a_constant_that_moves_is_no_longer_constant(stateful):
    model = small(stateful=stateful).fit(np.full(30, 7.0))
    assert_array_equal(model.update([7.0]).predict(), 7.0)
    assert np.isnan(model.update([9.0])._constant).all()
    stream = small(stateful=stateful).fit(np.full(30, 7.0)).stream()
    assert_array_equal(model.predict(), [stream.step(value) for value in (7.0, 9.0)][1])


Y = pd.Series(WAVE, index=INDICES["months"])
X = pd.DataFrame({"x": np.cos(WAVE)}, index=Y.index)
FAULTS = {
    "gap": ((Y[41:44],), "rows of y_new must be the 3 steps that follow"),
    "overlap": ((Y[39:42],), "rows of y_new must be the 3 steps that follow"),
    "NaN": ((Y[40:43].where(Y.iloc[41] != Y),), "must be finite"),
    "text": ((["a"],), "must be numeric"),
    "none": (([],), "0 sample"),
    "columns": ((np.ones((2, 2)),), r"y_new must have the 1 column\(s\) .* but has 2"),
    "covariates": ((Y[40:43], X[40:43]), "without covariates, so update takes no X_new"),
    "magnitude": (([1e300],), "too large for float32"),
}


@STATEFUL
@pytest.mark.parametrize("fault", FAULTS)
def test_a_refused_update_changes_nothing(fault, stateful):  # G3
    given, message = FAULTS[fault]
    model = small(stateful=stateful).fit(Y[:40])
    before = pickle.dumps(model)
    with pytest.raises((ValueError, TypeError), match=message):
        model.update(*given)
    assert pickle.dumps(model) == before


COVARIATE_FAULTS = {
    "missing": ((Y[40:43],), r"with covariates \(x\), so update needs them"),
    "rows": ((Y[40:43], X[40:42]), "X has 2 rows and y has 3"),
    "times": ((Y[40:43], X[41:44]), "rows of X must be the 3 steps that follow"),
    "names": ((Y[40:43], X[40:43].rename(columns={"x": "z"})), "unseen at fit time"),
}


@pytest.mark.parametrize("fault", COVARIATE_FAULTS)
def test_faults_in_covariates_change_nothing(fault):  # G3
    given, message = COVARIATE_FAULTS[fault]
    model = small().fit(X[:40], Y[:40])
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=message):
        model.update(*given)
    assert pickle.dumps(model) == before


@SCOPES
def test_faults_in_a_panel_change_nothing(options):  # G3
    model = small(seq_len=4, early_stopping=False, horizon=1, **options).fit(long())
    before = pickle.dumps(model)
    some = following("ab", 3)
    for given, message in (
        (
            (some[:3].assign(unique_id="x"),),
            "series of y_new must be among those of the fit, but 'x'",
        ),
        ((some[1:],), "rows of series 'a' must be the 2 steps that follow"),
        ((some, np.ones(6)), "update takes no X_new"),
        ((some.assign(y=np.nan),), "must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            model.update(*given)
        assert pickle.dumps(model) == before


def test_frames_must_have_the_columns_of_the_fit():
    frame = pd.DataFrame({"a": WAVE, "b": -WAVE})
    model = small().fit(frame[:40])
    with pytest.raises(ValueError, match=r"must be those of the fit, \['a', 'b'\]"):
        model.update(frame[["b", "a"]][40:])


def test_update_before_fit():
    with pytest.raises(NotFittedError):
        small().update(WAVE)


def test_nothing_is_shared_with_the_caller():  # p04
    new = np.array(WAVE[40:])
    model = small().fit(WAVE[:40]).update(new)
    expected = model.predict()
    new[:] = 0
    assert_array_equal(model.predict(), expected)
