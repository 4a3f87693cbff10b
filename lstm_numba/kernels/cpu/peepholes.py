"""Peepholes: each unit's gates see its own cell state, with one weight for each gate."""

from numba.extending import register_jitable

from ..parts import PART
from ..tile import ROWS, fma, lanes, load, store


@register_jitable(**PART)
def peephole(cell, layer, k, j, packed):
    """Return the ``k``-th weights of one vector of units, from unit ``j`` on, in each row."""
    return load(packed, cell.peephole_w + k * layer.units + j, 0, ROWS, 1)


def add_cell_gradient(cell, layer, start, stop, work, partial):
    """dp += sum over steps ``start`` to ``stop`` - 1 of c[t] dz[t]; for o of c[t+1] dz[t]"""
    width, units = lanes(work), layer.units
    for k in range(cell.peepholes):
        of_output = int(k == cell.peepholes - 1)
        slot = cell.gates - 1 if of_output else k
        for j in range(0, units, width):
            at = cell.peephole_partial + k * ROWS * units + j
            acc = load(partial, at, units, ROWS, 1)
            for t in range(start, stop):
                z = layer.z + (t * units + j) * cell.slots * ROWS + slot * width
                dz = load(work, z, cell.slots * width, ROWS, 1)
                c = load(work, layer.c + (t + of_output) * ROWS * units + j, units, ROWS, 1)
                acc = fma(c, dz, acc)
            store(partial, at, units, acc)
