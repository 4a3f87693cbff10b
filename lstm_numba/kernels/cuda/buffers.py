"""The device arrays that models of one network need, to work on a batch each."""

import math
from typing import NamedTuple

import numpy as np

from ..cpu.cell import CELLS
from .device import allocate, free_bytes, to_device
from .head import ROWS
from .precision import exact_products, products_of
from .product import SIDE
from .resident import adds_up, blocks_of_samples, order_of_columns, units_of
from .sums import THREADS
from .turns import Turns
from .windows import NORMS

# Parts of the sum over rows and steps in a weight gradient: enough blocks to fill a device.
_MOST_CHUNKS, _BLOCKS, _SHORTEST_CHUNK = 64, 512, 256
# And in one that adds up on the way: about as many as a device has multiprocessors.
_MOST_ADDERS = 128


class Layer(NamedTuple):
    """One recurrent layer of each model."""

    inputs: int  # columns of x that meet w_x: with the 1 of the bias where the cell has two
    x: object  # (models, numbers): from ``x_start`` on the first number of step 0
    x_start: int
    x_row: int  # stride of its rows
    w_x: tuple  # an array (models, numbers), and where w_x begins in it
    at: int  # where the layer's weights lie among all: w_x
    own: int  # and w (1 + hidden, gates hidden)
    h: object  # (models, seq_len + 1, batch, 1 + hidden + 1) ones around h
    c: object  # (models, seq_len + 1, batch, hidden)
    gates: object  # (models, seq_len, batch, slots hidden)
    carry: object  # (models, batch, hidden) scratch of the backward pass
    dy: object  # (models, steps, batch, hidden) gradients of h after each of the last steps


class Buffers:
    """Arrays for batches of up to ``batch`` rows of each model.

    Parameters
    ----------
    network : Network
        Of all models.
    params : device array, (models, network.layout.size)
        Shared, not copied.
    batch : int
    training : bool
        With what a gradient needs.
    """

    def __init__(self, network, params, batch, training):
        self.network, self.params, self.batch = network, params, batch
        self.models, self.n_params = params.shape
        self.cell, self.norm = CELLS[network.cell], NORMS[network.window_norm]
        self.products, self.exact = products_of(network), exact_products(network.dtype)
        self.units, self.adds_up = units_of(network), adds_up(network)
        self.chunks = chunks_of(network, batch) if training else 0
        shapes = shapes_of(network, batch, training)
        self._arrays = allocate(
            {name: (self.models, *shape) for name, shape in shapes.items()}, network.dtype
        )
        self._flat = {
            name: array.reshape((self.models, array.size // self.models))
            for name, array in self._arrays.items()
        }
        self.layers = [self._layer(k) for k in range(network.num_layers)]
        if training:
            self.order = to_device(self._order(), np.int64)
        self.turns = Turns(network, self.models, -(-batch // ROWS))
        self._begin()

    def __getattr__(self, name):
        try:
            return vars(self)["_arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    def flat(self, name):
        """Return an array as (models, numbers)."""
        return self._flat[name]

    def place(self, name):
        """Return where the named weights begin among all."""
        return self.network.layout.slices[name].start

    def _layer(self, k):
        network, arrays, batch = self.network, self._arrays, self.batch
        hidden, h = network.hidden_size, arrays[f"h{k}"]
        apart, at = self.cell.x_apart, self.place(f"weight_ih_l{k}")
        return Layer(
            inputs=(hidden if k else network.features) + apart,
            x=self.flat(f"h{k - 1}" if k else "x"),
            x_start=batch * (hidden + 2) + 1 if k else 0,
            x_row=hidden + 2 if k else network.features + 1,
            w_x=(self.flat(f"packed_x{k}"), 0) if self.units else (self.params, at),
            at=at,
            own=self.place(f"bias_hh_l{k}" if apart else f"bias_l{k}"),
            h=h,
            c=arrays.get(f"c{k}", h),
            gates=arrays[f"gates{k}"],
            carry=arrays.get("carry"),
            dy=arrays.get(f"dy{k}"),
        )

    def _order(self):
        """Return where each weight's gradient stands in the partial gradients."""
        order, hidden = np.arange(self.n_params), self.network.hidden_size
        if self.units:
            columns = order_of_columns(hidden)
            for layer in self.layers:
                rows = layer.at + 4 * hidden * np.arange(layer.inputs + 1 + hidden)
                places = (rows[:, np.newaxis] + columns).ravel()
                order[layer.at : layer.at + places.size] = places
        return order

    def _begin(self):
        """Write what no kernel overwrites: initial states, and the ones that carry the biases."""
        dtype = self.network.dtype
        self.x.copy_to_device(np.ones(self.x.shape, dtype))
        for k, layer in enumerate(self.layers):
            h = np.zeros(layer.h.shape, dtype)
            h[..., 0] = h[..., -1] = 1
            layer.h.copy_to_device(h)
            self._clear(f"c{k}")
        # Of weights whose gradients add up in fewer blocks than there are chunks.
        self._clear("partials")
        self._clear("mean")
        self._clear("square")

    def _clear(self, name):
        if name in self._arrays:
            array = self._arrays[name]
            array.copy_to_device(np.zeros(array.shape, array.dtype))


def chunks_of(network, batch):
    """Return into how many parts the sums over rows and steps are cut.

    The number of models plays no part: it must not change a bit of any.
    """
    rows = network.hidden_size
    columns = CELLS[network.cell].gates * network.hidden_size
    tiles = -(-rows // SIDE) * -(-columns // SIDE)
    longest = -(-network.seq_len * batch // _SHORTEST_CHUNK)
    chunks = max(1, min(_MOST_CHUNKS, _BLOCKS // tiles, longest))
    if adds_up(network):
        blocks, _ = blocks_of_samples(batch, units_of(network))
        chunks = max(chunks, min(_MOST_ADDERS, blocks))
    return chunks


def shapes_of(network, batch, training):
    """Return the shape of each array by name, for one model."""
    cell, units = CELLS[network.cell], units_of(network)
    seq_len, hidden, layers = network.seq_len, network.hidden_size, network.num_layers
    shapes = {
        "x": (seq_len, batch, network.features + 1),
        "history": (seq_len, batch, network.targets),
        "shift": (batch, network.targets),
        "scale": (batch, network.targets),
        "dout": (batch, network.targets * network.horizon),
    }
    for k in range(layers):
        shapes[f"h{k}"] = (seq_len + 1, batch, hidden + 2)
        shapes[f"gates{k}"] = (seq_len, batch, cell.slots * hidden)
        if units:
            shapes[f"packed_forward{k}"] = shapes[f"packed_backward{k}"] = (4 * units**2,)
            shapes[f"packed_x{k}"] = (4 * hidden * (hidden if k else network.features),)
        if network.cell == "lstm":
            shapes[f"c{k}"] = (seq_len + 1, batch, hidden)
        if training and k < layers - 1:
            shapes[f"dy{k}"] = (seq_len, batch, hidden)
    shapes[f"dy{layers - 1}"] = (1, batch, hidden)
    if not training:
        shapes["out"] = (batch, network.horizon, network.targets)
    else:
        n = network.layout.size
        shapes |= {"carry": (batch, hidden), "gradient": (n,), "mean": (n,), "square": (n,)}
        shapes |= {"partials": (chunks_of(network, batch), n), "squares": (-(-n // THREADS),)}
    return shapes


def models_at_once(network, batch):
    """Return how many models train side by side: as fit half of the memory, and a grid."""
    most, free = 65535, free_bytes()
    if free is None:
        return most
    numbers = sum(math.prod(shape) for shape in shapes_of(network, batch, True).values())
    numbers += 2 * network.layout.size
    return max(1, min(most, free // (2 * numbers * np.dtype(network.dtype).itemsize)))
