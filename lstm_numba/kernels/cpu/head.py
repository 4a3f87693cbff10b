"""The direct multi-step head on a block of ROWS rows.

    out[d, k] = head[d, k] [1, h] + sum over t of skip[k, t] x[t, d] + future[d] v[k]

h is the top layer's state after the newest step, x[t, d] the window's own history of target d, v[k]
the covariates known in advance for step k. Weights of the skip are shared by the targets.

A window is read after its last step, a segment of a stream after each: ``slot`` is the number of
steps seen, ``origin`` the row of the first step to forecast.
"""

from ..losses import pointwise_loss
from ..parts import subkernel
from ..tile import ROWS, lanes, load, store, zeros
from .plan import layer_at
from .products import add_product


@subkernel
def _state_after(top, slot):
    """Place of [1, h] after ``slot`` steps, in the top layer's tape."""
    return top.tape + slot * ROWS * top.row + top.h - 1


@subkernel
def head_forward(plan, params, slot, work):
    """Write (ROWS, targets, steps) to ``plan.out``, without the covariates; see ``add_known``.

    Lanes beyond the horizon hold no meaning.
    """
    width = lanes(work)
    bottom, top = layer_at(plan, 0), layer_at(plan, len(plan.layers) - 1)
    outputs, row = plan.horizon * plan.targets, plan.targets * plan.steps
    state = _state_after(top, slot)
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


@subkernel
def add_known(plan, params, inputs, origin, r, work):
    """Add the effect of the covariates known in advance to the forecast of row ``r``."""
    known = plan.features - plan.future
    for d in range(plan.targets):
        out, w = (
            plan.out + (r * plan.targets + d) * plan.steps,
            plan.future_params + d * plan.future,
        )
        for k in range(plan.horizon):
            for column in range(plan.future):
                work[out + k] += params[w + column] * inputs[origin + k, known + column]


@subkernel
def row_loss(plan, targets, origin, r, kind, delta, weight, total, work):
    """Return ``total`` plus the losses of row ``r``; out = ``weight`` times their derivatives."""
    delta, weight = work.dtype.type(delta), work.dtype.type(weight)
    for d in range(plan.targets):
        at = r * plan.targets + d
        out, shift, scale = plan.out + at * plan.steps, work[plan.shift + at], work[plan.scale + at]
        for k in range(plan.horizon):
            target = (targets[origin + k, d] - shift) / scale
            loss, derivative = pointwise_loss(kind, delta, work[out + k] - target)
            total += loss
            work[out + k] = weight * derivative
        work[out + plan.horizon : out + plan.steps] = 0
    return total


@subkernel
def no_loss(plan, r, work):
    """Row ``r`` is not scored: it has no gradient."""
    row = plan.targets * plan.steps
    work[plan.out + r * row : plan.out + (r + 1) * row] = 0


@subkernel
def write_row(plan, r, work, out, place):
    """out[place] = the forecast of row ``r``, its shift and scale undone."""
    for d in range(plan.targets):
        at = r * plan.targets + d
        shift, scale = work[plan.shift + at], work[plan.scale + at]
        for k in range(plan.horizon):
            out[place, k, d] = work[plan.out + at * plan.steps + k] * scale + shift


@subkernel
def head_backward(plan, packed, slot, dh, work, partial):
    """Add the head's weight gradients to ``partial``; write dh of the state to the place ``dh``."""
    width = lanes(work)
    bottom, top = layer_at(plan, 0), layer_at(plan, len(plan.layers) - 1)
    state, row = _state_after(top, slot), plan.targets * plan.steps

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

    outputs = plan.horizon * plan.targets
    for j in range(0, top.units, width):
        acc = zeros(work, ROWS, 1)
        for d in range(plan.targets):
            w = plan.head_back + j * outputs + d * plan.horizon * width
            dout = plan.out + d * plan.steps
            acc = add_product(acc, work, dout, row, 1, plan.horizon, packed, w, width)
        store(work, dh + j, top.units, acc)


@subkernel
def known_backward(plan, inputs, origin, r, work, partial):
    """Add the gradient of the covariates' weights for row ``r`` to ``partial``."""
    known = plan.features - plan.future
    for d in range(plan.targets):
        dout = plan.out + (r * plan.targets + d) * plan.steps
        dw = plan.partial_future + d * plan.future
        for k in range(plan.horizon):
            for column in range(plan.future):
                partial[dw + column] += work[dout + k] * inputs[origin + k, known + column]
