"""The weights of a stack of recurrent layers: names, gradients, initial values, penalties."""

import numpy as np

from ..kernels.cpu import VECTOR_BYTES
from .constraints import constraint
from .inits import initializer
from .params import ParamLayout
from .regularizers import regularizer

ROLES = "kernel", "recurrent", "bias"
_ALL_ROLES = *ROLES, "peephole"


def _role(name):
    """Return which initializer, regularizer and constraint a weight has; peepholes have none."""
    if name.startswith("bias"):
        return "bias"
    if name.startswith("weight_ch"):
        return "peephole"
    return "kernel" if name.startswith("weight_ih") else "recurrent"


class LayerWeights:
    """Weights and gradients of all layers and directions, each in one flat array.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Names, and shapes as weights are stored: inputs x outputs.
    dtype : "float32" or "float64"
    has_bias : bool
        Without one there are biases all the same, of zeros that nobody sees.
    regularizers, constraints : dict of str to object
        What was asked for, by role: "kernel", "recurrent", "bias".

    Attributes
    ----------
    params, grads : array
        Flat; ``params`` is longer than its weights by what products may read beyond the end.
    first : dict of str to int
        Where each weight begins.
    """

    def __init__(self, shapes, dtype, has_bias, regularizers, constraints):
        self._layout = ParamLayout(shapes)
        self._has_bias = has_bias
        self._regularizers = {role: regularizer(regularizers.get(role)) for role in _ALL_ROLES}
        self._constraints = {role: constraint(constraints.get(role)) for role in _ALL_ROLES}
        lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
        self.params = np.zeros(self._layout.size + 4 * lanes, dtype)
        self.grads = np.zeros(self._layout.size, dtype)
        self.first = {name: part.start for name, part in self._layout.slices.items()}

    @property
    def shapes(self):
        """Names and shapes of the weights as they are stored."""
        return self._layout.shapes

    def _stored(self, flat):
        """Yield name, role and view of each weight that can be seen, as it is stored."""
        for name, view in self._layout.views(flat).items():
            if self._has_bias or _role(name) != "bias":
                yield name, _role(name), view

    def named(self, flat):
        """Return views by name, in torch's shapes."""
        return {name: view.T for name, _, view in self._stored(flat)}

    def draw(self, rng, initializers, hidden_size, biased_gate=None):
        """Draw all weights from the initializers, a dict by role; peepholes stay zero.

        ``biased_gate`` is the number of a gate and what its bias begins at, if it is told.
        """
        draws = {role: initializer(initializers[role], hidden_size) for role in ROLES}
        for _, role, stored in self._stored(self.params):
            if role in draws:
                stored[...] = draws[role](rng, *stored.shape)
            if role == "bias" and biased_gate is not None:
                gate, value = biased_gate
                stored[gate * hidden_size : (gate + 1) * hidden_size] = value

    def constrain(self):
        """Bring the weights back to what the constraints allow."""
        for _, role, stored in self._stored(self.params):
            if self._constraints[role] is not None:
                stored[...] = self._constraints[role].apply(stored)

    def penalty(self):
        """Return the sum of the regularizers' penalties."""
        return sum(
            self._regularizers[role].penalty(stored)
            for _, role, stored in self._stored(self.params)
            if self._regularizers[role] is not None
        )

    def add_gradient(self, gradient):
        """Add a flat gradient, and the penalties', to ``grads``."""
        self.grads += gradient
        both = zip(self._stored(self.params), self._stored(self.grads), strict=True)
        for (_, role, stored), (_, _, grad) in both:
            if self._regularizers[role] is not None:
                grad += self._regularizers[role].gradient(stored)
