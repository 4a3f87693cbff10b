"""How the gates of a cell bend: σ for gates, φ for the candidate and the output.

In a ``Standard`` cell σ is the logistic function and φ is tanh, known when a kernel is compiled; in
a ``Chosen`` one they are any of ``ACTIVATIONS``, looked up while it runs; the type of ``acts``
tells. The adjoint of a cell starts from what its step has ``kept`` of each activation.
"""

from typing import NamedTuple

from numba.extending import overload, register_jitable

from .activations import activate, activate_slope, like, sigmoid, tanh
from .parts import PART
from .tile import at_least, at_most, within


class Standard(NamedTuple):
    """σ(z) = 1 / (1 + e^-z), φ(z) = tanh(z)"""

    unused: int = 0  # a tuple without fields has no Numba type


class Chosen(NamedTuple):
    """σ and φ by their codes in ``ACTIVATIONS``."""

    gate: int
    candidate: int
    clip: float  # bound of pre-activations; infinity for none


def sigma(acts, z):
    """σ(z)"""


def phi(acts, z):
    """φ(z)"""


def phi_of_state(acts, z):
    """φ(z) of a cell state, which is never clipped."""


def kept(acts, z, a):
    """Return what the adjoint needs of a = σ(z) or φ(z).

    The slopes of a standard cell follow from a, and others from z alone.
    """


def sigma_again(acts, z):
    """Return σ and σ' from what was kept of σ(z)."""


def phi_again(acts, z):
    """Return φ and φ' from what was kept of φ(z)."""


def phi_of_state_again(acts, z):
    """Return φ(z) and φ'(z) of a cell state."""


@register_jitable(**PART)
def _logistic(acts, z):
    return sigmoid(z)


@register_jitable(**PART)
def _tanh(acts, z):
    return tanh(z)


@register_jitable(**PART)
def _activation(acts, z, a):
    return a


@register_jitable(**PART)
def _logistic_again(acts, z):
    return z, z * (like(z, 1.0) - z)


@register_jitable(**PART)
def _tanh_again(acts, z):
    return z, like(z, 1.0) - z * z


@register_jitable(**PART)
def _tanh_of_state_again(acts, z):
    y = tanh(z)
    return y, like(z, 1.0) - y * y


@register_jitable(**PART)
def _clipped(acts, z):
    return at_most(at_least(z, -acts.clip), acts.clip)


@register_jitable(**PART)
def _chosen_sigma(acts, z):
    return activate(acts.gate, _clipped(acts, z))


@register_jitable(**PART)
def _chosen_phi(acts, z):
    return activate(acts.candidate, _clipped(acts, z))


@register_jitable(**PART)
def _chosen_phi_of_state(acts, z):
    return activate(acts.candidate, z)


@register_jitable(**PART)
def _pre_activation(acts, z, a):
    return z


@register_jitable(**PART)
def _chosen_sigma_again(acts, z):
    a, slope = activate_slope(acts.gate, _clipped(acts, z))
    return a, slope * within(z, acts.clip)


@register_jitable(**PART)
def _chosen_phi_again(acts, z):
    a, slope = activate_slope(acts.candidate, _clipped(acts, z))
    return a, slope * within(z, acts.clip)


@register_jitable(**PART)
def _chosen_phi_of_state_again(acts, z):
    return activate_slope(acts.candidate, z)


def _by_type(stub, standard, chosen):
    """Let the type of ``acts`` choose between two implementations of ``stub``."""

    def choose(acts, z):
        return standard if acts.instance_class is Standard else chosen

    def choose_kept(acts, z, a):
        return standard if acts.instance_class is Standard else chosen

    of_stub = choose if stub.__code__.co_argcount == 2 else choose_kept
    overload(stub, jit_options=PART)(of_stub)


STANDARD_GATES = {
    sigma: _logistic,
    phi: _tanh,
    phi_of_state: _tanh,
    kept: _activation,
    sigma_again: _logistic_again,
    phi_again: _tanh_again,
    phi_of_state_again: _tanh_of_state_again,
}
_CHOSEN_GATES = {
    sigma: _chosen_sigma,
    phi: _chosen_phi,
    phi_of_state: _chosen_phi_of_state,
    kept: _pre_activation,
    sigma_again: _chosen_sigma_again,
    phi_again: _chosen_phi_again,
    phi_of_state_again: _chosen_phi_of_state_again,
}

for _stub, _standard in STANDARD_GATES.items():
    _by_type(_stub, _standard, _CHOSEN_GATES[_stub])
