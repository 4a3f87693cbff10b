"""Activations by the names that the recurrent nodes of ONNX have for them."""

from typing import NamedTuple


class Activation(NamedTuple):
    """An activation of ONNX; ``alpha`` and ``beta`` are None where it has none."""

    name: str
    alpha: float | None = None
    beta: float | None = None


OF_OURS = {
    "tanh": Activation("Tanh"),
    "sigmoid": Activation("Sigmoid"),
    "relu": Activation("Relu"),
    "softplus": Activation("Softplus"),
    "softsign": Activation("Softsign"),
    "elu": Activation("Elu", 1.0),
    "hard_sigmoid": Activation("HardSigmoid", 1 / 6, 0.5),
    "hard_sigmoid_keras2": Activation("HardSigmoid", 0.2, 0.5),
    "linear": Activation("Affine", 1.0, 0.0),
}

# With the parameters that hold where a node says none.
DEFAULTS = {
    "tanh": Activation("Tanh"),
    "sigmoid": Activation("Sigmoid"),
    "relu": Activation("Relu"),
    "softplus": Activation("Softplus"),
    "softsign": Activation("Softsign"),
    "elu": Activation("Elu", 1.0),
    "hardsigmoid": Activation("HardSigmoid", 0.2, 0.5),
    "affine": Activation("Affine", 1.0, 0.0),
    "leakyrelu": Activation("LeakyRelu", 0.01),
    "thresholdedrelu": Activation("ThresholdedRelu", 1.0),
    "scaledtanh": Activation("ScaledTanh", 1.0, 1.0),
}
# The parameters with which others are one of ours.
_SPECIAL = {
    Activation("LeakyRelu", 0.0): "relu",
    Activation("LeakyRelu", 1.0): "linear",
    Activation("ThresholdedRelu", 0.0): "relu",
    Activation("ScaledTanh", 1.0, 1.0): "tanh",
}


def to_ours(activation):
    """Return our name of an ``Activation``, None if there is none.

    Examples
    --------
    >>> to_ours(Activation("HardSigmoid", 0.2, 0.5))
    'hard_sigmoid_keras2'
    """
    known = {theirs: ours for ours, theirs in OF_OURS.items()} | _SPECIAL
    for theirs, ours in known.items():
        # Attributes are float32.
        near = all(
            a == b or (None not in (a, b) and abs(a - b) < 1e-6)
            for a, b in zip(activation[1:], theirs[1:], strict=True)
        )
        if activation.name == theirs.name and near:
            return ours
    return None
