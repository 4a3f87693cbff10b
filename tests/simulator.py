"""A stricter scheduler for Numba's CUDA simulator.

Numba's own runs each CUDA thread as a thread of the system: slow, and in an order that hides
mistakes. Here the threads of a block take turns, from barrier to barrier, in an order drawn from a
seed. What a kernel reads without having written it is NaN, in shared memory and in new device
arrays. So a missing barrier shows as a result that changes with the seed, a value that was
forgotten as NaN, and a barrier that not all threads of a block reach is an error.
"""

import random
import sys
from collections import namedtuple
from contextlib import contextmanager

import numpy as np
from greenlet import getcurrent, greenlet
from numba import cuda
from numba.cuda.simulator import kernel as numba_kernel
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

from lstm_numba.kernels.cuda import instructions, registers

Dim3 = namedtuple("Dim3", "x y z")

# The arguments of the last launch of each kernel: (module, name) -> list of kinds.
launches = {}

_seed = None


def _unwritten(shape, dtype):
    array = np.empty(shape, dtype)
    array.view(np.uint8).reshape(-1)[:] = 0xFF  # NaN as a float, -1 as an integer
    return array


class _Thread(greenlet):
    """One CUDA thread: runs until it has to wait for others."""

    def __init__(self, run, index, number):
        super().__init__(run)
        self.index, self.warp, self.lane = index, number // 32, number % 32
        self.waits = self.answer = None


class _Together(namedtuple("_Together", "name value function")):
    """What a thread offers its warp, and function({lane: value}) -> {lane: answer}."""


class _Shared:
    """Shared memory of one block; an array is known by the place in the code that asks for it."""

    def __init__(self):
        self._arrays = {}

    def array(self, shape, dtype, alignment=None):
        frame = sys._getframe(1)
        key = frame.f_code, frame.f_lasti
        if key not in self._arrays:
            self._arrays[key] = _unwritten(shape, dtype)
        return self._arrays[key]


class _Cuda:
    """What stands for ``numba.cuda`` inside a kernel."""

    def __init__(self, grid, block):
        self.gridDim, self.blockDim = Dim3(*grid), Dim3(*block)
        self.blockIdx = self.shared = None

    threadIdx = property(lambda self: getcurrent().index)

    def grid(self, ndim):
        at = [
            block * size + thread
            for block, size, thread in zip(
                self.blockIdx, self.blockDim, self.threadIdx, strict=True
            )
        ]
        return at[0] if ndim == 1 else tuple(at[:ndim])

    def syncthreads(self):
        getcurrent().parent.switch("barrier")

    def shfl_xor_sync(self, mask, value, lanes):
        def function(values):
            return {lane: values[lane ^ lanes] for lane in values}

        return _together("shuffle", value, function)


def _together(name, value, function):
    return getcurrent().parent.switch(_Together(name, value, function))


def _multiply_tiles(a, b, c):
    """Replace ``instructions.multiply_tiles``."""
    return _together("mma", (a, b, c), _mma)


def _mma(values):
    """Multiply tiles that lie in a warp as ``Machine.mma`` says."""
    parts = zip(*(values[lane] for lane in range(32)), strict=True)
    a, b, c = (np.array(part, np.float32).reshape(8, 4, -1) for part in parts)
    # Tensor cores do not look at the other bits.
    a, b = ((part.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) for part in (a, b))
    left = np.block([[a[..., 0], a[..., 2]], [a[..., 1], a[..., 3]]])
    right = np.concatenate([b[..., 0].T, b[..., 1].T])
    with np.errstate(all="ignore"):
        product = (left.astype(np.float64) @ right).reshape(2, 8, 4, 2)
        total = (c.reshape(8, 4, 2, 2).transpose(2, 0, 1, 3) + product).astype(np.float32)
    return dict(enumerate(total.transpose(1, 2, 0, 3).reshape(32, 4)))


@contextmanager
def _in_place_of_cuda(stand_in):
    """Let every module of the backend see ``stand_in`` as ``cuda``."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith(("lstm_numba.kernels.cuda", "test_"))
        and getattr(module, "cuda", None) is cuda
    ]
    for module in modules:
        module.cuda = stand_in
    try:
        yield
    finally:
        for module in modules:
            module.cuda = cuda


def _meet(threads):
    """Let warps go on of which all threads do the same together; return whether one did."""
    gone_on = False
    warps = {}
    for thread in threads:
        warps.setdefault(thread.warp, []).append(thread)
    for warp in warps.values():
        if {getattr(thread.waits, "name", None) for thread in warp} in ({"shuffle"}, {"mma"}):
            values = {thread.lane: thread.waits.value for thread in warp}
            answers = warp[0].waits.function(values)
            for thread in warp:
                thread.answer, thread.waits = answers[thread.lane], None
            gone_on = True
    return gone_on


def _run_block(function, args, stand_in, order):
    """Run the threads of one block, all to a barrier before any beyond it."""
    indices = np.ndindex(*stand_in.blockDim[::-1])
    threads = [
        _Thread(lambda: function(*args), Dim3(*index[::-1]), number)
        for number, index in enumerate(indices)
    ]
    live = list(threads)
    while live:
        order.shuffle(live)
        for thread in live:
            if thread.waits is None:
                thread.waits = thread.switch(thread.answer) if thread else thread.switch()
        live = [thread for thread in live if not thread.dead]
        if _meet(live):
            continue
        if live and (len(live) < len(threads) or {thread.waits for thread in live} != {"barrier"}):
            raise RuntimeError(
                f"{len(live)} of {len(threads)} threads of block {stand_in.blockIdx} wait in "
                f"{function.__name__}, not all of them at a barrier"
            )
        for thread in live:
            thread.waits = thread.answer = None


def _kind(argument):
    if isinstance(argument, tuple):
        return f"{_kind(argument[0])} x {len(argument)}"
    if isinstance(argument, np.ndarray):
        return f"{argument.dtype}[{argument.ndim}]"
    if isinstance(argument, bool):
        return "boolean"
    return "int64" if isinstance(argument, int) else str(np.asarray(argument).dtype)


def _call(self, *args):
    """Replace ``FakeCUDAKernel.__call__``."""
    if self._device:
        return self.fn(*args)
    args = [arg._ary if isinstance(arg, FakeCUDAArray) else arg for arg in args]
    launches[self.fn.__module__, self.fn.__name__] = [_kind(arg) for arg in args]
    grid, block = numba_kernel.normalize_kernel_dimensions(self.grid_dim, self.block_dim)
    stand_in = _Cuda(grid, block)
    order = random.Random(_seed)
    blocks = list(np.ndindex(*grid))
    order.shuffle(blocks)
    with _in_place_of_cuda(stand_in):
        for index in blocks:
            stand_in.blockIdx, stand_in.shared = Dim3(*index), _Shared()
            _run_block(self.fn, args, stand_in, order)


def set_seed(seed):
    """Choose the order in which threads and blocks run."""
    global _seed
    _seed = seed


@contextmanager
def installed(seed=0):
    """Let kernels run under this scheduler."""
    device_array, call = cuda.device_array, numba_kernel.FakeCUDAKernel.__call__
    had_registers, had_tiles = registers.AVAILABLE, instructions.multiply_tiles

    def unwritten_device_array(*args, **kwargs):
        array = device_array(*args, **kwargs)
        array._ary.view(np.uint8).reshape(-1)[:] = 0xFF
        return array

    set_seed(seed)
    cuda.device_array = unwritten_device_array
    numba_kernel.FakeCUDAKernel.__call__ = _call
    registers.AVAILABLE = True
    instructions.multiply_tiles = _multiply_tiles
    try:
        yield
    finally:
        cuda.device_array, numba_kernel.FakeCUDAKernel.__call__ = device_array, call
        registers.AVAILABLE = had_registers
        instructions.multiply_tiles = had_tiles
