"""Optimizers: one weight, one step."""

import math

from numba.extending import register_jitable


@register_jitable(forceinline=True)
def adam(weight, gradient, mean, square, rate, beta1, beta2, epsilon, decay):
    """Return weight, mean and square after one step of Adam with decoupled weight decay.

        m ← β₁ m + (1 − β₁) g             v ← β₂ v + (1 − β₂) g²
        w ← w − λ w − α m / (√v + ε)

    Kingma & Ba (2015); Loshchilov & Hutter (2019). The corrections for the zero start of m and v
    are part of the rate α and of ε, see ``adam_rate``.
    """
    one = type(weight)(1)
    mean = beta1 * mean + (one - beta1) * gradient
    square = beta2 * square + (one - beta2) * gradient * gradient
    weight -= decay * weight + rate * mean / (math.sqrt(square) + epsilon)
    return weight, mean, square


@register_jitable
def adam_rate(learning_rate, beta1, beta2, epsilon, step):
    """Return α and ε of step 1, 2, ... such that m / (√v + ε) is the bias-corrected quotient."""
    scale = math.sqrt(1.0 - beta2**step)
    return learning_rate * scale / (1.0 - beta1**step), epsilon * scale
