"""Matrix products on register tiles: the three that a recurrent layer needs."""

from numba.extending import register_jitable

from ..tile import ROWS, lanes, load, outer_add, store, zeros


@register_jitable(forceinline=True)
def add_product(acc, a, start, stride, step, count, w, w_start, w_step):
    """acc[r, :] + sum over k < count of a[start + r stride + k step] w[w_start + k w_step : + lanes]"""
    for k in range(count):
        acc = outer_add(acc, a, start + k * step, stride, w, w_start + k * w_step)
    return acc


@register_jitable(forceinline=True)
def _dz_panel(acc, work, z, units, packed, w, width):
    """acc + dz w for one panel of ``width`` columns; dz lies as (units / lanes, ROWS, 4, lanes)."""
    block = 4 * lanes(work)
    for n in range(0, 4 * units, block):
        acc = add_product(acc, work, z + n * ROWS, block, 1, block, packed, w + n * width, width)
    return acc


@register_jitable(forceinline=True)
def dz_times_weights(work, z, units, packed, w, columns, out):
    """out (ROWS, columns) = dz w_back: in panels of four, then of two and one vectors."""
    width = lanes(work)
    n = 0
    while n + 4 * width <= columns:
        acc = _dz_panel(zeros(work, ROWS, 4), work, z, units, packed, w + n * 4 * units, 4 * width)
        store(work, out + n, columns, acc)
        n += 4 * width
    if n + 2 * width <= columns:
        acc = _dz_panel(zeros(work, ROWS, 2), work, z, units, packed, w + n * 4 * units, 2 * width)
        store(work, out + n, columns, acc)
        n += 2 * width
    if n < columns:
        acc = _dz_panel(zeros(work, ROWS, 1), work, z, units, packed, w + n * 4 * units, width)
        store(work, out + n, columns, acc)


@register_jitable(forceinline=True)
def add_weight_gradient(work, source, row, count, z, units, first, last, partial, start):
    """partial (count, 4 units) += sum over steps t and rows r of source[t, r, :]^T dz[t, r, :]

    ``source`` is where step 0, row 0 begins; its ``count`` numbers are the inputs of the product.
    """
    block = 4 * lanes(work)
    for n in range(0, 4 * units, block):
        for m in range(0, count, ROWS):
            place = start + m * 4 * units + n
            acc = load(partial, place, 4 * units, ROWS, 4)
            for t in range(first, last):
                a = source + t * ROWS * row + m
                dz = z + (t * 4 * units + n) * ROWS
                acc = add_product(acc, work, a, 1, row, ROWS, work, dz, block)
            store(partial, place, 4 * units, acc)
