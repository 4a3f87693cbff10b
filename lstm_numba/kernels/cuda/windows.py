"""Windows are gathered on the device, from the flat series and their first rows."""

from numba import cuda

from .rows import model_of_block
from .turns import begin_turn

NORMS = {None: 0, "last": 1, "level": 2}


@cuda.jit
def gather(models, counter, spans, inputs, starts, norm, x, history, shift, scale):
    """Copy windows into (seq_len, batch, ...), each target's history shifted and scaled.

    One thread per row of the batch and column. Rows beyond the last window of a model repeat it:
    finite numbers, whose results are not used.

    Parameters
    ----------
    models, counter, spans, starts              of ``Turns``: which windows
    x : (models, seq_len, batch, features + 1)  out: the last column is left, it holds ones
    history : (models, seq_len, batch, targets) out: the first columns of x, if there are as many
    shift, scale : (models, batch, targets)     out
    """
    model, turn = model_of_block(models), begin_turn(counter)
    first, valid = spans[turn, model, 0], spans[turn, model, 1]
    x, history, shift, scale = x[model], history[model], shift[model], scale[model]
    seq_len, batch, targets = history.shape
    features = inputs.shape[1]
    columns = max(features, targets)
    thread = cuda.grid(1)
    row, column = thread // columns, thread % columns
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
