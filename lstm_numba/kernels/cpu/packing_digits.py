"""Weights as operands of the matrix unit, for an LSTM."""

from numba.extending import register_jitable

from ..jit import subkernel
from ..tile import lanes, load, load_first, spread, store, zeros
from .digits import larger_size
from .six_products import (
    HEAD,
    K,
    blocks_of,
    largest_of_rows,
    operand_size,
    transpose_block,
    write_four,
    write_scales,
)
from .stack import align_stack

_GATES = 4


@register_jitable(forceinline=True)
def _largest_in_columns(largest, params, source, stride, rows, there):
    for k in range(rows):
        largest = larger_size(largest, load_first(params, source + k * stride, there))
    return largest


@register_jitable(forceinline=True)
def _row(params, source, stride, k, rows, there):
    """The first ``there`` numbers of row ``k``, of which there are ``rows``, and zeros."""
    return load_first(params, source + k * stride, there if k < rows else 0)


@register_jitable(forceinline=True)
def _pack_columns(params, source, stride, rows, there, packed, operand, block):
    """Write blocks of an operand b from ``rows`` rows on; the first ``there`` columns are there."""
    width = lanes(packed)
    scale = load(packed, operand, 0, 1, 1)
    for k in range(0, rows, K):
        for q in range(width):
            write_four(
                packed,
                operand,
                block + k // K,
                q,
                scale,
                _row(params, source, stride, k + q, rows, there),
                _row(params, source, stride, k + q + width, rows, there),
                _row(params, source, stride, k + q + 2 * width, rows, there),
                _row(params, source, stride, k + q + 3 * width, rows, there),
            )


@subkernel
def pack_digits(layer, params, packed, part, parts):
    """Pack an operand for each gate of each vector of units: what comes from below, then h."""
    align_stack()
    width, hidden = lanes(packed), layer.hidden
    stride, below = _GATES * hidden, blocks_of(layer.below)
    size = operand_size(below + blocks_of(layer.own))
    for vector in range(part, layer.units // width, parts):
        there = hidden - vector * width
        for gate in range(_GATES):
            operand = layer.w_digits + (vector * _GATES + gate) * size
            x = layer.params + gate * hidden + vector * width
            h = x + (layer.below + layer.x) * stride
            largest = zeros(packed, 1, 1)
            largest = _largest_in_columns(largest, params, x, stride, layer.below, there)
            largest = _largest_in_columns(largest, params, h, stride, layer.own, there)
            write_scales(packed, operand, largest)
            _pack_columns(params, x, stride, layer.below, there, packed, operand, 0)
            _pack_columns(params, h, stride, layer.own, there, packed, operand, below)


@subkernel
def pack_digits_transposed(layer, params, source, rows, packed, to, part, parts):
    """Pack an operand for each vector of ``rows`` rows: a block for each vector of units.

    Four gates of a unit are summed over side by side.
    """
    align_stack()
    width, hidden = lanes(packed), layer.hidden
    stride, blocks = _GATES * hidden, layer.units // width
    for vector in range(part, -(-rows // width), parts):
        operand = to + vector * operand_size(blocks)
        # The sizes of a row's numbers stand where its digits will.
        for row in range(width):
            k = vector * width + row
            largest, end = zeros(packed, 1, 1), stride if k < rows else 0
            for n in range(0, end, width):
                w = load_first(params, source + k * stride + n, end - n)
                largest = larger_size(largest, w)
            store(packed, operand + HEAD + row * width, 0, largest)
        write_scales(packed, operand, largest_of_rows(packed, operand + HEAD))
        for block in range(blocks):
            for row in range(width):
                k, j = vector * width + row, block * width
                w, there = source + k * stride + j, hidden - j if k < rows else 0
                write_four(
                    packed,
                    operand,
                    block,
                    row,
                    spread(zeros(packed, 1, 1), packed, operand + row),
                    load_first(params, w, there),
                    load_first(params, w + hidden, there),
                    load_first(params, w + 2 * hidden, there),
                    load_first(params, w + 3 * hidden, there),
                )
            transpose_block(packed, operand, block)
