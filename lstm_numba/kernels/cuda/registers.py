"""What a thread does with its registers and with single floats of memory.

The simulator has no intrinsics: there, and where numba-cuda is missing, the same functions are
written in Python. An address is that of a float in device memory; it is counted in bytes, as
``address + 4`` is the next float's. Numba's own indices take several instructions each.
"""

from .device import is_complete
from .instructions import Machine

# Numba's own simulator knows neither shuffles nor aligned shared memory: plain kernels run there.
AVAILABLE = is_complete()

if not is_complete():

    class _Address:
        def __init__(self, array, at):
            self.array, self.at = array, at

        def __add__(self, number):
            return _Address(self.array, self.at + number // 4)

        def __sub__(self, number):
            return self + -number

    def address_of(array, at):
        """Return the address of ``array[at]``."""
        return _Address(array, at)

    def read(address):
        """Return the float there."""
        return address.array[address.at]

    def write(address, number):
        """Put a float there."""
        address.array[address.at] = number

    def read_four(address):
        """Return four floats from there on; their address is a multiple of 16."""
        return tuple(address.array[address.at : address.at + 4])

    def write_four(address, a, b, c, d):
        """Put four floats there; their address is a multiple of 16."""
        address.array[address.at : address.at + 4] = a, b, c, d

    def rounded(x):
        """Return x as tf32."""
        return Machine().tf32(x)

    def reciprocal(x):
        """1 / x; on a device, in float32, to one unit in the last place."""
        return type(x)(1) / x

else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic

    from .instructions import GLOBAL, load_four, place_in, store_four

    @intrinsic
    def address_of(typing_context, array, at):
        def codegen(context, builder, signature, args):
            place = place_in(context, builder, array, *args)
            return builder.ptrtoint(place, ir.IntType(64))

        return types.int64(array, types.int64), codegen

    @intrinsic
    def read(typing_context, address):
        def codegen(context, builder, signature, args):
            return builder.load(builder.inttoptr(args[0], GLOBAL), align=4)

        return types.float32(types.int64), codegen

    @intrinsic
    def write(typing_context, address, number):
        def codegen(context, builder, signature, args):
            builder.store(args[1], builder.inttoptr(args[0], GLOBAL), align=4)

        return types.void(types.int64, types.float32), codegen

    @intrinsic
    def read_four(typing_context, address):
        def codegen(context, builder, signature, args):
            floats = load_four(builder, builder.inttoptr(args[0], GLOBAL))
            return cgutils.pack_array(builder, floats)

        return types.UniTuple(types.float32, 4)(types.int64), codegen

    @intrinsic
    def write_four(typing_context, address, a, b, c, d):
        def codegen(context, builder, signature, args):
            store_four(builder, builder.inttoptr(args[0], GLOBAL), args[1:])

        return types.void(types.int64, *4 * [types.float32]), codegen

    @intrinsic
    def rounded(typing_context, x):
        def codegen(context, builder, signature, args):
            return Machine(builder).tf32(*args)

        return types.float32(types.float32), codegen

    @intrinsic
    def reciprocal(typing_context, x):
        def codegen(context, builder, signature, args):
            if x != types.float32:
                return builder.fdiv(args[0].type(1.0), args[0])
            kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
            rcp = ir.InlineAsm(kind, "rcp.approx.ftz.f32 $0, $1;", "=f,f")
            return builder.call(rcp, args)

        return x(x), codegen
