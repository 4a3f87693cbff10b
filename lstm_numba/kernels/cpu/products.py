"""Matrix products on register tiles: the three that a recurrent layer needs."""

from numba.extending import register_jitable

from ..tile import ROWS, lanes, load, load_like, outer_add, store


@register_jitable(forceinline=True)
def add_product(acc, a, start, stride, step, count, w, w_start, w_step):
    """acc + sum over k < count of a[start + r stride + k step] w[w_start + k w_step + lane]"""
    for k in range(count):
        acc = outer_add(acc, a, start + k * step, stride, w, w_start + k * w_step)
    return acc


@register_jitable(forceinline=True)
def _dz_panel(acc, cell, units, work, z, packed, w, width):
    """acc + dz w for one panel of ``width`` columns; ``z`` is where the first used slot lies."""
    gates, slots = cell.gates * lanes(work), cell.slots * lanes(work)
    for block in range(units // lanes(work)):
        a, b = z + block * ROWS * slots, w + block * gates * width
        acc = add_product(acc, work, a, slots, 1, gates, packed, b, width)
    return acc


@register_jitable(forceinline=True)
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


@register_jitable(forceinline=True)
def add_layer_product(acc, gates, layer, t, j, packed, work):
    """acc + [x[t], 1, h[t]] w for one vector of units, from unit ``j`` on; ``gates`` in acc."""
    width = lanes(work)
    below = layer.tape_below + t * ROWS * layer.row_below
    own = layer.tape + t * ROWS * layer.row + layer.first_own
    w = layer.w + gates * j * (layer.below + layer.own)
    w_own, step = w + gates * width * layer.below, gates * width
    acc = add_product(acc, work, below, layer.row_below, 1, layer.below, packed, w, step)
    return add_product(acc, work, own, layer.row, 1, layer.own, packed, w_own, step)


@register_jitable(forceinline=True)
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
