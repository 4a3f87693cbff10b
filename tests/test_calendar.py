"""Time steps: what follows an index, which indices are refused, how long is a season."""

import numpy as np
import pandas as pd
import pytest

from lstm_numba.data.calendar import Calendar

STEPS = 7


def split(index):
    """An index whose end is known: what was seen, and what has to follow."""
    return index[:-STEPS], index[-STEPS:]


@pytest.mark.parametrize("index", [pd.RangeIndex(20), pd.RangeIndex(100, 300, 10)])  # i01
@pytest.mark.parametrize("kind", [lambda index: index, lambda index: pd.Index(index.to_numpy())])
def test_integers_go_on_with_their_step(index, kind):
    seen, future = split(index)
    found = Calendar.from_index(kind(seen)).future(STEPS)
    assert isinstance(found, pd.RangeIndex)
    pd.testing.assert_index_equal(found, future)


FREQUENCIES = ["h", "D", "B", "W-SUN", "W-WED", "MS", "ME", "QE", "QS-FEB", "YS", "YE", "15min"]
FREQUENCIES += ["s", "ms", "2h", "3D", "2W-MON", "2MS"]


@pytest.mark.parametrize("has_freq", [True, False])
@pytest.mark.parametrize("freq", FREQUENCIES)  # i02, i03
def test_stamps_go_on_with_their_frequency(freq, has_freq):
    seen, future = split(pd.date_range("2023-01-29", periods=30, freq=freq, name="time"))
    calendar = Calendar.from_index(seen if has_freq else pd.DatetimeIndex(list(seen), name="time"))
    pd.testing.assert_index_equal(calendar.future(STEPS), future)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])  # i09
@pytest.mark.parametrize("freq", ["D", "MS", "h"])
@pytest.mark.parametrize("has_freq", [True, False])
def test_units_are_kept(unit, freq, has_freq):
    seen, future = split(pd.date_range("2023-01-01", periods=20, freq=freq, unit=unit))
    found = Calendar.from_index(seen if has_freq else seen._with_freq(None)).future(STEPS)
    pd.testing.assert_index_equal(found, future)
    assert found.unit == unit


@pytest.mark.parametrize("has_freq", [True, False])
@pytest.mark.parametrize("start", ["2024-03-28", "2024-10-24"])
@pytest.mark.parametrize(("freq", "periods"), [("h", 30), ("D", 6), ("30min", 60)])  # i05, i06, i07
def test_change_of_the_clock(start, freq, periods, has_freq):
    # Ends before the change; the future goes over it.
    whole = pd.date_range(start, periods=4 * periods, freq=freq, tz="Europe/Berlin")
    cut = (
        3
        if freq == "D"
        else int(np.argmax(whole >= pd.Timestamp(start, tz=whole.tz) + pd.Timedelta("2D")))
    )
    seen = whole[:cut] if has_freq else pd.DatetimeIndex(list(whole[:cut]))
    found = Calendar.from_index(seen).future(len(whole) - cut)
    pd.testing.assert_index_equal(found, whole[cut:])
    assert found.is_unique
    assert not found.hasnans
    assert str(found.tz) == "Europe/Berlin"
    if freq == "D":
        assert (found.hour == 0).all()


@pytest.mark.parametrize("freq", ["h", "D"])
def test_change_of_the_clock_in_the_data(freq):
    seen, future = split(pd.date_range("2024-03-20", periods=400, freq=freq, tz="Europe/Berlin"))
    found = Calendar.from_index(pd.DatetimeIndex(list(seen))).future(STEPS)
    pd.testing.assert_index_equal(found, future)


@pytest.mark.parametrize("freq", ["M", "Q", "D", "W-SUN", "Y", "h", "2M"])  # i08
def test_periods_go_on(freq):
    seen, future = split(pd.period_range("2023-01-29", periods=20, freq=freq, name="p"))
    pd.testing.assert_index_equal(Calendar.from_index(seen).future(STEPS), future)


def test_same_day_of_each_month():
    whole = pd.date_range("2022-01-15", periods=20, freq=pd.DateOffset(months=1))
    found = Calendar.from_index(pd.DatetimeIndex(list(whole[:13]))).future(7)
    assert list(found) == list(whole[13:])


def test_future_beyond_the_range_of_stamps():  # i11
    seen = pd.date_range("2262-01-01", periods=80, freq="D", unit="ns")
    with pytest.raises((ValueError, OverflowError)):
        Calendar.from_index(seen).future(100)
    seen = pd.date_range("2262-01-01", periods=80, freq="D", unit="s")
    last = Calendar.from_index(seen).future(100).to_numpy()[-1]
    assert last == seen.to_numpy()[-1] + np.timedelta64(100, "D")


DAYS = pd.date_range("2024-01-01", periods=20, freq="D")._with_freq(None)
FAULTS = {
    "gap": (DAYS.delete(7), r"2024-01-07 .*2024-01-09"),
    "duplicate": (DAYS.insert(5, DAYS[4]), "2024-01-05.* twice"),
    "unsorted": (DAYS[[0, 1, 3, 2, *range(4, 20)]], r"position 3 \(2024-01-03"),
    "reversed": (DAYS[::-1], "sorted from old to new"),
    "irregular": (DAYS[np.arange(6) ** 2 // 2 + np.arange(6)], "must be regular"),
    "NaT": (DAYS.insert(3, pd.NaT), "position 3 is NaT"),
    "two stamps": (DAYS[:2], "inferred from 2 stamp"),
    "integers with a gap": (pd.Index([0, 1, 2, 4, 5]), "4 at position 3 follows 2 where 3 is due"),
    "integers twice": (pd.Index([0, 1, 1, 2]), "1 is there twice"),
    "reversed range": (pd.RangeIndex(9, 0, -1), "sorted from old to new"),
    "periods with a gap": (
        pd.PeriodIndex(["2024-01", "2024-02", "2024-04"], freq="M"),
        "2024-03 is due",
    ),
    "periods unsorted": (pd.PeriodIndex(["2024-02", "2024-01", "2024-03"], freq="M"), "position 1"),
}


@pytest.mark.parametrize("fault", FAULTS)  # i04
def test_faulty_index_is_named(fault):
    index, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        Calendar.from_index(index)


@pytest.mark.parametrize(
    "index",
    [
        pd.MultiIndex.from_product([["a"], [1, 2, 3]]),
        pd.Index(["2024-01-01", "2024-01-02", "2024-01-03"]),
        pd.Index([0.5, 1.5, 2.5]),
        pd.Index([True, False]),
        pd.CategoricalIndex([1, 2, 3]),
    ],
    ids=["multi", "text", "float", "bool", "category"],
)
def test_other_indices_are_refused(index):  # i10
    with pytest.raises(TypeError, match=f"is a {type(index).__name__}"):
        Calendar.from_index(index)


SEASONS = {"h": 24, "D": 7, "B": 5, "W-SUN": 52, "MS": 12, "ME": 12, "BME": 12, "QS": 4, "QE": 4}
SEASONS |= {"YS": 1, "30min": 48, "15min": 96, "min": 1440, "s": 3600, "2h": 12, "7h": 1, "24h": 7}
SEASONS |= {"2MS": 6, "6MS": 2, "5MS": 1, "ms": 1}


@pytest.mark.parametrize("freq", SEASONS)
def test_season_of_stamps(freq):
    index = pd.date_range("2024-01-01", periods=5, freq=freq)
    assert Calendar.from_index(index).season_length() == SEASONS[freq]


@pytest.mark.parametrize(
    ("freq", "season"), [("M", 12), ("Q", 4), ("D", 7), ("W-SUN", 52), ("Y", 1), ("h", 24)]
)
def test_season_of_periods(freq, season):
    index = pd.period_range("2024-01-01", periods=5, freq=freq)
    assert Calendar.from_index(index).season_length() == season


def test_season_of_numbers_and_offsets():
    assert Calendar.from_index(pd.RangeIndex(5)).season_length() == 1
    for offset, season in (({"months": 3}, 4), ({"hours": 1}, 24), ({"years": 1}, 1)):
        index = pd.date_range("2024-01-15", periods=5, freq=pd.DateOffset(**offset))
        assert Calendar.from_index(index).season_length() == season
