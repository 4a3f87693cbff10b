"""Conditions that weights are brought back to after an update.

Weights are (in, gates hidden) as Keras keeps them, so a norm along axis 0 is that of all weights
that lead to one gate of one unit. Formulas are Keras's, with the small number that it adds to
every norm: zero weights stay zero, and a norm is 1e-7 short of its bound.
"""

from dataclasses import dataclass

import numpy as np

_EPSILON = 1e-7


def _with_norm(w, axis, wanted):
    """Rescale ``w`` along the axis from its norms to ``wanted(norms)``."""
    norms = np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))
    return w * (wanted(norms) / (norms + _EPSILON)).astype(w.dtype)


def _check(holds, constraint, rule):
    if not holds:
        raise ValueError(f"{type(constraint).__name__} needs {rule}. Got {constraint!r} instead.")


@dataclass(frozen=True)
class MaxNorm:
    """Norms of at most ``max_value``.

    Examples
    --------
    >>> MaxNorm(1).apply(np.array([[3.0, 0.3], [4.0, 0.4]])).round(3)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    max_value: float = 2.0
    axis: int = 0

    def __post_init__(self):
        _check(self.max_value > 0, self, "max_value > 0")

    def apply(self, w):
        """Return the weights with no norm above ``max_value``."""
        return _with_norm(w, self.axis, lambda norms: np.minimum(norms, self.max_value))


@dataclass(frozen=True)
class NonNeg:
    """No negative weights."""

    def apply(self, w):
        """Return max(w, 0)."""
        return np.maximum(w, 0)


@dataclass(frozen=True)
class UnitNorm:
    """Norms of 1."""

    axis: int = 0

    def apply(self, w):
        """Return the weights divided by their norms."""
        return _with_norm(w, self.axis, np.ones_like)


@dataclass(frozen=True)
class MinMaxNorm:
    """Norms from ``min_value`` to ``max_value``; a rate below 1 goes only that part of the way."""

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int = 0

    def __post_init__(self):
        _check(0 <= self.min_value <= self.max_value, self, "0 <= min_value <= max_value")
        _check(0 < self.rate <= 1, self, "0 < rate <= 1")

    def apply(self, w):
        """Return the weights with norms moved towards the range."""

        def wanted(norms):
            inside = np.clip(norms, self.min_value, self.max_value)
            return self.rate * inside + (1 - self.rate) * norms

        return _with_norm(w, self.axis, wanted)


CONSTRAINTS = {
    "max_norm": MaxNorm(),
    "non_neg": NonNeg(),
    "unit_norm": UnitNorm(),
    "min_max_norm": MinMaxNorm(),
}


def constraint(which):
    """Return the constraint of a name; None, or an object with ``apply``, as it is.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> constraint("max_norm")
    MaxNorm(max_value=2.0, axis=0)
    """
    if which is None:
        return None
    if isinstance(which, str) and which in CONSTRAINTS:
        return CONSTRAINTS[which]
    if callable(getattr(which, "apply", None)) and not isinstance(which, type):
        return which
    names = ", ".join(repr(name) for name in CONSTRAINTS)
    raise ValueError(
        f"A constraint must be one of {names}, None, or an object with apply(w), for example "
        f"MaxNorm(3). Got {which!r} instead."
    )
