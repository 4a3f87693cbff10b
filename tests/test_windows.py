"""Windows: views for users, first rows for the network."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from lstm_numba.data.windows import choose_seq_len, make_windows, validation_size, window_starts


def naive_windows(values, seq_len, horizon, stride):
    """Cut one window after the other."""
    x, y = [], []
    for s in range(0, len(values) - seq_len - horizon + 1, stride):
        x.append(values[s : s + seq_len])
        y.append(values[s + seq_len : s + seq_len + horizon])
    return np.array(x), np.array(y)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("seq_len", "horizon"), [(4, 3), (1, 1), (5, 6), (10, 1)])
def test_make_windows_matches_naive(seq_len, horizon, stride):
    values = np.arange(22.0).reshape(11, 2)
    x, y = make_windows(values, seq_len, horizon, stride)
    expected_x, expected_y = naive_windows(values, seq_len, horizon, stride)
    assert_array_equal(x, expected_x)
    assert_array_equal(y, expected_y)
    assert len(x) == len(y)


@pytest.mark.parametrize("kind", [np.asarray, pd.Series, pd.DataFrame, list])
def test_every_container_gives_the_same_windows(kind):
    values = np.arange(9.0)
    x, y = make_windows(kind(values), seq_len=3, horizon=2)
    assert_array_equal(x, make_windows(values, 3, 2)[0])
    assert x.shape == (5, 3, 1)
    assert y.shape == (5, 2, 1)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(40.0).reshape(20, 2)[::2],
        np.arange(20.0).reshape(2, 10).T,
        np.arange(10)[::-1],
        np.arange(10, dtype=">f4"),
    ],
)
def test_windows_are_read_only_views(values):  # p04, p05
    for view in make_windows(values, seq_len=3, horizon=2):
        assert np.shares_memory(view, values)
        assert not view.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0, 0] = 1
    assert_array_equal(make_windows(values, 3, 2)[0], make_windows(values.copy(), 3, 2)[0])


def test_views_of_pandas_share_its_memory():
    series = pd.Series(np.arange(10.0))
    assert np.shares_memory(make_windows(series, 3, 2)[0], series.to_numpy())


@pytest.mark.parametrize("name", ["seq_len", "horizon", "stride"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "3", None, True, np.nan])
def test_lengths_must_be_positive_ints(name, value):  # p09
    with pytest.raises(ValueError, match=rf"'{name}' parameter of make_windows must be an int"):
        make_windows(np.arange(9), **{"seq_len": 2, "horizon": 2, name: value})


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int8])
def test_numpy_ints_are_ints(kind):
    x, y = make_windows(np.arange(300), kind(120), kind(100), kind(3))
    expected_x, expected_y = make_windows(np.arange(300), 120, 100, 3)
    assert_array_equal(x, expected_x)
    assert_array_equal(y, expected_y)


def test_too_short_names_both_numbers():  # v04
    with pytest.raises(ValueError, match=r"at least 7 .*seq_len=4 \+ horizon=3.* has 6"):
        make_windows(np.arange(6), 4, 3)
    assert len(make_windows(np.arange(7), 4, 3)[0]) == 1


def test_three_dimensions_are_refused():
    with pytest.raises(ValueError, match="3 dimensions"):
        make_windows(np.zeros((5, 2, 2)), 2, 1)


@pytest.mark.parametrize(
    ("n", "seq_len", "horizon", "n_valid"),
    [(30, 5, 3, 7), (12, 4, 4, 4), (9, 2, 1, 1), (9, 6, 3, 0)],
)
def test_validation_targets_lie_after_all_training_targets(n, seq_len, horizon, n_valid):
    training, validation = window_starts(n, seq_len, horizon, n_valid)
    last_training_target = training.max() + seq_len + horizon - 1
    assert last_training_target == n - n_valid - 1
    assert training.min() == 0
    assert len(training) == n - n_valid - seq_len - horizon + 1
    if n_valid:
        assert validation.min() + seq_len == n - n_valid
        assert validation.max() + seq_len + horizon == n
        assert len(validation) == n_valid - horizon + 1
    else:
        assert len(validation) == 0


@pytest.mark.parametrize(
    ("n", "horizon", "fraction", "expected"),
    [(100, 5, 0.1, 10), (100, 24, 0.1, 24), (101, 5, 0.1, 11)],
)
def test_validation_part_holds_a_horizon(n, horizon, fraction, expected):
    assert validation_size(n, horizon, fraction) == expected


@pytest.mark.parametrize(
    ("n", "horizon", "season", "expected"),
    [
        (96, 24, 12, 24),  # two years of months
        (10_000, 24, 24, 48),  # two days of hours
        (10_000, 96, 24, 96),  # the horizon
        (10_000, 100, 24, 120),  # whole seasons that cover it
        (10_000, 7, 7, 28),  # whole weeks that cover the shortest memory
        (10_000, 1, 1, 24),
        (24, 6, 12, 12),  # one season rather than none
        (30, 3, 1, 14),  # half of what there is
        (2, 1, 12, 1),
        (5, 4, 12, 1),
    ],
)
def test_chosen_seq_len(n, horizon, season, expected):
    assert choose_seq_len(n, horizon, season) == expected


@pytest.mark.parametrize("season", [1, 7, 12, 52])
@pytest.mark.parametrize("horizon", [1, 5, 30])
def test_chosen_seq_len_leaves_a_training_window(season, horizon):
    for n in range(horizon + 1, horizon + 120):
        seq_len = choose_seq_len(n, horizon, season)
        assert seq_len >= 1
        assert seq_len + horizon <= n
