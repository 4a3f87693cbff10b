"""Activations, each once with its slope: on floats and on register tiles.

::

    name                 a(z)                               da/dz
    linear               z                                  1
    tanh                 (e^2z - 1) / (e^2z + 1)            1 - a^2
    sigmoid              1 / (1 + e^-z)                     a (1 - a)
    hard_sigmoid         clip(z + 3, 0, 6) / 6              1/6 if -3 < z < 3 else 0
    hard_sigmoid_keras2  clip(z + 2.5, 0, 5) / 5            1/5 if -2.5 < z < 2.5 else 0
    relu                 max(z, 0)                          1 if z > 0 else 0
    elu                  z if z > 0 else e^z - 1            1 if z > 0 else e^z
    selu                 s (z if z > 0 else k (e^z - 1))    s if z > 0 else s k e^z
    softplus             log(1 + e^z)                       sigmoid(z)
    softsign             z / (1 + |z|)                      1 / (1 + |z|)^2
    silu                 z sigmoid(z)                       sigmoid(z) (1 + z sigmoid(-z))
    gelu                 z Phi(z)                           Phi(z) + z phi(z)
    exponential          e^z                                e^z

Phi and phi are the distribution and the density of the standard normal law; s = 1.0507... and
k = 1.6732... are the constants of Klambauer et al. (2017). Slopes at kinks are those of torch.

Every activation stays within 4 units in the last place of the exact value over the whole range of
float32 and float64, down to the smallest normal number (sigmoid: to twice that where subnormal
numbers are flushed to zero); gelu within 5. It saturates for large inputs, also at infinity, and
NaN stays NaN. A slope is within 4 machine epsilons of the exact one, relative to the larger of the
slope and 1: forms like 1 - a^2 cancel where a saturates.

All rest on one split of the exponential (Cody & Waite, 1980):

    e^x = s e^r         n = round(x / ln 2),  r = x - n ln 2,  s = 2^n

For |r| <= ln(2) / 2 there are two forms of e^r:

    1 + p               p = e^r - 1, a polynomial near-minimax in its relative error (5e-19 in
                        float64, 2.3e-8 in float32): e^x - 1 = s p + (s - 1) loses nothing near zero
    (c + r) / (c - r)   c = r coth(r / 2), a polynomial in r^2 half as long (relative error of e^r
                        1.8e-19 and 5.2e-10), as in fdlibm (Sun, 1993): for sigmoid and tanh, which
                        divide once in any case
"""

from numba.core import types
from numba.extending import overload, register_jitable

from .parts import PART, subkernel
from .tile import (
    Tile,
    absolute,
    at_least,
    at_most,
    elementwise,
    fma,
    polynomial,
    power_of_two,
    quotient,
    where_positive,
    with_sign_of,
)

(
    LINEAR,
    TANH,
    SIGMOID,
    HARD_SIGMOID,
    HARD_SIGMOID_KERAS2,
    RELU,
    ELU,
    SELU,
    SOFTPLUS,
    SOFTSIGN,
    SILU,
    GELU,
    EXPONENTIAL,
) = range(13)

ACTIVATIONS = {
    "linear": LINEAR,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "hard_sigmoid": HARD_SIGMOID,
    "hard_sigmoid_keras2": HARD_SIGMOID_KERAS2,
    "relu": RELU,
    "elu": ELU,
    "selu": SELU,
    "softplus": SOFTPLUS,
    "softsign": SOFTSIGN,
    "silu": SILU,
    "gelu": GELU,
    "exponential": EXPONENTIAL,
}

like = elementwise(lambda builder, x, constant: constant, 2)
like.__doc__ = "The constant in the precision of x; a bare literal would turn float32 into float64."

# the exponential

_LOG2_E, _LN_2 = 1.4426950408889634074, 0.69314718055994530942

# q(r) of e^r - 1 = r + r^2 q(r) for |r| <= ln(2) / 2
_expm1_rest = polynomial(
    single=(
        0.00139263256181334621, 0.0083632927530306023112, 0.041666553762567638397,
        0.16666576305560638271, 0.5
    ),
    double=(
        2.0914831351380410561e-9, 2.5105419192016336433e-8, 2.7557273295539724343e-7,
        2.7557254913486702019e-6, 0.00002480158732582228205, 0.00019841269875205076848,
        0.0013888888888883669627, 0.0083333333333260249508, 0.041666666666666669814,
        0.16666666666666671074, 0.5
    ),
)  # fmt: skip


def _limits(x):
    """Rounding constant, ln 2 in two parts, largest |x| whose e^x is taken, where tanh is 1."""


@overload(_limits, jit_options=PART)
def _limits_in_precision(x):
    # Adding 1.5 * 2^m (m mantissa bits) rounds to an integer, which then stands in the low bits;
    # 127 and 1023 are the bias of an exponent, see ``power_of_two``.
    if (x.scalar if isinstance(x, Tile) else x) == types.float32:
        return lambda x: (12582912.0 + 127.0, 0.693359375, -2.12194440054690581e-4, 88.0, 9.02)
    return lambda x: (
        6755399441055744.0 + 1023.0,
        0.6931471803691238,
        1.9082149292705878e-10,
        708.5,
        19.07,
    )


@register_jitable(**PART)
def _rounded(x, factor):
    """Return n = round(factor x), with the rounding constant added and without."""
    rounder = like(x, _limits(x)[0])
    shifted = fma(x, like(x, factor), rounder)
    return shifted, shifted - rounder


@register_jitable(**PART)
def _plus_multiple_of_ln2(x, n):
    """x + n ln 2, where the two nearly cancel"""
    _, ln2_high, ln2_low, _, _ = _limits(x)
    return fma(n, like(x, ln2_low), fma(n, like(x, ln2_high), x))


@register_jitable(**PART)
def _shifted_exp(x):
    """Return n, p with e^x = 2^n (1 + p); n with the rounding constant added."""
    shifted, n = _rounded(x, _LOG2_E)
    r = _plus_multiple_of_ln2(x, -n)
    return shifted, fma(r * r, _expm1_rest(r), r)


@register_jitable(**PART)
def _split_exp(x):
    """Return s, p with e^x = s (1 + p), for |x| up to the largest of ``_limits``."""
    shifted, p = _shifted_exp(x)
    return power_of_two(shifted), p


@register_jitable(**PART)
def _clip(x, largest):
    return at_most(at_least(x, like(x, -largest)), like(x, largest))


@register_jitable(**PART)
def _exp(x):
    """e^x; beyond the largest |x| of ``_limits`` its value there."""
    s, p = _split_exp(_clip(x, _limits(x)[3]))
    return fma(s, p, s)


@register_jitable(**PART)
def _expm1(x):
    """e^x - 1"""
    s, p = _split_exp(_clip(x, _limits(x)[3]))
    return fma(s, p, s - like(x, 1.0))


# the activations of the classic cells


# r coth(r / 2) from r^2 for |r| <= ln(2) / 2
_r_coth_of_half = polynomial(
    single=(-0.0027659848523930566086, 0.16666617690670141459, 2.0),
    double=(
        4.1360451975737395313e-8, -1.6533837096024135032e-6, 0.000066137562500618402857,
        -0.0027777777776697097631, 0.1666666666666655467, 2.0
    ),
)  # fmt: skip

# The same for 2r, halved: r coth(r) from r^2 for |r| <= ln(2) / 4
_r_coth = polynomial(
    single=(-0.022127878819144452869, 0.33333235381340282918, 1.0),
    double=(
        0.0000211765514115775464, -0.00021163311482910892841, 0.0021164020000197888914,
        -0.022222222221357678105, 0.3333333333333310934, 1.0
    ),
)  # fmt: skip


@register_jitable(**PART)
def sigmoid(x):
    """1 / (1 + e^-x) = (c + r) / (c + r + s (c - r)) for x = r - n ln 2"""
    x = _clip(x, _limits(x)[3])
    shifted, n = _rounded(x, -_LOG2_E)
    r = _plus_multiple_of_ln2(x, n)
    c = _r_coth_of_half(r * r)
    return quotient(c + r, fma(power_of_two(shifted), c - r, c + r))


@register_jitable(**PART)
def tanh(x):
    """(e^2x - 1) / (e^2x + 1) = (h (c + r) + r) / (h (c + r) + c) for x = n ln(2) / 2 + r >= 0

    where h = (s - 1) / 2; odd in x.
    """
    size = at_most(absolute(x), like(x, _limits(x)[4]))
    shifted, n = _rounded(size, 2.0 * _LOG2_E)
    # An error of e^2x counts by 1 / sinh 2x, so ln 2 need not be in two parts.
    r = fma(n, like(x, -0.5 * _LN_2), size)
    c, half = _r_coth(r * r), like(x, 0.5)
    h = fma(power_of_two(shifted), half, -half)
    return with_sign_of(quotient(fma(h, c + r, r), fma(h, c + r, c)), x)


# of straight lines


@register_jitable(**PART)
def _relu_slope(x):
    return where_positive(x, like(x, 1.0), like(x, 0.0))


@register_jitable(**PART)
def _ramp(x, half):
    """From 0 at -half to 1 at half. The sum first: it is exact where the ramp begins."""
    whole = like(x, half + half)
    return at_most(at_least(x + like(x, half), like(x, 0.0)), whole) / whole


@register_jitable(**PART)
def _ramp_slope(x, half):
    inside = where_positive(like(x, half) - x, like(x, 0.5 / half), like(x, 0.0))
    return where_positive(x + like(x, half), inside, like(x, 0.0))


# of one exponential


@register_jitable(**PART)
def _elu(x, scale, alpha):
    """scale (x if x > 0 else alpha (e^x - 1))"""
    zero = like(x, 0.0)
    above, below = at_least(x, zero), _expm1(at_most(x, zero))
    return fma(like(x, scale), above, like(x, scale * alpha) * below)


@register_jitable(**PART)
def _elu_slope(x, scale, alpha):
    below = like(x, scale * alpha) * _exp(at_most(x, like(x, 0.0)))
    return where_positive(x, like(x, scale), below)


@register_jitable(**PART)
def _exponential(x):
    """The square of e^(x/2): that reaches to zero and to infinity."""
    root = _exp(like(x, 0.5) * x)
    return root * root


# q(w^2) of log(1 + u) = 2 artanh(w) = 2 w + w^3 q(w^2) for w = u / (2 + u), 0 <= u <= 1; relative
# error of the logarithm 4.5e-9 and 3.5e-20
_log1p_rest = polynomial(
    single=(
        0.28012002853066683347, 0.28001801607314270484, 0.40021527496035754678,
        0.66666416280777097662
    ),
    double=(
        0.16459021734401897779, 0.069994849256495086112, 0.10971192743089002138,
        0.11716154072547951957, 0.13336787161430882718, 0.15384453028143661359,
        0.18181823161772988718, 0.22222222126425959286, 0.28571428572497281649,
        0.39999999999994061877, 0.66666666666666678126
    ),
)  # fmt: skip


@register_jitable(**PART)
def _softplus(x):
    """max(x, 0) + log(1 + e^-|x|)"""
    u = _exp(-absolute(x))
    w = u / (u + like(x, 2.0))
    square = w * w
    log1p = fma(w * square, _log1p_rest(square), w + w)
    return at_least(x, like(x, 0.0)) + log1p


@register_jitable(**PART)
def _softsign(x):
    # Infinity would be divided by itself; from 1e30 on the quotient is 1.
    x = _clip(x, 1e30)
    return x / (absolute(x) + like(x, 1.0))


@register_jitable(**PART)
def _softsign_slope(x):
    root = like(x, 1.0) / (absolute(x) + like(x, 1.0))
    return root * root


@register_jitable(**PART)
def _silu(x):
    """(x if x > 0 else x e^x) / (1 + e^-|x|)"""
    one, lowest = like(x, 1.0), like(x, -1.05 * _limits(x)[3])
    shifted, p = _shifted_exp(at_least(-absolute(x), lowest))
    # Lifted by 2^64, because x e^x is still a normal number where e^x is not.
    s, down = power_of_two(shifted + like(x, 64.0)), like(x, 2.0**-64)
    x = at_least(x, lowest)
    r = one / fma(fma(s, p, s), down, one)
    return where_positive(x, x, fma(x, p, x) * s * down) * r


@register_jitable(**PART)
def _silu_slope(x):
    """sigmoid(x) (1 + x sigmoid(-x))"""
    x = _clip(x, 2 * _limits(x)[3])
    a = sigmoid(x)
    return fma(x * sigmoid(-x), a, a)


# the tail of the normal law


# g(u) of Q(t) = g(u) e^(-t^2/2) / (t + 5) for u = (t - 5) / (t + 5), 0 <= t <= 13.5 or 38.7;
# relative error 8.5e-9 and 5.8e-18
_tail_rest = polynomial(
    single=(
        0.0003937453707, -0.00100020843, -0.002981056075, 0.02088052584, -0.06910824675,
        0.1650075573, -0.3135347449, 0.4953062973, -0.6653824607, 0.7691930437
    ),
    double=(
        -2.9648659602381145744e-10, 1.4485624003449021682e-9, 7.9358198129811201987e-9,
        -8.3418154241898147349e-9, -6.6024481327816573235e-8, 4.0936993808868133281e-8,
        4.3291328039203962989e-7, -3.3557477928051668032e-7, -0.0000027689771179708730691,
        0.0000039803998497719585294, 0.000016681052648719529793, -0.000049762658723870887011,
        -0.000059375677949370383239, 0.00054489903398880733123, -0.00079786940748862495466,
        -0.0029933767667624045212, 0.020795066800788812471, -0.069118638706566951051,
        0.16502036617033972691, -0.31353315667129627551, 0.49530561596997725701,
        -0.66538250289005678051, 0.76919304975006295604
    ),
)  # fmt: skip


@register_jitable(**PART)
def _normal_tail(x):
    """Return t = |x|, q, t q, s, p with Q(t) = 1 - Phi(t) = q s (1 + p), s (1 + p) = e^(-t^2/2)."""
    one, five, minus_half = like(x, 1.0), like(x, 5.0), like(x, -0.5)
    t = at_most(absolute(x), like(x, 40.0))
    square = t * t
    s, p = _split_exp(at_least(minus_half * square, like(x, -_limits(x)[3])))
    # What the square lost in rounding would count 700 times in the exponential.
    p = fma(minus_half * fma(t, t, -square), one + p, p)
    y = t / (t + five)
    g = _tail_rest(y + y - one)
    return t, g / (t + five), y * g, s, p


@register_jitable(**PART)
def _gelu(x):
    """max(x, 0) - |x| Q(|x|)"""
    _, _, tq, s, p = _normal_tail(x)
    return at_least(x, like(x, 0.0)) - fma(tq, p, tq) * s


@register_jitable(**PART)
def _gelu_slope(x):
    """Phi(x) + x phi(x)"""
    t, q, _, s, p = _normal_tail(x)
    y = fma(t, like(x, -0.39894228040143267794), q)
    below = fma(y, p, y) * s
    return where_positive(x, like(x, 1.0) - below, below)


# chosen at run time

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


@subkernel
def activate(kind, z):
    """Return a(z) for ``kind`` of ``ACTIVATIONS``."""
    if kind == TANH:
        return tanh(z)
    if kind == SIGMOID:
        return sigmoid(z)
    if kind == HARD_SIGMOID:
        return _ramp(z, 3.0)
    if kind == HARD_SIGMOID_KERAS2:
        return _ramp(z, 2.5)
    if kind == RELU:
        return at_least(z, like(z, 0.0))
    if kind == ELU:
        return _elu(z, 1.0, 1.0)
    if kind == SELU:
        return _elu(z, _SELU_SCALE, _SELU_ALPHA)
    if kind == SOFTPLUS:
        return _softplus(z)
    if kind == SOFTSIGN:
        return _softsign(z)
    if kind == SILU:
        return _silu(z)
    if kind == GELU:
        return _gelu(z)
    if kind == EXPONENTIAL:
        return _exponential(z)
    return z


@subkernel
def activate_slope(kind, z):
    """Return a(z), da/dz for ``kind`` of ``ACTIVATIONS``."""
    one = like(z, 1.0)
    a = activate(kind, z)
    if kind == TANH:
        return a, fma(-a, a, one)
    if kind == SIGMOID:
        return a, a * (one - a)
    if kind == HARD_SIGMOID:
        return a, _ramp_slope(z, 3.0)
    if kind == HARD_SIGMOID_KERAS2:
        return a, _ramp_slope(z, 2.5)
    if kind == RELU:
        return a, _relu_slope(z)
    if kind == ELU:
        return a, _elu_slope(z, 1.0, 1.0)
    if kind == SELU:
        return a, _elu_slope(z, _SELU_SCALE, _SELU_ALPHA)
    if kind == SOFTPLUS:
        return a, sigmoid(z)
    if kind == SOFTSIGN:
        return a, _softsign_slope(z)
    if kind == SILU:
        return a, _silu_slope(z)
    if kind == GELU:
        return a, _gelu_slope(z)
    if kind == EXPONENTIAL:
        return a, a
    return a, one
