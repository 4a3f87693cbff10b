"""Recurrent weights that stay in a thread's registers, and their products with a block's state.

The product of a step is, for a thread of ``unit`` and ``lane``,

    sums[output, row] += sum over chunk, k of
        weights[output, chunk, k] state[row, 16 chunk + 4 lane + k]

added up over the four lanes of the unit. The eight rows of a block meet the weights at once; a lane
ends with the sums of rows 2 lane and 2 lane + 1. Tensor cores take two outputs of eight units as
the 16 rows of a tile, and two numbers of each of four lanes as its 8 columns.
"""

import functools
from typing import Any, NamedTuple

from .equations import on_device
from .instructions import adds, loads, stores

# Rows of the batch that meet a thread's weights at once, and those it ends with; threads of a unit.
ROWS, OWN, LANES = 8, 2, 4
# Weights of a thread of which registers hold what rounding has lost, too.
_MOST_SPLIT = 64


class Weights(NamedTuple):
    """One way to take the products: device functions, and the floats that a state takes."""

    size: int
    load: Any  # (array, start) -> weights
    first: Any  # (thread) -> where in a state it begins to read
    keep: Any  # (state, start, numbers): put one or four into a state
    multiply: Any  # (state, start, thread, weights, sums) -> sums


def row_at(row, length):
    """Return where a row of a state begins, of ``length`` floats, a multiple of 16.

    Eight threads that read 16 bytes each, of two rows, meet all 32 banks of shared memory; so do
    those that write to every other row.
    """
    pitch = length + (16 if length % 32 == 0 else 0)
    return row * pitch + row // 2 * 8


@functools.cache
def resident_weights(kind, outputs, chunks, length):
    """Return the ``Weights`` of a kind: "ffma", "3xtf32" or "tf32".

    "ffma" multiplies in float32; "tf32" multiplies on tensor cores what is left when numbers are
    rounded to 10 bits of mantissa; "3xtf32" does so three times, with what that has lost, rounded
    likewise: 2^-22 of a product is missing.
    """
    n, size = 4 * outputs * chunks, row_at(ROWS, length)
    rows = tuple(row_at(row, length) for row in range(ROWS))
    if kind == "ffma":
        return _on_float_units(n, size, rows, outputs, chunks)
    return _on_tensor_cores(n, size, rows, chunks, kind == "3xtf32")


def _read(machine, place, n):
    return [number for offset in range(0, n, 4) for number in machine.load_four(place, offset)]


def _on_float_units(n, size, rows, outputs, chunks):
    @loads(n)
    def load(machine, place):
        return _read(machine, place, n)

    @on_device
    def first(thread):
        return thread % LANES * 4

    @stores
    def keep(machine, place, numbers):
        machine.store(place, 0, *numbers)

    @adds
    def multiply(machine, place, thread, weights, sums):
        partial = [[machine.zero] * ROWS for _ in range(outputs)]
        for chunk in range(chunks):
            for row, at in enumerate(rows):
                state = machine.load_four(place, at + 16 * chunk)
                for output, own in enumerate(partial):
                    for k, number in enumerate(state):
                        weight = weights[4 * (output * chunks + chunk) + k]
                        own[row] = machine.fma(weight, number, own[row])
        found = [total for own in partial for total in _meet(machine, thread, own)]
        return [machine.add(a, b) for a, b in zip(sums, found, strict=True)]

    return Weights(size, load, first, keep, multiply)


def _meet(machine, thread, numbers):
    """Add up over four lanes, each of which gets the sums of two of the eight rows."""
    for bit in (2, 1):
        middle = len(numbers) // 2
        halves = list(zip(numbers[:middle], numbers[middle:], strict=True))
        mine = [machine.choose(thread, bit, high, low) for low, high in halves]
        other = [machine.choose(thread, bit, low, high) for low, high in halves]
        pairs = zip(mine, other, strict=True)
        numbers = [machine.add(a, machine.from_lane(b, bit)) for a, b in pairs]
    return numbers


def _split(machine, numbers, three):
    """Return numbers as tf32, and, if ``three``, what is lost by that, as tf32."""
    rounded = [machine.tf32(number) for number in numbers]
    if not three:
        return [rounded]
    pairs = zip(numbers, rounded, strict=True)
    return [rounded, [machine.tf32(machine.subtract(a, b)) for a, b in pairs]]


def _on_tensor_cores(n, size, rows, chunks, three):
    parts = 2 if three else 1
    split = n <= _MOST_SPLIT or not three

    @loads(parts * n if split else n)
    def load(machine, place):
        numbers = _read(machine, place, n)
        return sum(_split(machine, numbers, three), []) if split else numbers

    @on_device
    def first(thread):
        row = thread % 32 // LANES
        return row // 2 * rows[2] + row % 2 * rows[1] + thread % LANES * 4

    @stores
    def keep(machine, place, numbers):
        for part, some in enumerate(_split(machine, numbers, three)):
            machine.store(place, part * size, *some)

    @adds
    def multiply(machine, place, thread, weights, sums):
        tiles = len(sums) // 4

        def tile_of(part, chunk, half, tile):
            """Return four weights, as ``Machine.mma`` takes them, or what rounding has lost."""
            at = [4 * (output * chunks + chunk) + 2 * half for output in (2 * tile, 2 * tile + 1)]
            return [weights[part * n + start + k] for k in (0, 1) for start in at]

        zero = [machine.zero] * 4
        # Sums that need not wait for each other: of each half, and of what rounding has lost.
        main = [[sums[4 * tile :][:4] for tile in range(tiles)], [zero] * tiles]
        rest = [[zero] * tiles for _ in range(2 if split else 1)]
        for chunk in range(chunks):
            state = [machine.load_four(place, part * size + 16 * chunk) for part in range(parts)]
            for half in (0, 1):
                pairs = [some[2 * half :][:2] for some in state]
                for tile in range(tiles):
                    a = tile_of(0, chunk, half, tile)
                    if three and split:
                        low = tile_of(1, chunk, half, tile)
                    elif three:
                        high = [machine.tf32_again(number) for number in a]
                        low = [machine.subtract(*pair) for pair in zip(a, high, strict=True)]
                        a = high
                    if three:
                        own = rest[half % len(rest)]
                        own[tile] = machine.mma(low, pairs[0], own[tile])
                        own[tile] = machine.mma(a, pairs[1], own[tile])
                    main[half][tile] = machine.mma(a, pairs[0], main[half][tile])
        chains = [sum(chain, []) for chain in (main + rest if three else main)]
        found = chains.pop()
        while chains:
            found = [machine.add(a, b) for a, b in zip(chains.pop(), found, strict=True)]
        return found

    return Weights(parts * size, load, first, keep, multiply)
