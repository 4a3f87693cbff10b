"""What goes through time together: a block on the vector units, a group on the matrix unit.

The type of the ``unit``, ``NoUnit`` or ``MatrixUnit`` (see ``matrix_unit.py``), chooses.
"""

from numba.extending import overload

from ..parts import PART, subkernel
from ..tile import ROWS
from .amx import configure, release
from .block import block_head, gather, layers_backward, reset_states
from .group import group_backward, group_forward
from .matrix_unit import GROUP, NoUnit
from .plan import layer_at
from .recurrent import layer_forward


def begin_passes(unit):
    """Let the calling thread use the unit."""


def end_passes(unit):
    """Give the unit back."""


def blocks_together(unit):
    """Return how many blocks make a pass."""


def start_of_block(unit, b):
    """Return where the part of ``work`` begins that belongs to a block."""


def forward_layers(unit, plan, blocks, seq_len, packed, work, keep_tape):
    """Run all layers over the first ``blocks`` blocks."""


def backward_pass(unit, plan, blocks, packed, work, partial):
    """Add the gradients of all layers to ``partial``, from the tape and what the head has left."""


@overload(begin_passes, jit_options=PART)
def _begin_passes(unit):
    def nothing(unit):
        pass

    def on_unit(unit):
        configure()

    return nothing if unit.instance_class is NoUnit else on_unit


@overload(end_passes, jit_options=PART)
def _end_passes(unit):
    def nothing(unit):
        pass

    def on_unit(unit):
        release()

    return nothing if unit.instance_class is NoUnit else on_unit


@overload(blocks_together, jit_options=PART)
def _blocks_together(unit):
    together = 1 if unit.instance_class is NoUnit else GROUP
    return lambda unit: together


@overload(start_of_block, jit_options=PART)
def _start_of_block(unit, b):
    def of_one(unit, b):
        return 0

    def of_group(unit, b):
        return b * unit.block

    return of_one if unit.instance_class is NoUnit else of_group


@overload(forward_layers, jit_options=PART)
def _forward_layers(unit, plan, blocks, seq_len, packed, work, keep_tape):
    def block(unit, plan, blocks, seq_len, packed, work, keep_tape):
        for k in range(len(plan.layers)):
            layer_forward(plan.cell, layer_at(plan, k), 0, seq_len, packed, work, keep_tape)

    def group(unit, plan, blocks, seq_len, packed, work, keep_tape):
        for k in range(len(plan.layers)):
            group_forward(unit, k, blocks, seq_len, packed, work, keep_tape)

    return block if unit.instance_class is NoUnit else group


@overload(backward_pass, jit_options=PART)
def _backward_pass(unit, plan, blocks, packed, work, partial):
    def block(unit, plan, blocks, packed, work, partial):
        layers_backward(plan, plan.seq_len, False, packed, work, partial)

    def group(unit, plan, blocks, packed, work, partial):
        top = len(plan.layers) - 1
        for k in range(top, -1, -1):
            group_backward(plan, k, blocks, packed, work, partial, k < top)

    return block if unit.instance_class is NoUnit else group


@subkernel
def forward_pass(plan, params, packed, windows, first, valid, work, keep_tape):
    """Forecast windows ``first`` to ``first + valid`` - 1, at most a pass; see ``block_head``."""
    blocks = -(-valid // ROWS)
    for b in range(blocks):
        own = work[start_of_block(plan.unit, b) :]
        reset_states(plan, own)
        gather(plan, windows, first + b * ROWS, min(ROWS, valid - b * ROWS), own)
    forward_layers(plan.unit, plan, blocks, plan.seq_len, packed, work, keep_tape)
    for b in range(blocks):
        own = work[start_of_block(plan.unit, b) :]
        block_head(plan, params, windows, first + b * ROWS, min(ROWS, valid - b * ROWS), own)
