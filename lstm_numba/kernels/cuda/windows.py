"""Windows are gathered on the device, from the flat series and their first rows."""

from numba import cuda

NORMS = {None: 0, "last": 1, "level": 2}


@cuda.jit
def gather(inputs, starts, first, valid, norm, x, history, shift, scale):
    """Copy windows into (seq_len, batch, ...), each target's history shifted and scaled.

    One thread per row of the batch and column. Rows beyond ``valid`` repeat the last one: finite
    numbers, whose results are not used.

    Parameters
    ----------
    first, valid : int
        Windows ``first`` to ``first + valid`` - 1 of ``starts``.
    x : (seq_len, batch, features + 1)          out: the last column is left, it holds ones
    history : (seq_len, batch, targets)         out: the first columns of x, if there are as many
    shift, scale : (batch, targets)             out
    """
    seq_len, batch, targets = history.shape
    features = inputs.shape[1]
    columns = max(features, targets)
    at = cuda.grid(1)
    row, column = at // columns, at % columns
    if row >= batch:
        return
    start = starts[first + min(row, valid - 1)]

    offset, factor = inputs.dtype.type(0), inputs.dtype.type(1)
    if column < targets:
        if norm == 1:
            offset = inputs[start + seq_len - 1, column]
        elif norm == 2:
            for t in range(seq_len):
                offset += inputs[start + t, column]
            offset /= inputs.dtype.type(seq_len)
            factor = offset
        shift[row, column], scale[row, column] = offset, factor
    if column >= features:
        return
    for t in range(seq_len):
        value = (inputs[start + t, column] - offset) / factor
        x[t, row, column] = value
        if column < targets:
            history[t, row, column] = value
