"""What the recurrent layers share: parameters, weights, state, and what is passed in and out."""

import dataclasses
import functools
import threading
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from .. import _layer_checks as _checks
from ..kernels.activations import ACTIVATIONS
from ..kernels.cpu import Team
from ..kernels.gates import Chosen
from .engine import HAND_OFF, threads_of
from .layer_stack import Call, LayerStack, Rates, State
from .layer_weights import ROLES, LayerWeights
from .regularizers import regularizer
from .rows import first_steps, full_rows, masked_steps


def _one_thread_at_a_time(method):
    """Let calls from several threads wait for each other: a layer has one scratch memory."""

    @functools.wraps(method)
    def in_turn(self, *args, **kwargs):
        with self._turn:
            return method(self, *args, **kwargs)

    return in_turn


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

    # What may be set later; all else shapes the weights, or what is compiled for them.
    _FREE = ("dropout", "input_dropout", "recurrent_dropout", "batch_first", "stateful", "n_jobs")

    # What a class without the parameter of this name does.
    proj_size = 0
    recurrent_activation = "sigmoid"
    _biased_gate = None  # number of a gate, and what its bias begins at

    def __post_init__(self):
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        _checks.check_layer_parameters(given, type(self).__name__)
        for name in given.keys() & {"input_size", "hidden_size", "num_layers", "proj_size"}:
            # Small integers of NumPy overflow, and kernels would be compiled anew for them.
            setattr(self, name, int(given[name]))
        self._rng = _generator(self.random_state)
        self._activity = regularizer(self.activity_regularizer)
        self._make_stack()
        self._weights = LayerWeights(
            self._stack.shapes,
            self.dtype,
            self.bias,
            self._by_role("regularizer"),
            self._by_role("constraint"),
        )
        self._weights.draw(
            self._rng, self._by_role("initializer"), self.hidden_size, self._biased_gate
        )
        self._state = None

    def __setattr__(self, name, value):
        # What a call sets has an underscore; ``_state`` is the last to be set when a layer is made.
        if not name.startswith("_") and "_state" in self.__dict__ and name in self._given():
            _checks.check_may_be_set(name, self._FREE, type(self).__name__)
            _checks.check_layer_parameters(self._given() | {name: value}, type(self).__name__)
        super().__setattr__(name, value)

    def _given(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def _by_role(self, kind):
        return {role: getattr(self, f"{role}_{kind}") for role in ROLES}

    @property
    def weights(self):
        """Weights by torch's names, as views: ``weights[name][:] = array`` changes the layer."""
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

    def _make_stack(self):
        usual = self.activation == "tanh" and self.recurrent_activation == "sigmoid"
        acts = Chosen(
            ACTIVATIONS[self.recurrent_activation],
            ACTIVATIONS[self.activation],
            float("inf") if self.clip is None else float(self.clip),
        )
        self._stack = LayerStack(
            self._cell,
            None if usual and self.clip is None else acts,
            self.input_size,
            self.hidden_size,
            self.proj_size,
            self.num_layers,
            self.bidirectional,
            self.merge_mode,
            self.go_backwards,
            self.return_sequences,
            self.dtype,
        )
        self._call, self._is_pulled_back = None, False
        self._turn = threading.Lock()

    def __getstate__(self):
        # The stack holds scratch memory, and the newest call its input; locks cannot be copied.
        hidden = ("_stack", "_call", "_turn")
        return {name: value for name, value in self.__dict__.items() if name not in hidden}

    def __setstate__(self, attributes):
        self.__dict__.update(attributes)
        self._make_stack()

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

    @_one_thread_at_a_time
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
        mask : array of bool, (batch, seq_len), or of one sequence (seq_len,), optional
            Steps to take. State and output are held through the others, as in Keras; outputs
            before a row's first step are 0, and those of two directions wherever there is no step.
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
        masks = self._stack.no_masks()
        if training:
            rates = Rates(self.dropout, self.input_dropout, self.recurrent_dropout)
            masks = self._stack.draw_masks(self._rng, rates, batch, seq_len)
        final = self._run(Call(x, rows, state, masks, unbatched), bool(training))
        self._is_pulled_back = False
        if self.stateful:
            self._state = State(*(part.copy() for part in final))
        y = self._call.y
        if self._activity is not None:
            y = y.copy()  # the call's own is needed for the penalty
        return self._laid_out(y, unbatched), self._shown(final, unbatched)

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
                part[:, rows] = 0

    def _rows(self, batch, seq_len, lengths, mask):
        if lengths is None and mask is None:
            return full_rows(batch, seq_len)
        if lengths is not None:
            return first_steps(_checks.check_lengths(lengths, mask, batch, seq_len), seq_len)
        mask = _checks.check_mask(mask, batch, seq_len)
        return masked_steps(mask, hold=not self.bidirectional)

    def _initial_state(self, state, batch, unbatched):
        """Return a State of fresh arrays; c has no columns where there is no cell state."""
        sizes = [(self._stack.depth, batch, n) for n in self._stack.state_sizes]
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

    def _n_threads(self, batch, seq_len):
        """Return the threads of ``n_jobs``, or 1 where waking another costs more than it saves."""
        work = batch * seq_len * self._weights.grads.size
        return 1 if work < HAND_OFF else threads_of(self.n_jobs)

    def _run(self, call, keep_tape):
        """Run all layers; return the final state."""
        batch, seq_len, _ = call.x.shape
        with Team(self._n_threads(batch, seq_len)) as team:
            self._call, final = self._stack.forward(self._weights.params, call, keep_tape, team)
        return final

    def _laid_out(self, y, unbatched):
        if unbatched:
            return y[0]
        return y if self.batch_first or not self.return_sequences else y.swapaxes(0, 1)

    def _shown(self, state, unbatched):
        """Return a state as callers see it: without a c that has no columns."""
        parts = state if state.c.shape[-1] else (state.h,)
        return State(*(part[:, 0] if unbatched else part for part in parts))

    # backward

    @_one_thread_at_a_time
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
            Before a forward pass, and after another backward pass through the same one.
        TypeError, ValueError
            If an argument has another shape than what it belongs to.
        """
        _checks.check_called(self._call is not None, self._is_pulled_back, type(self).__name__)
        if not self._stack.has_tape:
            self._run(self._call, keep_tape=True)
        call = self._call
        batch, seq_len, _ = call.x.shape
        dstate = self._state_gradient(dstate, call)
        dy = self._output_gradient(dy, call)
        gradient = np.zeros_like(self._weights.grads)
        with Team(self._n_threads(batch, seq_len)) as team:
            dx = self._stack.backward(call, dy, dstate, input_gradient, gradient, team)
        self._weights.add_gradient(gradient)
        self._is_pulled_back = True
        if dx is not None:
            dx = dx[0] if call.unbatched else dx if self.batch_first else dx.swapaxes(0, 1)
        return dx, self._shown(dstate, call.unbatched)

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


def _generator(random_state):
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(random_state)
