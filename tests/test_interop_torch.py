"""Layers from and to torch: equal weights, equal outputs, and what is refused."""

import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_numba import GRU, LSTM, SimpleRNN, interop

torch = pytest.importorskip("torch")

MODULES = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
LAYERS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
EITHER_CELL = pytest.mark.parametrize("cell", MODULES)
FORMS = {
    "one layer": {},
    "stack": {"num_layers": 2, "bidirectional": True, "dropout": 0.5},
    "batch first, no bias": {"num_layers": 2, "batch_first": True, "bias": False},
}


def module_of(cell, **form):
    torch.manual_seed(3)
    return MODULES[cell](3, 5, **form).eval()


def arrays_of(module):
    return {name: weight.detach().numpy() for name, weight in module.state_dict().items()}


def assert_equal_outputs(layer, module, tolerance=1e-5):
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype(layer.dtype)
    y, state = layer(x)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections", UserWarning)
        their_y, their_state = module(torch.from_numpy(x))
    theirs = their_state if isinstance(their_state, tuple) else (their_state,)
    parts = [part for part in state if part is not None]
    for own, other in zip([y, *parts], [their_y, *theirs], strict=True):
        assert_allclose(own, other.numpy(), rtol=0, atol=tolerance)


def with_biases_summed(weights):
    """torch's weights with all of the two biases in the first."""
    found = dict(weights)
    for name in weights:
        if "bias_ih" in name:
            other = name.replace("bias_ih", "bias_hh")
            found[name] = weights[name] + weights[other]
            found[other] = np.zeros_like(weights[other])
    return found


@EITHER_CELL
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_torch_to_ours_to_torch(cell, form):
    module = module_of(cell, **form)
    layer = interop.from_torch(module)
    assert type(layer) is LAYERS[cell]
    assert_equal_outputs(layer, module)

    back = interop.to_torch(layer)
    assert repr(back) == repr(module)
    assert_equal_outputs(layer, back)
    before = arrays_of(module) if cell == "gru" else with_biases_summed(arrays_of(module))
    after = arrays_of(back)
    assert list(after) == list(before)
    for name, weight in before.items():
        assert_array_equal(after[name], weight)


@pytest.mark.parametrize(
    ("cell", "form"),
    [("lstm", {"proj_size": 2, "bidirectional": True}), ("rnn", {"nonlinearity": "relu"})],
)
def test_forms_that_one_cell_has(cell, form):
    module = module_of(cell, **form)
    layer = interop.from_torch(module)
    assert_equal_outputs(layer, module)
    assert repr(interop.to_torch(layer)) == repr(module)


def test_float64_stays_float64():
    module = module_of("lstm", dtype=torch.float64)
    layer = interop.from_torch(module)
    assert layer.dtype == "float64"
    assert_equal_outputs(layer, module, 1e-12)
    assert interop.to_torch(layer).weight_ih_l0.dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_grows_to_float32(dtype):
    module = module_of("gru", dtype=dtype)
    layer = interop.from_torch(module)
    assert layer.dtype == "float32"
    expected = module.weight_ih_l0.detach().float().numpy()
    assert_array_equal(layer.weights["weight_ih_l0"], expected)


@EITHER_CELL
def test_sizes_and_cell_are_those_of_the_weights(cell):
    module = module_of(cell, num_layers=2, bidirectional=True)
    layer = interop.from_torch(arrays_of(module), batch_first=False)
    assert_equal_outputs(layer, module)


def test_projection_is_found_in_the_weights():
    layer = interop.from_torch(arrays_of(module_of("lstm", proj_size=2)))
    assert (layer.hidden_size, layer.proj_size) == (5, 2)


def test_our_own_weights_are_taken_too():
    layer = LSTM(3, 5, num_layers=2, random_state=0)
    again = interop.from_torch(layer.weights)
    for name, weight in layer.weights.items():
        assert_array_equal(again.weights[name], weight)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.GRU(3, 5, batch_first=True)
        self.decoder = torch.nn.LSTM(5, 4, dropout=0.0)
        self.head = torch.nn.Linear(4, 1)
        self.attention = torch.nn.ParameterDict({"bias_l1": torch.zeros(3)})


@pytest.mark.parametrize("as_weights", [False, True])
def test_a_module_in_a_model_is_found_by_its_prefix(as_weights):
    model = Model()
    source = model.state_dict() if as_weights else model
    with pytest.raises(ValueError, match=r"prefixes 'encoder\.', 'decoder\.': say"):
        interop.from_torch(source)
    with pytest.raises(ValueError, match=r"'head\.weight_ih_l0'.*'encoder\.', 'decoder\.'"):
        interop.from_torch(source, prefix="head.")
    encoder = interop.from_torch(source, prefix="encoder.")
    assert isinstance(encoder, GRU)
    assert encoder.batch_first
    decoder = interop.from_torch(source, prefix="decoder.")
    assert isinstance(decoder, LSTM)
    assert decoder.batch_first == as_weights


def test_arguments_count_more_than_what_was_read():
    layer = interop.from_torch(module_of("rnn"), batch_first=True, activation="relu", n_jobs=2)
    assert (layer.batch_first, layer.activation, layer.n_jobs) == (True, "relu", 2)


def test_load_torch_fills_a_layer_that_exists():
    module = module_of("gru", num_layers=2)
    layer = GRU(3, 5, num_layers=2, batch_first=False)
    interop.load_torch(layer, module.state_dict())
    assert_equal_outputs(layer, module)


BROKEN = {
    "missing": (lambda w: w.pop("weight_hh_l1"), "lacks weight_hh_l1"),
    "one bias of two": (lambda w: w.pop("bias_hh_l0"), "lacks bias_l0 and has bias_ih_l0 beside"),
    "unknown": (lambda w: w.update(weight_ih_l2=w["weight_ih_l0"]), "has weight_ih_l2 beside"),
    "shape": (
        lambda w: w.update(weight_ih_l1=w["weight_ih_l0"]),
        r"The weights: weight_ih_l1 must have the shape \(20, 5\) .* but has \(20, 3\)",
    ),
}


@pytest.mark.parametrize(("damage", "message"), BROKEN.values(), ids=BROKEN)
def test_weights_that_do_not_fit_leave_a_layer_as_it_was(damage, message):
    weights = arrays_of(module_of("lstm", num_layers=2))
    damage(weights)
    layer = LSTM(3, 5, num_layers=2, random_state=0)
    before = {name: weight.copy() for name, weight in layer.weights.items()}
    with pytest.raises(ValueError, match=message):
        interop.load_torch(layer, weights)
    for name, weight in layer.weights.items():
        assert_array_equal(weight, before[name])


def test_what_holds_no_weights_is_refused():
    with pytest.raises(ValueError, match=r"'weight_ih_l0'.*Found 'weight', 'bias'\."):
        interop.from_torch(torch.nn.Linear(3, 1))
    with pytest.raises(ValueError, match="Found nothing"):
        interop.from_torch({})
    with pytest.raises(TypeError, match="list"):
        interop.from_torch([np.ones((12, 3))])
    with pytest.raises(ValueError, match="must hold weight_ih_l0"):
        interop.from_torch({"weight_ih_l0": np.ones((12, 3))})
    with pytest.raises(ValueError, match=r"4 \(LSTM\), 3 \(GRU\) or 1 \(RNN\)"):
        interop.from_torch({"weight_ih_l0": np.ones((10, 3)), "weight_hh_l0": np.ones((10, 5))})
    with pytest.raises(TypeError, match="real numbers"):
        interop.from_torch({"weight_ih_l0": np.array(["a"])})
    with pytest.raises(ValueError, match=r"cell='gru'.*weight_ih_l0 \(15, 3\).*cell='lstm'"):
        interop.from_torch(arrays_of(module_of("gru")), cell="lstm")
    with pytest.raises(TypeError, match=r"LSTM, GRU or SimpleRNN\. Got Linear"):
        interop.load_torch(torch.nn.Linear(3, 1), {})


@pytest.mark.parametrize(
    "argument",
    [
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"bidirectional": True, "merge_mode": "sum"},
        {"input_dropout": 0.1},
        {"recurrent_dropout": 0.1},
        {"clip": 1.0},
        {"kernel_regularizer": "l2"},
        {"bias_constraint": "non_neg"},
        {"return_sequences": False},
        {"go_backwards": True},
        {"stateful": True},
    ],
    ids=str,
)
def test_what_torch_lacks_is_named(argument):
    name = list(argument)[-1]
    with pytest.raises(ValueError, match=rf"torch.nn.LSTM has nothing for {name}="):
        interop.to_torch(LSTM(3, 5, **argument))


def test_a_missing_torch_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        interop.to_torch(LSTM(3, 5))
    assert interop.to_state_dict(LSTM(3, 5))["bias_hh_l0"].shape == (20,)
