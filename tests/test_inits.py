"""Initial weights: moments, bounds, orthonormality, and the words of a refusal."""

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_numba.nn import inits
from lstm_numba.nn.inits import INITIALIZERS, initializer

FAN_IN, FAN_OUT = 150, 400

UNIFORM = {
    "glorot_uniform": math.sqrt(6 / (FAN_IN + FAN_OUT)),
    "he_uniform": math.sqrt(6 / FAN_IN),
    "lecun_uniform": math.sqrt(3 / FAN_IN),
    "random_uniform": 0.05,
    "torch": 1 / math.sqrt(100),
}

# Standard deviation of what is drawn, and where it is cut off in units of 2 σ before the cut.
CUT = 0.87962566103423978
NORMAL = {
    "glorot_normal": (math.sqrt(2 / (FAN_IN + FAN_OUT)), CUT),
    "he_normal": (math.sqrt(2 / FAN_IN), CUT),
    "lecun_normal": (math.sqrt(1 / FAN_IN), CUT),
    "truncated_normal": (0.05 * CUT, CUT),
}


def draw(which, shape=(FAN_IN, FAN_OUT), seed=0):
    return initializer(which, hidden_size=100)(np.random.default_rng(seed), *shape)


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_initializers_fill_their_range(name):
    weight, limit = draw(name), UNIFORM[name]
    assert weight.shape == (FAN_IN, FAN_OUT)
    assert 0.999 * limit < weight.max() <= limit
    assert -limit <= weight.min() < -0.999 * limit
    assert abs(weight.mean()) < 0.01 * limit
    assert weight.std() == pytest.approx(limit / math.sqrt(3), rel=0.01)


@pytest.mark.parametrize("name", NORMAL)
def test_normal_initializers_are_cut_at_two_deviations(name):
    weight, (deviation, cut) = draw(name), NORMAL[name]
    assert weight.shape == (FAN_IN, FAN_OUT)
    assert weight.std() == pytest.approx(deviation, rel=0.01)
    assert abs(weight.mean()) < 0.01 * deviation
    bound = 2 * deviation / cut
    assert 0.999 * bound < np.abs(weight).max() <= bound


def test_random_normal_has_tails():
    weight = draw("random_normal")
    assert weight.std() == pytest.approx(0.05, rel=0.01)
    assert np.abs(weight).max() > 0.15


@pytest.mark.parametrize("shape", [(7, 28), (9, 9), (28, 7), (1, 4), (4, 1)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_is_orthonormal_in_any_shape(shape, gain):
    weight = inits.orthogonal(np.random.default_rng(0), *shape, gain=gain)
    assert weight.shape == shape
    product = weight @ weight.T if shape[0] <= shape[1] else weight.T @ weight
    assert np.max(np.abs(product - gain**2 * np.eye(min(shape)))) < 1e-13


def test_orthogonal_prefers_no_direction():
    # Without the signs of R's diagonal, LAPACK's Q would lean towards one orthant.
    rng = np.random.default_rng(0)
    corners = [inits.orthogonal(rng, 3, 3)[0, 0] for _ in range(2000)]
    assert abs(np.mean(corners)) < 0.05


def test_values_that_are_given():
    assert_array_equal(draw("zeros", (2, 3)), np.zeros((2, 3)))
    assert_array_equal(draw("ones", (3,)), np.ones(3))
    assert_array_equal(draw(-0.5, (2, 3)), np.full((2, 3), -0.5))
    assert_array_equal(draw("identity", (2, 3)), np.eye(2, 3))
    assert_array_equal(draw(lambda rng, shape: np.arange(6).reshape(shape), (2, 3)),
                       np.arange(6).reshape(2, 3))  # fmt: skip


def test_weights_of_earlier_versions():
    """Drawn once and written down: the same random_state must go on giving the same weights."""
    rng = np.random.default_rng(0)
    glorot, orthogonal = inits.glorot_uniform(rng, 3, 8), inits.orthogonal(rng, 2, 8)
    assert glorot[0, 0] == 0.20230581959331584
    assert orthogonal[1, 7] == pytest.approx(0.674307081307247, rel=1e-12)


def test_the_length_of_a_bias_is_both_of_its_fans():
    assert np.abs(draw("glorot_uniform", (600,))).max() == pytest.approx(math.sqrt(3 / 600), 0.01)
    assert np.abs(draw("he_uniform", (600,))).max() == pytest.approx(math.sqrt(6 / 600), 0.01)


@pytest.mark.parametrize("name", [*INITIALIZERS, "torch"])
def test_same_seed_same_bits(name):
    assert_array_equal(draw(name, (5, 9)), draw(name, (5, 9)))
    if name not in ("zeros", "ones", "identity"):
        assert np.any(draw(name, (5, 9)) != draw(name, (5, 9), seed=1))


@pytest.mark.parametrize("which", ["glorot", "", None, True, math.nan, math.inf, 1j, [0.1]])
def test_what_is_no_initializer_is_told_the_names(which):
    with pytest.raises(ValueError, match=r"one of 'glorot_uniform'.*'torch', a finite number") as e:
        initializer(which, hidden_size=3)
    assert repr(which) in str(e.value)


def test_a_function_that_returns_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 8\), but <function .*shape \(8, 2\)"):
        draw(lambda rng, shape: np.zeros(shape[::-1]), (2, 8))


@pytest.mark.parametrize("name", ["orthogonal", "identity"])
def test_a_bias_cannot_be_a_matrix(name):
    with pytest.raises(ValueError, match=f"{name!r} makes matrices only"):
        draw(name, (8,))
