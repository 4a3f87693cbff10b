"""Matrix products on register tiles: the three that a recurrent layer needs."""

from numba.extending import overload, register_jitable

from ..parts import PART
from ..tile import ROWS, lanes, load, load_like, outer_add, store
from .cell import InStep


@register_jitable(**PART)
def add_product(acc, a, start, stride, step, count, w, w_start, w_step):
    """acc + sum over k < count of a[start + r stride + k step] w[w_start + k w_step + lane]"""
    for k in range(count):
        acc = outer_add(acc, a, start + k * step, stride, w, w_start + k * w_step)
    return acc


@register_jitable(**PART)
def _dz_panel(acc, cell, units, work, z, packed, w, width):
    """acc + dz w for one panel of ``width`` columns; ``z`` is where the first used slot lies."""
    gates, slots = cell.gates * lanes(work), cell.slots * lanes(work)
    for block in range(units // lanes(work)):
        a, b = z + block * ROWS * slots, w + block * gates * width
        acc = add_product(acc, work, a, slots, 1, gates, packed, b, width)
    return acc


@register_jitable(**PART)
def add_dz_product(cell, units, work, z, packed, w, columns, out):
    """out (ROWS, columns) += dz w_back: in panels of four, then of two and one vectors."""
    width, rows = lanes(work), cell.gates * units
    n = 0
    while n + 4 * width <= columns:
        acc = load(work, out + n, columns, ROWS, 4)
        acc = _dz_panel(acc, cell, units, work, z, packed, w + n * rows, 4 * width)
        store(work, out + n, columns, acc)
        n += 4 * width
    if n + 2 * width <= columns:
        acc = load(work, out + n, columns, ROWS, 2)
        acc = _dz_panel(acc, cell, units, work, z, packed, w + n * rows, 2 * width)
        store(work, out + n, columns, acc)
        n += 2 * width
    if n < columns:
        acc = load(work, out + n, columns, ROWS, 1)
        acc = _dz_panel(acc, cell, units, work, z, packed, w + n * rows, width)
        store(work, out + n, columns, acc)


@register_jitable(**PART)
def add_layer_product(acc, gates, layer, t, j, packed, work):
    """acc + [x[t], 1, h[t]] w for one vector of units, from unit ``j`` on; ``gates`` in acc."""
    width, inputs = lanes(work), layer.x + layer.own
    below = layer.tape_below + t * ROWS * layer.row_below
    own = layer.tape + t * ROWS * layer.row + layer.first_x
    w = layer.w + gates * j * (layer.below + inputs)
    w_own, step = w + gates * width * layer.below, gates * width
    acc = add_product(acc, work, below, layer.row_below, 1, layer.below, packed, w, step)
    return add_product(acc, work, own, layer.row, 1, inputs, packed, w_own, step)


@register_jitable(**PART)
def add_given_product(acc, gates, layer, t, j, packed, work):
    """As ``add_layer_product``, but only x[t] and 1 are multiplied here, the rest is given."""
    width = lanes(work)
    x = layer.tape + t * ROWS * layer.row + layer.first_x
    w = layer.w + gates * j * layer.x
    acc = acc + load_like(acc, work, layer.sums, gates * width)
    return add_product(acc, work, x, layer.row, 1, layer.x, packed, w, gates * width)


def gate_sums(products, acc, gates, layer, t, j, packed, work):
    """acc + [x[t], 1, h[t]] w, see ``add_layer_product``, by the type of ``products``."""


@overload(gate_sums, jit_options=PART)
def _gate_sums(products, acc, gates, layer, t, j, packed, work):
    def in_step(products, acc, gates, layer, t, j, packed, work):
        return add_layer_product(acc, gates, layer, t, j, packed, work)

    def before_step(products, acc, gates, layer, t, j, packed, work):
        return add_given_product(acc, gates, layer, t, j, packed, work)

    return in_step if products.instance_class is InStep else before_step


@register_jitable(**PART)
def add_weight_gradient(
    tile, cell, units, work, source, row, count, z, first, last, partial, start
):
    """partial (count, gates units) += sum over steps t, rows r of source[t, r, :]^T dz[t, r, :]

    ``source`` is where step 0 of row 0 begins, ``z`` where the first used slot lies; ``tile`` has
    the shape of ROWS inputs x all gates of a vector of units.
    """
    gates, slots = cell.gates * lanes(work), cell.slots * lanes(work)
    columns = cell.gates * units
    for block in range(units // lanes(work)):
        for m in range(0, count, ROWS):
            place = start + m * columns + block * gates
            acc = load_like(tile, partial, place, columns)
            for t in range(first, last):
                a = source + t * ROWS * row + m
                dz = z + (t * cell.slots * units + block * slots) * ROWS
                acc = add_product(acc, work, a, 1, row, ROWS, work, dz, slots)
            store(partial, place, columns, acc)
