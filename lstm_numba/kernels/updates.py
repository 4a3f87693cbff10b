"""Optimizers: one step, of one weight or of a tile of them."""

import math

from numba.extending import register_jitable

from .parts import PART
from .tile import square_root


@register_jitable(**PART)
def adam(weight, gradient, mean, square, rate, blend1, blend2, epsilon, decay):
    """Return weight, mean and square after one step of Adam with decoupled weight decay.

        m ← m + (1 − β₁) (g − m)          v ← v + (1 − β₂) (g² − v)
        w ← w − λ w − α m / (√v + ε)

    Kingma & Ba (2015); Loshchilov & Hutter (2019). The corrections for the zero start of m and v
    are part of the rate α and of ε, see ``adam_rate``. ``blend1`` is 1 − β₁, ``blend2`` 1 − β₂.
    """
    mean = mean + blend1 * (gradient - mean)
    square = square + blend2 * (gradient * gradient - square)
    weight = weight - (decay * weight + rate * mean / (square_root(square) + epsilon))
    return weight, mean, square


@register_jitable(**PART)
def adam_rate(learning_rate, beta1, beta2, epsilon, step):
    """Return α and ε of step 1, 2, ... such that m / (√v + ε) is the bias-corrected quotient."""
    scale = math.sqrt(1.0 - beta2**step)
    return learning_rate * scale / (1.0 - beta1**step), epsilon * scale
