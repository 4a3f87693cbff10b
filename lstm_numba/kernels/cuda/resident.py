"""An LSTM layer whose recurrent weights stay in registers through all of time; float32.

A block takes ROWS rows of the batch, four threads a unit. A thread holds a quarter of its unit's
recurrent weights, for all rows, and computes the cell of two rows; see ``weights.py``. h, or dz,
goes round in shared memory. The idea of weights that stay on the chip is that of persistent RNNs
(Diamos et al., 2016).

Units are padded to a multiple of 16. The four gates of a unit lie side by side, one access of 16
bytes: columns here are in the order (hidden, gates), in ``params`` (gates, hidden).
"""

import functools

import numpy as np
from numba import cuda

from .device import is_simulated
from .equations import STANDARD, lstm_cell, lstm_cell_grad, on_device
from .gradient import MOST_UNITS as MOST_SUMMED
from .gradient import gradient_of
from .precision import products_of
from .registers import address_of, read, read_four, rounded, write, write_four
from .rows import model_of_block
from .weights import LANES, OWN, ROWS, Plan, row_at, weights_of

_GATES = 4
# Larger layers find too few threads in a block, or too few registers for one.
MOST_UNITS = {"ffma": 80, "3xtf32": 128, "tf32": 128}
# Registers of a thread for all but weights: at least, and where some find no room; forward and
# backward. Tried out: with fewer, some would be spilled.
_OTHERS = 72
_OTHERS_OF = {"ffma": (88, 88), "3xtf32": (92, 100), "tf32": (80, 88)}


def units_of(network):
    """Return the padded units of a network whose layers fit; 0 if they do not."""
    units = -(-network.hidden_size // 16) * 16
    fits = network.cell == "lstm" and units <= MOST_UNITS.get(products_of(network), 0)
    return units if fits else 0


def adds_up(network):
    """Return whether the backward kernel of a network adds up gradients of recurrent weights."""
    return 0 < units_of(network) <= MOST_SUMMED[products_of(network)]


def blocks_of_samples(batch, units):
    """Return blocks and threads of the kernels below."""
    return -(-batch // ROWS), LANES * units


def order_of_columns(hidden):
    """Return where column k of ``params`` stands among the columns here."""
    return np.arange(_GATES * hidden).reshape(hidden, _GATES).T.ravel()


def _plan(kind, units, outputs, length):
    """Return the ``Plan`` of a kernel: as many weights in registers as find room there."""
    threads, own = LANES * units, units
    # Each of four schedulers has 512 registers for a lane of all its warps; they come in eights.
    room = min(255, 512 // -(-threads // 128) // 8 * 8)
    forward, backward = _OTHERS_OF[kind]
    others = forward if outputs == _GATES else backward
    split = kind == "3xtf32" and 2 * own + others <= room
    chunks, of_chunk = own // (4 * outputs), 4 * outputs
    resident = chunks
    if own + (_OTHERS if kind == "tf32" else others) > room:
        resident = (room - others) // of_chunk
    return Plan(kind, threads, outputs, chunks, resident, split, length)


def _jit(kind, units, sums=False):
    blocks = 2 if kind == "tf32" and units <= 64 and not sums else 1
    return cuda.jit if is_simulated() else cuda.jit(launch_bounds=(LANES * units, blocks))


@on_device
def _weight(w, start, hidden, source, gate, target, as_tf32):
    """Return the weight of unit ``source`` in a gate of unit ``target``; 0 where there is none."""
    number = w.dtype.type(0)
    if source < hidden and target < hidden:
        number = w[start + (1 + source) * _GATES * hidden + gate * hidden + target]
    return rounded(number) if as_tf32 else number


@cuda.jit
def pack_weights(models, params, at, start, hidden, units, as_tf32, w_x, forward, backward):
    """Put the weights of a layer into the order that is used here, see ``weights.py``.

    Parameters
    ----------
    params : (models, n_params)             in: w_x from ``at`` on, w from ``start``
    as_tf32 : bool                          whether to round what stays in registers
    w_x : (models, (inputs, hidden, gates)) out
    forward : (models, 4 units^2)           out: for a thread w of its unit's four gates
    backward : (models, 4 units^2)          out: of the two units, 8 apart, for which it takes
                                            products, w of the gates of half of the units
    """
    model, thread = model_of_block(models), cuda.grid(1)
    w, w_x, forward, backward = params[model], w_x[model], forward[model], backward[model]
    columns, threads = _GATES * hidden, LANES * units
    for k in range(thread, w_x.shape[0], cuda.gridDim.x * cuda.blockDim.x):
        column = k % columns
        w_x[k] = w[at + k - column + column % _GATES * hidden + column // _GATES]
    for k in range(thread, forward.shape[0], cuda.gridDim.x * cuda.blockDim.x):
        group, owner = k // 4 // threads, k // 4 % threads
        number, side = group % 2 * 2 + k % 4 // 2, k % 2
        unit, lane = owner // LANES, owner % LANES
        gate, source = group // 2 % 2 * 2 + side, group // 4 * 16 + 4 * lane + number
        forward[k] = _weight(w, start, hidden, source, gate, unit, as_tf32)
        warp = unit // 8 % 2
        target, source = unit + 8 * (side - warp), warp * (units // 2) + group // 2 * 4 + lane
        backward[k] = _weight(w, start, hidden, target, number, source, as_tf32)


@functools.cache
def _advance(kind, units):
    """Return a device function that takes a unit's step in one row; it returns c."""
    keep = _forward_weights(kind, units).keep

    @on_device
    def advance(gates_at, c_at, h_at, state, place, inside, zi, zf, zg, zo, c):
        i, f, g, o, c, h = lstm_cell(STANDARD, zi, zf, zg, zo, c)
        keep(state, place, (h,))
        if inside:
            write_four(gates_at, i, f, g, o)
            write(c_at, c)
            write(h_at, h)
        return c

    return advance


def _forward_weights(kind, units):
    return weights_of(_plan(kind, units, _GATES, units))


@functools.cache
def forward_kernel(kind, units):
    """Return the kernel of layers with up to ``units`` units.

    shape : (seq_len, batch, hidden)
    gates, h, c : (models, numbers)             as in ``lstm_forward``
    models, params, start                       likewise
    packed                                      see ``pack_weights``
    """
    copy, load, first, _, multiply = _forward_weights(kind, units)
    size, row, pair = 2 * copy, row_at(1, units), row_at(2, units)
    advance = _advance(kind, units)

    @_jit(kind, units)
    def resident_forward(models, shape, gates, params, start, packed, h, c):
        model = model_of_block(models)
        w, packed = params[model], packed[model]
        state = cuda.shared.array(size, params.dtype, alignment=16)
        seq_len, batch, hidden = shape
        thread = cuda.threadIdx.x
        unit, lane = thread // LANES, thread % LANES
        n = cuda.blockIdx.x * ROWS + OWN * lane
        one, two = unit < hidden and n < batch, unit < hidden and n + 1 < batch
        zero = params.dtype.type(0)

        weights = load(packed, 4 * thread)
        bi = bf = bg = bo = zero
        if unit < hidden:
            bias = start + unit
            bi, bf = w[bias], w[bias + hidden]
            bg, bo = w[bias + 2 * hidden], w[bias + 3 * hidden]
        for k in range(thread, size, LANES * units):
            state[k] = zero
        place, source = lane * pair + unit, first(thread)
        now, then = 0, copy
        # Where this unit stands at step t, and how far from the next row and the next step.
        gates_at = address_of(gates[model], 4 * (n * hidden + unit))
        c_at = address_of(c[model], (batch + n) * hidden + unit)
        h_at = address_of(h[model], (batch + n) * (hidden + 2) + 1 + unit)
        gates_row, c_row, h_row = 16 * hidden, 4 * hidden, 4 * (hidden + 2)
        gates_step, c_step, h_step = batch * gates_row, batch * c_row, batch * h_row
        c_one = c_two = zero
        x_one = x_two = (zero, zero, zero, zero)
        if one:
            x_one = read_four(gates_at)
        if two:
            x_two = read_four(gates_at + gates_row)
        cuda.syncthreads()

        for t in range(seq_len):
            xi, xf, xg, xo = x_one
            yi, yf, yg, yo = x_two
            z = xi + bi, yi + bi, xf + bf, yf + bf, xg + bg, yg + bg, xo + bo, yo + bo
            if t + 1 < seq_len:  # on its way while the product is taken
                if one:
                    x_one = read_four(gates_at + gates_step)
                if two:
                    x_two = read_four(gates_at + gates_step + gates_row)
            xi, yi, xf, yf, xg, yg, xo, yo = multiply(
                state, now + source, thread, weights, packed, z
            )
            c_one = advance(gates_at, c_at, h_at, state, then + place, one, xi, xf, xg, xo, c_one)
            c_two = advance(
                gates_at + gates_row, c_at + c_row, h_at + h_row, state, then + place + row, two,
                yi, yf, yg, yo, c_two
            )  # fmt: skip
            cuda.syncthreads()
            now, then = then, now
            gates_at += gates_step
            c_at += c_step
            h_at += h_step

    return resident_forward


def _backward_weights(kind, units):
    return weights_of(_plan(kind, units, 2, _GATES * units))


@functools.cache
def _retreat(kind, units):
    """Return a device function that pulls back through a unit's step in one row; it returns dc."""
    keep = _backward_weights(kind, units).keep

    @on_device
    def retreat(gates_at, dz, place, inside, gates, c_prev, c, dh, dc):
        if inside:
            i, f, g, o = gates
            dzi, dzf, dzg, dzo, dc = lstm_cell_grad(STANDARD, i, f, g, o, c_prev, c, dh, dc)
            write_four(gates_at, dzi, dzf, dzg, dzo)
            keep(dz, place, (dzi, dzf, dzg, dzo))
        return dc

    return retreat


@functools.cache
def backward_kernel(kind, units):
    """Return the kernel of layers with up to ``units`` units.

    Two neighbouring warps take the products for the sixteen units of both, each with the dz of half
    of all units; then they exchange what belongs to the other. A block takes one group of rows
    after the other, and adds up its share of dW where registers allow, see ``gradient.py``.

    dy : (models, numbers)                      in: gradients of h after the last ``outputs`` steps
    shape, gates, packed, h, c                  as in ``forward_kernel``
    partials : (models, (chunks, n_params))     out: from ``start`` on, dw of each block's rows
    """
    size, load, first, _, multiply = _backward_weights(kind, units)
    row, pair = row_at(1, _GATES * units), row_at(2, _GATES * units)
    h_row, h_pair = row_at(1, units), row_at(2, units)
    exchanged = OWN * LANES * units
    retreat = _retreat(kind, units)
    h_size, begin, keep, first_of, add, corner, put = gradient_of(kind, units)
    in_registers = units <= MOST_SUMMED[kind]
    stored = size + h_size if in_registers else size

    @_jit(kind, units, in_registers)
    def resident_backward(
        models, shape, gates, packed, h, c, dy, outputs, start, n_params, partials
    ):
        model = model_of_block(models)
        packed = packed[model]
        dz = cuda.shared.array(stored, packed.dtype, alignment=16)
        handed = cuda.shared.array(exchanged, packed.dtype, alignment=16)
        seq_len, batch, hidden = shape
        thread = cuda.threadIdx.x
        unit, lane, half = thread // LANES, thread % LANES, thread // 32 % 2
        zero = packed.dtype.type(0)
        none = (zero, zero, zero, zero)

        weights = load(packed, 4 * thread)
        total = begin(dz, 0)
        place, h_place = lane * pair + _GATES * unit, size + lane * h_pair + unit
        source = first(thread) + half * (2 * units)
        left, right = first_of(thread)
        mine, other = OWN * thread, OWN * (thread ^ 32)
        c_row, silent = 4 * hidden, seq_len - outputs
        c_step, ones = batch * c_row, 4 * (hidden + 2)
        groups, apart = cuda.blockIdx.x + 1, 1
        if in_registers:
            groups, apart = (batch + ROWS - 1) // ROWS, cuda.gridDim.x
        for group in range(cuda.blockIdx.x, groups, apart):
            for k in range(thread, stored, LANES * units):
                dz[k] = zero
            n = group * ROWS + OWN * lane
            one, two = unit < hidden and n < batch, unit < hidden and n + 1 < batch
            # Where this unit stands at step t; in dy, which begins with step ``silent``.
            at = (seq_len - 1) * batch * hidden + n * hidden + unit
            gates_at = address_of(gates[model], 4 * at)
            c_at = address_of(c[model], at)
            dy_at = address_of(dy[model], at - silent * batch * hidden)
            h_at = ((seq_len - 1) * batch + n) * (hidden + 2) + 1 + unit
            h_at = address_of(h[model], h_at)
            gates_one = gates_two = none
            c_one = c_two = prev_one = prev_two = dc_one = dc_two = zero
            if one:
                gates_one, c_one, prev_one = read_four(gates_at), read(c_at + c_step), read(c_at)
            if two:
                gates_two = read_four(gates_at + 4 * c_row)
                c_two, prev_two = read(c_at + c_step + c_row), read(c_at + c_row)
            cuda.syncthreads()

            for t in range(seq_len - 1, -1, -1):
                next_one = next_two = none
                early_one = early_two = dh_one = dh_two = h_one = h_two = zero
                if one:  # on its way while the product is taken
                    if in_registers:
                        h_one = read(h_at)
                    if t > 0:
                        next_one = read_four(gates_at - 4 * c_step)
                        early_one = read(c_at - c_step)
                    if t >= silent:
                        dh_one = read(dy_at)
                if two:
                    if in_registers:
                        h_two = read(h_at + ones)
                    if t > 0:
                        next_two = read_four(gates_at - 4 * c_step + 4 * c_row)
                        early_two = read(c_at - c_step + c_row)
                    if t >= silent:
                        dh_two = read(dy_at + c_row)
                a, b, p, q = multiply(dz, source, thread, weights, packed, none)
                if in_registers:
                    total = add(dz, left, size + right, total)
                if half:
                    a, b, p, q = p, q, a, b
                handed[mine], handed[mine + 1] = p, q
                cuda.syncthreads()
                dh_one += a + handed[other]
                dh_two += b + handed[other + 1]
                dc_one = retreat(
                    gates_at, dz, place, one, gates_one, prev_one, c_one, dh_one, dc_one
                )
                dc_two = retreat(
                    gates_at + 4 * c_row, dz, place + row, two, gates_two, prev_two, c_two, dh_two,
                    dc_two
                )  # fmt: skip
                if in_registers:
                    keep(dz, h_place, (h_one,))
                    keep(dz, h_place + h_row, (h_two,))
                cuda.syncthreads()
                gates_one, gates_two = next_one, next_two
                c_one, prev_one, c_two, prev_two = prev_one, early_one, prev_two, early_two
                gates_at -= 4 * c_step
                c_at -= c_step
                dy_at -= c_step
                h_at -= batch * ones
        if in_registers:  # what h was before the first step is 0, and adds nothing
            column, unit = corner(thread)
            own = start + (1 + unit) * _GATES * hidden + column
            put(
                address_of(partials[model], cuda.blockIdx.x * n_params + own),
                4 * _GATES * hidden, _GATES * hidden - column, hidden - unit, total
            )  # fmt: skip

    return resident_backward
