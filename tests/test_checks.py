"""Checks: what is let through, what is refused, and in which words."""

import decimal
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from lstm_numba import _checks, _future_checks, _layer_checks
from lstm_numba.data.tables import read_table

GOOD = {
    "horizon": [1, np.int64(3), np.uint8(7)],
    "seq_len": [None, 1, 500],
    "cell": ["lstm", "gru", "rnn"],
    "loss": ["mse", "mae", "huber"],
    "scaler": ["standard", None],
    "window_norm": ["auto", "last", "level", None],
    "linear_skip": [True, False, np.True_],
    "stateful": [True, False],
    "learning_rate": [1e-3, 1, np.float32(0.1)],
    "weight_decay": [0, 0.0, 0.1],
    "validation_fraction": [0.1, 0.99],
    "dtype": ["float32", "float64", np.float32, np.dtype("f8")],
    "n_jobs": [None, 1, -1, 4],
    "device": ["auto", "cpu", "cuda"],
    "precision": ["float32", "tf32"],
    "random_state": [None, 0, 2**32 - 1, np.random.RandomState(0), np.int32(5)],
    "verbose": [0, 1, True, np.int64(2)],
}
BAD = {
    "horizon": [0, -1, 1.5, "3", None, [], np.nan, True, np.True_, 3.0, np.timedelta64(3, "D")],
    "seq_len": [0, -1, 2.5, "8", np.inf],
    "cell": ["LSTM", "elman", None, 1],
    "hidden_size": [0, None, 8.0],
    "num_layers": [0, "1"],
    "loss": ["rmse", None, 1],
    "scaler": ["minmax", True],
    "window_norm": ["first", 0, True],
    "linear_skip": [1, None, "yes"],
    "stateful": [1, None, "auto"],
    "season_length": [0, 12.0],
    "learning_rate": [0, -1e-3, np.nan, np.inf, "auto", None, 1j],
    "weight_decay": [-1e-9, np.nan, None],
    "clip_norm": [0, -1, np.nan, "x"],
    "max_epochs": [0, -1, 10.0],
    "batch_size": [0, None],
    "early_stopping": [1, "auto"],
    "validation_fraction": [0, 1, 1.5, -0.1, np.nan, None],
    "n_iter_no_change": [0, None],
    "dtype": ["float16", "int32", "nonsense", None, int],
    "n_jobs": [0, 1.0, "all"],
    "device": [None, "gpu", 0],
    "precision": [None, "float64", "TF32", 0],
    "random_state": ["x", -1, 1.5, 2**32, np.random.default_rng(0)],
    "warm_start": [0, None],
    "verbose": [-1, None, "loud"],
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name in GOOD for v in GOOD[name]])
def test_good_parameters(name, value):
    returned = _checks.check_parameter(name, value, "Owner")
    assert returned == value
    assert not isinstance(returned, np.integer)


@pytest.mark.parametrize(("name", "value"), [(name, v) for name in BAD for v in BAD[name]])
def test_bad_parameters(name, value):  # p02, p09
    with pytest.raises(_checks.InvalidParameterError) as failure:
        _checks.check_parameter(name, value, "Owner")
    assert str(failure.value).startswith(f"The {name!r} parameter of Owner must be ")
    assert str(failure.value).endswith(f" Got {value!r} instead.")
    assert isinstance(failure.value, ValueError)
    assert isinstance(failure.value, TypeError)


def read(column):
    """The numbers that a column is read as."""
    return read_table(column, "y").values[:, 0]


NUMBERS = np.array([1.0, 0.0, 3.0])


@pytest.mark.parametrize(
    "column",
    [
        [1, 0, 3],
        NUMBERS.astype(np.float16),  # v15
        NUMBERS.astype(">f4"),  # p05
        NUMBERS.astype(np.longdouble),
        NUMBERS.astype(np.uint8),
        np.array([1, 0.0, np.int8(3)], dtype=object),  # v12
        pd.Series([1, decimal.Decimal(0), 3.0], dtype=object),
        pd.Series([1, 0, 3], dtype="Int64"),  # v13
        pd.Series([1, 0, 3], dtype="Float32"),
        pd.Series([1.0, 0.0, 3.0], index=[5, 6, 7]),
        pd.array([1, 0, 3], dtype="Int8"),
        np.repeat(NUMBERS, 2)[::2],
        NUMBERS[::-1].copy()[::-1],
    ],
    ids=lambda column: f"{type(column).__name__} {getattr(column, 'dtype', '')}",
)
def test_numbers_of_any_kind_are_read_alike(column):
    values = read(column)
    assert values.dtype == np.float64
    assert_array_equal(values, NUMBERS)


@pytest.mark.parametrize("dtype", [bool, "boolean", object])
def test_bool_is_read_as_number(dtype):  # v14
    assert_array_equal(read(pd.Series([True, False, True], dtype=dtype)), [1, 0, 1])


def test_mixed_frame_equals_float_frame():  # v16
    mixed = pd.DataFrame({"a": [1, 2], "b": [0.1, 0.2], "c": [True, False]})
    assert_array_equal(read_table(mixed, "X").values, read_table(mixed.astype(float), "X").values)


def test_result_is_a_copy():  # p04
    source = NUMBERS.copy()
    for data in (source, pd.Series(source, copy=False), source[:, np.newaxis]):
        table = read_table(data, "y")
        assert not np.shares_memory(table.values, source)
        assert table.values.flags.c_contiguous


@pytest.mark.parametrize(
    ("column", "position"),
    [
        (np.array([1.0, np.nan, 3.0]), 1),
        (pd.Series([1, 2, None], dtype="Int64"), 2),  # v13
        (pd.Series([None, 2, 3], dtype=object), 0),
        (pd.Series([1, pd.NA, 3], dtype=object), 1),
        (np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False]), 1),
    ],
    ids=["float", "Int64", "None", "NA", "masked"],
)
def test_missing_values_are_found(column, position):  # v01
    with pytest.raises(ValueError, match=rf"y must be finite.*NaN \(missing.*position {position}"):
        read(column)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_found(value):  # v02
    with pytest.raises(ValueError, match=r"infinity \(inf\) 1 time, first at position 2"):
        read(np.array([1.0, 2.0, value]))


def test_message_names_column_position_and_time():  # v03
    frame = pd.DataFrame(
        {"a": np.ones(4), "b": [1.0, 2.0, np.nan, np.nan]},
        index=pd.date_range("2024-01-01", periods=4),
    )
    with pytest.raises(ValueError, match=r"column 'b' of X .* 2 times.*position 2 \(2024-01-03"):
        read_table(frame, "X")


@pytest.mark.parametrize("dtype", [complex, np.complex64, object])
def test_complex_is_refused(dtype):  # v11
    with pytest.raises(ValueError, match="Complex data not supported"):
        read(np.array([1 + 1j, 2], dtype=dtype))


DAYS = pd.date_range("2024-01-01", periods=2)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["1", "2"]),
        pd.Series(["1", "2"], dtype=object),
        pd.Series([1, 2], dtype="category"),
        pd.Series(DAYS),
        pd.Series(DAYS, dtype=object),
        pd.Series(DAYS.tz_localize("Europe/Berlin")),
        pd.Series(DAYS - DAYS[0]),
        pd.Series(DAYS.to_period("D")),
        pd.Series([[1], [2]]),
        pd.Series([np.array([1]), np.array([2])]),
        pd.Series([np.datetime64("2024-01-01"), 1.0], dtype=object),
        pd.Series([{}, 1.0]),
    ],
    ids=lambda column: f"{type(column[0]).__name__} {column.dtype}",
)
def test_what_is_no_number_is_refused_by_name(column):  # v12, v17
    with pytest.raises(TypeError, match="column 'when' of X must be numeric"):
        read_table(pd.DataFrame({"a": [1.0, 2.0], "when": column}), "X")


@pytest.mark.parametrize("big", [2**53 + 1, -(2**60), np.uint64(2**63)])
def test_large_integers_warn(big):  # v18
    with pytest.warns(UserWarning, match=r"y holds integers beyond 2\*\*53"):
        read(np.array([big, big]))


def test_integers_that_fit_do_not_warn():
    assert_array_equal(read(np.array([2**53, -(2**53)])), [2.0**53, -(2.0**53)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 3)), r"0 sample\(s\) \(shape=\(0, 3\)\)"),
        (pd.Series([], dtype=float), r"0 sample\(s\)"),
        (np.zeros((12, 0)), r"0 feature\(s\) \(shape=\(12, 0\)\)"),
        (pd.DataFrame(index=range(3)), r"0 feature\(s\)"),
        (np.zeros((2, 2, 2)), "one or two dimensions"),
        (3.0, "one or two dimensions"),
        (None, "one or two dimensions"),
        (pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), "'a' is there twice"),
    ],
)
def test_shapes_are_checked(data, message):  # v06
    with pytest.raises(ValueError, match=message):
        read_table(data, "X")


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((24,), "x[:, None]."),
        ((19, 6), "x[:, :, None]."),
        ((19, 1, 6), "The features are expected last."),
        ((2, 3, 4, 1), "has the shape (2, 3, 4, 1)."),
    ],
)
def test_the_hint_for_a_layer_is_of_use(shape, hint):
    with pytest.raises(ValueError, match=rf"^x of LSTM .*{re.escape(hint)}$"):
        _layer_checks.check_layer_input(np.zeros(shape), 1, True, "LSTM")


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="Sparse data"):
        read_table(sparse.eye_array(3), "X")


def test_values_too_large_for_the_dtype():  # v10
    values = np.array([1e39])
    _checks.check_representable(values, "float64", "y")
    with pytest.raises(ValueError, match="magnitude of y is too large for float32"):
        _checks.check_representable(values, "float32", "y")


def test_too_short_names_both_numbers():  # v04
    _checks.check_long_enough(9, 6, 3)
    with pytest.raises(ValueError, match=r"at least 9 .*seq_len=6 \+ horizon=3\), but has 8"):
        _checks.check_long_enough(8, 6, 3)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (["a"], ["now missing", "- b"]),
        (["a", "b", "z"], ["unseen at fit time", "- z"]),
        (["a", "c"], ["- c", "- b"]),
        (["b", "a"], ["same order", "X[['a', 'b']]"]),
    ],
)
def test_wrong_columns_are_named(found, words):  # p03
    with pytest.raises(ValueError, match="feature names should match") as failure:
        _future_checks.check_covariate_names(found, ["a", "b"])
    for word in words:
        assert word in str(failure.value)


@pytest.mark.parametrize(
    "found",
    [
        DAYS + pd.Timedelta(days=3),
        DAYS[::-1] + pd.Timedelta(days=2),
        DAYS.tz_localize("UTC") + pd.Timedelta(days=2),
        pd.RangeIndex(2),
    ],
)
def test_wrong_future_index(found):  # p03
    expected = DAYS + pd.Timedelta(days=2)
    with pytest.raises(ValueError, match="2 steps that follow the data of the fit, 2024-01-03"):
        _future_checks.check_future_index(found, expected)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_stamps_does_not_matter(unit):  # i09
    _future_checks.check_future_index(DAYS.as_unit(unit), DAYS)
    _future_checks.check_covariate_rows(2, 2, DAYS.as_unit(unit), DAYS)


def test_rows_of_covariates_and_target():  # p03
    with pytest.raises(ValueError, match="X has 3 rows and y has 2"):
        _future_checks.check_covariate_rows(3, 2, None, None)
    for other in (DAYS + pd.Timedelta(days=1), pd.RangeIndex(2), DAYS[::-1]):
        with pytest.raises(ValueError, match="not aligned: row 0 is"):
            _future_checks.check_covariate_rows(2, 2, other, DAYS)
