"""Weights as operands of the matrix unit, for an LSTM.

Digits are exact relative to the largest number in a row of one operand and in a column of the
other. Large weights of units whose h is small would spoil that:

    h w  =  sum over k of (h[k] s[k]) (w[k] / s[k])        s[k] about the largest size in row k of w

has the same terms, and the largest of each factor make a large term. s[k] is a power of two, so
nothing is rounded.
"""

from numba.extending import register_jitable

from ..parts import PART, subkernel
from ..tile import lanes, load_first, spread, store, zeros
from .digits import larger_size, power_below, scale_of
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


@register_jitable(**PART)
def _write_row_sizes(params, source, stride, rows, packed, at):
    """Write the largest sizes in each lane of 16 rows, of which the first ``rows`` are there."""
    width = lanes(packed)
    for row in range(width):
        largest, end = zeros(packed, 1, 1), stride if row < rows else 0
        for n in range(0, end, width):
            w = load_first(params, source + row * stride + n, end - n)
            largest = larger_size(largest, w)
        store(packed, at + row * width, 0, largest)


@register_jitable(**PART)
def _rows_of_block(layer, block):
    """Return where the rows of a block lie among the weights, and how many there are."""
    first, count, row = block * K, layer.below, 0
    if block >= blocks_of(layer.below):
        first, count = first - blocks_of(layer.below) * K, layer.own
        row = layer.below + layer.x
    return layer.params + (row + first) * _GATES * layer.hidden, min(K, count - first)


@register_jitable(**PART)
def _row(params, source, stride, k, rows, there, packed, inverse):
    """The first ``there`` numbers of row ``k`` / s, of which there are ``rows``, and zeros."""
    w = load_first(params, source + k * stride, there if k < rows else 0)
    return w * spread(w, packed, inverse + k)


@subkernel
def pack_digits(layer, params, packed, part, parts):
    """Pack an operand for each gate of each vector of units: what comes from below, then h."""
    align_stack()
    width, hidden, vectors = lanes(packed), layer.hidden, layer.units // lanes(packed)
    if part >= vectors:
        return
    stride, blocks = _GATES * hidden, blocks_of(layer.below) + blocks_of(layer.own)
    size, sizes, inverses = operand_size(blocks), layer.w_sizes, layer.w_sizes + K * blocks
    # Each part writes all s, the same numbers as the others, by way of an operand of its own.
    scratch = layer.w_digits + part * _GATES * size + HEAD
    for block in range(blocks):
        source, rows = _rows_of_block(layer, block)
        for k in range(0, rows, width):
            _write_row_sizes(params, source + k * stride, stride, rows - k, packed, scratch)
            power = power_below(largest_of_rows(packed, scratch))
            store(packed, sizes + block * K + k, 0, power)
            store(packed, inverses + block * K + k, 0, 1.0 / power)

    for vector in range(part, vectors, parts):
        there = hidden - vector * width
        for gate in range(_GATES):
            operand = layer.w_digits + (vector * _GATES + gate) * size
            column, largest = gate * hidden + vector * width, zeros(packed, 1, 1)
            for block in range(blocks):
                source, rows = _rows_of_block(layer, block)
                at, inverse = source + column, inverses + block * K
                for k in range(rows):
                    w = _row(params, at, stride, k, rows, there, packed, inverse)
                    largest = larger_size(largest, w)
            write_scales(packed, operand, largest)
            scale = scale_of(largest)
            for block in range(blocks):
                source, rows = _rows_of_block(layer, block)
                at, inverse = source + column, inverses + block * K
                for k in range(width):
                    write_four(
                        packed,
                        operand,
                        block,
                        k,
                        scale,
                        _row(params, at, stride, k, rows, there, packed, inverse),
                        _row(params, at, stride, k + width, rows, there, packed, inverse),
                        _row(params, at, stride, k + 2 * width, rows, there, packed, inverse),
                        _row(params, at, stride, k + 3 * width, rows, there, packed, inverse),
                    )


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
        first = source + vector * width * stride
        left = rows - vector * width
        _write_row_sizes(params, first, stride, left, packed, operand + HEAD)
        write_scales(packed, operand, largest_of_rows(packed, operand + HEAD))
        for block in range(blocks):
            for row in range(width):
                j = block * width
                w, there = first + row * stride + j, hidden - j if row < left else 0
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
