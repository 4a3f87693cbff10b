"""What the recurrent layers share: stacks, directions, dropout, ragged rows, state, gradients."""

import dataclasses
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import _layer_checks as _checks
from ..kernels.activations import ACTIVATIONS
from ..kernels.cpu import CELLS, Team
from ..kernels.gates import Chosen
from .engine import HAND_OFF, threads_of
from .layer_engine import LayerEngine
from .layer_weights import ROLES, LayerWeights
from .merging import MERGES
from .regularizers import regularizer
from .rows import first_steps, full_rows, masked_steps


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


class _Call(NamedTuple):
    """What the backward pass needs of a forward pass."""

    x: np.ndarray  # (batch, seq_len, features), as given
    rows: Any
    state: State
    masks: list  # of each layer: of its input, and for each direction of x and of h
    outputs: list  # of each layer, before its merge; None where it is not needed
    y: np.ndarray
    unbatched: bool


@dataclass(eq=False, repr=False)
class RecurrentLayer:
    """What ``LSTM``, ``GRU`` and ``SimpleRNN`` share."""

    input_size: int
    hidden_size: int
    num_layers: int = 1
    _: KW_ONLY
    bias: bool = True
    batch_first: bool = True
    dropout: float = 0.0
    bidirectional: bool = False
    merge_mode: str = "concat"
    activation: str = "tanh"
    input_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    clip: float | None = None
    kernel_initializer: Any = "glorot_uniform"
    recurrent_initializer: Any = "orthogonal"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    recurrent_regularizer: Any = None
    bias_regularizer: Any = None
    activity_regularizer: Any = None
    kernel_constraint: Any = None
    recurrent_constraint: Any = None
    bias_constraint: Any = None
    return_sequences: bool = True
    go_backwards: bool = False
    stateful: bool = False
    device: str = "cpu"
    dtype: str = "float32"
    n_jobs: int | None = None
    random_state: Any = None

    # What a class without the parameter of this name does.
    proj_size = 0
    recurrent_activation = "sigmoid"
    unit_forget_bias = False

    def __post_init__(self):
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        _checks.check_layer_parameters(given, type(self).__name__)
        self._rng = _generator(self.random_state)
        self._activity = regularizer(self.activity_regularizer)
        self._weights = LayerWeights(
            self._shapes(),
            self.dtype,
            self.bias,
            self._by_role("regularizer"),
            self._by_role("constraint"),
        )
        self._weights.draw(
            self._rng, self._by_role("initializer"), self.hidden_size, self.unit_forget_bias
        )
        self._state = None
        self._make_engines()

    def _by_role(self, kind):
        return {role: getattr(self, f"{role}_{kind}") for role in ROLES}

    @property
    def weights(self):
        """Weights by torch's names, as views: writing to one changes the layer."""
        return self._weights.named(self._weights.params)

    @property
    def grads(self):
        """Gradients by the same names: what ``backward`` adds to, and ``zero_grad`` clears."""
        return self._weights.named(self._weights.grads)

    def zero_grad(self):
        """Set all gradients to zero."""
        self._weights.grads[:] = 0

    def constrain(self):
        """Bring the weights back to what the constraints allow; call it after each update."""
        self._weights.constrain()

    @property
    def penalty(self):
        """Sum of the regularizers' penalties: of the weights, and of the newest output."""
        of_output = 0.0
        if self._activity is not None and self._call is not None:
            of_output = self._activity.penalty(self._call.y)
        return self._weights.penalty() + of_output

    @property
    def _outs(self):
        """Numbers that one direction of a layer puts out."""
        return self.proj_size or self.hidden_size

    @property
    def _directions(self):
        return 2 if self.bidirectional else 1

    @property
    def _merged(self):
        """Numbers that a layer puts out."""
        return self._outs * (self._directions if self.merge_mode == "concat" else 1)

    def _inputs(self, k):
        """Return how many numbers layer ``k`` reads at a step."""
        return self._merged if k else self.input_size

    def _each_direction(self):
        """Yield (layer, direction, suffix of the weights' names, inputs), as states are ordered."""
        for k in range(self.num_layers):
            for d in range(self._directions):
                yield k, d, f"_l{k}{'_reverse' if d else ''}", self._inputs(k)

    def _shapes(self):
        """Return names and shapes of the weights as they are stored: inputs x outputs."""
        cell = CELLS[self._cell]
        columns = cell.gates * self.hidden_size
        # The candidate of a GRU adds up its two biases only after the reset gate.
        biases = ("bias_ih", "bias_hh") if cell.x_apart else ("bias",)
        shapes = {}
        for _, _, suffix, inputs in self._each_direction():
            shapes[f"weight_ih{suffix}"] = (inputs, columns)
            shapes |= {f"{bias}{suffix}": (columns,) for bias in biases}
            shapes[f"weight_hh{suffix}"] = (self._outs, columns)
            if self.proj_size:
                shapes[f"weight_hr{suffix}"] = (self.hidden_size, self.proj_size)
        return shapes

    def _make_engines(self):
        usual = self.activation == "tanh" and self.recurrent_activation == "sigmoid"
        acts = Chosen(
            ACTIVATIONS[self.recurrent_activation],
            ACTIVATIONS[self.activation],
            float("inf") if self.clip is None else float(self.clip),
        )
        acts = None if usual and self.clip is None else acts
        self._engines = [
            LayerEngine(
                self._cell, acts, inputs, self.hidden_size, self.proj_size,
                self._weights.first[f"weight_ih{suffix}"],
                self.go_backwards or d == 1, self.dtype,
            )
            for _, d, suffix, inputs in self._each_direction()
        ]  # fmt: skip
        self._call = None

    def __getstate__(self):
        # Engines hold scratch memory, and the newest call its input.
        hidden = ("_engines", "_call")
        return {name: value for name, value in self.__dict__.items() if name not in hidden}

    def __setstate__(self, attributes):
        self.__dict__.update(attributes)
        self._make_engines()

    def __repr__(self):
        shown = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not field.default and value != field.default:
                name = "" if field.name in ("input_size", "hidden_size") else f"{field.name}="
                shown.append(f"{name}{value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    # forward

    def __call__(self, x, state=None, *, lengths=None, mask=None, training=False):
        """Run the layer; the same as ``forward``."""
        return self.forward(x, state, lengths=lengths, mask=mask, training=training)

    def forward(self, x, state=None, *, lengths=None, mask=None, training=False):
        """Run the layer over a batch of sequences.

        Parameters
        ----------
        x : array, (batch, seq_len, input_size)
            With ``batch_first=False`` (seq_len, batch, input_size); one sequence alone may be
            (seq_len, input_size). Cast to the layer's dtype.
        state : State, tuple or array, optional
            Where to start; zeros by default, or with ``stateful=True`` where the last call ended.
            A tuple (h, c), a State, or for GRU and SimpleRNN h alone, shaped as ``State`` says
            whatever ``batch_first`` is.
        lengths : array of int, (batch,), optional
            Steps of each row, from 1 to seq_len; what follows is padding: it costs nothing, is
            never read, and its output is 0, as with torch's packed sequences.
        mask : array of bool, (batch, seq_len), optional
            Steps to take. State and output are held through the others, as in Keras; outputs
            before a row's first step are 0.
        training : bool, default=False
            Drop out, and keep what ``backward`` needs. A backward pass after a call without
            ``training`` runs the layer once more.

        Returns
        -------
        y : array, (batch, seq_len, outputs), or as x is laid out
            ``outputs`` is hidden_size or proj_size, twice that for two directions side by side.
            With ``return_sequences=False`` (batch, outputs): of each direction its last output.
        state : State
            After each row's last step.

        Raises
        ------
        TypeError, ValueError
            If an argument has another shape, dtype or range; the state that is kept between calls
            stays as it was.
        """
        owner = type(self).__name__
        x, unbatched = _checks.check_layer_input(x, self.input_size, self.batch_first, owner)
        x = np.ascontiguousarray(x if self.batch_first or unbatched else x.swapaxes(0, 1))
        x = x.astype(self.dtype, copy=not training)
        batch, seq_len, _ = x.shape
        rows = self._rows(batch, seq_len, lengths, mask)
        state = self._initial_state(state, batch, unbatched)
        masks = self._draw_masks(batch, seq_len, training)
        y, final = self._run(_Call(x, rows, state, masks, [], None, unbatched), training)
        if self.stateful:
            self._state = State(*(None if part is None else part.copy() for part in final))
        if unbatched:
            final = State(*(None if part is None else part[:, 0] for part in final))
        return self._laid_out(y, unbatched), final

    def reset_state(self, rows=None):
        """Set the state that is kept between calls to zero.

        Parameters
        ----------
        rows : int, sequence of int or bool array, optional
            Rows of the batch; all by default, after which a call may have another batch size.
        """
        if rows is None:
            self._state = None
        elif self._state is not None:
            rows = _checks.check_rows(rows, self._state.h.shape[1])
            for part in self._state:
                if part is not None:
                    part[:, rows] = 0

    def _rows(self, batch, seq_len, lengths, mask):
        if lengths is None and mask is None:
            return full_rows(batch, seq_len)
        if lengths is not None:
            return first_steps(_checks.check_lengths(lengths, mask, batch, seq_len), seq_len)
        return masked_steps(_checks.check_mask(mask, batch, seq_len))

    def _initial_state(self, state, batch, unbatched):
        """Return a State of fresh arrays; c has no columns where there is no cell state."""
        units = self.hidden_size if CELLS[self._cell].has_c else 0
        sizes = [(self.num_layers * self._directions, batch, n) for n in (self._outs, units)]
        if state is None and self._state is not None:
            _checks.check_batch_of_state(self._state.h.shape[1], batch)
            state = self._state
        elif state is not None:
            state = _checks.check_state(state, sizes, unbatched, type(self).__name__)
        else:
            state = map(np.zeros, sizes)
        return State(
            *(
                np.zeros(size, self.dtype) if part is None else np.array(part, self.dtype)
                for part, size in zip(state, sizes, strict=True)
            )
        )

    def _draw_masks(self, batch, seq_len, training):
        """Return for each layer the mask of its input, and for each direction those of x and h."""
        masks = []
        for k in range(self.num_layers):
            inputs = self._inputs(k)
            between = (batch, seq_len, inputs) if k and training else None
            sizes = [((batch, inputs), (batch, self._outs)) if training else (None, None)]
            masks.append(
                (
                    self._factors(self.dropout, between),
                    [
                        (
                            self._factors(self.input_dropout, of_x),
                            self._factors(self.recurrent_dropout, of_h),
                        )
                        for of_x, of_h in sizes * self._directions
                    ],
                )
            )
        return masks

    def _factors(self, rate, shape):
        """Return 0 with probability ``rate``, else 1 / (1 - rate); None for no dropout."""
        if rate == 0 or shape is None:
            return None
        kept = self._rng.random(shape, dtype=np.float32) >= rate
        return kept * np.dtype(self.dtype).type(1 / (1 - rate) if rate < 1 else 0)

    def _n_threads(self, batch, seq_len):
        """Return the threads of ``n_jobs``, or 1 where waking another costs more than it saves."""
        work = batch * seq_len * self._weights.grads.size
        return 1 if work < HAND_OFF else threads_of(self.n_jobs)

    def _run(self, call, keep_tape):
        """Run all layers; return y, before it is laid out as the caller's, and the final state."""
        batch, seq_len, _ = call.x.shape
        y, outputs, ends = call.x, [], []
        with Team(self._n_threads(batch, seq_len)) as team:
            for k in range(self.num_layers):
                between, each = call.masks[k]
                if between is not None:
                    y = y * between
                y, parts, states = self._run_layer(k, y, call, each, keep_tape, team)
                ends += states
                outputs.append(parts)
        final = State(*(np.stack(part) for part in zip(*ends, strict=True)))
        if not self.return_sequences:
            last = final.h[-self._directions :]
            outputs[-1] = list(last)
            y = MERGES[self.merge_mode].forward(*last) if self.bidirectional else last[0].copy()
        elif self.go_backwards:
            y = y[:, ::-1]
        self._call = call._replace(outputs=outputs, y=y)
        return y, final if CELLS[self._cell].has_c else State(final.h)

    def _run_layer(self, k, x, call, masks, keep_tape, team):
        """Return the output of layer ``k``, that of each direction, and their final states."""
        batch, seq_len, _ = call.x.shape
        side_by_side = self.merge_mode == "concat"
        # Where rows do not step, nothing is written.
        make = np.empty if call.rows.are_full else np.zeros
        shape = batch, seq_len, self._outs * (self._directions if side_by_side else 1)
        parts, ends = [], []
        for d in range(self._directions):
            if d == 0 or not side_by_side:
                y = make(shape, self.dtype)
                parts.append(y)
            at = self._directions * k + d
            h, c, column = call.state.h[at], call.state.c[at], self._outs * d if side_by_side else 0
            ends.append(
                self._engines[at].forward(
                    self._weights.params, x, call.rows, *masks[d], h, c, y, column, keep_tape, team
                )
            )
        if len(parts) == 2:
            y = MERGES[self.merge_mode].forward(*parts)
        return y, parts, ends

    def _laid_out(self, y, unbatched):
        if unbatched:
            return y[0]
        return y if self.batch_first or not self.return_sequences else y.swapaxes(0, 1)

    # backward

    def backward(self, dy, dstate=None, *, input_gradient=True):
        """Pull gradients back through the newest forward pass, through all of its time.

        Adds to ``grads``: the gradients of the weights, and of the regularizers' penalties.

        Parameters
        ----------
        dy : array, as y
            The gradient of the loss with respect to y; 0 stands for zeros.
        dstate : State, tuple or array, optional
            That with respect to the final state; zeros by default.
        input_gradient : bool, default=True
            Without it dx is None, which saves time where x is data.

        Returns
        -------
        dx : array, as x
        dstate : State
            The gradients with respect to x and to the initial state.

        Raises
        ------
        RuntimeError
            Before a forward pass.
        TypeError, ValueError
            If an argument has another shape than what it belongs to.
        """
        _checks.check_called(self._call is not None, type(self).__name__)
        if not all(engine.has_tape for engine in self._engines):
            self._run(self._call, keep_tape=True)
        call = self._call
        batch, seq_len, _ = call.x.shape
        dstate = self._state_gradient(dstate, call)
        dy = self._output_gradient(dy, call)
        if not self.return_sequences:
            parts = (dy,)
            if self.bidirectional:
                parts = MERGES[self.merge_mode].backward(dy, *call.outputs[-1])
            dstate.h[-self._directions :] += np.stack(parts)
            parts = [np.zeros((batch, seq_len, self._merged), self.dtype)] * self._directions
        else:
            parts = self._of_directions(dy[:, ::-1] if self.go_backwards else dy, call.outputs[-1])

        gradient = np.zeros_like(self._weights.grads)
        with Team(self._n_threads(batch, seq_len)) as team:
            for k in range(self.num_layers - 1, -1, -1):
                dx = np.zeros(
                    (batch, seq_len, self._inputs(k)) if k or input_gradient else 0, dy.dtype
                )
                self._pull_back(k, parts, dstate, dx, gradient, team)
                if k:
                    between = call.masks[k][0]
                    dx = dx if between is None else dx * between
                    parts = self._of_directions(dx, call.outputs[k - 1])
        self._weights.add_gradient(gradient)
        return self._dressed_gradients(dx if input_gradient else None, dstate, call)

    def _state_gradient(self, dstate, call):
        """Return a State of fresh arrays."""
        if dstate is None:
            return State(np.zeros_like(call.state.h), np.zeros_like(call.state.c))
        return self._initial_state(dstate, len(call.x), call.unbatched)

    def _output_gradient(self, dy, call):
        """Return dy, and what the activity adds, batch-first and in the layer's dtype."""
        laid_out = self._laid_out(call.y, call.unbatched)
        dy = _checks.check_gradient(dy, laid_out.shape, type(self).__name__)
        if call.unbatched:
            dy = dy[None]
        elif not self.batch_first and self.return_sequences:
            dy = dy.swapaxes(0, 1)
        if self._activity is not None:
            dy = dy + self._activity.gradient(call.y)
        return dy.astype(self.dtype, copy=False)

    def _of_directions(self, dy, outputs):
        """Return for each direction the gradient of its output, from that of the merged one."""
        if self.bidirectional and self.merge_mode != "concat":
            return MERGES[self.merge_mode].backward(dy, *outputs)
        return [dy] * self._directions

    def _pull_back(self, k, parts, dstate, dx, gradient, team):
        """Add to dx and gradient what layer ``k`` has; dstate becomes that of its start."""
        for d in range(self._directions):
            at = self._directions * k + d
            dy = np.ascontiguousarray(parts[d])
            dstate.h[at], dstate.c[at] = self._engines[at].backward(
                dy, dstate.h[at], dstate.c[at], dx, gradient, team
            )

    def _dressed_gradients(self, dx, dstate, call):
        """Return dx and dstate in the form of x and of the state."""
        parts = dstate if CELLS[self._cell].has_c else (dstate.h,)
        if call.unbatched:
            return dx if dx is None else dx[0], State(*(part[:, 0] for part in parts))
        if dx is not None and not self.batch_first:
            dx = dx.swapaxes(0, 1)
        return dx, State(*parts)


def _generator(random_state):
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(random_state)
