"""Layers on top of each other, in one direction or two: forward, and back with gradients."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernels.cpu import CELLS
from .layer_engine import LayerEngine
from .merging import MERGES
from .params import layer_shapes


class State(NamedTuple):
    """What a recurrent layer knows of the past.

    Parameters
    ----------
    h : array, (num_layers directions, batch, hidden_size or proj_size)
        Output of each layer and direction after its last step.
    c : array, (num_layers directions, batch, hidden_size), or None
        Cell states; None for GRU and SimpleRNN.
    """

    h: np.ndarray
    c: np.ndarray | None = None


class Rates(NamedTuple):
    """Part of the numbers that is dropped in training."""

    between: float  # of what a layer reads from the one below, each number by itself
    inputs: float  # of what a direction reads, the same ones at all steps of a row
    state: float  # of h before it enters the next step, the same ones at all steps of a row


class Call(NamedTuple):
    """What the backward pass needs of a forward pass."""

    x: np.ndarray  # (batch, seq_len, features)
    rows: Any
    state: State  # c has no columns where there is no cell state
    masks: list  # of each layer: of its input, and for each direction of x and of h
    unbatched: bool = False  # x was given as one sequence
    outputs: list = ()  # of each layer, before its merge
    y: np.ndarray | None = None


class LayerStack:
    """Layers on top of each other, each in one direction or in two.

    Parameters
    ----------
    cell : str
        A name of CELLS.
    acts : Chosen or None
        Activations other than tanh and the logistic function.
    input_size, hidden_size, proj_size, num_layers : int
    bidirectional : bool
    merge_mode : "concat", "sum", "mul" or "ave"
    go_backwards : bool
        Newest step first; y begins with it too.
    return_sequences : bool
        Or of each direction its last output alone.
    dtype : "float32" or "float64"

    Attributes
    ----------
    shapes : dict of str to tuple of int
        The weights as they are stored: inputs x outputs.
    state_sizes : tuple of int
        Numbers of h and of c; 0 for a cell without c.
    """

    def __init__(
        self, cell, acts, input_size, hidden_size, proj_size, num_layers, bidirectional,
        merge_mode, go_backwards, return_sequences, dtype
    ):  # fmt: skip
        self._outs = proj_size or hidden_size
        self._directions = 2 if bidirectional else 1
        self._merge, self._side_by_side = MERGES[merge_mode], merge_mode == "concat"
        self._width = self._outs * (self._directions if self._side_by_side else 1)
        self._inputs = [input_size] + [self._width] * (num_layers - 1)
        self._go_backwards, self._return_sequences = go_backwards, return_sequences
        self._dtype = dtype
        self.state_sizes = self._outs, hidden_size if CELLS[cell].has_c else 0
        self.shapes, self._engines = {}, []
        for k, inputs in enumerate(self._inputs):
            for d in range(self._directions):
                first = sum(math.prod(shape) for shape in self.shapes.values())
                suffix = f"_l{k}{'_reverse' if d else ''}"
                self.shapes |= layer_shapes(CELLS[cell], inputs, hidden_size, proj_size, suffix)
                self._engines.append(
                    LayerEngine(
                        cell, acts, inputs, hidden_size, proj_size, first,
                        go_backwards or d == 1, dtype,
                    )
                )  # fmt: skip

    @property
    def depth(self):
        """Layers times directions."""
        return len(self._engines)

    @property
    def has_tape(self):
        """Whether ``backward`` can follow."""
        return all(engine.has_tape for engine in self._engines)

    def draw_masks(self, rng, rates, batch, seq_len):
        """Return the ``masks`` of a ``Call`` that drops out by ``rates``."""

        def factors(rate, *shape):
            if rate == 0:
                return None
            kept = rng.random(shape, dtype=np.float32) >= rate
            return kept * np.dtype(self._dtype).type(1 / (1 - rate) if rate < 1 else 0)

        masks = []
        for k, inputs in enumerate(self._inputs):
            between = factors(rates.between, batch, seq_len, inputs) if k else None
            of_direction = [
                (factors(rates.inputs, batch, inputs), factors(rates.state, batch, self._outs))
                for _ in range(self._directions)
            ]
            masks.append((between, of_direction))
        return masks

    def no_masks(self):
        """Return the ``masks`` of a ``Call`` that drops nothing."""
        return [(None, [(None, None)] * self._directions) for _ in self._inputs]

    def forward(self, params, call, keep_tape, team):
        """Run all layers.

        Parameters
        ----------
        params : array
            Weights in the order of ``shapes``, and four vectors more that may be read.
        call : Call
            Its outputs and y are not read.
        keep_tape : bool
            Make ``backward`` possible.
        team : Team

        Returns
        -------
        call : Call
            With outputs and y.
        final : State
        """
        # Ctrl-C may leave the tapes of two calls: then none can be followed back.
        for engine in self._engines:
            engine.drop_tape()
        y, outputs, ends = call.x, [], []
        for k in range(len(self._inputs)):
            between, each = call.masks[k]
            if between is not None:
                y = y * between
            y, parts, states = self._run_layer(k, params, y, call, each, keep_tape, team)
            ends += states
            outputs.append(parts)
        final = State(*(np.stack(part) for part in zip(*ends, strict=True)))
        if not self._return_sequences:
            last = outputs[-1] = list(_of_stepped(call, final.h[-self._directions :]))
            y = self._merge.forward(*last) if len(last) == 2 else last[0]
        elif self._go_backwards:
            y = y[:, ::-1]
        return call._replace(outputs=outputs, y=y), final

    def _run_layer(self, k, params, x, call, masks, keep_tape, team):
        """Return the output of layer ``k``, that of each direction, and their final states."""
        batch, seq_len, _ = x.shape
        # Where rows do not step, nothing is written.
        make = np.empty if call.rows.are_full else np.zeros
        parts, ends = [], []
        for d in range(self._directions):
            if d == 0 or not self._side_by_side:
                y = make((batch, seq_len, self._width), self._dtype)
                parts.append(y)
            at = self._directions * k + d
            h, c, column = call.state.h[at], call.state.c[at], self._outs * d * self._side_by_side
            ends.append(
                self._engines[at].forward(
                    params, x, call.rows, *masks[d], h, c, y, column, keep_tape, team
                )
            )
        if len(parts) == 2:
            y = self._merge.forward(*parts)
        return y, parts, ends

    def backward(self, call, dy, dstate, input_gradient, gradient, team):
        """Pull gradients back through the newest ``forward``, which has kept its tape.

        Parameters
        ----------
        call : Call
            As ``forward`` has returned it.
        dy : array, as y
        dstate : State
            In: the gradient of the final state; out: that of the initial one.
        input_gradient : bool
            Whether that of x is asked for.
        gradient : array
            Out: that of the weights, in the order of ``shapes``.
        team : Team

        Returns
        -------
        dx : array, as x, or None
        """
        batch, seq_len, _ = call.x.shape
        parts = self._of_outputs(dy, dstate, call)
        for k in range(len(self._inputs) - 1, -1, -1):
            wanted = k or input_gradient
            dx = np.zeros((batch, seq_len, self._inputs[k]) if wanted else 0, dy.dtype)
            self._pull_back(k, parts, dstate, dx, gradient, team)
            if k:
                between = call.masks[k][0]
                dx = dx if between is None else dx * between
                parts = self._of_directions(dx, call.outputs[k - 1])
        return dx if input_gradient else None

    def _of_outputs(self, dy, dstate, call):
        """Return the gradient of what each direction of the last layer puts out."""
        last = call.outputs[-1]
        if self._return_sequences:
            return self._of_directions(dy[:, ::-1] if self._go_backwards else dy, last)
        parts = self._merge.backward(dy, *last) if len(last) == 2 else (dy,)
        dstate.h[-self._directions :] += _of_stepped(call, np.stack(parts))
        batch, seq_len, _ = call.x.shape
        return [np.zeros((batch, seq_len, self._width), self._dtype)] * self._directions

    def _of_directions(self, dy, outputs):
        """Return for each direction the gradient of its output, from that of the merged one."""
        if self._directions == 2 and not self._side_by_side:
            return self._merge.backward(dy, *outputs)
        return [dy] * self._directions

    def _pull_back(self, k, parts, dstate, dx, gradient, team):
        """Add to dx and gradient what layer ``k`` has; dstate becomes that of its start."""
        for d in range(self._directions):
            at = self._directions * k + d
            dstate.h[at], dstate.c[at] = self._engines[at].backward(
                parts[d], dstate.h[at], dstate.c[at], dx, gradient, team
            )


def _of_stepped(call, parts):
    """Copy (directions, batch, outputs), with zeros for rows without a step, as Keras's outputs."""
    return np.where((call.rows.counts > 0)[:, None], parts, 0)
