"""The slow, obvious twin of the layers whose cells are not torch's: NumPy, one row at a time.

``w`` holds the weights of one layer in one direction, under torch's names without layer.
"""

import numpy as np
from naive import sigmoid


def gru_reset_before_step(w, x, h, c):
    """Return the state after one step of the GRU of Cho et al. (2014) as published."""
    xr, xz, xn = np.split(w["weight_ih"] @ x + w["bias"], 3)
    w_r, w_z, w_n = np.split(w["weight_hh"], 3)
    r, z = sigmoid(xr + w_r @ h), sigmoid(xz + w_z @ h)
    n = np.tanh(xn + w_n @ (r * h))
    return (1 - z) * n + z * h, c


def peephole_step(w, x, h, c):
    """Return the state after one step of an LSTM with peepholes."""
    zi, zf, zg, zo = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 4)
    p_i, p_f, p_o = np.split(w["weight_ch"], 3)
    c_next = sigmoid(zf + p_f * c) * c + sigmoid(zi + p_i * c) * np.tanh(zg)
    return sigmoid(zo + p_o * c_next) * np.tanh(c_next), c_next


def coupled_step(w, x, h, c):
    """Return the state after one step of an LSTM that forgets what it does not take in."""
    zi, zg, zo = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 3)
    p_i, p_o = np.split(w["weight_ch"], 2) if "weight_ch" in w else (0.0, 0.0)
    i = sigmoid(zi + p_i * c)
    c_next = (1 - i) * c + i * np.tanh(zg)
    return sigmoid(zo + p_o * c_next) * np.tanh(c_next), c_next


def run_row(step, w, x, h, c, taken, hold, reverse):
    """Run one row in one direction: x (seq_len, in), ``taken`` (seq_len,) says which steps count.

    Returns y (seq_len, hidden), and h and c after the last step. Where a step is not taken, y is 0,
    or with ``hold`` what it was.
    """
    y, shown = np.zeros((len(x), len(h))), np.zeros(len(h))
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        if taken[t]:
            h, c = step(w, x[t], h, c)
            shown = h
        y[t] = shown if hold or taken[t] else 0
    return y, h, c


def run_stack(step, weights, x, h, c, taken, hold=False, directions=1):
    """Run layers on top of each other, outputs side by side: x (batch, seq_len, in).

    h, c : (layers directions, batch, hidden). Returns y, h and c.
    """
    h, c = np.array(h), np.array(c)
    for at in range(0, len(h), directions):
        sides = []
        for d in range(directions):
            mark = f"_l{at // directions}{'_reverse' if d else ''}"
            w = {k.removesuffix(mark): v for k, v in weights.items() if k.endswith(mark)}
            ys = []
            for n in range(len(x)):
                state = h[at + d, n], c[at + d, n]
                y, h[at + d, n], c[at + d, n] = run_row(step, w, x[n], *state, taken[n], hold, d)
                ys.append(y)
            sides.append(np.stack(ys))
        x = np.concatenate(sides, axis=-1)
    return x, h, c
