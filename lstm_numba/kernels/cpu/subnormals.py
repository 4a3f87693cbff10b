"""Flush subnormal numbers to zero inside a kernel.

Gradients that vanish over a long sequence are full of numbers below the smallest normal one, and
each costs a processor about a hundred cycles. The mode belongs to the thread, so a kernel sets it
when it begins and puts the old one back before it returns.
"""

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_MACHINE = platform.machine().lower()
_IS_X86 = _MACHINE in ("x86_64", "amd64")
_IS_ARM = _MACHINE in ("arm64", "aarch64")

# x86 MXCSR: flush to zero, denormals are zero. ARM FPCR: flush to zero.
_FLUSH = 0x8040 if _IS_X86 else 1 << 24

_POINTER = ir.IntType(8).as_pointer()


def _x86(builder, name, place):
    function = ir.FunctionType(ir.VoidType(), [_POINTER])
    builder.call(
        cgutils.get_or_insert_function(builder.module, function, f"llvm.x86.sse.{name}"),
        [builder.bitcast(place, _POINTER)],
    )


def _read_mode(builder):
    if _IS_X86:
        place = cgutils.alloca_once(builder, ir.IntType(32))
        _x86(builder, "stmxcsr", place)
        return builder.zext(builder.load(place), ir.IntType(64))
    if _IS_ARM:
        function = ir.FunctionType(ir.IntType(64), [])
        return builder.call(
            cgutils.get_or_insert_function(builder.module, function, "llvm.aarch64.get.fpcr"),
            [],
        )
    return ir.IntType(64)(0)


def _write_mode(builder, mode):
    if _IS_X86:
        place = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(mode, ir.IntType(32)), place)
        _x86(builder, "ldmxcsr", place)
    elif _IS_ARM:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(
            cgutils.get_or_insert_function(builder.module, function, "llvm.aarch64.set.fpcr"),
            [mode],
        )


@intrinsic
def flush_subnormals(typing_context):
    """Begin to flush; return the mode before."""

    def codegen(context, builder, signature, args):
        before = _read_mode(builder)
        _write_mode(builder, builder.or_(before, ir.IntType(64)(_FLUSH)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_subnormals(typing_context, before):
    """Put the mode back."""

    def codegen(context, builder, signature, args):
        _write_mode(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
