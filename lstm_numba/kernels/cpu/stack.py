"""Where the stack of a kernel begins."""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..tile import VECTOR_BYTES


@intrinsic
def align_stack(typing_context):
    """Let the stack frame begin at a multiple of a vector's size.

    LLVM decides on the alignment of a frame before it knows which vectors do not fit the registers.
    Unless something else asks for it, these cross two cache lines.
    """

    def codegen(context, builder, signature, args):
        vector = ir.VectorType(ir.IntType(8), VECTOR_BYTES)
        place = cgutils.alloca_once(builder, vector)
        place.align = VECTOR_BYTES
        byte, size, flag = ir.IntType(8), ir.IntType(64), ir.IntType(1)
        # A volatile write keeps the place.
        fill = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), byte, size, flag])
        function = cgutils.get_or_insert_function(builder.module, fill, "llvm.memset.p0.i64")
        pointer = builder.bitcast(place, byte.as_pointer())
        builder.call(function, [pointer, byte(0), size(1), flag(1)])
        return context.get_dummy_value()

    return types.void(), codegen
