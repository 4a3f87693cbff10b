"""Numbers: arrays in, arrays out. Kernels trust their arguments and do not check.

Glossary
--------
seq_len (t)     time steps of a window, oldest first
batch (n, r)    windows that are computed side by side; r: a row of a block
features (k)    columns of the input
hidden (j)      units of a layer
horizon (k)     steps that the head forecasts
targets (d)     series that are forecast together
x, h, c         input, hidden state, cell state; h[t] is the state before step t
z, gates        pre-activations and activations. LSTM: [i | f | g | o], input gate, forget gate,
                candidate, output gate; torch and Keras use this order, ONNX does not.
                GRU: [r | z | n], reset gate, update gate, candidate, as torch.
w               weights; rows belong to inputs, columns to gates
dv              gradient of the loss with respect to v
stream          a series, or a part of one, that is read from start to end with its state kept
segment         the next steps of a stream, seq_len at most
slot            steps that are done: slot 0 of a tape is the state before the first step
block           ROWS rows of a batch, which one thread takes through all of time
group           blocks that go through time together, with products on the matrix unit
pass            what goes through time together: a block, or a group
digits, worth   a float32 as three bytes for the matrix unit, and what a unit of the second is worth
chunk           consecutive blocks, or groups, whose gradients are added up together
units           hidden, rounded up to whole vectors
below, own      inputs that a layer reads from the layer below, and from its own tape
packed, partial weights and their gradients in the order of the products, see ``cpu/plan.py``
tape            what the forward pass keeps for the backward pass
"""

from importlib import import_module


def load(device):
    """Return the backend of a device: a module whose kernels bear the same names on each."""
    return import_module(f".{device}", __name__)
