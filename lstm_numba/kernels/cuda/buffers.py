"""The device arrays that one network needs to work on a batch."""

import math
from typing import NamedTuple

import numpy as np

from ..cpu.cell import CELLS
from .device import allocate
from .product import SIDE
from .resident import units_of
from .sums import THREADS
from .windows import NORMS

# Parts of the sum over rows and steps in a weight gradient: enough blocks to fill a device.
_MOST_CHUNKS, _BLOCKS, _SHORTEST_CHUNK = 64, 512, 256


class Layer(NamedTuple):
    """One recurrent layer; flat arrays are addressed by strides, as ``product`` takes them."""

    inputs: int  # columns of x that meet w_x: with the 1 of the bias where the cell has two
    x: object  # flat; from the first number of step 0 on
    x_row: int  # stride of its rows
    w_x: object  # flat
    w: object  # (1 + hidden, gates hidden)
    at: int  # where the layer's weights lie in the flat buffer
    h: object  # (seq_len + 1, batch, 1 + hidden + 1) ones around h
    c: object  # (seq_len + 1, batch, hidden)
    gates: object  # (seq_len, batch, slots hidden)
    packed_forward: object  # see ``resident.pack_weights``; None where weights do not fit
    packed_backward: object
    carry: object  # (batch, hidden) scratch of the backward pass
    dy: object  # (steps, batch, hidden) gradients of h after each of the last steps


class Buffers:
    """Arrays for batches of up to ``batch`` rows.

    Parameters
    ----------
    network : Network
    params : device array, (network.layout.size,)
        Shared, not copied.
    batch : int
    training : bool
        With what a gradient needs.
    """

    def __init__(self, network, params, batch, training):
        self.network, self.params, self.batch = network, params, batch
        self.cell, self.norm = CELLS[network.cell], NORMS[network.window_norm]
        self.n_params, self.units = network.layout.size, units_of(network)
        self.chunks = self._choose_chunks() if training else 0
        self._arrays = allocate(self._shapes(training), network.dtype)
        self._flat = {name: array.reshape(array.size) for name, array in self._arrays.items()}
        self.layers = [self._layer(k) for k in range(network.num_layers)]
        self._begin()

    def __getattr__(self, name):
        try:
            return vars(self)["_arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    def flat(self, name):
        """Return an array as a vector."""
        return self._flat[name]

    def weights(self, name):
        """Return the flat weights from the named ones on."""
        return self.params[self.place(name) :]

    def place(self, name):
        """Return where the named weights begin in the flat buffer."""
        return self.network.layout.slices[name].start

    def _choose_chunks(self):
        network = self.network
        rows = network.hidden_size + 1
        columns = self.cell.gates * network.hidden_size
        tiles = -(-rows // SIDE) * -(-columns // SIDE)
        longest = -(-network.seq_len * self.batch // _SHORTEST_CHUNK)
        return max(1, min(_MOST_CHUNKS, _BLOCKS // tiles, longest))

    def _shapes(self, training):
        """Return the shape of each array by name."""
        network, batch = self.network, self.batch
        seq_len, hidden, layers = network.seq_len, network.hidden_size, network.num_layers
        outputs = network.targets, network.horizon
        shapes = {
            "x": (seq_len, batch, network.features + 1),
            "history": (seq_len, batch, network.targets),
            "shift": (batch, network.targets),
            "scale": (batch, network.targets),
            "parts": (2 if network.skip else 1, batch, *outputs),
            "losses": (batch * math.prod(outputs),),
            "dout": (batch, *outputs),
        }
        for k in range(layers):
            shapes[f"h{k}"] = (seq_len + 1, batch, hidden + 2)
            shapes[f"gates{k}"] = (seq_len, batch, self.cell.slots * hidden)
            if self.units:
                shapes[f"packed_forward{k}"] = shapes[f"packed_backward{k}"] = (4 * self.units**2,)
            if network.cell == "lstm":
                shapes[f"c{k}"] = (seq_len + 1, batch, hidden)
            if training:
                shapes[f"dy{k}"] = (1 if k == layers - 1 else seq_len, batch, hidden)
        if training:
            n = self.n_params
            shapes |= {"carry": (batch, hidden), "gradient": (n,), "mean": (n,), "square": (n,)}
            shapes |= {"partials": (self.chunks, n), "squares": (-(-n // THREADS),)}
        return shapes

    def _layer(self, k):
        network, arrays = self.network, self._arrays
        hidden, columns = network.hidden_size, self.cell.gates * network.hidden_size
        first_x = self.place(f"weight_ih_l{k}")
        first = self.place(f"bias_hh_l{k}" if self.cell.x_apart else f"bias_l{k}")
        h = arrays[f"h{k}"]
        below = self._flat[f"h{k - 1}"][self.batch * (hidden + 2) + 1 :] if k else None
        return Layer(
            inputs=(hidden if k else network.features) + self.cell.x_apart,
            x=below if k else self._flat["x"],
            x_row=hidden + 2 if k else network.features + 1,
            w_x=self.params[first_x:],
            w=self.params[first : first + (1 + hidden) * columns].reshape(1 + hidden, columns),
            at=first_x,
            h=h,
            c=arrays.get(f"c{k}", h),
            gates=arrays[f"gates{k}"],
            packed_forward=arrays.get(f"packed_forward{k}"),
            packed_backward=arrays.get(f"packed_backward{k}"),
            carry=arrays.get("carry"),
            dy=arrays.get(f"dy{k}"),
        )

    def _begin(self):
        """Write what no kernel overwrites: initial states, and the ones that carry the biases."""
        dtype = self.network.dtype
        self.x.copy_to_device(np.ones(self.x.shape, dtype))
        for k, layer in enumerate(self.layers):
            h = np.zeros(layer.h.shape, dtype)
            h[:, :, 0] = h[:, :, -1] = 1
            layer.h.copy_to_device(h)
            self._clear(f"c{k}")
        self._clear("mean")
        self._clear("square")

    def _clear(self, name):
        if name in self._arrays:
            array = self._arrays[name]
            array.copy_to_device(np.zeros(array.shape, array.dtype))
