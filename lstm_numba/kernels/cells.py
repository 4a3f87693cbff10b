"""Recurrent cells: one step, and its adjoint, written once for floats and for register tiles.

σ and φ are those of ``acts``, see ``gates.py``; a step returns what is ``kept`` of them, for the
adjoint. In a standard cell that is their values.
"""

from numba.extending import register_jitable

from .activations import like
from .gates import (
    kept,
    phi,
    phi_again,
    phi_of_state,
    phi_of_state_again,
    sigma,
    sigma_again,
)
from .parts import PART
from .tile import fma


@register_jitable(**PART)
def lstm_cell(acts, zi, zf, zg, zo, c_prev):
    """Advance LSTM units by one step.

        i = σ(zi)      f = σ(zf)      g = φ(zg)      o = σ(zo)
        c = f·c_prev + i·g
        h = o·φ(c)

    Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000), without peepholes:
    the form of torch.nn.LSTM, Keras and cuDNN.

    Parameters
    ----------
    acts : Standard or Chosen
    zi, zf, zg, zo : float or tile
        Pre-activations of the input, forget, candidate and output gates.
    c_prev : float or tile
        Cell state of the previous step.

    Returns
    -------
    i, f, g, o, c, h : float or tile
        What is kept of the activations, new cell state, new hidden state.
    """
    i, f, g, o = sigma(acts, zi), sigma(acts, zf), phi(acts, zg), sigma(acts, zo)
    c = fma(f, c_prev, i * g)
    h = o * phi_of_state(acts, c)
    return kept(acts, zi, i), kept(acts, zf, f), kept(acts, zg, g), kept(acts, zo, o), c, h


@register_jitable(**PART)
def lstm_cell_grad(acts, i, f, g, o, c_prev, c, dh, dc):
    """Pull the gradients (dh, dc) back through ``lstm_cell``.

        y   = φ(c)
        dc  ← dc + dh·o·φ'(c)
        dzi = dc·g·σ'(zi)              dzg = dc·i·φ'(zg)
        dzf = dc·c_prev·σ'(zf)         dzo = dh·y·σ'(zo)
        dc_prev = dc·f

    ``i, f, g, o`` are what ``lstm_cell`` kept; dh_prev comes after, from dz w_h^T.

    Returns
    -------
    dzi, dzf, dzg, dzo, dc_prev : float or tile
    """
    i, slope_i = sigma_again(acts, i)
    f, slope_f = sigma_again(acts, f)
    g, slope_g = phi_again(acts, g)
    o, slope_o = sigma_again(acts, o)
    y, slope_y = phi_of_state_again(acts, c)
    dc = dc + dh * o * slope_y
    return dc * g * slope_i, dc * c_prev * slope_f, dc * i * slope_g, dh * y * slope_o, dc * f


@register_jitable(**PART)
def lstm_peephole_cell(acts, zi, zf, zg, zo, pi, pf, po, c_prev):
    """Advance LSTM units with peepholes by one step.

        i = σ(zi + pi·c_prev)      f = σ(zf + pf·c_prev)      g = φ(zg)
        c = f·c_prev + i·g
        o = σ(zo + po·c)           h = o·φ(c)

    Gers & Schmidhuber (2000), the form of ONNX with its input P.

    Parameters
    ----------
    acts, zi, zf, zg, zo, c_prev :
        As of ``lstm_cell``.
    pi, pf, po : float or tile
        Peephole weights.

    Returns
    -------
    i, f, g, o, c, h : float or tile
        As ``lstm_cell``.
    """
    zi, zf = fma(pi, c_prev, zi), fma(pf, c_prev, zf)
    i, f, g = sigma(acts, zi), sigma(acts, zf), phi(acts, zg)
    c = fma(f, c_prev, i * g)
    zo = fma(po, c, zo)
    o = sigma(acts, zo)
    h = o * phi_of_state(acts, c)
    return kept(acts, zi, i), kept(acts, zf, f), kept(acts, zg, g), kept(acts, zo, o), c, h


@register_jitable(**PART)
def lstm_peephole_cell_grad(acts, i, f, g, o, pi, pf, po, c_prev, c, dh, dc):
    """Pull the gradients (dh, dc) back through ``lstm_peephole_cell``.

        y   = φ(c)                     dzo = dh·y·σ'(zo)
        dc  ← dc + dh·o·φ'(c) + dzo·po
        dzi = dc·g·σ'(zi)              dzg = dc·i·φ'(zg)
        dzf = dc·c_prev·σ'(zf)

    Returns
    -------
    dzi, dzf, dzg, dzo, dc_prev : float or tile
    """
    i, slope_i = sigma_again(acts, i)
    f, slope_f = sigma_again(acts, f)
    g, slope_g = phi_again(acts, g)
    o, slope_o = sigma_again(acts, o)
    y, slope_y = phi_of_state_again(acts, c)
    dzo = dh * y * slope_o
    dc = dc + dh * o * slope_y + dzo * po
    dzi, dzf, dzg = dc * g * slope_i, dc * c_prev * slope_f, dc * i * slope_g
    return dzi, dzf, dzg, dzo, dc * f + dzi * pi + dzf * pf


@register_jitable(**PART)
def lstm_coupled_cell(acts, zi, zg, zo, pi, po, c_prev):
    """Advance LSTM units with coupled input and forget gates by one step.

        i = σ(zi + pi·c_prev)      f = 1 − i      g = φ(zg)
        c = f·c_prev + i·g
        o = σ(zo + po·c)           h = o·φ(c)

    Greff et al. (2017), the form of ONNX with ``input_forget=1``; peepholes of 0 are none.

    Returns
    -------
    i, g, o, c, h : float or tile
        As ``lstm_cell``.
    """
    zi = fma(pi, c_prev, zi)
    i, g = sigma(acts, zi), phi(acts, zg)
    c = fma(i, g - c_prev, c_prev)
    zo = fma(po, c, zo)
    o = sigma(acts, zo)
    return kept(acts, zi, i), kept(acts, zg, g), kept(acts, zo, o), c, o * phi_of_state(acts, c)


@register_jitable(**PART)
def lstm_coupled_cell_grad(acts, i, g, o, pi, po, c_prev, c, dh, dc):
    """Pull the gradients (dh, dc) back through ``lstm_coupled_cell``.

        y   = φ(c)                            dzo = dh·y·σ'(zo)
        dc  ← dc + dh·o·φ'(c) + dzo·po
        dzi = dc·(g − c_prev)·σ'(zi)          dzg = dc·i·φ'(zg)

    Returns
    -------
    dzi, dzg, dzo, dc_prev : float or tile
    """
    i, slope_i = sigma_again(acts, i)
    g, slope_g = phi_again(acts, g)
    o, slope_o = sigma_again(acts, o)
    y, slope_y = phi_of_state_again(acts, c)
    dzo = dh * y * slope_o
    dc = dc + dh * o * slope_y + dzo * po
    dzi = dc * (g - c_prev) * slope_i
    return dzi, dc * i * slope_g, dzo, dc * (like(i, 1.0) - i) + dzi * pi


@register_jitable(**PART)
def gru_cell(acts, zr, zz, zn, un, h_prev):
    """Advance GRU units by one step.

        r = σ(zr)      z = σ(zz)      n = φ(zn + r·un)
        h = (1 − z)·n + z·h_prev

    Cho et al. (2014) with the reset gate after the product: the form of torch.nn.GRU, cuDNN and
    Keras with ``reset_after``.

    Parameters
    ----------
    acts : Standard or Chosen
    zr, zz : float or tile
        Pre-activations of the reset and update gates.
    zn, un : float or tile
        Pre-activation of the candidate: the part of the input, and that of ``h_prev``.
    h_prev : float or tile
        Hidden state of the previous step.

    Returns
    -------
    r, z, n, h : float or tile
        What is kept of the activations, new hidden state.
    """
    r, z = sigma(acts, zr), sigma(acts, zz)
    zn = fma(r, un, zn)
    n = phi(acts, zn)
    return kept(acts, zr, r), kept(acts, zz, z), kept(acts, zn, n), fma(z, h_prev - n, n)


@register_jitable(**PART)
def gru_cell_grad(acts, r, z, n, un, h_prev, dh):
    """Pull dh back through ``gru_cell``.

        dzn = dh·(1 − z)·φ'(zn + r·un)     dun = dzn·r
        dzz = dh·(h_prev − n)·σ'(zz)       dzr = dzn·un·σ'(zr)

    Returns
    -------
    dzr, dzz, dzn, dun, dh_prev : float or tile
        ``dh_prev`` without what reaches h_prev through the pre-activations.
    """
    r, slope_r = sigma_again(acts, r)
    z, slope_z = sigma_again(acts, z)
    n, slope_n = phi_again(acts, n)
    dzn = dh * (like(n, 1.0) - z) * slope_n
    return dzn * un * slope_r, dh * (h_prev - n) * slope_z, dzn, dzn * r, dh * z


@register_jitable(**PART)
def gru_reset(acts, zr, h_prev):
    """Return what is kept of r = σ(zr), and r·h_prev: the reset gate before the product."""
    r = sigma(acts, zr)
    return kept(acts, zr, r), r * h_prev


@register_jitable(**PART)
def gru_reset_grad(acts, r, h_prev, drh):
    """Pull the gradient of r·h_prev back through ``gru_reset``.

        dzr = drh·h_prev·σ'(zr)      dh_prev = drh·r

    Returns
    -------
    dzr, dh_prev : float or tile
    """
    r, slope_r = sigma_again(acts, r)
    return drh * h_prev * slope_r, drh * r


@register_jitable(**PART)
def gru_reset_before_cell(acts, zz, zn, h_prev):
    """Advance GRU units by one step, after ``gru_reset``.

        z = σ(zz)      n = φ(zn)      h = (1 − z)·n + z·h_prev

    Cho et al. (2014) as published, with r·h_prev in the product that is a part of zn: the form of
    Keras with ``reset_after=False`` and ONNX with ``linear_before_reset=0``.

    Returns
    -------
    z, n, h : float or tile
        What is kept of the activations, new hidden state.
    """
    z, n = sigma(acts, zz), phi(acts, zn)
    return kept(acts, zz, z), kept(acts, zn, n), fma(z, h_prev - n, n)


@register_jitable(**PART)
def gru_reset_before_cell_grad(acts, z, n, h_prev, dh):
    """Pull dh back through ``gru_reset_before_cell``.

        dzz = dh·(h_prev − n)·σ'(zz)      dzn = dh·(1 − z)·φ'(zn)

    Returns
    -------
    dzz, dzn, dh_prev : float or tile
        ``dh_prev`` without what reaches h_prev through r and the pre-activations.
    """
    z, slope_z = sigma_again(acts, z)
    n, slope_n = phi_again(acts, n)
    return dh * (h_prev - n) * slope_z, dh * (like(n, 1.0) - z) * slope_n, dh * z


@register_jitable(**PART)
def rnn_cell(acts, z):
    """Return what is kept of h, and h = φ(z), the simple recurrent unit of Elman (1990)."""
    h = phi(acts, z)
    return kept(acts, z, h), h


@register_jitable(**PART)
def rnn_cell_grad(acts, h, dh):
    """Return dz = dh·φ'(z)."""
    h, slope = phi_again(acts, h)
    return dh * slope
