"""Initial weights, drawn from a ``numpy.random.Generator``."""

import numpy as np


def glorot_uniform(rng, fan_in, fan_out):
    """Draw (fan_in, fan_out) from U(-a, a), a² = 6 / (fan_in + fan_out).  Glorot & Bengio (2010)"""
    limit = np.sqrt(6.0 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_in, fan_out))


def orthogonal(rng, rows, columns):
    """Draw (rows, columns), rows <= columns, with orthonormal rows.  Saxe et al. (2014)"""
    q, r = np.linalg.qr(rng.standard_normal((columns, rows)))
    return (q * np.sign(np.diag(r))).T
