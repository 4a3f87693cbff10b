"""Streams, read from start to end segment by segment while their state is kept.

The state is a value, ``States(h, c)``, with one row for each stream. A stream is known by this row
and not by its place in a batch, so batches of any size give the same.
"""

from dataclasses import dataclass

import numpy as np

from ..kernels.cpu import Segments, States
from .engine import Engine, Pace, make_step

__all__ = ["States", "Streams", "forecast_streams", "score_streams", "zero_states"]

# Streams that are taken side by side where nothing is trained.
_SIDE_BY_SIDE = 64


@dataclass(frozen=True)
class Streams:
    """Row ranges of flat arrays, to be read in the order of time.

    After ``read_from``, ``read_from + 1``, ..., ``lengths`` steps of a stream the rows that follow
    are forecast.

    Attributes
    ----------
    inputs : (time, features)
    targets : (time, targets)
        Row by row beside ``inputs``.
    starts, lengths : (streams,) int64
        First row, and number of rows.
    read_from : (streams,) int64
        From 0, before the first row, to ``lengths + 1``: no forecast.
    """

    inputs: np.ndarray
    targets: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    read_from: np.ndarray

    def __len__(self):
        return len(self.starts)

    @property
    def forecasts(self):
        """Number of forecasts of all streams."""
        return int((self.lengths + 1 - self.read_from).sum())

    def segments(self, seq_len, batch_size, order=None):
        """Cut the streams into segments of ``seq_len`` steps, and these into batches.

        First come the first segments of all streams, ``batch_size`` at once, then the second ones
        of the streams that have one, and so on. Forecasts are numbered along.

        Parameters
        ----------
        order : (streams,) int, optional
            In which streams follow each other.

        Returns
        -------
        Segments
        """
        order = np.arange(len(self)) if order is None else order
        counts = np.maximum(1, -(-self.lengths[order] // seq_len))
        stream = np.repeat(order, counts)
        turn = np.arange(len(stream)) - np.repeat(np.cumsum(counts) - counts, counts)
        by_turn = np.argsort(turn, kind="stable")
        stream, turn = stream[by_turn], turn[by_turn]

        done = turn * seq_len
        steps = np.minimum(seq_len, self.lengths[stream] - done)
        # A forecast between two segments belongs to the earlier one.
        read_from = np.clip(self.read_from[stream] - done, np.minimum(turn, 1), steps + 1)
        reads = steps + 1 - read_from
        turn_begins = np.searchsorted(turn, turn)
        first_of_batch = (np.arange(len(stream)) - turn_begins) % batch_size == 0
        return Segments(
            inputs=self.inputs,
            targets=self.targets,
            starts=self.starts[stream] + done,
            steps=steps,
            read_from=read_from,
            places=np.cumsum(reads) - reads,
            streams=stream,
            bounds=np.append(np.flatnonzero(first_of_batch), len(stream)),
        )


def zero_states(network, n):
    """Return the states in which ``n`` streams begin."""
    shape = network.num_layers, n, network.hidden_size
    return States(np.zeros(shape, network.dtype), np.zeros(shape, network.dtype))


def score_streams(engine, network, streams, step):
    """Return the mean loss of all forecasts of streams, each begun with a state of zero."""
    segments = streams.segments(network.seq_len, _SIDE_BY_SIDE)
    states, total = zero_states(network, len(streams)), 0.0
    for first, last in Pace().pieces(len(segments.bounds) - 1):
        total = engine.run_segments(segments, states, step, first, last, total=total)
    return total / streams.forecasts


def forecast_streams(network, params, streams, states, n_threads=1):
    """Forecast on streams, and carry the states on.

    Parameters
    ----------
    network : Network
        With ``stateful``.
    params : array, (network.layout.size,)
    streams : Streams
        Their ``targets`` are not read.
    states : States
        Of the streams before their first row; not changed.

    Returns
    -------
    forecasts : (forecasts, horizon, targets)
        Segment by segment, in the order of ``Streams.segments``.
    origins : (forecasts,) int64
        The first row that each forecast is for.
    states : States
        Of the streams after their last row.
    """
    segments = streams.segments(network.seq_len, _SIDE_BY_SIDE)
    states = States(*(np.array(part, network.dtype, order="C") for part in states))
    reads = segments.steps + 1 - segments.read_from
    first_origins = segments.starts + segments.read_from - segments.places
    origins = np.arange(streams.forecasts) + np.repeat(first_origins, reads)
    out = np.empty((len(origins), network.horizon, network.targets), network.dtype)
    with Engine(network, params, n_threads) as engine:
        for first, last in Pace().pieces(len(segments.bounds) - 1):
            engine.run_segments(segments, states, make_step(), first, last, out=out)
    return out, origins, states
