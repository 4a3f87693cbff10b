"""From the partial weight gradients of the chunks to one clipped gradient of all weights.

A chunk is a fixed group of blocks, whatever the number of threads, and chunks are added in order:
the bits of a gradient do not depend on who computed which chunk.
"""

import math

from numba.extending import register_jitable

from ..tile import fma, lanes, load, store, zeros
from .plan import layer_at

# The sum of squares is taken in pieces of this many numbers, in a fixed order.
PIECE = 1024


@register_jitable
def _sum_rows(partials, chunks, source, row, gradient, to, length, rows, part, parts):
    """gradient[to :] = sum over chunks of ``rows`` rows of ``length``, each ``row`` apart in a partial."""
    for k in range(part, rows, parts):
        a, b = source + k * row, to + k * length
        for n in range(length):
            gradient[b + n] = partials[0, a + n]
        for chunk in range(1, chunks):
            for n in range(length):
                gradient[b + n] += partials[chunk, a + n]


@register_jitable
def _sum_layer_rows(layer, partials, chunks, source, gradient, to, rows, part, parts, width):
    """The same for a layer, whose partial rows lie as (units / lanes, 4, lanes)."""
    row, hidden = 4 * layer.units, layer.hidden
    for k in range(part, rows, parts):
        for j in range(0, hidden, width):
            valid = min(width, hidden - j)
            for gate in range(4):
                a = source + k * row + 4 * j + gate * width
                b = to + (4 * k + gate) * hidden + j
                for n in range(valid):
                    gradient[b + n] = partials[0, a + n]
                for chunk in range(1, chunks):
                    for n in range(valid):
                        gradient[b + n] += partials[chunk, a + n]


@register_jitable
def sum_chunks(plan, table, partials, chunks, gradient, part, parts):
    """Do one of ``parts`` parts of gradient (n_params,) = sum of partials (chunks, n_partial)."""
    width = lanes(gradient)
    for k in range(len(table)):
        layer = layer_at(table, k)
        to = layer.params
        _sum_layer_rows(
            layer,
            partials,
            chunks,
            layer.partial_below,
            gradient,
            to,
            layer.below,
            part,
            parts,
            width,
        )
        to += 4 * layer.hidden * layer.below
        _sum_layer_rows(
            layer, partials, chunks, layer.partial_own, gradient, to, layer.own, part, parts, width
        )

    row = plan.targets * plan.steps
    for d in range(plan.targets):
        for k in range(part, 1 + plan.hidden, parts):
            a = plan.partial_head + k * row + d * plan.steps
            b = plan.head + (k * plan.targets + d) * plan.horizon
            _sum_rows(partials, chunks, a, row, gradient, b, plan.horizon, 1, 0, 1)
    if plan.skip:
        _sum_rows(
            partials, chunks, plan.partial_skip, plan.steps, gradient, plan.skip_params, plan.horizon,
            plan.seq_len, part, parts
        )  # fmt: skip
    if plan.future > 0:
        n = plan.targets * plan.future
        _sum_rows(
            partials,
            chunks,
            plan.partial_future,
            n,
            gradient,
            plan.future_params,
            n,
            1,
            part,
            parts,
        )


@register_jitable
def square_pieces(gradient, n, squares, part, parts):
    """squares[p] = sum of squares of piece p; ``gradient`` is zero beyond ``n``."""
    width = lanes(gradient)
    for piece in range(part, -(-n // PIECE), parts):
        acc = zeros(gradient, 1, 4)
        for k in range(piece * PIECE, (piece + 1) * PIECE, 4 * width):
            g = load(gradient, k, 0, 1, 4)
            acc = fma(g, g, acc)
        store(squares, 4 * width * piece, 0, acc)


@register_jitable
def norm_of_pieces(squares, n, width):
    """Euclidean norm of the gradient, from ``square_pieces``."""
    total = 0.0
    for k in range(-(-n // PIECE) * 4 * width):
        total += squares[k]
    return math.sqrt(total)
