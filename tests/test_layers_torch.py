"""The layers against those of torch with the same weights: outputs, states and gradients."""

import itertools

import numpy as np
import pytest

from lstm_numba import GRU, LSTM, SimpleRNN

torch = pytest.importorskip("torch")
packing = torch.nn.utils.rnn

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}

# Our class, and its arguments beside those that torch knows by the same name; torch's likewise.
KINDS = {
    "lstm": (LSTM, {}, torch.nn.LSTM, {}),
    "projected": (LSTM, {"proj_size": 3}, torch.nn.LSTM, {"proj_size": 3}),
    "gru": (GRU, {}, torch.nn.GRU, {}),
    "tanh": (SimpleRNN, {}, torch.nn.RNN, {"nonlinearity": "tanh"}),
    "relu": (SimpleRNN, {"activation": "relu"}, torch.nn.RNN, {"nonlinearity": "relu"}),
}


def pair(kind, features, hidden, dtype, **shared):
    """Return one of our layers and one of torch's, with the weights that torch drew."""
    ours, own, theirs, their_own = KINDS[kind]
    torch.manual_seed(0)
    theirs = theirs(features, hidden, dtype=getattr(torch, dtype), **{"batch_first": True} | shared,
                    **their_own)  # fmt: skip
    ours = ours(features, hidden, dtype=dtype, **shared, **own)
    for name, weight in ours.weights.items():
        weight[...] = sum(parameter.detach().numpy() for parameter in partners(theirs, name))
    return ours, theirs


def partners(theirs, name):
    """Return the parameters that our weight is the sum of: both biases of torch are one of ours."""
    names = [name.replace("bias_l", f"bias_{part}_l") for part in ("ih", "hh")]
    return [theirs.get_parameter(each) for each in dict.fromkeys(names)]


def run_torch(theirs, x, state, lengths, axis):
    """Return y, padded again, and the parts of the final state."""
    if lengths is None:
        y, final = theirs(x, state)
    else:
        batch_first = axis == 1
        packed = packing.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
        y, final = theirs(packed, state)
        y, _ = packing.pad_packed_sequence(y, batch_first, total_length=x.shape[axis])
    return y, final if isinstance(final, tuple) else (final,)


def assert_close(actual, expected, tolerance, name):
    """Compare relative to the largest magnitude of the array."""
    expected = expected.detach().numpy()
    assert actual.dtype == expected.dtype, name
    assert actual.shape == expected.shape, name
    error = np.max(np.abs(actual - expected), initial=0)
    assert error <= tolerance * max(1, np.max(np.abs(expected), initial=0)), (name, error)


def assert_equals_torch(ours, theirs, x_shape, lengths=None, given_state=False, seed=0):
    """Compare all that goes out and comes back; ``x_shape`` is laid out as the layer wants it."""
    rng = np.random.default_rng(seed)
    tolerance, dtype = TOLERANCE[ours.dtype], ours.dtype
    axis = int(ours.batch_first)  # of time

    def draw(shape):
        return rng.normal(size=shape).astype(dtype)

    x = draw(x_shape)
    leaf = torch.tensor(x, requires_grad=True)
    directions = (1 + ours.bidirectional) * ours.num_layers
    rows = x_shape[1 - axis : 2 - axis] if len(x_shape) == 3 else ()
    sizes = [getattr(ours, "proj_size", 0) or ours.hidden_size]
    sizes += [ours.hidden_size] if isinstance(ours, LSTM) else []
    start = [draw((directions, *rows, size)) for size in sizes] if given_state else None
    leaves = [torch.tensor(part, requires_grad=True) for part in start or ()]
    hx = None if start is None else tuple(leaves) if len(leaves) == 2 else leaves[0]

    expected, expected_final = run_torch(theirs, leaf, hx, lengths, axis)
    y, final = ours(x, start, lengths=lengths, training=True)
    final = [part for part in final if part is not None]
    assert_close(y, expected, tolerance, "y")
    for name, part, theirs_part in zip("hc", final, expected_final, strict=False):
        assert_close(part, theirs_part, tolerance, f"final {name}")

    dy, dfinal = draw(y.shape), [draw(part.shape) for part in final]
    torch.autograd.backward([expected, *expected_final], [torch.tensor(d) for d in (dy, *dfinal)])
    dx, dstart = ours.backward(dy, dfinal)
    assert_close(dx, leaf.grad, tolerance, "dx")
    for name, part, given in zip("hc", dstart, leaves, strict=False):
        assert_close(part, given.grad, tolerance, f"d{name}0")
    for name, gradient in ours.grads.items():
        for parameter in partners(theirs, name):
            assert_close(gradient, parameter.grad, tolerance, name)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_equals_torch(kind, num_layers, bidirectional):
    seq_len, batch, features = 6, 7, 3
    yes_or_no = False, True
    for bias, batch_first, ragged, given_state in itertools.product(*[yes_or_no] * 4):
        ours, theirs = pair(
            kind, features, 5, "float64", num_layers=num_layers, bidirectional=bidirectional,
            bias=bias, batch_first=batch_first
        )  # fmt: skip
        assert any(name.startswith("bias") for name in ours.weights) == bias
        shape = (batch, seq_len) if batch_first else (seq_len, batch)
        lengths = [2, 6, 1, 5, 3, 6, 4] if ragged else None
        assert_equals_torch(ours, theirs, (*shape, features), lengths, given_state)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [*itertools.product(KINDS, ["float64"]),
     *itertools.product(["lstm", "projected", "gru", "tanh"], ["float32"])],
)  # fmt: skip
@pytest.mark.parametrize(
    ("hidden", "batch", "features"), [(1, 9, 17), (7, 5, 1), (33, 1, 3), (65, 5, 17), (8, 6, 4)]
)
def test_odd_sizes_equal_torch(kind, dtype, hidden, batch, features):
    if kind == "projected" and hidden == 1:
        hidden = 4  # a projection is smaller than what it projects
    ours, theirs = pair(kind, features, hidden, dtype, num_layers=2, bidirectional=True)
    shape = batch, 11, features
    assert_equals_torch(ours, theirs, shape, given_state=True)

    ours.zero_grad()
    theirs.zero_grad()
    lengths = np.random.default_rng(hidden).integers(1, 12, batch)
    assert_equals_torch(ours, theirs, shape, lengths, given_state=True, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_without_a_batch_equals_torch(kind):
    for batch_first, given_state in itertools.product((False, True), (False, True)):
        ours, theirs = pair(
            kind, 3, 7, "float64", num_layers=2, bidirectional=True, batch_first=batch_first
        )
        assert_equals_torch(ours, theirs, (5, 3), given_state=given_state)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_add_up_as_in_torch(kind):
    ours, theirs = pair(kind, 3, 5, "float64")
    assert_equals_torch(ours, theirs, (4, 6, 3), seed=0)
    assert_equals_torch(ours, theirs, (5, 8, 3), seed=1)
    ours.zero_grad()
    assert all(not gradient.any() for gradient in ours.grads.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_sequence_equals_torch(kind):
    # Longer than the steps whose weight gradients are taken at once.
    ours, theirs = pair(kind, 2, 6, "float64")
    assert_equals_torch(ours, theirs, (3, 301, 2), [301, 1, 150], given_state=True)


def test_a_tensor_alone_is_a_state():
    gru, theirs = pair("gru", 3, 5, "float32")
    x, h = torch.randn(2, 4, 3), torch.randn(1, 2, 5)
    y, final = gru(x, h)
    expected = theirs(x, h)
    assert_close(y, expected[0], TOLERANCE["float32"], "y")
    assert_close(final.h, expected[1], TOLERANCE["float32"], "h")
