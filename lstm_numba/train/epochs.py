"""What an epoch is: windows in shuffled order, or streams in the order of time."""

from ..nn.segments import score_streams, zero_states


class WindowEpochs:
    """Epochs over windows, in another order each time.

    Parameters
    ----------
    engine : Engine
    windows, validation : Windows
        ``validation`` may be None.
    batch_size : int

    Attributes
    ----------
    n : int
        Forecasts of an epoch.
    batches : int
    """

    def __init__(self, engine, windows, validation, batch_size):
        self._engine, self._windows, self._validation = engine, windows, validation
        self._batch_size = batch_size
        self.n = len(windows.starts)
        self.batches = -(-self.n // batch_size)

    def begin(self, rng):
        """Shuffle."""
        order = rng.permutation(self.n)
        self._shuffled = self._windows._replace(
            starts=self._windows.starts[order], target_starts=self._windows.target_starts[order]
        )

    def train(self, first, last, step, steps_done, total):
        """Train on batches ``first`` to ``last`` - 1; return ``total`` plus their losses."""
        size = self._batch_size
        return self._engine.train(self._shuffled, first, last, size, step, steps_done, total)

    def validate(self, step):
        """Return the mean loss of the validation part."""
        return self._engine.loss(self._validation, step)


class StreamEpochs:
    """Epochs over streams: each is read from start to end, and its state kept in between.

    Parameters and attributes are those of `WindowEpochs`, with Streams for Windows.
    """

    def __init__(self, engine, network, streams, validation, batch_size):
        self._engine, self._network = engine, network
        self._streams, self._validation = streams, validation
        self._batch_size = batch_size
        self.n = streams.forecasts
        self.batches = len(self._cut(None).bounds) - 1

    def _cut(self, order):
        return self._streams.segments(self._network.seq_len, self._batch_size, order)

    def begin(self, rng):
        """Set all states to zero; which streams share a batch changes from epoch to epoch."""
        self._segments = self._cut(rng.permutation(len(self._streams)))
        self._states = zero_states(self._network, len(self._streams))

    def train(self, first, last, step, steps_done, total):
        """Train on batches ``first`` to ``last`` - 1; return ``total`` plus their losses."""
        return self._engine.run_segments(
            self._segments, self._states, step, first, last, steps_done, total, train=True
        )

    def validate(self, step):
        """Return the mean loss of the validation part; the states of training are left alone."""
        return score_streams(self._engine, self._network, self._validation, step)
