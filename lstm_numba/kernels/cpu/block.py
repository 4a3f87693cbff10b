"""One block of ROWS windows through the whole network: gather, layers, head; and back."""

from ..parts import subkernel
from ..tile import ROWS
from .head import (
    add_known,
    head_backward,
    head_forward,
    known_backward,
    no_loss,
    row_loss,
    write_row,
)
from .plan import layer_at
from .recurrent import layer_backward


@subkernel
def gather(plan, windows, first, valid, work):
    """Copy windows from the series into the tape, each target's history shifted and scaled."""
    layer = layer_at(plan, 0)
    for r in range(ROWS):
        # Rows beyond the batch repeat its last one: finite numbers, whose results are not used.
        start = windows.starts[first + min(r, valid - 1)]
        for t in range(plan.seq_len):
            x = layer.tape + (t * ROWS + r) * layer.row + layer.first_x
            for k in range(plan.features):
                work[x + k] = windows.inputs[start + t, k]

        for d in range(plan.targets):
            at = r * plan.targets + d
            work[plan.shift + at] = 0
            work[plan.scale + at] = 1
            if plan.norm == 0:
                continue
            if plan.norm == 1:
                work[plan.shift + at] = windows.inputs[start + plan.seq_len - 1, d]
            else:
                level = 0.0
                for t in range(plan.seq_len):
                    level += windows.inputs[start + t, d]
                work[plan.shift + at] = level / plan.seq_len
                work[plan.scale + at] = work[plan.shift + at]
            for t in range(plan.seq_len):
                x = layer.tape + (t * ROWS + r) * layer.row + layer.first_x + d
                work[x] = (work[x] - work[plan.shift + at]) / work[plan.scale + at]


@subkernel
def reset_states(plan, work):
    """Zero the first h and c, and write the 1 of each row that the bias is multiplied with."""
    for k in range(len(plan.layers)):
        layer = layer_at(plan, k)
        work[layer.c : layer.c + ROWS * layer.units] = 0
        for r in range(ROWS):
            h = layer.tape + r * layer.row + layer.h
            work[h : h + layer.units] = 0
        for slot in range((plan.seq_len + 1) * ROWS):
            work[layer.tape + slot * layer.row + layer.h - 1] = 1


@subkernel
def block_head(plan, params, windows, first, valid, work):
    """Forecast from the states after the newest step; see ``head_forward``."""
    head_forward(plan, params, plan.seq_len, work)
    for r in range(valid):
        add_known(plan, params, windows.inputs, windows.target_starts[first + r], r, work)


@subkernel
def write_forecast(plan, row, valid, work, out):
    """out[row :] = the block's forecasts, shift and scale of each window undone."""
    for r in range(valid):
        write_row(plan, r, work, out, row + r)


@subkernel
def block_loss(plan, windows, first, valid, step, weight, work):
    """Return the block's sum of losses; put ``weight`` times their derivatives in place of out."""
    total = 0.0
    for r in range(valid):
        origin = windows.target_starts[first + r]
        kind, delta = step.loss, step.huber_delta
        total = row_loss(plan, windows.targets, origin, r, kind, delta, weight, total, work)
    for r in range(valid, ROWS):
        no_loss(plan, r, work)
    return total


@subkernel
def layers_backward(plan, steps, dy_given, packed, work, partial):
    """Pull gradients back through all layers and ``steps`` steps.

    ``dy_given``: the gradient of the top layer's output at each step is in ``plan.dy``; else that
    of its last one is in ``plan.dh``, and the others are zero.
    """
    for k in range(len(plan.layers) - 1, -1, -1):
        layer, given = layer_at(plan, k), dy_given or k < len(plan.layers) - 1
        if given:
            work[plan.dh : plan.dh + ROWS * layer.units] = 0
        work[plan.dc : plan.dc + ROWS * layer.units] = 0
        layer_backward(
            plan.cell, layer, 0, steps, plan.steps_at_once, packed, work, partial,
            plan.dh, plan.dc, plan.dy, given, plan.dy
        )  # fmt: skip


@subkernel
def block_head_backward(plan, packed, windows, first, valid, work, partial):
    """Add the gradients of the head to ``partial``; put that of the newest state in ``plan.dh``."""
    head_backward(plan, packed, plan.seq_len, plan.dh, work, partial)
    for r in range(valid):
        known_backward(plan, windows.inputs, windows.target_starts[first + r], r, work, partial)
