"""Losses: value and derivative at one target. One integer chooses the loss inside a loop."""

import math

from numba.extending import register_jitable

from .parts import PART

LOSSES = {"mse": 0, "mae": 1, "huber": 2}


@register_jitable(**PART)
def pointwise_loss(kind, delta, error):
    """Return the loss of ``error`` = output - target, and its derivative by the output.

        mse      e²
        mae      |e|                                      derivative 0 at e = 0
        huber    ½ e²  if |e| ≤ δ,  else δ (|e| − ½ δ)    Huber (1964), as torch.nn.HuberLoss

    Parameters
    ----------
    kind : int
        A value of ``LOSSES``.
    delta, error : float
        Of one precision, which is that of the result.
    """
    one, half = type(error)(1), type(error)(0.5)
    size = abs(error)
    if kind == 0:
        return error * error, error + error
    if kind == 1:
        return size, math.copysign(one, error) if size > 0 else error
    if size <= delta:
        return half * error * error, error
    return delta * (size - half * delta), math.copysign(delta, error)
