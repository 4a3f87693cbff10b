"""The recurrent layers: LSTM, GRU, SimpleRNN."""

from dataclasses import KW_ONLY, dataclass

from .layer_stack import State as State
from .recurrent import RecurrentLayer


@dataclass(eq=False, repr=False)
class LSTM(RecurrentLayer):
    """A stack of long short-term memory layers, with gradients, without any estimator.

        i = σ(W_ii x + W_hi h + b_i)      f = σ(W_if x + W_hf h + b_f)
        g = φ(W_ig x + W_hg h + b_g)      o = σ(W_io x + W_ho h + b_o)
        c ← f·c + i·g                     h ← o·φ(c)

    With ``peephole`` (Gers & Schmidhuber, 2000)

        i = σ(… + p_i·c)      f = σ(… + p_f·c)      o = σ(… + p_o·c) of the new c

    and with ``input_forget`` (Greff et al., 2017) f = 1 − i.

    Hochreiter & Schmidhuber (1997), Gers et al. (2000). Outputs, states and gradients are those of
    torch.nn.LSTM and keras.layers.LSTM with the same weights, to rounding. Arguments keep the names
    that they have there.

    Parameters
    ----------
    input_size, hidden_size : int
        Features of a step; units of a layer.
    num_layers : int, default=1
        Layers on top of each other: the second reads what the first puts out.
    bias : bool, default=True
        One bias per gate and unit, as in Keras: torch's two are only ever added up.
    batch_first : bool, default=True
        Whether x and y are (batch, seq_len, features) or (seq_len, batch, features). States are
        (num_layers directions, batch, units) in any case.
    dropout : float, default=0.0
        Part of each layer's output, but the last one's, that is dropped in training; each number
        by itself (torch's ``dropout``).
    bidirectional : bool, default=False
        Let each layer have a second direction, which runs from the newest step to the oldest.
    merge_mode : {"concat", "sum", "mul", "ave"}, default="concat"
        How the outputs of two directions become one.
    proj_size : int, default=0
        Project h to this many numbers after each step; these are put out, and enter the next step
        (Sak et al., 2014). 0: no projection.
    activation : str, default="tanh"
        φ: "tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "relu", "elu", "selu",
        "softplus", "softsign", "silu", "gelu", "exponential", "linear". "hard_sigmoid" is that of
        Keras 3 and torch, relu6(x + 3) / 6; "hard_sigmoid_keras2" that of Keras 2 and ONNX,
        0.2 x + 0.5 between 0 and 1.
    recurrent_activation : str, default="sigmoid"
        σ: one of the same names.
    input_dropout : float, default=0.0
        Part of each layer's inputs that is dropped in training, the same ones at all steps of a row
        (Keras's ``dropout``).
    recurrent_dropout : float, default=0.0
        Part of h that is dropped before it enters the next step, the same units at all steps of a
        row (Gal & Ghahramani, 2016). It costs no more than any other training.
    clip : float, optional
        Bound of what σ and φ are applied to in the gates (ONNX's ``clip``).
    unit_forget_bias : bool, default=True
        Let the forget gate's bias begin at 1 (Jozefowicz et al., 2015); with ``input_forget`` the
        input gate's at -1, which comes to the same.
    peephole : bool, default=False
        Let the gates see the cell state of their unit, with weights that begin at zero (ONNX's
        P). Regularizers and constraints do not touch these.
    input_forget : bool, default=False
        Couple the forget gate to the input gate: f = 1 − i, three gates instead of four (ONNX's
        ``input_forget``).
    kernel_initializer, recurrent_initializer, bias_initializer : str, float or callable
        Initial values of the weights of x, of h, and of the biases; by default "glorot_uniform",
        "orthogonal" and "zeros". Also "glorot_normal", "he_uniform", "he_normal",
        "lecun_uniform", "lecun_normal", "random_uniform", "random_normal", "truncated_normal",
        "ones", "identity"; "torch", U(-a, a) with a² = 1 / hidden_size, for what torch does; a
        number; or ``f(rng, shape) -> array``.
    kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer : optional
        Penalties of the weights and of y: "l1", "l2", "l1_l2" or an object of
        ``lstm_numba.nn.regularizers``. ``penalty`` is their sum; ``backward`` adds their gradients.
    kernel_constraint, recurrent_constraint, bias_constraint : optional
        What ``constrain`` brings the weights back to after an update: "max_norm", "non_neg",
        "unit_norm", "min_max_norm" or an object of ``lstm_numba.nn.constraints``.
    return_sequences : bool, default=True
        Put out all steps (as torch), or of each direction the last one alone (as Keras does when it
        is not told).
    go_backwards : bool, default=False
        Read the newest step first; y begins with it too.
    stateful : bool, default=False
        Begin each call where the last one ended, row by row, until ``reset_state``. Gradients end
        at the beginning of a call.
    device : {"cpu"}
    dtype : {"float32", "float64"}, default="float32"
    n_jobs : int, optional
        Threads, as in scikit-learn: one by default, -1 for all cores. The bits of a result do not
        depend on it.
    random_state : int, Generator, RandomState or None
        Of initial weights and dropout.

    Attributes
    ----------
    weights, grads : dict of str to array
        By torch's names: ``weight_ih_l{k}`` (4 hidden_size, inputs), ``weight_hh_l{k}``
        (4 hidden_size, hidden_size or proj_size), ``bias_l{k}`` (4 hidden_size,) and, with a
        projection, ``weight_hr_l{k}`` (proj_size, hidden_size); ``_reverse`` is added for the
        second direction. Gates in the order i, f, g, o. With ``peephole`` also ``weight_ch_l{k}``
        (3 hidden_size,), in the order i, f, o. With ``input_forget`` there is no f: 3 hidden_size
        for i, g, o, and 2 hidden_size for the peepholes i, o. Views: ``weights[name][:] = array``
        and ``weights[name] = array`` both write into the layer.
    penalty : float
        Sum of the regularizers' penalties.

    Notes
    -----
    A layer keeps what the backward pass of its newest call needs, and its scratch memory. Calls
    from several threads wait for each other; to run at once, or to train, each thread needs a copy
    of the layer (``copy.deepcopy``).

    Examples
    --------
    >>> import numpy as np
    >>> from lstm_numba import LSTM
    >>> lstm = LSTM(input_size=10, hidden_size=20, num_layers=2, random_state=0)
    >>> x = np.ones((5, 3, 10), "float32")  # 5 sequences of 3 steps, 10 features each
    >>> y, state = lstm(x)
    >>> y.shape, state.h.shape, state.c.shape
    ((5, 3, 20), (2, 5, 20), (2, 5, 20))
    >>> y, state = lstm(x, state)  # goes on where the first call ended

    A training loop written by hand: the mean of a sequence, learned by gradient descent.

    >>> rng = np.random.default_rng(0)
    >>> lstm = LSTM(1, 8, return_sequences=False, random_state=0)
    >>> w = np.zeros(8, "float32")  # a linear head
    >>> losses = []
    >>> for step in range(200):
    ...     x = rng.standard_normal((32, 10, 1), dtype="float32")
    ...     y, _ = lstm(x, training=True)
    ...     error = y @ w - x.mean(axis=(1, 2))
    ...     losses.append(float(np.mean(error**2)))
    ...     dout = 2 * error / len(x)
    ...     lstm.zero_grad()
    ...     _ = lstm.backward(dout[:, None] * w, input_gradient=False)
    ...     w -= 0.1 * (dout @ y)
    ...     for name, weight in lstm.weights.items():
    ...         weight -= 0.1 * lstm.grads[name]
    >>> sum(losses[-20:]) < 0.2 * sum(losses[:20])
    True
    """

    _: KW_ONLY
    proj_size: int = 0
    recurrent_activation: str = "sigmoid"
    unit_forget_bias: bool = True
    peephole: bool = False
    input_forget: bool = False

    @property
    def _cell(self):
        return f"lstm{'_coupled' * self.input_forget}{'_peephole' * self.peephole}"

    @property
    def _biased_gate(self):
        if not self.unit_forget_bias:
            return None
        return (0, -1.0) if self.input_forget else (1, 1.0)


@dataclass(eq=False, repr=False)
class GRU(RecurrentLayer):
    """A stack of gated recurrent units.

        r = σ(W_ir x + b_ir + W_hr h + b_hr)
        z = σ(W_iz x + b_iz + W_hz h + b_hz)
        n = φ(W_in x + b_in + r·(W_hn h + b_hn))
        h ← (1 − z)·n + z·h

    Cho et al. (2014), in the form of torch.nn.GRU, cuDNN and keras.layers.GRU; with
    ``reset_after=False`` as published, where the reset gate comes before the product:

        n = φ(W_in x + W_hn (r·h) + b_n)

    The state is ``State(h)``; it may be given as h alone.

    Parameters
    ----------
    input_size, hidden_size, num_layers, ... :
        As of ``LSTM``, but for ``proj_size``, ``unit_forget_bias``, ``peephole`` and
        ``input_forget``.
    reset_after : bool, default=True
        Apply the reset gate after the product with W_hn, as torch and Keras do, or before it, as
        Keras does with ``reset_after=False`` and ONNX with ``linear_before_reset=0``.

    Attributes
    ----------
    weights, grads : dict of str to array
        ``weight_ih_l{k}`` (3 hidden_size, inputs), ``weight_hh_l{k}`` (3 hidden_size, hidden_size),
        ``bias_ih_l{k}`` and ``bias_hh_l{k}`` (3 hidden_size,): the candidate keeps its two biases
        apart. With ``reset_after=False`` they are only ever added up: ``bias_l{k}``
        (3 hidden_size,). Gates in the order r, z, n.

    Examples
    --------
    >>> import numpy as np
    >>> from lstm_numba import GRU
    >>> gru = GRU(4, 16, bidirectional=True, random_state=0)
    >>> y, state = gru(np.zeros((2, 7, 4)), lengths=[7, 3])  # the second row has 3 steps
    >>> y.shape, state.h.shape, bool((y[1, 3:] == 0).all())
    ((2, 7, 32), (2, 2, 16), True)
    """

    _: KW_ONLY
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True

    @property
    def _cell(self):
        return "gru" if self.reset_after else "gru_reset_before"


@dataclass(eq=False, repr=False)
class SimpleRNN(RecurrentLayer):
    """A stack of simple recurrent layers, h ← φ(W_ih x + W_hh h + b).  Elman (1990)

    torch.nn.RNN with ``nonlinearity`` as ``activation``, keras.layers.SimpleRNN. The state is
    ``State(h)``; it may be given as h alone.

    Parameters
    ----------
    input_size, hidden_size, num_layers, ... :
        As of ``LSTM``, but for ``proj_size``, ``recurrent_activation``, ``unit_forget_bias``,
        ``peephole`` and ``input_forget``.

    Attributes
    ----------
    weights, grads : dict of str to array
        ``weight_ih_l{k}`` (hidden_size, inputs), ``weight_hh_l{k}`` (hidden_size, hidden_size) and
        ``bias_l{k}`` (hidden_size,).

    Examples
    --------
    >>> import numpy as np
    >>> from lstm_numba import SimpleRNN
    >>> rnn = SimpleRNN(1, 3, activation="relu", return_sequences=False, random_state=0)
    >>> rnn(np.ones((2, 5, 1)))[0].shape
    (2, 3)
    """

    _cell = "rnn"
