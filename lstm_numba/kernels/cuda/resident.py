"""An LSTM layer whose recurrent weights stay in registers through all of time; float32.

A block takes SAMPLES rows of the batch, four threads a unit. Each of the four holds a quarter of
what its unit's gates (forward) or its dh (backward) is summed over, for all rows; then they
exchange parts, so that each ends with one row of the unit, and computes the cell there. h, or dz,
goes round in shared memory, in two copies that take turns: one barrier a step. The idea of weights
that stay on the chip is that of persistent RNNs (Diamos et al., 2016).

Same parameters as in ``lstm.py``, with the weights packed. Units are padded to a multiple of 16.
"""

import functools

from numba import cuda

from . import registers
from .device import is_simulated
from .equations import STANDARD, lstm_cell, lstm_cell_grad, on_device
from .registers import SAMPLES, products, weights_loader
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


@cuda.jit
def pack_weights(models, params, start, hidden, units, forward, backward):
    """Put w (1 + hidden, 4 hidden) into the order of registers; one thread per weight.

    Parameters
    ----------
    forward : (models, (units, lanes, gates, units / 4))    out: w of h, a quarter of h each
    backward : (models, (units, lanes, units))              out: w of dz, a gate each
    """
    model, at = model_of_block(models), cuda.grid(1)
    w, forward, backward = params[model], forward[model], backward[model]
    columns = _GATES * hidden
    if at >= forward.shape[0]:
        return
    quarter = units // _LANES
    unit, lane = at // (_GATES * units), at // units % _LANES
    gate, k = at // quarter % _GATES, at % quarter
    zero = w.dtype.type(0)
    forward[at] = backward[at] = zero
    source = lane * quarter + k
    if unit < hidden and source < hidden:
        forward[at] = w[start + (1 + source) * columns + gate * hidden + unit]
    if unit < hidden and at % units < hidden:
        backward[at] = w[start + (1 + unit) * columns + lane * hidden + at % units]


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
    """Return the kernel of layers with up to ``units`` units."""
    quarter = units // _LANES
    pitch = _quarter(quarter)
    row = _LANES * pitch
    size = 2 * SAMPLES * row
    load, multiply = weights_loader(_GATES * quarter), products(_GATES, quarter, row)

    @_jit(units)
    def resident_forward(models, gates, params, start, packed, h, c):
        model = model_of_block(models)
        gates, w, packed = gates[model], params[model], packed[model]
        h, c = h[model], c[model]
        state = cuda.shared.array(size, gates.dtype, alignment=16)
        seq_len, batch, columns = gates.shape
        hidden = columns // _GATES
        thread = cuda.threadIdx.x
        unit, lane = thread // _LANES, thread % _LANES
        n = cuda.blockIdx.x * SAMPLES + lane
        inside = unit < hidden and n < batch
        zero = gates.dtype.type(0)

        weights = load(packed, thread * _GATES * quarter)
        bi = bf = bg = bo = zero
        i, f, g, o = unit, hidden + unit, 2 * hidden + unit, 3 * hidden + unit
        if unit < hidden:
            bi, bf, bg, bo = w[start + i], w[start + f], w[start + g], w[start + o]
        for k in range(thread, size, _LANES * units):
            state[k] = zero
        place = lane * row + unit // quarter * pitch + unit % quarter
        now, then = 0, SAMPLES * row
        c_now = zero
        xi = xf = xg = xo = zero
        if inside:
            xi, xf, xg, xo = gates[0, n, i], gates[0, n, f], gates[0, n, g], gates[0, n, o]
        cuda.syncthreads()

        for t in range(seq_len):
            zi, zf, zg, zo = xi + bi, xf + bf, xg + bg, xo + bo
            if inside and t + 1 < seq_len:  # on its way while the product is taken
                later = gates[t + 1, n]
                xi, xf, xg, xo = later[i], later[f], later[g], later[o]
            p = multiply(weights, state, now + lane * pitch)
            zi += _scatter(p[0], p[1], p[2], p[3], lane)
            zf += _scatter(p[4], p[5], p[6], p[7], lane)
            zg += _scatter(p[8], p[9], p[10], p[11], lane)
            zo += _scatter(p[12], p[13], p[14], p[15], lane)
            ai, af, ag, ao, c_now, h_now = lstm_cell(STANDARD, zi, zf, zg, zo, c_now)
            state[then + place] = h_now
            if inside:
                z = gates[t, n]
                z[i], z[f], z[g], z[o] = ai, af, ag, ao
                c[t + 1, n, unit], h[t + 1, n, 1 + unit] = c_now, h_now
            cuda.syncthreads()
            now, then = then, now

    return resident_forward


@functools.cache
def backward_kernel(units):
    """Return the kernel of layers with up to ``units`` units."""
    pitch = _quarter(units)
    row = _LANES * pitch
    size = 2 * SAMPLES * row
    load, multiply = weights_loader(units), products(1, units, row)

    @_jit(units)
    def resident_backward(models, gates, packed, c, dy):
        model = model_of_block(models)
        gates, packed, c, dy = gates[model], packed[model], c[model], dy[model]
        dz = cuda.shared.array(size, gates.dtype, alignment=16)
        seq_len, batch, columns = gates.shape
        hidden = columns // _GATES
        thread = cuda.threadIdx.x
        unit, lane = thread // _LANES, thread % _LANES
        n = cuda.blockIdx.x * SAMPLES + lane
        inside = unit < hidden and n < batch
        zero = gates.dtype.type(0)

        weights = load(packed, thread * units)
        for k in range(thread, size, _LANES * units):
            dz[k] = zero
        i, f, g, o = unit, hidden + unit, 2 * hidden + unit, 3 * hidden + unit
        place = lane * row + unit
        now, then = 0, SAMPLES * row
        dc = zero
        cuda.syncthreads()

        for t in range(seq_len - 1, -1, -1):
            p = multiply(weights, dz, now + lane * pitch)
            dh = _scatter(p[0], p[1], p[2], p[3], lane)
            if inside:
                outputs = t - (seq_len - dy.shape[0])
                if outputs >= 0:
                    dh += dy[outputs, n, unit]
                z = gates[t, n]
                dzi, dzf, dzg, dzo, dc = lstm_cell_grad(
                    STANDARD, z[i], z[f], z[g], z[o], c[t, n, unit], c[t + 1, n, unit], dh, dc
                )
                z[i], z[f], z[g], z[o] = dzi, dzf, dzg, dzo
                dz[then + place], dz[then + place + pitch] = dzi, dzf
                dz[then + place + 2 * pitch], dz[then + place + 3 * pitch] = dzg, dzo
            cuda.syncthreads()
            now, then = then, now

    return resident_backward
