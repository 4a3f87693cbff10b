"""Recurrent weights that stay in a thread's registers, and their products with a block's state.

The product of a step is, for a thread of ``unit`` and ``lane``,

    sums[output, row] += sum over chunk, k of
        weights[output, chunk, k] state[row, 16 chunk + 4 lane + k]

added up over the four lanes of the unit. The eight rows of a block meet the weights at once; a lane
ends with the sums of rows 2 lane and 2 lane + 1. Tensor cores take two outputs of eight units as
the 16 rows of a tile, and two numbers of each of four lanes, half of a chunk, as its 8 columns.

Weights are packed as (chunk, output / 2, half, thread, k % 2, output % 2): four of a thread are its
part of a tile. Those of the first chunks stay in registers; what finds no room there is read again
at each step, from the cache.
"""

import functools
from itertools import product
from typing import Any, NamedTuple

from .equations import on_device
from .instructions import adds, loads
from .precision import add_lost, keeper, parts_of, split, split_again

# Rows of the batch that meet a thread's weights at once, and those it ends with; threads of a unit.
ROWS, OWN, LANES = 8, 2, 4


class Plan(NamedTuple):
    """How the products of a kernel are taken."""

    kind: str  # see ``precision.py``
    threads: int  # of a block
    outputs: int
    chunks: int
    resident: int  # chunks that stay in registers
    split: bool  # whether registers hold what rounding has lost, too
    length: int  # of a row of the state


class Weights(NamedTuple):
    """Device functions, and the floats that a state takes."""

    size: int
    load: Any  # (packed, start) -> weights
    first: Any  # (thread) -> where in a state it begins to read
    keep: Any  # (state, start, numbers): put one or four into a state
    multiply: Any  # (state, start, thread, weights, packed, sums) -> sums


def row_at(row, length):
    """Return where a row of a state begins, of ``length`` floats, a multiple of 16.

    Eight threads that read 16 bytes each, of two rows, meet all 32 banks of shared memory; so do
    those that write to every other row.
    """
    pitch = length + (16 if length % 32 == 0 else 0)
    return row * pitch + row // 2 * 8


@functools.cache
def weights_of(plan):
    """Return the ``Weights`` of a plan."""
    return _on_float_units(plan) if plan.kind == "ffma" else _on_tensor_cores(plan)


def _loader(plan, prepare):
    """Return a function that reads the weights that stay, and prepares them."""
    n = 4 * plan.resident * plan.outputs

    @loads(2 * n if plan.split else n)
    def load(machine, place):
        at = range(0, n * plan.threads, 4 * plan.threads)
        return prepare(machine, [number for k in at for number in machine.load_four(place, k)])

    return load


def _part_of_tile(plan, machine, weights, packed, chunk, tile, half):
    """Return four weights, from registers or from the cache."""
    at = 4 * ((chunk * plan.outputs // 2 + tile) * 2 + half)
    if chunk < plan.resident:
        return weights[at:][:4]
    return machine.load_four_again(packed, at * plan.threads)


def _on_float_units(plan):
    size, rows = row_at(ROWS, plan.length), [row_at(row, plan.length) for row in range(ROWS)]

    @on_device
    def first(thread):
        return thread % LANES * 4

    @adds
    def multiply(machine, place, thread, weights, packed, sums):
        partial = [[machine.zero] * ROWS for _ in range(plan.outputs)]
        for chunk in range(plan.chunks):
            four = functools.partial(_part_of_tile, plan, machine, weights, packed, chunk)
            of_chunk = []
            for tile in range(plan.outputs // 2):
                first, second = four(tile, 0), four(tile, 1)
                of_chunk += [[*first[side::2], *second[side::2]] for side in (0, 1)]
            for row, at in enumerate(rows):
                state = machine.load_four(place, at + 16 * chunk)
                for own, factors in zip(partial, of_chunk, strict=True):
                    for pair in zip(factors, state, strict=True):
                        own[row] = machine.fma(*pair, own[row])
        found = [total for own in partial for total in _meet(machine, thread, own)]
        return _add(machine, sums, found)

    load = _loader(plan, lambda machine, numbers: numbers)
    return Weights(size, load, first, keeper(plan.kind, size), multiply)


def _meet(machine, thread, numbers):
    """Add up over four lanes, each of which gets the sums of two of the eight rows."""
    for bit in (2, 1):
        middle = len(numbers) // 2
        halves = list(zip(numbers[:middle], numbers[middle:], strict=True))
        mine = [machine.choose(thread, bit, high, low) for low, high in halves]
        other = [machine.choose(thread, bit, low, high) for low, high in halves]
        numbers = _add(machine, mine, [machine.from_lane(number, bit) for number in other])
    return numbers


def _in_a_row(lists):
    return [number for some in lists for number in some]


def _add(machine, left, right):
    return [machine.add(a, b) for a, b in zip(left, right, strict=True)]


def _on_tensor_cores(plan):
    three, size = plan.kind == "3xtf32", row_at(ROWS, plan.length)
    parts, tiles = parts_of(plan.kind), plan.outputs // 2
    resident = 4 * plan.resident * plan.outputs
    row, pair = row_at(1, plan.length), row_at(2, plan.length)

    @on_device
    def first(thread):
        own = thread % 32 // LANES
        return own // 2 * pair + own % 2 * row + thread % LANES * 4

    def prepare(machine, numbers):
        return _in_a_row(split(machine, plan.kind, numbers)) if plan.split else numbers

    def weights_at(machine, weights, packed, *where):
        """Return four weights as tf32, and what is lost by that."""
        numbers = _part_of_tile(plan, machine, weights[:resident], packed, *where)
        if not three:
            return [numbers]  # that were packed as tf32
        if plan.split and where[0] < plan.resident:
            return [numbers, _part_of_tile(plan, machine, weights[resident:], packed, *where)]
        return split_again(machine, numbers)

    @adds
    def multiply(machine, place, thread, weights, packed, sums):
        zero = [machine.zero] * 4
        # Sums that need not wait for each other: of each half, and of what rounding has lost.
        main = [[sums[4 * tile :][:4] for tile in range(tiles)], [zero] * tiles]
        rest = [[zero] * tiles for _ in range(2 if plan.split else 1)]
        for chunk in range(plan.chunks):
            state = [machine.load_four(place, part * size + 16 * chunk) for part in range(parts)]
            for tile, half in product(range(tiles), (0, 1)):
                a = weights_at(machine, weights, packed, chunk, tile, half)
                b = [some[2 * half :][:2] for some in state]
                main[half][tile] = machine.mma(a[0], b[0], main[half][tile])
                if three:
                    chain = rest[half % len(rest)]
                    chain[tile] = add_lost(machine, a, b, chain[tile])
        chains = [_in_a_row(chain) for chain in (main + rest if three else main)]
        found = chains.pop()
        while chains:
            found = _add(machine, chains.pop(), found)
        return found

    keep = keeper(plan.kind, size)
    return Weights(parts * size, _loader(plan, prepare), first, keep, multiply)
