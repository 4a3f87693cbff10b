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
