"""Initial weights, drawn from a ``numpy.random.Generator``.

Every initializer is called as ``draw(rng, *shape)``. Matrices are (fan_in, fan_out) as Keras keeps
them: the kernel of a recurrent layer is drawn in one piece, (in, gates hidden). A bias is a vector
whose length is both its fan_in and its fan_out, also as in Keras.
"""

import numbers

import numpy as np

# Standard deviation of N(0, 1) cut off at -2 and 2.
_CUT_DEVIATION = 0.87962566103423978


def _uniform(rng, shape, scale, fan):
    """Draw from U(-a, a) with the variance scale / fan."""
    limit = np.sqrt(3 * scale / fan)
    return rng.uniform(-limit, limit, shape)


def _cut_normal(rng, shape):
    """Draw from N(0, 1) cut off at -2 and 2."""
    draws = rng.standard_normal(shape)
    while np.any(beyond := np.abs(draws) > 2):
        draws[beyond] = rng.standard_normal(np.count_nonzero(beyond))
    return draws


def _normal(rng, shape, scale, fan):
    """Draw from a normal cut off at 2 σ with, after the cut, the variance scale / fan."""
    return _cut_normal(rng, shape) * (np.sqrt(scale / fan) / _CUT_DEVIATION)


def _mean_fan(shape):
    return (shape[0] + shape[-1]) / 2


def glorot_uniform(rng, *shape):
    """Draw from U(-a, a), a² = 6 / (fan_in + fan_out).  Glorot & Bengio (2010)"""
    return _uniform(rng, shape, 1, _mean_fan(shape))


def glorot_normal(rng, *shape):
    """Draw from a cut normal of variance 2 / (fan_in + fan_out).  Glorot & Bengio (2010)"""
    return _normal(rng, shape, 1, _mean_fan(shape))


def he_uniform(rng, *shape):
    """Draw from U(-a, a), a² = 6 / fan_in.  He et al. (2015)"""
    return _uniform(rng, shape, 2, shape[0])


def he_normal(rng, *shape):
    """Draw from a cut normal of variance 2 / fan_in.  He et al. (2015)"""
    return _normal(rng, shape, 2, shape[0])


def lecun_uniform(rng, *shape):
    """Draw from U(-a, a), a² = 3 / fan_in.  LeCun et al. (1998)"""
    return _uniform(rng, shape, 1, shape[0])


def lecun_normal(rng, *shape):
    """Draw from a cut normal of variance 1 / fan_in.  LeCun et al. (1998)"""
    return _normal(rng, shape, 1, shape[0])


def orthogonal(rng, rows, columns, gain=1.0):
    """Draw (rows, columns) with orthonormal rows or columns, whichever are fewer, times the gain.

    Saxe et al. (2014)
    """
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= gain * np.sign(np.diag(r))
    return q.T if rows <= columns else q


def random_uniform(rng, *shape):
    """Draw from U(-0.05, 0.05)."""
    return rng.uniform(-0.05, 0.05, shape)


def random_normal(rng, *shape):
    """Draw from N(0, 0.05²)."""
    return rng.normal(0, 0.05, shape)


def truncated_normal(rng, *shape):
    """Draw from N(0, 0.05²) cut off at -0.1 and 0.1."""
    return 0.05 * _cut_normal(rng, shape)


def zeros(rng, *shape):
    """Return zeros."""
    return np.zeros(shape)


def ones(rng, *shape):
    """Return ones."""
    return np.ones(shape)


def identity(rng, rows, columns):
    """Return the identity: of a simple RNN with relu, the state held.  Le et al. (2015)"""
    return np.eye(rows, columns)


INITIALIZERS = {
    draw.__name__: draw
    for draw in (
        glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal,
        orthogonal, random_uniform, random_normal, truncated_normal, zeros, ones, identity,
    )
}  # fmt: skip


def initializer(which, hidden_size):
    """Return the function ``draw(rng, *shape)`` that draws an initial weight.

    Parameters
    ----------
    which : str, float or callable
        A name in ``INITIALIZERS``; ``"torch"`` for torch's default in recurrent layers, U(-a, a)
        with a² = 1 / hidden_size; a number, the value of all weights; or a function of ``rng``
        and ``shape`` that returns an array.
    hidden_size : int

    Raises
    ------
    ValueError
        If ``which`` is none of these; from ``draw``, if the user's function returns an array of
        another shape, or a bias is asked of an initializer of matrices.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> initializer("orthogonal", hidden_size=2)(rng, 2, 8).shape
    (2, 8)
    >>> initializer(0.5, hidden_size=2)(rng, 3).tolist()
    [0.5, 0.5, 0.5]
    """
    if callable(which):
        return lambda rng, *shape: _as_asked(which, rng, shape)
    if isinstance(which, str):
        if which == "torch":
            return lambda rng, *shape: _uniform(rng, shape, 1, 3 * hidden_size)
        if which in ("orthogonal", "identity"):
            return lambda rng, *shape: INITIALIZERS[which](rng, *_matrix(which, shape))
        if which in INITIALIZERS:
            return INITIALIZERS[which]
    elif isinstance(which, numbers.Real) and not isinstance(which, bool) and np.isfinite(which):
        return lambda rng, *shape: np.full(shape, float(which))
    names = ", ".join(repr(name) for name in (*INITIALIZERS, "torch"))
    raise ValueError(
        f"An initializer must be one of {names}, a finite number, or a function of rng and shape. "
        f"Got {which!r} instead."
    )


def _as_asked(function, rng, shape):
    """Return the user's array, or raise if it has another shape."""
    weight = np.asarray(function(rng, shape))
    if weight.shape != shape:
        raise ValueError(
            f"An initializer was asked for an array of shape {shape}, but {function!r} returned "
            f"one of shape {weight.shape}."
        )
    return weight


def _matrix(which, shape):
    """Return ``shape``, or raise if it is that of a bias."""
    if len(shape) != 2:
        raise ValueError(
            f"The initializer {which!r} makes matrices only, but a vector of shape {shape} was "
            "asked for. Use another one for the bias."
        )
    return shape
