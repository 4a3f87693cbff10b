"""Activations, each once: on floats and on register tiles.

``sigmoid`` and ``tanh`` stay within 4 units in the last place of the exact value over the whole
range of float32 and float64, down to the smallest normal number; they saturate for large inputs,
and NaN stays NaN.

Both rest on one split of the exponential (Cody & Waite, 1980):

    e^x = s (1 + p)     n = round(x / ln 2),  r = x - n ln 2,  s = 2^n,  p = e^r - 1

The part ``p`` is a polynomial on |r| <= ln(2) / 2, near-minimax in the relative error of e^r - 1
(5e-19 in float64, 2.3e-8 in float32), so e^x - 1 = s p + (s - 1) loses nothing near zero.
"""

from numba.core import types
from numba.extending import overload, register_jitable

from .tile import Tile, at_least, at_most, elementwise, fma, power_of_two

like = elementwise(lambda builder, x, constant: constant, 2)
like.__doc__ = "The constant in the precision of x; a bare literal would turn float32 into float64."


def _single(x):
    return (x.scalar if isinstance(x, Tile) else x) == types.float32


def _expm1_near_zero(r):
    """e^r - 1 for |r| <= ln(2) / 2 as r + r^2 q(r)."""


@overload(_expm1_near_zero, jit_options={"forceinline": True})
def _expm1_near_zero_in_precision(r):
    def single(r):
        q = fma(r, like(r, 0.00139263256181334621), like(r, 0.0083632927530306023112))
        q = fma(q, r, like(r, 0.041666553762567638397))
        q = fma(q, r, like(r, 0.16666576305560638271))
        q = fma(q, r, like(r, 0.5))
        return fma(r * r, q, r)

    def double(r):
        q = fma(r, like(r, 2.0914831351380410561e-9), like(r, 2.5105419192016336433e-8))
        q = fma(q, r, like(r, 2.7557273295539724343e-7))
        q = fma(q, r, like(r, 2.7557254913486702019e-6))
        q = fma(q, r, like(r, 0.00002480158732582228205))
        q = fma(q, r, like(r, 0.00019841269875205076848))
        q = fma(q, r, like(r, 0.0013888888888883669627))
        q = fma(q, r, like(r, 0.0083333333333260249508))
        q = fma(q, r, like(r, 0.041666666666666669814))
        q = fma(q, r, like(r, 0.16666666666666671074))
        q = fma(q, r, like(r, 0.5))
        return fma(r * r, q, r)

    return single if _single(r) else double


def _limits(x):
    """Rounding constant, ln 2 in two parts, largest |x| whose e^x is taken, where tanh is 1."""


@overload(_limits, jit_options={"forceinline": True})
def _limits_in_precision(x):
    # Adding 1.5 * 2^m (m mantissa bits) rounds to an integer, which then stands in the low bits.
    if _single(x):
        return lambda x: (12582912.0, 0.693359375, -2.12194440054690581e-4, 88.0, 9.02)
    return lambda x: (
        6755399441055744.0,
        0.6931471803691238,
        1.9082149292705878e-10,
        708.5,
        19.07,
    )


@register_jitable(forceinline=True)
def _split_exp(x):
    """Return s, p with e^x = s (1 + p), for |x| up to the largest of ``_limits``."""
    rounder, ln2_high, ln2_low, _, _ = _limits(x)
    shifted = fma(x, like(x, 1.4426950408889634074), like(x, rounder))
    n = shifted - like(x, rounder)
    r = fma(n, like(x, -ln2_low), fma(n, like(x, -ln2_high), x))
    return power_of_two(shifted), _expm1_near_zero(r)


@register_jitable(forceinline=True)
def sigmoid(x):
    """1 / (1 + e^-x)"""
    largest = _limits(x)[3]
    s, p = _split_exp(at_most(at_least(-x, like(x, -largest)), like(x, largest)))
    one = like(x, 1.0)
    return one / (one + fma(s, p, s))


@register_jitable(forceinline=True)
def tanh(x):
    """(e^2x - 1) / (e^2x + 1)"""
    saturated = _limits(x)[4]
    x = at_most(at_least(x, like(x, -saturated)), like(x, saturated))
    s, p = _split_exp(x + x)
    expm1 = fma(s, p, s - like(x, 1.0))
    return expm1 / (expm1 + like(x, 2.0))
