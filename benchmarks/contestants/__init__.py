"""Libraries that do the same work, each in a file of its own and run in a process of its own.

A contestant is a module with ``setup(threads)`` and one function per task that it takes part in,
``train``, ``infer`` and ``stream`` of a `Size`, ``many_series`` of a `Collection` and ``layer`` of
a `LayerCase`, each ``(size, threads)`` to `Work`. All begin with the same weights on the same data:

    x         standard normal, (batch, seq_len, features), float32
    network   LSTM layers without dropout, a linear head on the newest state of the top layer
    training  mean squared error, gradient clipped to the norm 1, Adam
    stream    one observation in, the state kept, one forecast out
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

LEARNING_RATE = 1e-3
CLIP_NORM = 1.0

# Name: (module, packages that it needs).
CONTESTANTS = {
    "lstm_numba": ("ours", ("numba",)),
    "plain layer": ("ours_plain", ("numba",)),
    "torch": ("pytorch", ("torch",)),
    "torch, default denormals": ("pytorch_default", ("torch",)),
    "JAX": ("jax_scan", ("jax",)),
    "ONNX Runtime": ("onnx_runtime", ("onnx", "onnxruntime")),
    "lstm_numba, GPU": ("ours_cuda", ("numba_cuda",)),
    "lstm_numba, TF32": ("ours_cuda_tf32", ("numba_cuda",)),
    "cuDNN, TF32": ("pytorch_cuda", ("torch",)),
    "cuDNN, float32": ("pytorch_cuda_float32", ("torch",)),
}


class Size(NamedTuple):
    """One batch for one network."""

    batch: int
    seq_len: int
    features: int
    hidden: int
    layers: int


class Collection(NamedTuple):
    """Short series, one small model each."""

    series: int
    points: int
    seq_len: int
    horizon: int
    hidden: int
    batch: int
    epochs: int


class LayerCase(NamedTuple):
    """A batch for one layer on its own, forward and backward.

    ``variant`` is that of an LSTM, "plain", "ragged" (lengths uniform in 1 to seq_len), "mask"
    (three steps of ten are left out), "recurrent dropout" or "activations" (softsign for tanh, hard
    sigmoid), or another cell, "GRU" or "simple RNN".
    """

    batch: int
    seq_len: int
    features: int
    hidden: int
    variant: str


SIZE_OF_TASK = {
    "train": Size,
    "infer": Size,
    "stream": Size,
    "many_series": Collection,
    "layer": LayerCase,
}


@dataclass
class Work:
    """Something to be measured.

    Attributes
    ----------
    run : callable without arguments
    answer : list of float
        What a run computes, or the losses of the first training steps: to be equal for all.
    units : int
        Steps, batches, observations or series in one run.
    note : str
        What was chosen, if there was a choice.
    close : callable without arguments
    """

    run: Callable
    answer: list
    units: int = 1
    note: str = ""
    close: Callable = lambda: None


def problem(size):
    """Return x (batch, seq_len, features), y (batch, 1) and weights named as torch does."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(size[:3], np.float32)
    y = rng.standard_normal((size.batch, 1), np.float32)
    return x, y, _weights(rng, size.features, size.hidden, size.layers, 1)


def layer_problem(case):
    """Return x, dy (batch, seq_len, hidden), lengths (batch,), mask (batch, seq_len), weights.

    The one bias of an LSTM and of a simple RNN is torch's first; torch's second is 0.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((case.batch, case.seq_len, case.features), np.float32)
    dy = rng.standard_normal((case.batch, case.seq_len, case.hidden), np.float32)
    lengths = rng.permutation(np.arange(case.batch) * case.seq_len // case.batch + 1)
    mask = rng.random((case.batch, case.seq_len)) < 0.7
    gates = {"GRU": 3, "simple RNN": 1}.get(case.variant, 4)
    weights = _weights(rng, case.features, case.hidden, 1, 1)
    weights = {name: weight[: gates * case.hidden] for name, weight in weights.items()}
    bias = weights["bias_ih_l0"] = weights["bias_l0"]
    weights["bias_hh_l0"] = bias if case.variant == "GRU" else np.zeros_like(bias)
    return x, dy, lengths, mask, weights


def collection(sizes):
    """Return series (series, points), each with a season of 12 and noise, and weights."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 2 * np.pi, (sizes.series, 1))
    values = np.sin(2 * np.pi / 12 * np.arange(sizes.points) + phase)
    values += 0.3 * rng.standard_normal(values.shape)
    return values.astype(np.float32), _weights(rng, 1, sizes.hidden, 1, sizes.horizon)


def _weights(rng, features, hidden, layers, outputs):
    def draw(*shape):
        return rng.uniform(-(hidden**-0.5), hidden**-0.5, shape).astype(np.float32)

    weights = {}
    for k in range(layers):
        weights[f"weight_ih_l{k}"] = draw(4 * hidden, hidden if k else features)
        weights[f"weight_hh_l{k}"] = draw(4 * hidden, hidden)
        weights[f"bias_l{k}"] = draw(4 * hidden)
    return weights | {"head.weight": draw(outputs, hidden), "head.bias": draw(outputs)}


def fastest(works):
    """Return the work with the shortest run of five, or of as many as fit a second.

    The others are closed. Works are made one after the other: only two exist at a time.
    """
    best, best_seconds = None, np.inf
    for work in works:
        work.run()
        seconds, stop = [], time.perf_counter() + 1
        while not seconds or (len(seconds) < 5 and time.perf_counter() < stop):
            began = time.perf_counter()
            work.run()
            seconds.append((time.perf_counter() - began) / work.units)
        loser = work
        if min(seconds) < best_seconds:
            loser, best, best_seconds = best, work, min(seconds)
        if loser:
            loser.close()
    return best
