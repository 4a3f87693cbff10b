"""Recurrent cells: one step, and its adjoint, written once for floats and for register tiles."""

from numba.extending import register_jitable

from .activations import like, sigmoid, tanh
from .tile import fma


@register_jitable(forceinline=True)
def lstm_cell(zi, zf, zg, zo, c_prev):
    """Advance LSTM units by one step.

        i = σ(zi)      f = σ(zf)      g = tanh(zg)      o = σ(zo)
        c = f·c_prev + i·g
        h = o·tanh(c)

    Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000), without peepholes:
    the form of torch.nn.LSTM, Keras and cuDNN.

    Parameters
    ----------
    zi, zf, zg, zo : float or tile
        Pre-activations of the input, forget, candidate and output gates.
    c_prev : float or tile
        Cell state of the previous step.

    Returns
    -------
    i, f, g, o, c, h : float or tile
        Activations, new cell state, new hidden state.
    """
    i, f, g, o = sigmoid(zi), sigmoid(zf), tanh(zg), sigmoid(zo)
    c = fma(f, c_prev, i * g)
    return i, f, g, o, c, o * tanh(c)


@register_jitable(forceinline=True)
def lstm_cell_grad(i, f, g, o, c_prev, c, dh, dc):
    """Pull the gradients (dh, dc) back through ``lstm_cell``.

        y   = tanh(c)
        dc  ← dc + dh·o·(1 − y²)
        dzi = dc·g·i(1 − i)            dzg = dc·i·(1 − g²)
        dzf = dc·c_prev·f(1 − f)       dzo = dh·y·o(1 − o)

    Returns
    -------
    dzi, dzf, dzg, dzo, dc_prev : float or tile
    """
    one = like(c, 1.0)
    y = tanh(c)
    dc = dc + dh * o * (one - y * y)
    dzi = dc * g * i * (one - i)
    dzf = dc * c_prev * f * (one - f)
    dzg = dc * i * (one - g * g)
    dzo = dh * y * o * (one - o)
    return dzi, dzf, dzg, dzo, dc * f


@register_jitable(forceinline=True)
def gru_cell(zr, zz, zn, un, h_prev):
    """Advance GRU units by one step.

        r = σ(zr)      z = σ(zz)      n = tanh(zn + r·un)
        h = (1 − z)·n + z·h_prev

    Cho et al. (2014) with the reset gate after the product: the form of torch.nn.GRU, cuDNN and
    Keras with ``reset_after``.

    Parameters
    ----------
    zr, zz : float or tile
        Pre-activations of the reset and update gates.
    zn, un : float or tile
        Pre-activation of the candidate: the part of the input, and that of ``h_prev``.
    h_prev : float or tile
        Hidden state of the previous step.

    Returns
    -------
    r, z, n, h : float or tile
        Activations, new hidden state.
    """
    r, z = sigmoid(zr), sigmoid(zz)
    n = tanh(fma(r, un, zn))
    return r, z, n, fma(z, h_prev - n, n)


@register_jitable(forceinline=True)
def gru_cell_grad(r, z, n, un, h_prev, dh):
    """Pull dh back through ``gru_cell``.

        dzn = dh·(1 − z)·(1 − n²)       dun = dzn·r
        dzz = dh·(h_prev − n)·z(1 − z)  dzr = dzn·un·r(1 − r)

    Returns
    -------
    dzr, dzz, dzn, dun, dh_prev : float or tile
        ``dh_prev`` without what reaches h_prev through the pre-activations.
    """
    one = like(n, 1.0)
    dzn = dh * (one - z) * (one - n * n)
    dzz = dh * (h_prev - n) * z * (one - z)
    dzr = dzn * un * r * (one - r)
    return dzr, dzz, dzn, dzn * r, dh * z


@register_jitable(forceinline=True)
def rnn_cell(z):
    """Return h = tanh(z), the simple recurrent unit of Elman (1990)."""
    return tanh(z)


@register_jitable(forceinline=True)
def rnn_cell_grad(h, dh):
    """Return dz = dh·(1 − h²)."""
    return dh * (like(h, 1.0) - h * h)
