"""Panels: reading many series, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from lstm_numba import LSTMForecaster
from lstm_numba.data.panel import read_panel

SMALL = {"horizon": 2, "hidden_size": 4, "max_epochs": 4, "random_state": 0}
SCOPES = ("global", "local")
LENGTHS = {"b": 40, "a": 61, "c": 47}


def wave(name):
    time = np.arange(LENGTHS[name])
    phase = ord(name)
    return 10 + np.sin(time / 3 + phase) + 0.1 * np.cos(7.0 * time * phase) + 0.02 * time


def part(name, y, freq="D"):
    times = pd.date_range("2024-01-01", periods=len(y), freq=freq)
    return pd.DataFrame({"unique_id": name, "ds": times, "y": y})


def long(**series):
    series = series or {name: wave(name) for name in LENGTHS}
    return pd.concat([part(name, y) for name, y in series.items()], ignore_index=True)


def small(scope="local", **changes):
    return LSTMForecaster(scope=scope, **(SMALL | changes))


def of(forecast, name):
    return forecast.loc[forecast["unique_id"] == name, "y"].to_numpy()


# --- reading -------------------------------------------------------------------


def test_forms_hold_the_same():
    frame = long()
    series = frame.set_index(["unique_id", "ds"])["y"]
    shuffled = frame.sort_values(["ds", "unique_id"], ignore_index=True)
    panels = [read_panel(data, "X") for data in (frame, series, series.to_frame(), shuffled)]
    for panel in panels[:3]:
        assert panel.ids.tolist() == ["b", "a", "c"]
        assert panel.lengths.tolist() == [40, 61, 47]
        for k, name in enumerate(LENGTHS):
            assert_array_equal(panel.series(k)[:, 0], wave(name))
    assert panels[3].ids.tolist() == ["a", "b", "c"]
    assert_array_equal(panels[3].series(0)[:, 0], wave("a"))


def test_nothing_is_changed_or_shared():  # p04
    frame = long()
    before = frame.copy()
    panel = read_panel(frame, "X")
    frame["y"] = 0.0
    assert_array_equal(panel.series(0)[:, 0], wave("b"))
    frame["y"] = before["y"]
    model = small().fit(frame)
    pd.testing.assert_frame_equal(frame, before)
    kept = model.predict()
    frame["y"] = -1.0
    pd.testing.assert_frame_equal(model.predict(), kept)


@pytest.mark.parametrize("kind", ["int", "category", "string", "date"])
def test_kinds_of_ids(kind):
    frame = long()
    ids = {"b": 3, "a": 1, "c": 2}
    if kind == "int":
        frame["unique_id"] = frame["unique_id"].map(ids)
    elif kind == "date":
        frame["unique_id"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
            frame["unique_id"].map(ids), unit="D"
        )
    else:
        frame["unique_id"] = frame["unique_id"].astype(kind)
    forecast = small().fit(frame).predict()
    assert forecast["unique_id"].dtype == frame["unique_id"].dtype
    assert forecast["unique_id"].unique().tolist() == frame["unique_id"].unique().tolist()


TIMES = {
    "days": pd.date_range("2024-01-01", periods=30, freq="D"),
    "berlin hours": pd.date_range("2024-03-30 12:00", periods=30, freq="h", tz="Europe/Berlin"),
    "seconds": pd.date_range("2024-01-01", periods=30, freq="s", unit="s"),
    "months": pd.date_range("2020-01-31", periods=30, freq="ME"),
    "quarters": pd.period_range("2010Q1", periods=30, freq="Q"),
    "integers": pd.RangeIndex(100, 250, 5),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_go_on(kind):  # i01 to i09
    times = TIMES[kind]
    # One series is too short to tell its frequency.
    known = {"a": times[:20], "b": times[:27], "c": times[5:7]}
    parts = [
        pd.DataFrame({"unique_id": name, "ds": index, "y": np.arange(len(index)) ** 0.5})
        for name, index in known.items()
    ]
    model = small(horizon=1, seq_len=1, max_epochs=1, early_stopping=False)
    forecast = model.fit(pd.concat(parts)).predict(horizon=3)
    assert forecast["ds"].dtype == parts[0]["ds"].dtype
    for name, index in known.items():
        after = times.get_loc(index[-1]) + 1
        own = forecast.loc[forecast["unique_id"] == name, "ds"]
        assert own.tolist() == times[after : after + 3].tolist()


def test_rows_without_times_are_counted():
    forecast = small().fit(long().drop(columns="ds")).predict()
    assert forecast["ds"].tolist() == [40, 41, 61, 62, 47, 48]
    assert_array_equal(of(forecast, "a"), of(small(season_length=1).fit(long()).predict(), "a"))


def test_results_have_the_form_of_the_data():
    frame = long()
    series = frame.set_index(["unique_id", "ds"])["y"].rename("sales")
    model = small()
    forecast = model.fit(frame).predict()
    assert forecast.columns.tolist() == ["unique_id", "ds", "y"]
    expected = forecast.set_index(["unique_id", "ds"])["y"].rename("sales")
    pd.testing.assert_series_equal(model.fit(series).predict(), expected)
    pd.testing.assert_frame_equal(model.fit(series.to_frame()).predict(), expected.to_frame())
    unnamed = series.rename_axis(["shop", None])
    assert model.fit(unnamed).predict().index.names == ["shop", None]


# --- faults --------------------------------------------------------------------


def with_value(row, value, column="y"):
    frame = long()
    frame[column] = frame[column].astype(object) if isinstance(value, str) else frame[column]
    frame.loc[row, column] = value
    return frame


def repeated(*names):
    return pd.concat([part(name, wave("b")) for name in names], ignore_index=True)


def without(rows, frame=None):
    return (long() if frame is None else frame).drop(index=rows)


FAULTS = {
    "NaN": (with_value(45, np.nan), "'a' contains NaN .* at position 5 .2024-01-06"),
    "inf": (with_value(0, np.inf), "'b' contains infinity .* at position 0"),
    "many": (
        repeated(*"abcde").assign(y=np.nan),
        "'a' contains.*'b' contains.*'c' contains.* and 2 more",
    ),
    "text": (with_value(3, "x"), "column 'y' of X must be numeric, but position 3 holds 'x'"),
    "gap": (without([50]), "times of series 'a'.*without gaps.*2024-01-10"),
    "gaps": (
        without([5, 45, 85, 125, 165], repeated(*"abcde")),
        "series 'a' cannot .* The same holds for 'b', 'c', 'd' and 1 more",
    ),
    "twice": (pd.concat([long(), long()[60:61]]), "'a' has 2024-01-21 .* twice .duplicate time"),
    "unsorted": (
        long()[::-1],
        "sorted from old to new, but 'c' has 2024-02-15 .* after 2024-02-16",
    ),
    "NaT": (with_value(41, pd.NaT, "ds"), "must not be missing.*'a'"),
    "text times": (long().assign(ds=lambda d: d["ds"].astype(str)), "to_datetime"),
    "frequencies": (
        pd.concat([long(), part("h", wave("b"), freq="h")]),
        "same frequency .<Day>., but 'h' has <Hour>",
    ),
    "missing id": (with_value(7, None, "unique_id"), "an id, but it is missing at position 7"),
    "mixed ids": (
        long().assign(unique_id=lambda d: d["unique_id"].replace({"a": 1}).astype(object)),
        "of one type, but are int, str",
    ),
    "short": (long(a=wave("a"), b=[1.0, 2.0], c=wave("c")), "series 'b' has 2"),
    "extra column": (long().assign(price=1.0), "covariates are not supported for panels yet"),
    "no y": (long().drop(columns="y"), "must have the columns 'unique_id', 'y'"),
    "no rows": (long()[:0], "0 sample"),
    "two columns": (
        long().assign(z=0.0).set_index(["unique_id", "ds"]),
        "must have one column, but X has 2",
    ),
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault, scope):  # i04, v01, v02, v04
    frame, message = FAULTS[fault]
    model = small(scope)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(frame)
    assert not hasattr(model, "params_")


def test_the_first_three_short_series_are_named():
    frame = long(**{name: [1.0] for name in "abcde"}, f=wave("a"))
    with pytest.raises(
        ValueError, match="'a' has 1, series 'b' has 1, series 'c' has 1 and 2 more"
    ):
        small().fit(frame)
    with pytest.raises(ValueError, match=r"seq_len=8 . horizon=2.*series 'b' has 9"):
        small(seq_len=8).fit(long(a=wave("a"), b=wave("b")[:9]))


@pytest.mark.parametrize("scope", SCOPES)
def test_covariates_are_refused(scope):
    frame = long()
    series = frame.set_index(["unique_id", "ds"])["y"]
    for X, y in ((series.to_frame(), series), (frame, frame["y"]), (np.ones((148, 1)), series)):
        with pytest.raises(ValueError, match="Covariates are not supported for panels yet"):
            small(scope).fit(X, y)
    with pytest.raises(ValueError, match="predict takes no X"):
        small(scope).fit(frame).predict(np.ones((2, 1)))


def test_scope_is_checked():
    with pytest.raises(ValueError, match=r"'scope' parameter.*'global', 'local'. Got 'each'"):
        small("each").fit(long())
