"""A network set up to run: the arrays that its kernels work on, and the threads that run them."""

import os
import time

import numpy as np

from ..kernels import load
from ..kernels.cpu import Buffers, Step, Team
from ..kernels.jit import entry_point
from ..kernels.losses import LOSSES
from .buffers import aligned_zeros

# A running kernel cannot be interrupted: come back to Python this often, in seconds.
KERNEL_SECONDS = 0.1

# Below this many multiply-adds (0.1 to 0.2 ms of one thread) waking another one from Python does
# not pay.
HAND_OFF = 10_000_000


def make_step(
    loss="mse", huber_delta=1.0, learning_rate=1e-3, weight_decay=0.0, clip_norm=None,
    beta1=0.9, beta2=0.999, epsilon=1e-8, tape=True
):  # fmt: skip
    """Return the kernels' ``Step``; ``clip_norm=None`` does not clip."""
    return Step(
        loss=LOSSES[loss],
        huber_delta=float(huber_delta),
        learning_rate=float(learning_rate),
        beta1=float(beta1),
        beta2=float(beta2),
        epsilon=float(epsilon),
        weight_decay=float(weight_decay),
        clip_norm=float("inf") if clip_norm is None else float(clip_norm),
        tape=tape,
    )


def make_buffers(plan, dtype, n_threads, batch_size):
    """Return the arrays that ``n_threads`` need to train on batches, or for 0 only to forecast."""
    kernels = load("cpu")
    lanes = kernels.VECTOR_BYTES // np.dtype(dtype).itemsize
    padded = -(-plan.n_params // kernels.PIECE) * kernels.PIECE if batch_size else 0
    chunks = kernels.chunks_of.py_func(batch_size, plan.chunk_rows)
    return Buffers(
        # Products read whole vectors, also at the end.
        params=aligned_zeros((plan.n_params + 4 * lanes,), dtype),
        gradient=aligned_zeros((padded,), dtype),
        mean=aligned_zeros((padded,), dtype),
        square=aligned_zeros((padded,), dtype),
        packed=aligned_zeros((plan.n_packed,), dtype),
        work=aligned_zeros((n_threads, plan.n_work), dtype),
        partials=aligned_zeros((chunks * plan.n_partial,), dtype),
        squares=np.zeros(padded // kernels.PIECE * 4 * lanes, dtype),
        losses=np.zeros(kernels.MAX_CHUNKS),
    )


def threads_of(n_jobs):
    """Return the threads of scikit-learn's ``n_jobs``, no more than NUMBA_NUM_THREADS."""
    usable = getattr(os, "sched_getaffinity", None)
    cores = len(usable(0)) if usable else os.cpu_count()
    threads = 1 if n_jobs is None else n_jobs if n_jobs > 0 else cores + 1 + int(n_jobs)
    return max(1, min(threads, int(os.environ.get("NUMBA_NUM_THREADS") or threads)))


def native(array, dtype):
    """Return an array as kernels are compiled for: native, C-ordered, aligned, writable."""
    if array.dtype == dtype and array.flags.carray:
        return array
    return np.require(array, dtype, "CAW")


class Pace:
    """How many steps a kernel may take at once, learnt from how long they take."""

    def __init__(self):
        self._at_once = 1

    def pieces(self, n):
        """Cut ``range(n)`` into pieces that take about KERNEL_SECONDS; yield (first, last)."""
        first = 0
        while first < n:
            last = min(first + self._at_once, n)
            began = time.perf_counter()
            yield first, last
            seconds = time.perf_counter() - began
            self._at_once = max(
                1, min(2 * self._at_once, int((last - first) * KERNEL_SECONDS / seconds))
            )
            first = last


class Engine:
    """A network set up to run; use as a context manager, its threads end with it.

    Parameters
    ----------
    network : Network
    params : array, (network.layout.size,)
        Copied; ``params`` of the engine is the copy that training changes.
    n_threads : int
    batch_size : int
        Largest batch to train on; 0 if there is none.
    """

    def __init__(self, network, params, n_threads=1, batch_size=0):
        self._kernels = load("cpu")
        self._dtype = np.dtype(network.dtype)
        lanes = self._kernels.VECTOR_BYTES // self._dtype.itemsize
        self._plan = plan = self._kernels.make_plan(network, lanes)
        self._team = Team(n_threads)
        self._compiled, self._pace = {}, Pace()

        self._buffers = make_buffers(plan, self._dtype, n_threads, batch_size)
        self.params[:] = params

    def __enter__(self):
        self._team.__enter__()
        return self

    def __exit__(self, *exception):
        self._team.__exit__(*exception)

    @property
    def params(self):
        """Flat weights, (network.layout.size,); writing to them changes the network."""
        return self._buffers.params[: self._plan.n_params]

    @property
    def gradient(self):
        """Flat gradient of the last batch, (network.layout.size,)."""
        return self._buffers.gradient[: self._plan.n_params]

    def _code_of(self, kernel, args):
        """Return what to call: to look up an entry point takes as long as many calls without."""
        if kernel not in self._compiled:
            self._compiled[kernel] = None
            return kernel
        if self._compiled[kernel] is None:
            self._compiled[kernel] = entry_point(kernel, args)
        return self._compiled[kernel]

    def _together(self, kernel, plan, data, *args, size=None):
        """Run a kernel on all threads, or ``size`` of them; return what the first one returns."""
        # What is no number of the network is a place.
        numbers = ("inputs", "targets")
        kinds = (self._dtype if name in numbers else np.int64 for name in data._fields)
        data = type(data)(*map(native, data, kinds))
        shared, size = self._team.shared, size or self._team.size
        values = [None] * size

        before, after = (plan, data, *args, self._buffers), (size, shared)
        compiled = self._code_of(kernel, (*before, 0, *after))

        def share(rank):
            values[rank] = compiled(*before, rank, *after)

        self._team.run(share, size)
        return values[0]

    def pieces(self, n):
        """Cut the ``n`` batches of an epoch into calls of ``train``; yield (first, last)."""
        return self._pace.pieces(n)

    def train(self, windows, first, last, batch_size, step, steps_done, total=0.0, update=True):
        """Train on batches ``first`` to ``last`` - 1; return ``total`` plus the windows' losses."""
        args = first, last, batch_size, step, steps_done, total, update
        return self._together(self._kernels.train_batches, self._plan, windows, *args)

    def run_segments(
        self, segments, states, step, first, last, steps_done=0, total=0.0, train=False, out=None
    ):
        """Take batches of segments forward, or train on them; ``states`` go on.

        Parameters
        ----------
        segments : Segments
        states : States
            In the network's dtype; changed.
        first, last : int
            Batches ``first`` to ``last`` - 1.
        out : array, (forecasts, horizon, targets), optional
            For the forecasts; without it they are scored.

        Returns
        -------
        float
            ``total`` plus the mean losses of all forecasts.
        """
        size = None
        if not train:
            widest = int(np.diff(segments.bounds).max())
            size = min(self._team.size, self._kernels.chunks_of.py_func(widest))
        if out is None:
            out = np.empty((0, self._plan.horizon, self._plan.targets), self._dtype)
        args = states, first, last, step, steps_done, total, train, out
        return self._together(self._kernels.run_segments, self._plan, segments, *args, size=size)

    def _infer(self, windows, step, losses, out):
        """Run ``infer`` over all windows, in pieces that leave Ctrl-C a chance."""
        n, rows = len(windows.starts), self._plan.chunk_rows
        first, chunks = 0, max(8 * self._team.size, 20 * HAND_OFF // self._multiply_adds(rows))
        while first < n:
            stop = first + chunks * rows
            piece = windows._replace(
                starts=windows.starts[first:stop], target_starts=windows.target_starts[first:stop]
            )
            began = time.perf_counter()
            self._together(
                self._kernels.infer,
                self._plan,
                piece,
                step._replace(tape=False),
                losses[first // self._kernels.ROWS : stop // self._kernels.ROWS],
                out[first:stop],
                size=self._size_for(len(piece.starts)),
            )
            seconds = time.perf_counter() - began
            chunks = max(self._team.size, min(4 * chunks, int(chunks * KERNEL_SECONDS / seconds)))
            first = stop

    def _multiply_adds(self, n):
        """Return how many it takes to forecast ``n`` windows."""
        return n * self._plan.seq_len * self._plan.n_params

    def _size_for(self, n):
        """How many threads pay for themselves when ``n`` windows are to be forecast."""
        return 1 if self._multiply_adds(n) < HAND_OFF else self._team.size

    def forecast(self, windows):
        """Return forecasts (n, horizon, targets) in the units of the inputs."""
        plan = self._plan
        out = np.empty((len(windows.starts), plan.horizon, plan.targets), self._dtype)
        self._infer(windows, make_step(), np.empty(0), out)
        return out

    def loss(self, windows, step):
        """Return the mean loss over all windows."""
        n, plan = len(windows.starts), self._plan
        losses = np.empty(-(-n // self._kernels.ROWS))
        out = np.empty((0, plan.horizon, plan.targets), self._dtype)
        self._infer(windows, step, losses, out)
        return float(losses.sum()) / (n * plan.horizon * plan.targets)
