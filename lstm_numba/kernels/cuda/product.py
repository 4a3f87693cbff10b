"""The matrix product that everything but the recurrence itself is made of."""

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from .equations import on_device
from .instructions import multiplies
from .precision import add_products, keeper, parts_of
from .registers import address_of, read, write
from .rows import model_of_block

# Threads of a block, and outputs that it computes: TILE x TILE.
TILE = 16
# One more than a row holds, so that a column lies in different banks of shared memory.
_PITCH = TILE + 1


@cuda.jit
def plain_product(models, shape, chunks, a, a_at, b, b_at, out, out_at):
    """out[chunk, row, column] = sum over the chunk's i of a[row, i] b[i, column], of each model.

    One thread per output, one layer of the grid per chunk of the sum. Both factors pass through
    shared memory, so that each number is read from far away once per tile. Arguments are those of
    ``product``.
    """
    model = model_of_block(models)
    a, b, out = a[model], b[model], out[model]
    m, n, k = shape
    a_start, a_row, a_column = a_at
    b_start, b_row, b_column = b_at
    out_start, out_chunk, out_row = out_at
    a_tile = cuda.shared.array((TILE, _PITCH), a.dtype)
    b_tile = cuda.shared.array((TILE, _PITCH), a.dtype)
    x, y, chunk = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockIdx.z
    across = (n + TILE - 1) // TILE
    row, column = cuda.blockIdx.x // across * TILE + y, cuda.blockIdx.x % across * TILE + x
    first, last = chunk * k // chunks, (chunk + 1) * k // chunks

    zero = a.dtype.type(0)
    total = zero
    for start in range(first, last, TILE):
        a_tile[y, x] = zero
        b_tile[y, x] = zero
        if row < m and start + x < last:
            a_tile[y, x] = a[a_start + row * a_row + (start + x) * a_column]
        if start + y < last and column < n:
            b_tile[y, x] = b[b_start + (start + y) * b_row + column * b_column]
        cuda.syncthreads()
        for i in range(TILE):
            total += a_tile[y, i] * b_tile[i, x]
        cuda.syncthreads()
    if row < m and column < n:
        out[out_start + chunk * out_chunk + row * out_row + column] = total


# The product for float32: a block's outputs are SIDE x SIDE, a thread's 16, and DEPTH steps of the
# sum are in shared memory at a time.
SIDE, DEPTH, THREADS = 64, 16, 256
# Rows of 16 bytes' alignment; four of them, eight numbers each, meet all banks.
_WIDE = SIDE + 8
_STORED = DEPTH * _WIDE


class Share(NamedTuple):
    """A thread's part of a block's product: device functions."""

    corner: Any  # (thread) -> first row and column of what its warp computes
    first: Any  # (thread) -> its first row and column in a tile
    place: Any  # (thread) -> row and column of its first output
    further: Any  # (r, s) -> how many rows and columns from there its output 4 r + s is
    keep: Any  # (tiles, start, numbers): put one into a tile
    add: Any  # (tiles, a, b, sums) -> sums


def _on_float_units():
    """Return the ``Share`` of 4 x 4 outputs."""

    @on_device
    def corner(thread):
        return thread // 16 * 4, thread % 16 * 4

    @on_device
    def further(r, s):
        return r, s

    @multiplies
    def add(machine, a, b, sums):
        for i in range(0, _STORED, _WIDE):
            rows, columns = machine.load_four(a, i), machine.load_four(b, i)
            pairs = itertools.product(rows, columns)
            sums = [machine.fma(*pair, total) for pair, total in zip(pairs, sums, strict=True)]
        return sums

    return Share(corner, corner, corner, further, keeper("ffma", 0), add)


def _on_tensor_cores(kind):
    """Return the ``Share`` of a warp's 16 x 32 outputs: four tiles, as ``Machine.mma`` has them."""
    tiles, parts, apart = 4, parts_of(kind), 2 * _STORED

    @on_device
    def corner(thread):
        warp = thread // 32
        return warp % 4 * 16, warp // 4 * 32

    @on_device
    def first(thread):
        row, column = corner(thread)
        along = thread % 4 * _WIDE + thread % 32 // 4
        return along + row, along + column

    @on_device
    def place(thread):
        row, column = corner(thread)
        return row + thread % 32 // 4, column + thread % 4 * 2

    @on_device
    def further(r, s):
        return s // 2 * 8, 8 * r + s % 2

    @multiplies
    def add(machine, a, b, sums):
        main = [sums[4 * tile :][:4] for tile in range(tiles)]
        for i in range(0, _STORED, 8 * _WIDE):
            left, right = (
                [
                    [machine.load(tile, part * apart + i + k) for k in numbers]
                    for part in range(parts)
                ]
                for tile, numbers in (
                    (a, (0, 8, 4 * _WIDE, 4 * _WIDE + 8)),
                    (b, [8 * tile + k for tile in range(tiles) for k in (0, 4 * _WIDE)]),
                )
            )
            for tile in range(tiles):
                own = [some[2 * tile :][:2] for some in right]
                main[tile] = add_products(machine, left, own, main[tile])
        return [number for some in main for number in some]

    return Share(corner, first, place, further, keeper(kind, apart), add)


@on_device
def _fetch(at, step, across, rows, along, depth):
    """Read four numbers, ``step`` bytes apart; 0 where one is beyond ``rows`` or ``depth``.

    From one to the next it is ``across`` rows, and ``along`` steps of the sum.
    """
    a = b = c = d = np.float32(0)
    if rows > 0 and depth > 0:
        a = read(at)
    if rows > across and depth > along:
        b = read(at + step)
    if rows > 2 * across and depth > 2 * along:
        c = read(at + 2 * step)
    if rows > 3 * across and depth > 3 * along:
        d = read(at + 3 * step)
    return a, b, c, d


@on_device
def _order(thread, unit_stride):
    """Return where a thread's first number of a tile is, and how far apart its four are.

    Row, step of the sum; rows, steps from each to the next. Neighbouring threads read neighbouring
    numbers, whichever way a matrix lies.
    """
    if unit_stride:
        return thread // DEPTH, thread % DEPTH, THREADS // DEPTH, 0
    return thread % SIDE, thread // SIDE, 0, THREADS // SIDE


@functools.cache
def tiled_product(kind):
    """Return ``plain_product`` with 16 outputs per thread, and products of a kind."""
    share = _on_float_units() if kind == "ffma" else _on_tensor_cores(kind)
    corner, first_of, place, further, keep, add = share
    stored = 2 * parts_of(kind) * _STORED

    @cuda.jit
    def tiled_product(models, shape, chunks, a, a_at, b, b_at, out, out_at):
        model = model_of_block(models)
        m, n, k = shape
        a_start, a_row, a_column = a_at
        b_start, b_row, b_column = b_at
        out_start, out_chunk, out_row = out_at
        tiles = cuda.shared.array(stored, out.dtype, alignment=16)
        thread, chunk = cuda.threadIdx.x, cuda.blockIdx.z
        across = (n + SIDE - 1) // SIDE
        first_row, first_column = cuda.blockIdx.x // across * SIDE, cuda.blockIdx.x % across * SIDE
        first, last = chunk * k // chunks, (chunk + 1) * k // chunks
        y, x = corner(thread)
        busy = first_row + y < m and first_column + x < n
        own_a, own_b = first_of(thread)

        zero = out.dtype.type(0)
        four = zero, zero, zero, zero
        total = four + four + four + four
        row, i, a_across, a_along = _order(thread, a_column == 1)
        a_from = address_of(a[model], a_start + (first_row + row) * a_row + (first + i) * a_column)
        a_step, a_next = 4 * (a_across * a_row + a_along * a_column), 4 * DEPTH * a_column
        a_rows, a_depth = np.int32(m - first_row - row), np.int32(last - first - i)
        a_to, a_apart = i * _WIDE + row, a_along * _WIDE + a_across
        column, i, b_across, b_along = _order(thread, b_row == 1)
        b_from = address_of(
            b[model], b_start + (first_column + column) * b_column + (first + i) * b_row
        )
        b_step, b_next = 4 * (b_across * b_column + b_along * b_row), 4 * DEPTH * b_row
        b_rows, b_depth = np.int32(n - first_column - column), np.int32(last - first - i)
        b_to, b_apart = _STORED + i * _WIDE + column, b_along * _WIDE + b_across

        a_four = _fetch(a_from, a_step, a_across, a_rows, a_along, a_depth)
        b_four = _fetch(b_from, b_step, b_across, b_rows, b_along, b_depth)
        for _ in range(first, last, DEPTH):
            for r in range(4):
                keep(tiles, a_to + r * a_apart, (a_four[r],))
                keep(tiles, b_to + r * b_apart, (b_four[r],))
            cuda.syncthreads()
            a_from += a_next
            b_from += b_next
            a_depth -= DEPTH
            b_depth -= DEPTH
            # On their way while the product is taken.
            a_four = _fetch(a_from, a_step, a_across, a_rows, a_along, a_depth)
            b_four = _fetch(b_from, b_step, b_across, b_rows, b_along, b_depth)
            if busy:
                total = add(tiles, own_a, _STORED + own_b, total)
            cuda.syncthreads()
        row, column = place(thread)
        to = out_start + chunk * out_chunk + (first_row + row) * out_row + first_column + column
        to, rows = address_of(out[model], to), np.int32(m - first_row - row)
        columns = np.int32(n - first_column - column)
        for r in range(4):
            for s in range(4):
                row, column = further(r, s)
                if row < rows and column < columns:
                    write(to + 4 * (row * out_row + column), total[4 * r + s])

    return tiled_product


def product(kind, turn, shape, a, b, out, chunks=1):
    """Let a turn put the product of two matrices into a third, for each model.

    Parameters
    ----------
    kind : str
        See ``precision.py``.
    turn : Turn
        Says for which models.
    shape : (m, n, k)
        out (m, n) = a (m, k) b (k, n)
    a, b : (array (models, numbers), (start, stride of rows, stride of columns))
    out : (array (models, numbers), (start, stride of chunks, stride of rows))
    chunks : int
        Parts into which the sum over k is cut, each with an output of its own.
    """
    m, n, _ = shape
    side = TILE if kind == "plain" else SIDE
    # Rows lie along x, of which a grid may have more than 65535.
    grid = -(-n // side) * -(-m // side), turn.count, chunks
    if kind == "plain":
        turn.launch(plain_product, grid, (TILE, TILE), turn.models, shape, chunks, *a, *b, *out)
    else:
        turn.launch(tiled_product(kind), grid, THREADS, turn.models, shape, chunks, *a, *b, *out)
