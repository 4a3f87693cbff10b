"""LSTMForecaster(stateful=True): what it learns, where its state stands, what it refuses."""

import copy
import pickle

import naive
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from test_forecaster_training import InterruptedAfter
from test_network import in_float64

from lstm_numba import LSTMForecaster, datasets
from lstm_numba.data.windows import training_streams
from lstm_numba.forecast import _fitting
from lstm_numba.nn import engine

SMALL = {"horizon": 3, "seq_len": 6, "hidden_size": 4, "max_epochs": 3, "random_state": 0}
STEPS = np.arange(60)
WAVE = np.sin(STEPS / 3) + 0.1 * np.cos(7.0 * STEPS) + 0.01 * STEPS + 2
MONTHS = pd.date_range("2020-01-01", periods=60, freq="MS", name="month")


def small(**changes):
    return LSTMForecaster(**({"stateful": True} | SMALL | changes))


# --- memory --------------------------------------------------------------------


def echoes(n, lags, rng):
    """Return a series of ``n`` marks in noise, each followed by its echo, and the echoes' rows.

    A mark is 1 or -1. The step before its echo is 2, so only the sign is to be remembered.
    """
    pieces, rows, length = [], [], 0
    for lag in rng.choice(lags, n):
        piece = 0.1 * rng.normal(size=lag + 4)
        piece[1] = piece[1 + lag] = rng.choice([-1.0, 1.0])
        piece[lag] = 2.0
        pieces.append(piece)
        rows.append(length + 1 + lag)
        length += len(piece)
    return np.concatenate(pieces), np.array(rows)


@pytest.mark.parametrize("seed", range(5))
def test_a_mark_is_remembered_beyond_seq_len(seed):
    # The gradient does not reach further than seq_len: echoes within it teach to keep a mark, and
    # the state that is carried on keeps it for longer.
    rng, seq_len = np.random.default_rng(seed), 8
    y, _ = echoes(800, [4, 6, 8, 12, 16, 24], rng)
    unseen, rows = echoes(40, [3 * seq_len], rng)

    def error(stateful):
        model = LSTMForecaster(
            horizon=1, seq_len=seq_len, hidden_size=8, stateful=stateful, learning_rate=0.01,
            max_epochs=120, early_stopping=False, random_state=seed
        ).fit(y)  # fmt: skip
        stream = model.stream()
        forecasts = np.array([stream.step(value)[0] for value in unseen])
        return np.mean((forecasts[rows - 1] - unseen[rows]) ** 2)

    # To forecast 0 has the error 1.
    assert error(stateful=True) < 0.3
    assert error(stateful=False) > 0.8


# --- where the state stands ------------------------------------------------------


def states_by_twin(model, inputs):
    network = model.network_
    zero = np.zeros((2, network.num_layers, network.hidden_size))
    weights = in_float64(network, model.params_)
    return naive.read_stream(network, weights, np.asarray(inputs, np.float64), zero)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_forecasts_start_from_the_end_of_the_series(cell, early_stopping):
    frame = pd.DataFrame({"a": WAVE, "b": np.cos(STEPS)})
    X = pd.DataFrame({"x": np.cos(STEPS / 5)})
    model = small(cell=cell, dtype="float64", early_stopping=early_stopping, num_layers=2)
    model.fit(X[:50], frame[:50])
    inputs = np.hstack(
        [model._target_scaler.transform(frame.to_numpy()), model._covariate_scaler.transform(X)]
    )
    tape, (h, c) = states_by_twin(model, inputs[:50])
    assert_allclose(model._states.h[:, 0], h, rtol=1e-10, atol=1e-12)
    assert_allclose(model._states.c[:, 0], c, rtol=1e-10, atol=1e-12)
    weights = in_float64(model.network_, model.params_)
    out, _ = naive.forecast_from(model.network_, weights, inputs, tape[-1][1][-1], 50)
    found = model.predict(X[50:53])
    assert_allclose(found, model._target_scaler.inverse_transform(out), rtol=1e-10)


def test_longer_forecasts_feed_back():
    model = small(dtype="float64").fit(WAVE)
    long = model.predict(horizon=11)
    assert_array_equal(model.predict(horizon=5), long[:5])
    assert_array_equal(model.predict(), long[:3])
    other = copy.deepcopy(model)
    for k in range(3):
        assert_allclose(long[3 * k : 3 * k + 3], other.predict(), rtol=1e-12)
        other.update(other.predict())


def test_a_forecast_costs_no_look_up(monkeypatch):
    model = small().fit(WAVE)
    monkeypatch.setattr(engine, "entry_point", None)
    model.update(WAVE[:1]).predict(horizon=7)


def test_longer_horizons_than_seq_len():
    model = small(seq_len=2, horizon=5).fit(WAVE)
    other = small(seq_len=2, horizon=5).fit(WAVE)
    assert_allclose(model.predict(horizon=10)[5:], other.update(other.predict()).predict())


def test_predict_leaves_the_state_alone():  # p06
    model = small().fit(WAVE[:40])
    before = pickle.dumps(model)
    first = model.predict()
    model.predict(horizon=9)
    model.score(WAVE[40:50])
    assert_array_equal(model.predict(), first)
    assert pickle.dumps(model) == before
    stream, undisturbed = model.stream(), model.stream()
    for value in WAVE[40:50]:
        found = stream.step(value)
        model.predict(horizon=4)
        stream_of_its_own = model.stream()
        stream_of_its_own.step(0.0)
        assert_array_equal(undisturbed.step(value), found)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_streams_and_updates_agree(cell):  # r01
    model = small(cell=cell, num_layers=2).fit(WAVE[:40])
    at_once = copy.deepcopy(model).update(WAVE[40:])
    stream = model.stream()
    for value in WAVE[40:]:
        found = stream.step(value)
        model.update([value])
        assert_array_equal(model.predict(), found)
    assert_array_equal(at_once.predict(), found)
    assert_array_equal(at_once._states.h, model._states.h)
    assert_array_equal(at_once._states.c, model._states.c)


def test_validation_matches_forecasts_of_shorter_series():
    model = small(validation_fraction=0.2, dtype="float64").fit(WAVE)
    squares = []
    for origin in range(48, 58):
        scaled = model._target_scaler.transform(WAVE[:origin, np.newaxis])
        tape, _ = states_by_twin(model, scaled)
        weights = in_float64(model.network_, model.params_)
        out, _ = naive.forecast_from(model.network_, weights, scaled, tape[-1][1][-1], origin)
        forecast = model._target_scaler.inverse_transform(out)[:, 0]
        squares.append((forecast - WAVE[origin : origin + 3]) ** 2)
    assert model.validation_score_["windows"] == 10
    assert model.validation_score_["rmse"] == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-9)


# --- training --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "seq_len", "horizon", "most", "expected"),
    [
        (5, 6, 4, 64, [1]),
        (43, 6, 3, 64, [40]),
        (1002, 10, 2, 64, [500, 500]),
        (1001, 10, 2, 64, [500, 499]),
        (991, 10, 2, 64, [989]),
        (1503, 10, 2, 2, [760, 741]),
        (10**6, 10, 1, 7, [142860] * 6 + [142839]),
    ],
)
def test_streams_of_a_series(n, seq_len, horizon, most, expected):
    starts, lengths = training_streams(n, seq_len, horizon, most)
    assert lengths.tolist() == expected
    assert_array_equal(starts, np.cumsum([0, *expected[:-1]]))
    assert lengths.sum() == n - horizon


def test_streams_side_by_side_reach_the_trainer(monkeypatch):
    seen, train = {}, _fitting.train

    def spy(network, params, windows, validation, **options):
        seen.update(training=windows, validation=validation)
        return train(network, params, windows, validation, **options)

    monkeypatch.setattr(_fitting, "train", spy)
    y = np.random.default_rng(0).normal(size=800)
    small(seq_len=2, validation_fraction=0.25, max_epochs=1, batch_size=4).fit(y)
    training, validation = seen["training"], seen["validation"]
    assert training.lengths.tolist() == [150, 150, 150, 147]
    assert training.starts.tolist() == [0, 150, 300, 450]
    assert (training.read_from == 1).all()
    assert (validation.starts, validation.lengths, validation.read_from) == (0, 797, 600)


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_same_random_state_same_bits(n_jobs):  # t01, t03
    y = np.random.default_rng(0).normal(size=700)
    expected = small(seq_len=1).fit(y)
    model = small(seq_len=1, n_jobs=n_jobs).fit(y)
    assert_array_equal(model.params_, expected.params_)
    assert_array_equal(model._states.h, expected._states.h)
    assert not np.array_equal(small(seq_len=1, random_state=1).fit(y).params_, expected.params_)


def test_what_looks_at_a_window_is_off():
    model = small().fit(WAVE)
    assert model.window_norm_ is None
    assert "skip.weight" not in model.network_.views(model.params_)
    assert_array_equal(small(linear_skip=False, window_norm=None).fit(WAVE).params_, model.params_)


def test_covariates_of_the_forecast_steps_are_used():
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"load": rng.normal(size=160)})
    y = 3 * X["load"] + 10 + 0.05 * rng.normal(size=160)
    model = small(horizon=5, max_epochs=200, learning_rate=0.01).fit(X[:140], y[:140])
    forecast = model.predict(X[140:152])
    assert np.abs(forecast - y[140:152]).max() < 1  # the standard deviation of y is 3
    assert_array_equal(model.predict(X[140:144]), forecast[:4])


@pytest.mark.parametrize("n", [4, 5, 8, 9])
def test_series_may_be_shorter_than_seq_len(n):
    model = small(seq_len=50, early_stopping=False).fit(WAVE[:n])
    assert np.isfinite(model.predict(horizon=7)).all()


@pytest.mark.parametrize("constant", [0.0, 5.0, 1e300])  # v07
def test_constant_series_stays_constant(constant):
    model = small().fit(np.full(40, constant))
    assert_array_equal(model.predict(horizon=7), constant)
    assert_array_equal(model.update(np.full(3, constant)).predict(), constant)


def test_best_weights_and_warm_start():
    noisy = np.sin(STEPS) + 2 * np.random.default_rng(0).normal(size=60)
    model = small(max_epochs=60, n_iter_no_change=5, learning_rate=0.05).fit(noisy)
    curve, best = model.validation_loss_curve_, model.best_epoch_
    assert best == -1 or curve[best] == min(curve)
    model.set_params(warm_start=True, max_epochs=1, learning_rate=1e-30)
    learnt = model.params_.copy()
    assert_array_equal(model.fit(noisy).params_, learnt)


def test_refit_equals_fresh_fit():  # p08
    model = small().fit(WAVE)
    model.set_params(stateful=False).fit(WAVE)
    fresh = small(stateful=False).fit(WAVE)
    assert vars(model).keys() == vars(fresh).keys() == vars(small().fit(WAVE)).keys()
    assert_array_equal(model.predict(), fresh.predict())


def test_grid_search():
    search = GridSearchCV(
        small(),
        {"stateful": [True, False]},
        cv=TimeSeriesSplit(2, test_size=6),
        error_score="raise",
    ).fit(WAVE)
    assert len(search.best_estimator_.predict()) == 3


def test_interrupted_training_is_usable(monkeypatch):  # k03
    monkeypatch.setattr(_fitting, "Progress", InterruptedAfter)
    model = small(max_epochs=50, verbose=1, early_stopping=False)
    with pytest.warns(UserWarning, match="interrupted by user after 3 epochs"):
        model.fit(WAVE)
    expected = small(max_epochs=3, early_stopping=False).fit(WAVE)
    assert_array_equal(model.predict(), expected.predict())


# --- panels ----------------------------------------------------------------------

LENGTHS = {"b": 40, "a": 61, "c": 9, "d": 5}


def long(names="bacd", first=0, last=None):
    """Rows ``first`` to ``last`` of the series with these names."""
    parts = []
    for name in names:
        time = np.arange(LENGTHS[name] + 10)
        y = 10 + np.sin(time / 3 + ord(name)) + 0.02 * time
        days = pd.date_range("2024-01-01", periods=len(time), freq="D")
        end = LENGTHS[name]
        rows = slice(first and end + first, end if last is None else end + last)
        parts.append(pd.DataFrame({"unique_id": name, "ds": days[rows], "y": y[rows]}))
    return pd.concat(parts, ignore_index=True)


def of(forecast, name):
    return forecast.loc[forecast["unique_id"] == name, "y"].to_numpy()


def following(names="bacd", last=4):
    return pd.concat([long(name, last=last).tail(last) for name in names], ignore_index=True)


@pytest.mark.parametrize("seq_len", [4, 20, None])
def test_states_of_a_panel_belong_to_their_series(seq_len):
    model = small(seq_len=seq_len, early_stopping=False).fit(long())
    assert model._states.h.shape == (1, 4, 4)
    forecast = model.predict(horizon=7)
    for k, name in enumerate(LENGTHS):
        values = np.tile(long(name)[["y"]], 4)
        scaled = model._target_scaler.transform(values)[:, [k]]
        _, (h, _) = states_by_twin(model, scaled)
        assert_allclose(model._states.h[:, k], h, rtol=1e-4, atol=1e-5)
        assert len(of(forecast, name)) == 7


def test_panel_with_validation_and_threads():
    with pytest.warns(UserWarning, match="series 'c', series 'd'|series 'd'"):
        model = small(horizon=4).fit(long())
    assert model.validation_score_["windows"] >= 2
    with pytest.warns(UserWarning, match="too short to hold a validation part"):
        other = small(horizon=4, n_jobs=2).fit(long())
    assert_array_equal(other.params_, model.params_)


# --- what is refused ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scope": "local"}, r"stateful=True is not supported with scope='local'"),
        ({"window_norm": "last"}, r"window_norm='last' looks at a whole window"),
        ({"window_norm": "level"}, r"Use window_norm='auto' or None"),
        ({"stateful": 1}, r"'stateful' parameter of LSTMForecaster must be a bool. Got 1"),
    ],
)
def test_what_has_no_meaning_is_refused(changes, message):
    model = small(**changes)
    with pytest.raises(ValueError, match=message):
        model.fit(WAVE)
    assert not hasattr(model, "params_")


def test_streams_need_one_series_without_covariates():
    X = pd.DataFrame({"x": np.cos(STEPS)})
    with pytest.raises(ValueError, match="covariates x"):
        small().fit(X, WAVE).stream()
    with pytest.raises(ValueError, match="fitted on a panel"):
        small(early_stopping=False).fit(long()).stream()


def test_real_series_with_defaults():
    y = datasets.load_air_passengers()
    model = LSTMForecaster(horizon=12, stateful=True, max_epochs=5, random_state=0).fit(y)
    assert model.seq_len_ == 24
    assert model.predict().index[0] == pd.Timestamp("1961-01-01")
