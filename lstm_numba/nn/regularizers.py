"""Penalties on weights or outputs, added to the loss."""

import math
import numbers
from dataclasses import dataclass, fields

import numpy as np


class Regularizer:
    """A value and its gradient: ``penalty(w)`` is a float, ``gradient(w)`` an array like ``w``."""

    def __post_init__(self):
        for field in fields(self):
            factor = getattr(self, field.name)
            is_number = isinstance(factor, numbers.Real) and not isinstance(factor, bool)
            if not (is_number and 0 <= factor < math.inf):
                raise ValueError(
                    f"{field.name} of {type(self).__name__} must be a float in the range [0, inf). "
                    f"Got {factor!r} instead."
                )


@dataclass(frozen=True)
class L1(Regularizer):
    """The penalty l1 Σ |w|.

    Examples
    --------
    >>> L1(0.5).penalty(np.array([1.0, -2.0])), L1(0.5).gradient(np.array([1.0, -2.0]))
    (1.5, array([ 0.5, -0.5]))
    """

    l1: float = 0.01

    def penalty(self, w):
        """Return l1 Σ |w|, summed in float64."""
        return self.l1 * float(np.sum(np.abs(w), dtype=np.float64))

    def gradient(self, w):
        """Return l1 sign(w), which is 0 at 0."""
        return np.sign(w) * w.dtype.type(self.l1)


@dataclass(frozen=True)
class L2(Regularizer):
    """The penalty l2 Σ w².

    Examples
    --------
    >>> L2(0.5).penalty(np.array([1.0, -2.0])), L2(0.5).gradient(np.array([1.0, -2.0]))
    (2.5, array([ 1., -2.]))
    """

    l2: float = 0.01

    def penalty(self, w):
        """Return l2 Σ w², summed in float64."""
        return self.l2 * float(np.sum(np.square(w, dtype=np.float64)))

    def gradient(self, w):
        """Return 2 l2 w."""
        return w * w.dtype.type(2 * self.l2)


@dataclass(frozen=True)
class L1L2(Regularizer):
    """The penalty l1 Σ |w| + l2 Σ w².

    As in Keras the name ``"l1_l2"`` means 0.01 for both, while a factor left out here is 0.
    """

    l1: float = 0.0
    l2: float = 0.0

    def penalty(self, w):
        """Return l1 Σ |w| + l2 Σ w², summed in float64."""
        return L1(self.l1).penalty(w) + L2(self.l2).penalty(w)

    def gradient(self, w):
        """Return l1 sign(w) + 2 l2 w."""
        return L1(self.l1).gradient(w) + L2(self.l2).gradient(w)


REGULARIZERS = {"l1": L1(), "l2": L2(), "l1_l2": L1L2(0.01, 0.01)}


def regularizer(which):
    """Return the regularizer of a name; None, or an object with both methods, as it is.

    Raises
    ------
    ValueError
        For anything else, a number included: it would not say which norm is meant.

    Examples
    --------
    >>> regularizer("l2")
    L2(l2=0.01)
    """
    if which is None:
        return None
    if isinstance(which, str) and which in REGULARIZERS:
        return REGULARIZERS[which]
    has_both = all(callable(getattr(which, name, None)) for name in ("penalty", "gradient"))
    if has_both and not isinstance(which, type):
        return which
    names = ", ".join(repr(name) for name in REGULARIZERS)
    raise ValueError(
        f"A regularizer must be one of {names}, None, or an object with penalty(w) and "
        f"gradient(w), for example L2(0.001). Got {which!r} instead."
    )
