"""Weights as operands of the matrix unit, for an LSTM.

Digits are exact relative to the largest number in a row of one operand and in a column of the
other. Large weights of units whose h is small would spoil that:

    h w  =  sum over k of (h[k] s[k]) (w[k] / s[k])        s[k] about the largest size in row k of w

has the same terms, and the largest of each factor make a large term. s[k] is a power of two, so
nothing is rounded.
"""

from numba.extending import register_jitable

from ..jit import subkernel
from ..tile import lanes, load, load_first, spread, store, zeros
from .digits import larger_size, power_below
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
def _write_row_sizes(params, source, stride, first, rows, packed, at):
    """Write the largest sizes in each lane of 16 rows, from ``first`` of ``rows`` on."""
    width = lanes(packed)
    for row in range(width):
        k = first + row
        largest, end = zeros(packed, 1, 1), stride if k < rows else 0
        for n in range(0, end, width):
            w = load_first(params, source + k * stride + n, end - n)
            largest = larger_size(largest, w)
        store(packed, at + row * width, 0, largest)


@register_jitable(forceinline=True)
def _write_powers(params, source, stride, rows, packed, sizes, inverse, scratch):
    """Write s and 1 / s of ``rows`` rows."""
    width = lanes(packed)
    for k in range(0, rows, width):
        _write_row_sizes(params, source, stride, k, rows, packed, scratch)
        power = power_below(largest_of_rows(packed, scratch))
        store(packed, sizes + k, 0, power)
        store(packed, inverse + k, 0, 1.0 / power)


@register_jitable(forceinline=True)
def _row(params, source, stride, k, rows, there, packed, inverse):
    """The first ``there`` numbers of row ``k`` / s, of which there are ``rows``, and zeros."""
    w = load_first(params, source + k * stride, there if k < rows else 0)
    return w * spread(w, packed, inverse + k)


@register_jitable(forceinline=True)
def _largest_in_columns(largest, params, source, stride, rows, there, packed, inverse):
    for k in range(rows):
        w = _row(params, source, stride, k, rows, there, packed, inverse)
        largest = larger_size(largest, w)
    return largest


@register_jitable(forceinline=True)
def _pack_columns(params, source, stride, rows, there, packed, inverse, operand, block):
    """Write blocks of an operand b from ``rows`` rows on; the first ``there`` columns are there."""
    width = lanes(packed)
    scale = load(packed, operand, 0, 1, 1)
    for k in range(0, rows, K):
        for q in range(k, k + width):
            write_four(
                packed,
                operand,
                block + k // K,
                q - k,
                scale,
                _row(params, source, stride, q, rows, there, packed, inverse),
                _row(params, source, stride, q + width, rows, there, packed, inverse),
                _row(params, source, stride, q + 2 * width, rows, there, packed, inverse),
                _row(params, source, stride, q + 3 * width, rows, there, packed, inverse),
            )


@subkernel
def pack_digits(layer, params, packed, part, parts):
    """Pack an operand for each gate of each vector of units: what comes from below, then h."""
    align_stack()
    width, hidden, vectors = lanes(packed), layer.hidden, layer.units // lanes(packed)
    if part >= vectors:
        return
    stride, below = _GATES * hidden, blocks_of(layer.below)
    inputs = below + blocks_of(layer.own)
    size = operand_size(inputs)
    x_sizes, x_inverse = layer.w_sizes, layer.w_sizes + K * inputs
    h_sizes, h_inverse = x_sizes + K * below, x_inverse + K * below
    # Each part writes all s, the same numbers as the others, by way of an operand of its own.
    x, scratch = layer.params, layer.w_digits + part * _GATES * size + HEAD
    h = x + (layer.below + layer.x) * stride
    _write_powers(params, x, stride, layer.below, packed, x_sizes, x_inverse, scratch)
    _write_powers(params, h, stride, layer.own, packed, h_sizes, h_inverse, scratch)
    for vector in range(part, vectors, parts):
        there = hidden - vector * width
        for gate in range(_GATES):
            operand = layer.w_digits + (vector * _GATES + gate) * size
            column = gate * hidden + vector * width
            at_x, at_h = x + column, h + column
            largest = zeros(packed, 1, 1)
            largest = _largest_in_columns(
                largest, params, at_x, stride, layer.below, there, packed, x_inverse
            )
            largest = _largest_in_columns(
                largest, params, at_h, stride, layer.own, there, packed, h_inverse
            )
            write_scales(packed, operand, largest)
            _pack_columns(params, at_x, stride, layer.below, there, packed, x_inverse, operand, 0)
            _pack_columns(params, at_h, stride, layer.own, there, packed, h_inverse, operand, below)


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
        _write_row_sizes(params, source, stride, vector * width, rows, packed, operand + HEAD)
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
