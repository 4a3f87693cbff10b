"""An LSTM layer whose recurrent weights stay in registers through all of time; float32.

A block takes SAMPLES rows of the batch, four threads a unit. Each of the four holds a quarter of
what its unit's gates (forward) or its dh (backward) is summed over, for all rows; then they
exchange parts, so that each ends with one row of the unit, and computes the cell there. h, or dz,
goes round in shared memory, in two copies that take turns: one barrier a step. The idea of weights
that stay on the chip is that of persistent RNNs (Diamos et al., 2016).

Units are padded to a multiple of 16. The four gates of a unit lie side by side, one access of 16
bytes: columns here are in the order (hidden, gates), in ``params`` (gates, hidden).
"""

import functools

import numpy as np
from numba import cuda

from . import registers
from .device import is_simulated
from .equations import STANDARD, lstm_cell, lstm_cell_grad, on_device
from .registers import SAMPLES, load_four, products, store_four, weights_loader
from .rows import model_of_block

_LANES, _GATES = 4, 4
# More than this, and the weights of a block do not fit the registers of a multiprocessor.
MOST_UNITS = 80
_WHOLE_WARP = 0xFFFFFFFF


def units_of(network):
    """Return the padded units of a network whose layers fit; 0 if they do not."""
    units = -(-network.hidden_size // 16) * 16
    fits = network.cell == "lstm" and network.dtype == "float32" and units <= MOST_UNITS
    return units if fits and registers.AVAILABLE else 0


def blocks_of_samples(batch, units):
    """Return blocks and threads of the kernels below."""
    return -(-batch // SAMPLES), _LANES * units


def _quarter(length):
    """Floats from one quarter of a row in shared memory to the next, in different banks."""
    return length + (4 if length % 16 == 0 else 0)


def order_of_columns(hidden):
    """Return where column k of ``params`` stands among the columns here."""
    return np.arange(_GATES * hidden).reshape(hidden, _GATES).T.ravel()


@cuda.jit
def pack_weights(models, params, at, start, hidden, units, w_x, forward, backward):
    """Put the weights of a layer into the order that is used here.

    Parameters
    ----------
    params : (models, n_params)                             in: w_x from ``at`` on, w from ``start``
    w_x : (models, (inputs, hidden, gates))                 out
    forward : (models, (units, lanes, gates, units / 4))    out: w of h, a quarter of h each
    backward : (models, (units, lanes, units))              out: w of dz, a gate each
    """
    model, thread = model_of_block(models), cuda.grid(1)
    w, w_x, forward, backward = params[model], w_x[model], forward[model], backward[model]
    columns = _GATES * hidden
    quarter = units // _LANES
    zero = w.dtype.type(0)
    for k in range(thread, w_x.shape[0], cuda.gridDim.x * cuda.blockDim.x):
        column = k % columns
        w_x[k] = w[at + k - column + column % _GATES * hidden + column // _GATES]
    for k in range(thread, forward.shape[0], cuda.gridDim.x * cuda.blockDim.x):
        unit, lane = k // (_GATES * units), k // units % _LANES
        forward[k] = backward[k] = zero
        source, gate = lane * quarter + k % quarter, k // quarter % _GATES
        if unit < hidden and source < hidden:
            forward[k] = w[start + (1 + source) * columns + gate * hidden + unit]
        if unit < hidden and k % units < hidden:
            backward[k] = w[start + (1 + unit) * columns + lane * hidden + k % units]


@on_device
def _scatter(a, b, c, d, lane):
    """Add up four numbers over four lanes; lane 0 gets the sum of all a, lane 1 of b ..."""
    high = lane & 2
    if high:
        a, b, c, d = c, d, a, b
    a += cuda.shfl_xor_sync(_WHOLE_WARP, c, 2)
    b += cuda.shfl_xor_sync(_WHOLE_WARP, d, 2)
    if lane & 1:
        a, b = b, a
    return a + cuda.shfl_xor_sync(_WHOLE_WARP, b, 1)


def _jit(units):
    return cuda.jit if is_simulated() else cuda.jit(launch_bounds=(_LANES * units, 1))


@functools.cache
def forward_kernel(units):
    """Return the kernel of layers with up to ``units`` units.

    shape : (seq_len, batch, hidden)
    gates, h, c : (models, numbers)             as in ``lstm_forward``
    models, params, start                       likewise
    packed                                      see ``pack_weights``
    """
    quarter = units // _LANES
    pitch = _quarter(quarter)
    row = _LANES * pitch
    size = 2 * SAMPLES * row
    load, multiply = weights_loader(_GATES * quarter), products(_GATES, quarter, row)

    @_jit(units)
    def resident_forward(models, shape, gates, params, start, packed, h, c):
        model = model_of_block(models)
        gates, w, packed = gates[model], params[model], packed[model]
        h, c = h[model], c[model]
        state = cuda.shared.array(size, gates.dtype, alignment=16)
        seq_len, batch, hidden = shape
        thread = cuda.threadIdx.x
        unit, lane = thread // _LANES, thread % _LANES
        n = cuda.blockIdx.x * SAMPLES + lane
        inside = unit < hidden and n < batch
        zero = gates.dtype.type(0)

        weights = load(packed, thread * _GATES * quarter)
        bi = bf = bg = bo = zero
        if unit < hidden:
            bias = start + unit
            bi, bf = w[bias], w[bias + hidden]
            bg, bo = w[bias + 2 * hidden], w[bias + 3 * hidden]
        for k in range(thread, size, _LANES * units):
            state[k] = zero
        place = lane * row + unit // quarter * pitch + unit % quarter
        now, then = 0, SAMPLES * row
        # Where this unit stands at step t: in c[t], at four times that in the gates; in h[t + 1].
        at, step = n * hidden + unit, batch * hidden
        h_at, h_step = (batch + n) * (hidden + 2) + 1 + unit, batch * (hidden + 2)
        c_now = zero
        xi = xf = xg = xo = zero
        if inside:
            xi, xf, xg, xo = load_four(gates, 4 * at)
        cuda.syncthreads()

        for t in range(seq_len):
            zi, zf, zg, zo = xi + bi, xf + bf, xg + bg, xo + bo
            if inside and t + 1 < seq_len:  # on its way while the product is taken
                xi, xf, xg, xo = load_four(gates, 4 * (at + step))
            p = multiply(weights, state, now + lane * pitch)
            zi += _scatter(p[0], p[1], p[2], p[3], lane)
            zf += _scatter(p[4], p[5], p[6], p[7], lane)
            zg += _scatter(p[8], p[9], p[10], p[11], lane)
            zo += _scatter(p[12], p[13], p[14], p[15], lane)
            ai, af, ag, ao, c_now, h_now = lstm_cell(STANDARD, zi, zf, zg, zo, c_now)
            state[then + place] = h_now
            if inside:
                store_four(gates, 4 * at, ai, af, ag, ao)
                c[at + step], h[h_at] = c_now, h_now
            cuda.syncthreads()
            now, then = then, now
            at += step
            h_at += h_step

    return resident_forward


@functools.cache
def backward_kernel(units):
    """Return the kernel of layers with up to ``units`` units.

    dy : (models, numbers)                      in: gradients of h after the last ``outputs`` steps
    shape, gates, packed, c                     as in ``forward_kernel``
    """
    pitch = _quarter(units)
    row = _LANES * pitch
    size = 2 * SAMPLES * row
    load, multiply = weights_loader(units), products(1, units, row)

    @_jit(units)
    def resident_backward(models, shape, gates, packed, c, dy, outputs):
        model = model_of_block(models)
        gates, packed, c, dy = gates[model], packed[model], c[model], dy[model]
        dz = cuda.shared.array(size, gates.dtype, alignment=16)
        seq_len, batch, hidden = shape
        thread = cuda.threadIdx.x
        unit, lane = thread // _LANES, thread % _LANES
        n = cuda.blockIdx.x * SAMPLES + lane
        inside = unit < hidden and n < batch
        zero = gates.dtype.type(0)

        weights = load(packed, thread * units)
        for k in range(thread, size, _LANES * units):
            dz[k] = zero
        place = lane * row + unit
        now, then = 0, SAMPLES * row
        # Where this unit stands at step t: in c[t]; in dy, which has the last steps alone.
        step = batch * hidden
        at = (seq_len - 1) * step + n * hidden + unit
        y_at = (outputs - 1) * step + n * hidden + unit
        i = f = g = o = c_now = c_prev = dy_now = dc = zero
        if inside:
            i, f, g, o = load_four(gates, 4 * at)
            c_now, c_prev, dy_now = c[at + step], c[at], dy[y_at]
        cuda.syncthreads()

        for t in range(seq_len - 1, -1, -1):
            ni = nf = ng = no = c_earlier = dy_earlier = zero
            if inside and t > 0:  # on its way while the product is taken
                ni, nf, ng, no = load_four(gates, 4 * (at - step))
                c_earlier = c[at - step]
                if t > seq_len - outputs:
                    dy_earlier = dy[y_at - step]
            p = multiply(weights, dz, now + lane * pitch)
            dh = dy_now + _scatter(p[0], p[1], p[2], p[3], lane)
            if inside:
                dzi, dzf, dzg, dzo, dc = lstm_cell_grad(STANDARD, i, f, g, o, c_prev, c_now, dh, dc)
                store_four(gates, 4 * at, dzi, dzf, dzg, dzo)
                dz[then + place], dz[then + place + pitch] = dzi, dzf
                dz[then + place + 2 * pitch], dz[then + place + 3 * pitch] = dzg, dzo
            cuda.syncthreads()
            now, then = then, now
            i, f, g, o = ni, nf, ng, no
            c_now, c_prev, dy_now = c_prev, c_earlier, dy_earlier
            at -= step
            y_at -= step

    return resident_backward
