"""Regularizers, constraints and the padding mask: against Keras, and the words of a refusal."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_numba.nn.constraints import (
    CONSTRAINTS,
    MaxNorm,
    MinMaxNorm,
    NonNeg,
    UnitNorm,
    constraint,
)
from lstm_numba.nn.masking import padding_mask
from lstm_numba.nn.regularizers import L1, L1L2, L2, REGULARIZERS, regularizer

os.environ.setdefault("KERAS_BACKEND", "torch")

BOTH_DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras")


def kernel(dtype):
    """Return weights of norms below and above 1 and 2, with a column of zeros."""
    weight = np.random.default_rng(0).normal(size=(5, 12)) * np.linspace(0, 2, 12)
    return weight.astype(dtype)


def as_array(tensor):
    return np.asarray(tensor.detach().cpu())


# Keras casts some factors through float32, so they are exact there.
REGULARIZER_PAIRS = {
    "L1": (L1(0.25), lambda keras: keras.regularizers.L1(0.25)),
    "L2": (L2(0.25), lambda keras: keras.regularizers.L2(0.25)),
    "L1L2": (L1L2(0.25, 0.125), lambda keras: keras.regularizers.L1L2(0.25, 0.125)),
}


@BOTH_DTYPES
@pytest.mark.parametrize("pair", REGULARIZER_PAIRS)
def test_penalties_and_gradients_equal_keras(pair, dtype, keras):
    import torch

    ours, make = REGULARIZER_PAIRS[pair]
    weight = kernel(dtype)
    tensor = torch.tensor(weight, requires_grad=True)
    theirs = make(keras)(tensor)
    theirs.backward()
    assert ours.penalty(weight) == pytest.approx(theirs.item(), rel=TOLERANCE[dtype])
    gradient = ours.gradient(weight)
    assert gradient.dtype == dtype
    assert np.max(np.abs(gradient - as_array(tensor.grad))) <= TOLERANCE[dtype]


@pytest.mark.parametrize("ours", [L1(0.3), L2(0.3), L1L2(0.3, 0.1)], ids=repr)
def test_gradients_equal_finite_differences(ours):
    weight = kernel("float64")[:, 1:]
    differences = np.zeros_like(weight)
    for at in np.ndindex(weight.shape):
        for sign in (1, -1):
            moved = weight.copy()
            moved[at] += sign * 1e-6
            differences[at] += sign * ours.penalty(moved) / 2e-6
    assert np.max(np.abs(ours.gradient(weight) - differences)) <= 1e-8


CONSTRAINT_PAIRS = {
    "MaxNorm": (MaxNorm(1.5), lambda c: c.MaxNorm(1.5)),
    "MaxNorm of rows": (MaxNorm(1.5, axis=1), lambda c: c.MaxNorm(1.5, axis=1)),
    "NonNeg": (NonNeg(), lambda c: c.NonNeg()),
    "UnitNorm": (UnitNorm(), lambda c: c.UnitNorm()),
    "UnitNorm of rows": (UnitNorm(axis=1), lambda c: c.UnitNorm(axis=1)),
    "MinMaxNorm": (MinMaxNorm(0.5, 1.5), lambda c: c.MinMaxNorm(0.5, 1.5)),
    "MinMaxNorm in part": (
        MinMaxNorm(0.5, 1.5, rate=0.3),
        lambda c: c.MinMaxNorm(0.5, 1.5, rate=0.3),
    ),
} | {name: (constraint(name), lambda c, name=name: c.get(name)) for name in CONSTRAINTS}


@BOTH_DTYPES
@pytest.mark.parametrize("pair", CONSTRAINT_PAIRS)
def test_constraints_equal_keras(pair, dtype, keras):
    import torch

    ours, make = CONSTRAINT_PAIRS[pair]
    weight = kernel(dtype)
    given = weight.copy()
    constrained = ours.apply(weight)
    assert constrained.dtype == dtype
    assert_array_equal(weight, given)
    # As a tensor: arrays would be taken as float32.
    theirs = as_array(make(keras.constraints)(torch.tensor(weight)))
    # Keras's NonNeg returns float32 whatever it is given.
    assert np.max(np.abs(constrained.astype(theirs.dtype) - theirs)) <= TOLERANCE[dtype]


def test_constraints_hold():
    norms = np.linalg.norm
    weight = kernel("float64")
    assert np.all(norms(MaxNorm(1.5).apply(weight), axis=0) <= 1.5)
    assert norms(UnitNorm().apply(weight), axis=0)[1:] == pytest.approx(1, rel=1e-6)
    between = norms(MinMaxNorm(0.5, 1.5).apply(weight), axis=0)[1:]
    assert np.all((between >= 0.5 - 1e-6) & (between <= 1.5))
    assert np.all(NonNeg().apply(weight) >= 0)
    assert norms(UnitNorm().apply(weight[0]), axis=0) == pytest.approx(1, rel=1e-6)


def test_objects_and_none_are_taken_as_they_are():
    class Halve:
        def apply(self, w):
            return w / 2

    class Free:
        def penalty(self, w):
            return 0.0

        def gradient(self, w):
            return 0 * w

    halve, free = Halve(), Free()
    assert constraint(halve) is halve
    assert regularizer(free) is free
    assert constraint(None) is regularizer(None) is None


@pytest.mark.parametrize("which", ["L2", "l3", 0.01, 1, L2, True, lambda w: w])
def test_what_is_no_regularizer_is_told_the_names(which):
    with pytest.raises(ValueError, match=r"one of 'l1', 'l2', 'l1_l2', None, or an object") as e:
        regularizer(which)
    assert repr(which) in str(e.value)


@pytest.mark.parametrize("which", ["maxnorm", 2, MaxNorm, False])
def test_what_is_no_constraint_is_told_the_names(which):
    with pytest.raises(ValueError, match=r"one of 'max_norm', 'non_neg', 'unit_norm'.*") as e:
        constraint(which)
    assert repr(which) in str(e.value)


@pytest.mark.parametrize("factor", [-0.1, np.nan, np.inf, "0.1", None, True])
@pytest.mark.parametrize("make", [L1, L2, L1L2, lambda factor: L1L2(l2=factor)])
def test_factors_must_be_finite_and_not_negative(make, factor):
    with pytest.raises(
        ValueError, match=r"l[12] of L\d?L?\d must be a float in the range \[0, inf"
    ):
        make(factor)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: MaxNorm(0), "max_value > 0"),
        (lambda: MaxNorm(np.nan), "max_value > 0"),
        (lambda: MinMaxNorm(-1), "0 <= min_value <= max_value"),
        (lambda: MinMaxNorm(2, 1), "0 <= min_value <= max_value"),
        (lambda: MinMaxNorm(rate=0), "0 < rate <= 1"),
    ],
)
def test_bounds_of_norms_must_make_sense(make, rule):
    with pytest.raises(ValueError, match=f"needs {rule}. Got "):
        make()


@pytest.mark.parametrize("mask_value", [0.0, -1, 7.5])
def test_padding_mask_is_that_of_keras(mask_value, keras):
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
    x[0, 4:] = mask_value
    x[1, [0, 3]] = mask_value
    x[2, :, 1] = mask_value
    x[3] = mask_value
    mask = padding_mask(x, mask_value)
    theirs = keras.layers.Masking(mask_value).compute_mask(x)
    assert mask.dtype == bool
    assert_array_equal(mask, as_array(theirs))
    assert_array_equal(padding_mask(x[1], mask_value), mask[1])


def test_padding_may_be_nan():
    x = np.array([[[1.0, np.nan], [np.nan, np.nan], [0.0, 0.0]]])
    assert_array_equal(padding_mask(x, np.nan), [[True, False, True]])
    assert_array_equal(padding_mask(x), [[True, True, False]])


def test_padding_mask_refuses_other_shapes_and_values():
    with pytest.raises(ValueError, match=r"but has 1 dimensions \(shape=\(5,\)\)"):
        padding_mask(np.zeros(5))
    for mask_value in (None, "0", [0, 0]):
        with pytest.raises(ValueError, match="mask_value must be one number"):
            padding_mask(np.zeros((2, 3)), mask_value)


def test_names_make_what_they_say():
    assert {"l1": L1(0.01), "l2": L2(0.01), "l1_l2": L1L2(0.01, 0.01)} == REGULARIZERS
    assert list(CONSTRAINTS) == ["max_norm", "non_neg", "unit_norm", "min_max_norm"]
