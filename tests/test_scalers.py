"""Scalers: any magnitude, no digits lost, constants exact."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_numba.data.scalers import fit_standard, identity, lies_below, oriented, side_by_side

WAVE = np.sin(np.arange(50.0))[:, np.newaxis] + 0.1


@pytest.fixture(autouse=True)
def no_floating_point_warnings():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        yield


@pytest.mark.parametrize("centre", [True, False])
def test_standard_matches_numpy(centre):
    values = np.column_stack([WAVE, 3 * WAVE + 7])
    scaled = fit_standard(values, centre).transform(values)
    assert_allclose(scaled.std(axis=0), 1, rtol=1e-13)
    level = 0 if centre else values.mean(axis=0) / values.std(axis=0)
    assert_allclose(scaled.mean(axis=0), level, atol=1e-13)


@pytest.mark.parametrize(
    "factor", [1e-310, 1e-300, 1e-12, -1, 1e12, 1e150, 1e300, 1.6e308]
)  # v08, v10
def test_scaled_copies_are_scaled_alike(factor):
    values = WAVE * factor
    scaler = fit_standard(values)
    rtol = 1e-3 if abs(factor) < 1e-308 else 1e-12  # subnormal numbers have few digits
    expected = fit_standard(WAVE).transform(WAVE) * np.sign(factor)
    assert_allclose(scaler.transform(values), expected, rtol=rtol, atol=rtol)
    assert_allclose(scaler.inverse_transform(scaler.transform(values)), values, rtol=1e-12)


def test_offset_costs_no_digits():  # v09
    wave = np.round(WAVE * 2**20) / 2**20  # exact beside the offset
    offset = 2.0**20
    assert_allclose(
        fit_standard(wave + offset).transform(wave + offset),
        fit_standard(wave).transform(wave),
        atol=1e-12,
    )


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("constant", [0.0, 5.0, -3e7, 1e-9, 0.1, 1e300, 1e-310])  # v07
def test_constant_column_is_exact(constant, centre):
    values = np.full((37, 1), constant)
    scaler = fit_standard(values, centre)
    scaled = scaler.transform(values)
    assert_array_equal(scaled, 0 if centre else np.sign(constant))
    assert_array_equal(scaler.inverse_transform(scaled), values)


def test_constant_column_is_given_the_scale_one():
    scaler = fit_standard(np.full((4, 1), 1000.0))
    assert_array_equal(scaler.transform(np.array([[1000.0], [1002.5]])), [[0], [2.5]])


def test_columns_are_scaled_apart():
    values = np.column_stack([WAVE, 1e9 * WAVE, np.full(50, 3.0)])
    scaled = fit_standard(values).transform(values)
    assert_allclose(scaled[:, 0], scaled[:, 1], rtol=1e-12)
    assert_array_equal(scaled[:, 2], 0)


def test_later_values_are_scaled_by_the_training_part():
    training, later = np.array([[0.0], [2.0]]), np.array([[11.0]])
    assert fit_standard(training).transform(later).item() == 10.0


def test_shape_of_forecasts():
    scaler = fit_standard(np.column_stack([WAVE, 2 * WAVE]))
    scaled = np.zeros((4, 3, 2))
    assert_allclose(scaler.inverse_transform(scaled)[1, 2], [WAVE.mean(), 2 * WAVE.mean()])


def test_input_is_not_changed():
    values = WAVE.copy()
    fit_standard(values).transform(values)
    assert_array_equal(values, WAVE)


def test_identity_changes_nothing():
    assert_array_equal(identity(1).transform(WAVE), WAVE)
    assert_array_equal(identity(1).inverse_transform(WAVE), WAVE)


def test_orientation_follows_the_series():
    for values in (WAVE**3, -(WAVE**3)):
        scaler = fit_standard(values)
        scaler = oriented(scaler, lies_below(scaler, values))
        assert_array_equal(scaler.transform(values), oriented_cube())
        assert_allclose(scaler.inverse_transform(scaler.transform(values)), values, rtol=1e-12)


def oriented_cube():
    return fit_standard(WAVE**3).transform(WAVE**3)


def test_orientation_is_that_of_the_farthest_value():
    cubes = np.hstack([WAVE**3, -(WAVE**3)])
    scaler = fit_standard(cubes)
    assert lies_below(scaler, cubes).tolist() == [False, True]
    assert np.sign(oriented(scaler, lies_below(scaler, cubes)).scale).tolist() == [1, -1]


def test_side_by_side_scales_like_each():
    tables = [WAVE, 3 - WAVE**3, np.full((5, 1), 7.0)]
    scaler = side_by_side([fit_standard(table) for table in tables])
    row = np.array([[0.5, 2.0, 7.0]])
    alone = [fit_standard(t).transform(row[:, [k]]) for k, t in enumerate(tables)]
    assert_array_equal(scaler.transform(row), np.hstack(alone))
