"""Recurrent layers from and to torch, Keras and ONNX: arguments, weights and gate orders.

torch, Keras and onnx are imported by the functions that need them, and never before. Weights that
are at hand as arrays need none of them.

>>> import numpy as np
>>> from lstm_numba import interop
>>> theirs = {
...     "rnn.weight_ih_l0": np.ones((12, 2)),
...     "rnn.weight_hh_l0": np.ones((12, 3)),
...     "rnn.bias_ih_l0": np.ones(12),
...     "rnn.bias_hh_l0": np.ones(12),
... }
>>> interop.from_torch(theirs)
LSTM(2, 3, dtype='float64')
"""

from .keras import from_keras as from_keras
from .keras_export import to_keras as to_keras
from .keras_export import to_keras_weights as to_keras_weights
from .onnx_export import to_onnx as to_onnx
from .onnx_import import from_onnx as from_onnx
from .torch import from_torch as from_torch
from .torch import load_torch as load_torch
from .torch import to_state_dict as to_state_dict
from .torch import to_torch as to_torch
