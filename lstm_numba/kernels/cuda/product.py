"""The matrix product that everything but the recurrence itself is made of."""

from numba import cuda

from . import registers
from .registers import add_outer
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


# The product for float32: a block's outputs are SIDE x SIDE, a thread's 4 x 4, and DEPTH numbers of
# the sum are in shared memory at a time.
SIDE, DEPTH, _THREADS = 64, 16, 256
# Rows of 16 bytes' alignment, each beginning in another bank.
_WIDE = SIDE + 4
_STORED = DEPTH * _WIDE
_READS = SIDE * DEPTH // _THREADS


@cuda.jit
def tiled_product(models, shape, chunks, a, a_at, b, b_at, out, out_at):
    """``plain_product`` with 16 outputs per thread, so that four reads serve 16 multiply-adds."""
    model = model_of_block(models)
    a, b, out = a[model], b[model], out[model]
    m, n, k = shape
    a_start, a_row, a_column = a_at
    b_start, b_row, b_column = b_at
    out_start, out_chunk, out_row = out_at
    a_tile = cuda.shared.array(_STORED, a.dtype, alignment=16)
    b_tile = cuda.shared.array(_STORED, a.dtype, alignment=16)
    thread, chunk = cuda.threadIdx.x, cuda.blockIdx.z
    across = (n + SIDE - 1) // SIDE
    first_row, first_column = cuda.blockIdx.x // across * SIDE, cuda.blockIdx.x % across * SIDE
    first, last = chunk * k // chunks, (chunk + 1) * k // chunks
    y, x = thread // 16 * 4, thread % 16 * 4
    busy = first_row + y < m and first_column + x < n

    zero = a.dtype.type(0)
    four = zero, zero, zero, zero
    total = four + four + four + four
    # Neighbouring threads read neighbouring numbers, whichever way a matrix lies: a thread reads
    # _READS numbers, each `a_along` further in the sum and `a_across` rows (b: columns) away.
    a_i, a_own, a_along, a_across = thread // SIDE, thread % SIDE, _THREADS // SIDE, 0
    if a_column == 1:
        a_i, a_own, a_along, a_across = thread % DEPTH, thread // DEPTH, 0, _THREADS // DEPTH
    b_i, b_own, b_along, b_across = thread // SIDE, thread % SIDE, _THREADS // SIDE, 0
    if b_row == 1:
        b_i, b_own, b_along, b_across = thread % DEPTH, thread // DEPTH, 0, _THREADS // DEPTH
    a_place = a_start + (first_row + a_own) * a_row + (first + a_i) * a_column
    b_place = b_start + (first_column + b_own) * b_column + (first + b_i) * b_row
    a_step, b_step = a_across * a_row + a_along * a_column, b_across * b_column + b_along * b_row

    for start in range(first, last, DEPTH):
        for r in range(_READS):
            i, at = a_i + r * a_along, a_own + r * a_across
            inside = first_row + at < m and start + i < last
            a_tile[i * _WIDE + at] = a[a_place + r * a_step] if inside else zero
            i, at = b_i + r * b_along, b_own + r * b_across
            inside = first_column + at < n and start + i < last
            b_tile[i * _WIDE + at] = b[b_place + r * b_step] if inside else zero
        a_place += DEPTH * a_column
        b_place += DEPTH * b_row
        cuda.syncthreads()
        if busy:
            for i in range(DEPTH):
                total = add_outer(total, a_tile, i * _WIDE + y, b_tile, i * _WIDE + x)
        cuda.syncthreads()
    for r in range(4):
        for s in range(4):
            row, column = first_row + y + r, first_column + x + s
            if row < m and column < n:
                out[out_start + chunk * out_chunk + row * out_row + column] = total[4 * r + s]


def product(turn, shape, a, b, out, chunks=1):
    """Let a turn put the product of two matrices into a third, for each model.

    Parameters
    ----------
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
    tiled = registers.AVAILABLE and out[0].dtype == "float32"
    side = SIDE if tiled else TILE
    # Rows lie along x, of which a grid may have more than 65535.
    grid = -(-n // side) * -(-m // side), turn.count, chunks
    if tiled:
        turn.launch(tiled_product, grid, _THREADS, turn.models, shape, chunks, *a, *b, *out)
    else:
        turn.launch(plain_product, grid, (TILE, TILE), turn.models, shape, chunks, *a, *b, *out)
