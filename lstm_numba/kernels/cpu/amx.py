"""The matrix unit of Intel processors since 2023 (AMX): eight registers of 16 x 64 bytes.

Its one instruction used here multiplies a register of 16 rows x 64 signed bytes with one of 16
times four rows x 16 columns, and adds the product to 16 x 16 integers::

    c[m, n] += sum over p < 16, q < 4 of a[m, 4p + q] b[p, n, q]

in 16 cycles: 32 times what the vector units do with float32. ``six_products.py`` makes float32
products of it.

A thread calls ``configure`` before it uses any register, and ``release`` after; the operating
system lets a process use them if it asks (``available``).
"""

import ctypes
import functools
import os
import platform

from llvmlite import binding, ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..tile import VECTOR_BYTES

TILE_ROWS = 16
TILE_BYTES = 64

# arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) of Linux, a system call without a C function.
_SYS_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@functools.cache
def available():
    """Return whether the processor has the unit, and the system lets this process use it.

    The environment variable ``LSTM_NUMBA_MATRIX_UNIT=0`` says no.
    """
    if os.environ.get("LSTM_NUMBA_MATRIX_UNIT") == "0" or VECTOR_BYTES != TILE_BYTES:
        return False
    # Numba can be told to compile for another processor than this one.
    told = config.CPU_NAME is not None or config.CPU_FEATURES is not None
    if told or platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    features = binding.get_host_cpu_features()
    if not (features.get("amx-tile") and features.get("amx-int8")):
        return False
    system_call = ctypes.CDLL(None, use_errno=True).syscall
    return system_call(_SYS_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0


# emitters: each writes one instruction on registers given by number

_BYTE = ir.IntType(8)


def _call(builder, name, args):
    function = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
    callee = cgutils.get_or_insert_function(builder.module, function, f"llvm.x86.{name}")
    builder.call(callee, args)


def clear(builder, register):
    """Set a register to zero."""
    _call(builder, "tilezero", [_BYTE(register)])


def read(builder, register, place, distance):
    """Read 16 rows of 64 bytes from a pointer on, the next row ``distance`` bytes further."""
    _call(builder, "tileloadd64", [_BYTE(register), _bytes(builder, place), distance])


def write(builder, register, place, distance):
    """Write 16 rows of 64 bytes, as ``read`` reads them."""
    _call(builder, "tilestored64", [_BYTE(register), _bytes(builder, place), distance])


def multiply_add(builder, c, a, b):
    """c += a b"""
    _call(builder, "tdpbssd", [_BYTE(c), _BYTE(a), _BYTE(b)])


def _bytes(builder, place):
    return builder.bitcast(place, _BYTE.as_pointer())


# for kernels


@intrinsic
def configure(typing_context):
    """Make all registers 16 x 64 bytes, for the calling thread."""
    palette, columns, rows = [1] + 15 * [0], 8 * [TILE_BYTES, 0] + 16 * [0], 8 * [TILE_ROWS]
    setting = ir.Constant(ir.ArrayType(_BYTE, 64), bytearray(palette + columns + rows + 8 * [0]))

    def codegen(context, builder, signature, args):
        place = cgutils.alloca_once_value(builder, setting)
        _call(builder, "ldtilecfg", [_bytes(builder, place)])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def release(typing_context):
    """Give the registers back: the system need not keep them for the thread any longer."""

    def codegen(context, builder, signature, args):
        _call(builder, "tilerelease", [])
        return context.get_dummy_value()

    return types.void(), codegen
