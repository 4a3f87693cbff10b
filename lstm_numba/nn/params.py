"""All weights in one flat buffer, a named view of each; the names and shapes that layers have."""

import math


class ParamLayout:
    """Where each named weight lies in a flat buffer.

    Weights, gradients and optimizer moments share one layout, so clipping is one norm, an optimizer
    step is one loop and a checkpoint is one copy.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        In storage order, e.g. ``{"weight_ih_l0": (3, 32), "bias_l0": (32,)}``.

    Attributes
    ----------
    size : int
        Length of the flat buffer.
    """

    def __init__(self, shapes):
        self.shapes = dict(shapes)
        self.slices = {}
        start = 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            self.slices[name] = slice(start, stop)
            start = stop
        self.size = start

    def views(self, flat):
        """Return ``{name: view into flat}``; writing to a view writes to ``flat``."""
        return {name: flat[self.slices[name]].reshape(shape) for name, shape in self.shapes.items()}


def layer_shapes(cell, inputs, hidden_size, proj_size=0, suffix=""):
    """Return the weights of one layer in one direction: shapes as they are stored, by name."""
    columns = cell.gates * hidden_size
    # The candidate of a GRU adds up its two biases only after the reset gate.
    biases = ("bias_ih", "bias_hh") if cell.x_apart and cell.h_bias else ("bias",)
    shapes = {"weight_ih": (inputs, columns)}
    shapes |= dict.fromkeys(biases, (columns,))
    shapes["weight_hh"] = (proj_size or hidden_size, columns)
    if getattr(cell, "peepholes", 0):
        shapes["weight_ch"] = (cell.peepholes * hidden_size,)
    if proj_size:
        shapes["weight_hr"] = (hidden_size, proj_size)
    return {name + suffix: shape for name, shape in shapes.items()}
