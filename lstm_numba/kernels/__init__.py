"""Numbers: arrays in, arrays out. Nothing here checks, allocates or raises.

Glossary
--------
seq_len (t)     time steps of a window, oldest first
batch (n, r)    windows that are computed side by side; r: a row of a block
features (k)    columns of the input
hidden (j)      units of a layer
horizon (k)     steps that the head forecasts
targets (d)     series that are forecast together
x, h, c         input, hidden state, cell state; h[t] is the state before step t
z, gates        pre-activations and activations, in blocks [i | f | g | o]: input gate, forget
                gate, candidate, output gate. torch and Keras use this order, ONNX does not.
w               weights; rows belong to inputs, columns to gates
dv              gradient of the loss with respect to v
tape            what the forward pass keeps for the backward pass
"""

from importlib import import_module


def load(device):
    """Return the backend of a device: a module whose kernels bear the same names on each."""
    return import_module(f".{device}", __name__)
