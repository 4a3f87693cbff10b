"""What follows a step of a cell: nothing, or projection and recurrent dropout.

    y[t] = h[t+1] w_p, if projected, else h[t+1]        y[t] * mask enters step t + 1

The type of the stage, ``Plain`` or ``Staged`` (see ``cell.py``), chooses; a plain one compiles to
nothing.
"""

from numba.extending import overload

from ..parts import PART
from ..tile import ROWS, lanes, load, store, zeros
from .cell import ONE_GATE, Plain
from .products import add_dz_product, add_product, add_weight_gradient


def h_of_step(stage, layer, t):
    """Return where the cell puts h[t + 1], and the distance of its rows."""


def output_of_step(stage, layer, t):
    """Return where y[t] lies after ``after_step``, and the distance of its rows."""


def set_mask(stage, layer, h_mask, n, r, work):
    """Let row ``r`` of a block have row ``n`` of ``h_mask``; its state is masked before step 0."""


def after_step(stage, layer, t, packed, work):
    """From h[t + 1] of the cell to y[t], and to what enters step t + 1."""


def before_step_backward(stage, layer, t, packed, work, dh, dy_t):
    """From the gradients ``dh`` and ``dy_t`` of y[t], to those of h[t + 1] of the cell.

    Returns the places of both parts of that gradient; -1 for a second part that is none.
    """


def after_step_backward(stage, layer, work, dh):
    """From the gradient of what entered a step to that of y of the step before, in place."""


def add_stage_gradient(stage, layer, start, stop, work, partial):
    """Add the weight gradient of the projection over steps ``start`` to ``stop`` - 1."""


@overload(h_of_step, jit_options=PART)
def _h_of_step(stage, layer, t):
    def on_tape(stage, layer, t):
        return layer.tape + (t + 1) * ROWS * layer.row + layer.h, layer.row

    def staged(stage, layer, t):
        if stage.projected:
            return stage.h + t * ROWS * layer.units, layer.units
        return layer.tape + (t + 1) * ROWS * layer.row + layer.h, layer.row

    return on_tape if stage.instance_class is Plain else staged


@overload(output_of_step, jit_options=PART)
def _output_of_step(stage, layer, t):
    def on_tape(stage, layer, t):
        return layer.tape + (t + 1) * ROWS * layer.row + layer.h, layer.row

    def staged(stage, layer, t):
        outs = layer.row - layer.h
        return stage.y + t * ROWS * outs, outs

    return on_tape if stage.instance_class is Plain else staged


@overload(set_mask, jit_options=PART)
def _set_mask(stage, layer, h_mask, n, r, work):
    def nothing(stage, layer, h_mask, n, r, work):
        pass

    def staged(stage, layer, h_mask, n, r, work):
        outs = layer.row - layer.h
        mask, h = stage.mask + r * outs, layer.tape + r * layer.row + layer.h
        work[mask : mask + outs] = 1
        for j in range(h_mask.shape[1] if len(h_mask) > 0 else 0):
            work[mask + j] = h_mask[n, j]
            work[h + j] *= h_mask[n, j]

    return nothing if stage.instance_class is Plain else staged


@overload(after_step, jit_options=PART)
def _after_step(stage, layer, t, packed, work):
    def nothing(stage, layer, t, packed, work):
        pass

    def staged(stage, layer, t, packed, work):
        width, outs = lanes(work), layer.row - layer.h
        h = stage.h + t * ROWS * layer.units
        y = stage.y + t * ROWS * outs
        tape = layer.tape + (t + 1) * ROWS * layer.row + layer.h
        for k in range(0, outs, width):
            if stage.projected:
                out = zeros(work, ROWS, 1)
                w = stage.w + k * layer.hidden
                out = add_product(out, work, h, layer.units, 1, layer.hidden, packed, w, width)
            else:
                out = load(work, tape + k, layer.row, ROWS, 1)
            store(work, y + k, outs, out)
            store(work, tape + k, layer.row, out * load(work, stage.mask + k, outs, ROWS, 1))

    return nothing if stage.instance_class is Plain else staged


@overload(before_step_backward, jit_options=PART)
def _before_step_backward(stage, layer, t, packed, work, dh, dy_t):
    def nothing(stage, layer, t, packed, work, dh, dy_t):
        return dh, dy_t

    def staged(stage, layer, t, packed, work, dh, dy_t):
        if not stage.projected:
            return dh, dy_t
        width, outs = lanes(work), layer.row - layer.h
        # dy[t] is kept, in the order of a dz, for the weight gradient.
        kept = stage.dy + t * ROWS * outs
        for k in range(0, outs, width):
            out = load(work, dh + k, outs, ROWS, 1)
            if dy_t >= 0:
                out = out + load(work, dy_t + k, outs, ROWS, 1)
            store(work, kept + ROWS * k, width, out)
            store(work, dh + k, outs, zeros(work, ROWS, 1))
        units = layer.units
        work[stage.dh : stage.dh + ROWS * units] = 0
        add_dz_product(ONE_GATE, outs, work, kept, packed, stage.w_back, units, stage.dh)
        return stage.dh, -1

    return nothing if stage.instance_class is Plain else staged


@overload(after_step_backward, jit_options=PART)
def _after_step_backward(stage, layer, work, dh):
    def nothing(stage, layer, work, dh):
        pass

    def staged(stage, layer, work, dh):
        outs = layer.row - layer.h
        for k in range(0, outs, lanes(work)):
            masked = load(work, dh + k, outs, ROWS, 1) * load(work, stage.mask + k, outs, ROWS, 1)
            store(work, dh + k, outs, masked)

    return nothing if stage.instance_class is Plain else staged


@overload(add_stage_gradient, jit_options=PART)
def _add_stage_gradient(stage, layer, start, stop, work, partial):
    def nothing(stage, layer, start, stop, work, partial):
        pass

    def staged(stage, layer, start, stop, work, partial):
        if stage.projected:
            add_weight_gradient(
                zeros(work, ROWS, 1), ONE_GATE, layer.row - layer.h, work, stage.h, layer.units,
                layer.hidden, stage.dy, start, stop, partial, stage.partial
            )  # fmt: skip

    return nothing if stage.instance_class is Plain else staged
