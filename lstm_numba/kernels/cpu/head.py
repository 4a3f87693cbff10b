"""The direct multi-step head on a block of ROWS rows.

    out[d, k] = head[d, k] [1, h] + sum over t of skip[k, t] x[t, d] + future[d] v[k]

h is the top layer's state after the newest step, x[t, d] the window's own history of target d, v[k]
the covariates known in advance for step k. Weights of the skip are shared by the targets.
"""

from ..jit import subkernel
from ..losses import pointwise_loss
from ..tile import ROWS, lanes, load, store, zeros
from .plan import layer_at
from .products import add_product


@subkernel
def _last_state(plan, top):
    """Place of [1, h] after the newest step, in the top layer's tape."""
    return top.tape + plan.seq_len * ROWS * top.row + top.h - 1


@subkernel
def head_forward(plan, params, windows, first, valid, work):
    """Write (ROWS, targets, steps) to ``plan.out``; lanes beyond the horizon hold no meaning."""
    width = lanes(work)
    bottom, top = layer_at(plan, 0), layer_at(plan, len(plan.layers) - 1)
    state, outputs, row = (
        _last_state(plan, top),
        plan.horizon * plan.targets,
        plan.targets * plan.steps,
    )
    for d in range(plan.targets):
        history = bottom.tape + bottom.first_x + d
        for k in range(0, plan.steps, width):
            acc = zeros(work, ROWS, 1)
            w = plan.head + d * plan.horizon + k
            acc = add_product(acc, work, state, top.row, 1, 1 + plan.hidden, params, w, outputs)
            if plan.skip:
                w = plan.skip_params + k
                step = ROWS * bottom.row
                acc = add_product(
                    acc,
                    work,
                    history,
                    bottom.row,
                    step,
                    plan.seq_len,
                    params,
                    w,
                    plan.horizon,
                )
            store(work, plan.out + d * plan.steps + k, row, acc)

    if plan.future > 0:
        for r in range(valid):
            start = windows.target_starts[first + r]
            for d in range(plan.targets):
                out = plan.out + r * row + d * plan.steps
                for k in range(plan.horizon):
                    for column in range(plan.future):
                        v = windows.inputs[start + k, plan.features - plan.future + column]
                        work[out + k] += params[plan.future_params + d * plan.future + column] * v


@subkernel
def head_loss(plan, windows, first, valid, kind, delta, weight, work):
    """Return the block's sum of losses; put ``weight`` times their derivatives in place of out."""
    total = 0.0
    delta, weight = work.dtype.type(delta), work.dtype.type(weight)
    for r in range(ROWS):
        for d in range(plan.targets):
            out = plan.out + (r * plan.targets + d) * plan.steps
            if r >= valid:
                work[out : out + plan.steps] = 0
                continue
            start = windows.target_starts[first + r]
            shift = work[plan.shift + r * plan.targets + d]
            scale = work[plan.scale + r * plan.targets + d]
            for k in range(plan.horizon):
                target = (windows.targets[start + k, d] - shift) / scale
                loss, derivative = pointwise_loss(kind, delta, work[out + k] - target)
                total += loss
                work[out + k] = weight * derivative
            work[out + plan.horizon : out + plan.steps] = 0
    return total


@subkernel
def head_backward(plan, packed, windows, first, valid, work, partial):
    """Add the head's weight gradients to ``partial``; write dh of the final state."""
    width = lanes(work)
    bottom, top = layer_at(plan, 0), layer_at(plan, len(plan.layers) - 1)
    state, row = _last_state(plan, top), plan.targets * plan.steps

    for m in range(0, 1 + plan.hidden, ROWS):
        for n in range(0, row, width):
            place = plan.partial_head + m * row + n
            acc = load(partial, place, row, ROWS, 1)
            acc = add_product(acc, work, state + m, 1, top.row, ROWS, work, plan.out + n, row)
            store(partial, place, row, acc)

    if plan.skip:
        for t in range(0, plan.seq_len, ROWS):
            history = bottom.tape + t * ROWS * bottom.row + bottom.first_x
            for k in range(0, plan.steps, width):
                place = plan.partial_skip + t * plan.steps + k
                acc = load(partial, place, plan.steps, ROWS, 1)
                for d in range(plan.targets):
                    a, dout = history + d, plan.out + d * plan.steps + k
                    acc = add_product(
                        acc,
                        work,
                        a,
                        ROWS * bottom.row,
                        bottom.row,
                        ROWS,
                        work,
                        dout,
                        row,
                    )
                store(partial, place, plan.steps, acc)

    for r in range(valid if plan.future > 0 else 0):
        start = windows.target_starts[first + r]
        for d in range(plan.targets):
            dout = plan.out + r * row + d * plan.steps
            for k in range(plan.horizon):
                for column in range(plan.future):
                    v = windows.inputs[start + k, plan.features - plan.future + column]
                    partial[plan.partial_future + d * plan.future + column] += work[dout + k] * v

    outputs = plan.horizon * plan.targets
    for j in range(0, top.units, width):
        acc = zeros(work, ROWS, 1)
        for d in range(plan.targets):
            w = plan.head_back + j * outputs + d * plan.horizon * width
            dout = plan.out + d * plan.steps
            acc = add_product(acc, work, dout, row, 1, plan.horizon, packed, w, width)
        store(work, plan.dh + j, top.units, acc)
