"""Threads that meet inside a kernel: a barrier and a ticket counter on atomic integers.

A training step of a small network takes 0.2 ms, and waking a thread from Python 0.05 ms. So the
threads enter a kernel together, stay for many steps, and meet at barriers that cost less than a
microsecond. Numba's own thread layers are not used: OpenMP kills a forked child, the workqueue
aborts when two Python threads enter it. The threads of a ``Team`` live as long as its ``with``
block.
"""

import platform
import sys
import threading
from concurrent.futures import Future, wait
from queue import SimpleQueue

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..parts import subkernel

# Slots of the shared array, each in a cache line of its own.
ARRIVED, TICKET, ABORTED, SHARED_SIZE = 0, 16, 32, 48

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


def _slot(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def atomic_add(typing_context, array, index, value):
    """Add to array[index] and return what was there before."""

    def codegen(context, builder, signature, args):
        place = _slot(context, builder, array, args[0], args[1])
        return builder.atomic_rmw("add", place, args[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), codegen


@intrinsic
def atomic_read(typing_context, array, index):
    """array[index], as other threads have left it."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_slot(context, builder, array, args[0], args[1]), "seq_cst", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def atomic_write(typing_context, array, index, value):
    """Set array[index] so that other threads see it."""

    def codegen(context, builder, signature, args):
        place = _slot(context, builder, array, args[0], args[1])
        builder.store_atomic(args[2], place, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), codegen


@intrinsic
def _pause(typing_context):
    """Tell the processor that this is a waiting loop."""

    def codegen(context, builder, signature, args):
        if _IS_X86:
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(
                cgutils.get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"),
                [],
            )
        return context.get_dummy_value()

    return types.void(), codegen


if sys.platform == "win32":

    @subkernel
    def _give_way():
        _pause()

else:
    _sched_yield = types.ExternalFunction("sched_yield", types.int32())

    @subkernel
    def _give_way():
        _sched_yield()


@subkernel
def meet(shared, size):
    """Wait for all ``size`` threads: what one has written before, all see after.

    A team that was told to stop does not wait: its kernel runs to the end of what it was asked for,
    and nobody uses the result.
    """
    if size == 1:
        return
    arrived = atomic_add(shared, ARRIVED, 1) + 1
    goal = (arrived + size - 1) // size * size
    turns = 0
    while atomic_read(shared, ARRIVED) < goal and not atomic_read(shared, ABORTED):
        turns += 1
        # A thread that was put to sleep by the system may wait for the core that this one occupies.
        if turns > 2000:
            _give_way()
        else:
            _pause()


class Team:
    """``size`` threads, the caller among them, that run a kernel together.

    Use as a context manager; the threads end with it, so a process may fork before and after.

    >>> with Team(2) as team:
    ...     team.run(lambda rank: None)
    """

    def __init__(self, size):
        self.size = size
        self.shared = np.zeros(SHARED_SIZE, np.int64)
        self._inboxes = [SimpleQueue() for _ in range(size - 1)]
        self._threads = []

    def __enter__(self):
        try:
            for rank, inbox in enumerate(self._inboxes, 1):
                thread = threading.Thread(target=self._serve, args=(rank, inbox), daemon=True)
                thread.start()
                self._threads.append(thread)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        for inbox in self._inboxes:
            inbox.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, rank, inbox):
        while (order := inbox.get()) is not None:
            function, answer = order
            try:
                answer.set_result(function(rank))
            except BaseException as error:
                # Nobody may wait for this thread at a barrier.
                self.shared[ABORTED] = 1
                answer.set_exception(error)

    def run(self, function, size=None):
        """Call ``function(rank)`` for rank 0 to size - 1 at once; all have returned after.

        ``size`` is that of the team unless a smaller one is given.
        """
        self.shared[:] = 0
        answers = []
        try:
            for inbox in self._inboxes[: size and size - 1]:
                answer = Future()
                inbox.put((function, answer))
                answers.append(answer)
            function(0)
            for answer in answers:
                answer.result()
        except BaseException:
            # Ctrl-C between two threads' start would leave the others waiting at a barrier.
            self.shared[ABORTED] = 1
            wait(answers)
            raise
