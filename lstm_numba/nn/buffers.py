"""Arrays for the kernels, which begin at a cache line."""

import math

import numpy as np

_CACHE_LINE = 64


def aligned_zeros(shape, dtype):
    """Return zeros whose first element begins a cache line.

    A vector that crosses two lines is read at half speed; NumPy begins at 16 bytes.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + _CACHE_LINE, np.uint8)
    first = -raw.ctypes.data % _CACHE_LINE
    return raw[first : first + n_bytes].view(dtype).reshape(shape)
