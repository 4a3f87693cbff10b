"""How the outputs of two directions become one: Keras's merge modes."""

from typing import NamedTuple

import numpy as np


class Merge(NamedTuple):
    """``forward(a, b)`` is the merged output, ``backward(dy, a, b)`` the gradients of a and b."""

    forward: object
    backward: object


def _split(dy, a, b):
    return np.split(dy, [a.shape[-1]], axis=-1)


MERGES = {
    "concat": Merge(lambda a, b: np.concatenate([a, b], axis=-1), _split),
    "sum": Merge(np.add, lambda dy, a, b: (dy, dy)),
    "mul": Merge(np.multiply, lambda dy, a, b: (dy * b, dy * a)),
    "ave": Merge(lambda a, b: (a + b) / 2, lambda dy, a, b: (dy / 2, dy / 2)),
}
