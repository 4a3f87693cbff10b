"""Launches that are made again and again: what Numba looks up for each is looked up once.

On a device they then become one CUDA graph, which takes the host no longer to start than a single
launch. Where that fails they go on being made one by one.
"""

from numba import cuda

from .device import is_complete
from .sums import THREADS

# Whether there is a driver that knows graphs: the simulator has none.
GRAPHS = is_complete()

# Turns that are too few to make a graph of: to make one takes the host some turns' time.
_FEW = 3

if not is_complete():
    _STREAM = 0

    def prepare(kernel, grid, block, args):
        """Return a function (stream) that makes a launch."""
        return lambda stream: kernel[grid, block, stream](*args)

else:
    from cuda.core import Device, LaunchConfig, Stream, launch

    # The one on which Numba copies and launches: all that the host asks for happens in its order.
    _STREAM = Stream.from_handle(0)

    def prepare(kernel, grid, block, args):
        # These are the steps of Numba's own launches, of which it repeats each every time.
        (compiled,) = kernel.specialize(*args).overloads.values()
        code, numbers = compiled._codelibrary.get_cufunc().kernel, []
        for kind, arg in zip(compiled.argument_types, args, strict=True):
            compiled._prepare_args(kind, arg, _STREAM, [], numbers)
        config = LaunchConfig(grid=grid, block=block)

        def make(stream):
            launch(stream, config, code, *numbers)

        make.arrays = args  # which the numbers do not keep alive
        return make


def graph_of(launches):
    """Return launches as one CUDA graph; None where that fails."""
    try:
        device = Device(cuda.get_current_device().id)
        device.set_current()
        # Not yet the launches themselves: the builder's stream notes them.
        builder = device.create_graph_builder().begin_building()
        for make in launches:
            make(builder)
        return builder.end_building().complete()
    except Exception:  # a fault of the device shows when they are made one by one
        return None


class Turn:
    """What the first ``count`` of some models do at a turn: launches, in their order.

    Parameters
    ----------
    models : device array of int64
        Those that take part come first.
    count : int
    """

    def __init__(self, models, count):
        self.models, self.count = models, count
        self._launches, self._graph = [], None
        self._times, self._may_become_graph = 0, GRAPHS

    def threads(self, n):
        """Grid and block for one thread per number, ``n`` of each model."""
        return (-(-n // THREADS), self.count), THREADS

    def launch(self, kernel, grid, block, *args):
        """Add a launch; it is not made yet."""
        self._launches.append(prepare(kernel, grid, block, args))

    def run(self, times=1):
        """Make the launches, one turn after the other; do not wait for the device."""
        for left in range(times, 0, -1):
            # The first turn loads machine code onto the device, which no graph can hold.
            if self._may_become_graph and self._times and self._times + left > _FEW:
                self._graph, self._may_become_graph = graph_of(self._launches), False
            if self._graph:
                self._graph.launch(_STREAM)
            else:
                for make in self._launches:
                    make(_STREAM)
            self._times += 1
