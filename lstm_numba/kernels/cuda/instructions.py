"""Machine instructions by name, for functions that are written out in them.

Such a function is given a ``Machine`` and says what it does, number by number. On a device the
machine emits instructions: no loops, and all numbers in registers. The simulator knows no
instructions, so there the machine carries them out in Python: one text for both.
"""

import numpy as np
from numba import cuda

from .device import is_complete

_WHOLE_WARP = 0xFFFFFFFF
# The bits of a float that tf32 has, and half a unit of its last place.
_TF32, _HALF = 0xFFFFE000, 0x1000

if not is_complete():

    def multiply_tiles(a, b, c):
        """Return what ``Machine.mma`` does; the tests have it done by a simulated warp."""
        raise NotImplementedError("Numba's simulator has no tensor cores.")

    class Machine:
        """Carries out what it is told, for one thread."""

        zero = np.float32(0)

        def load(self, place, offset):
            """Return the float at ``offset``."""
            array, start = place
            return array[start + offset]

        def load_four(self, place, offset):
            """Return four floats from ``offset`` on, a multiple of 4."""
            array, start = place
            return list(array[start + offset : start + offset + 4])

        def load_four_again(self, place, offset):
            """Return what ``load_four`` does, at each call anew; of device memory."""
            return self.load_four(place, offset)

        def store(self, place, offset, *floats):
            """Put one float at ``offset``, or four, if that is a multiple of 4."""
            array, start = place
            for k, number in enumerate(floats, start + offset):
                array[k] = number

        def write(self, address, row, column, stride, rows, columns, number):
            """Put a float ``row`` floats and ``column`` strides behind an address, if within."""
            if row < rows and column < columns:
                place = address + (4 * row + column * stride)
                place.array[place.at] = number

        def add(self, a, b):
            return a + b

        def subtract(self, a, b):
            return a - b

        def fma(self, a, b, c):
            """Return a b + c."""
            return a * b + c

        def choose(self, number, bit, a, b):
            """Return a, or b where an integer has not this bit."""
            return a if number & bit else b

        def from_lane(self, number, distance):
            """Return the number of the lane whose own differs in the bit ``distance``."""
            return cuda.shfl_xor_sync(_WHOLE_WARP, number, distance)

        def tf32(self, x):
            """Return x with 10 bits of mantissa: the nearest."""
            if not x or x != x:  # most are 0, and NaN is not rounded
                return x
            return np.uint32(x.view(np.uint32) + _HALF & _TF32).view(np.float32)

        def tf32_again(self, x):
            """Return what ``tf32`` does, at each call anew; NaN may become a number."""
            bits = int(np.float32(x).view(np.uint32)) + _HALF & _TF32
            return np.uint32(bits).view(np.float32)

        def mma(self, a, b, c):
            """Return a b + c of 16 x 8, 8 x 8 and 16 x 8 numbers; of a and b only tf32 counts.

            The instruction mma.sync.m16n8k8 of a warp together. With row = lane // 4 and
            pair = lane % 4, a thread has of

                a       (row, pair) (row + 8, pair) (row, pair + 4) (row + 8, pair + 4)
                b       (pair, row) (pair + 4, row)
                c       (row, 2 pair) (row, 2 pair + 1) (row + 8, 2 pair) (row + 8, 2 pair + 1)
            """
            return list(multiply_tiles(a, b, c))

    _MACHINE = Machine()

    def loads(results):
        """Turn function(machine, place) -> list of ``results`` floats into one of kernels.

        A kernel calls it with (array, start) and gets a tuple; ``place`` is ``start`` in ``array``.
        """

        def decorate(function):
            return lambda array, start: tuple(function(_MACHINE, (array, start)))

        return decorate

    def stores(function):
        """Turn function(machine, place, numbers) into one of kernels: (array, start, numbers)."""
        return lambda array, start, numbers: function(_MACHINE, (array, start), list(numbers))

    def adds(function):
        """Turn function(machine, place, thread, weights, more, sums) -> sums into one of kernels.

        A kernel calls it with (array, start, thread, weights, packed, sums); tuples are lists
        there, and ``more`` is the place in ``packed`` where this thread's weights begin.
        """

        def call(array, start, thread, weights, packed, sums):
            place, more = (array, start), (packed, 4 * thread)
            return tuple(function(_MACHINE, place, thread, list(weights), more, list(sums)))

        return call

    def multiplies(function):
        """Turn function(machine, a, b, sums) -> sums into one of kernels.

        A kernel calls it with (array, a, b, sums): two starts, and a tuple that is a list there.
        """

        def call(array, a, b, sums):
            return tuple(function(_MACHINE, (array, a), (array, b), list(sums)))

        return call

    def writes(function):
        """Turn function(machine, address, stride, rows, columns, numbers) into one of kernels.

        A kernel gives four integers and a tuple, which is a list there; nothing is returned.
        """

        def call(address, stride, rows, columns, numbers):
            function(_MACHINE, address, stride, rows, columns, list(numbers))

        return call

else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic

    _FLOAT, _BITS = ir.FloatType(), ir.IntType(32)
    _VECTOR = ir.VectorType(_FLOAT, 4)
    # Device memory; the address of a float there is the same as among all addresses.
    GLOBAL = ir.PointerType(_FLOAT, addrspace=1)
    _MMA = (
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
    )

    def place_in(context, builder, array_type, array, start):
        """Return the address of one float of an array."""
        data = context.make_array(array_type)(context, builder, array).data
        return builder.gep(data, [start])

    def _as_vector(builder, place):
        return builder.bitcast(place, ir.PointerType(_VECTOR, place.type.addrspace))

    def load_four(builder, place):
        """Return four floats from one aligned access of 16 bytes."""
        vector = builder.load(_as_vector(builder, place), align=16)
        return [builder.extract_element(vector, _BITS(k)) for k in range(4)]

    def store_four(builder, place, floats):
        """Write four floats in one aligned access of 16 bytes."""
        vector = ir.Constant(_VECTOR, ir.Undefined)
        for k, number in enumerate(floats):
            vector = builder.insert_element(vector, number, _BITS(k))
        builder.store(vector, _as_vector(builder, place), align=16)

    class Machine:
        """Emits what it is told."""

        zero = _FLOAT(0.0)

        def __init__(self, builder):
            self._builder = builder

        def _assemble(self, text, constraints, result, *args, stays=False, warp=False):
            kind = ir.FunctionType(result, [arg.type for arg in args])
            code = ir.InlineAsm(kind, text, constraints, side_effect=stays or warp)
            # What a warp does together must not move to where some of its threads do not come.
            attributes = ("convergent",) if warp else ()
            return self._builder.call(code, args, attrs=attributes)

        def _at(self, place, offset):
            return self._builder.gep(place, [ir.IntType(64)(offset)])

        def load(self, place, offset):
            return self._builder.load(self._at(place, offset), align=4)

        def load_four(self, place, offset):
            return load_four(self._builder, self._at(place, offset))

        def load_four_again(self, place, offset):
            four = ir.LiteralStructType(4 * [_FLOAT])
            text = f"ld.global.v4.f32 {{$0,$1,$2,$3}}, [$4+{4 * offset}];"
            address = self._builder.ptrtoint(place, ir.IntType(64))
            found = self._assemble(text, "=f,=f,=f,=f,l", four, address, stays=True)
            return [self._builder.extract_value(found, k) for k in range(4)]

        def store(self, place, offset, *floats):
            if len(floats) == 4:
                store_four(self._builder, self._at(place, offset), floats)
            else:
                self._builder.store(*floats, self._at(place, offset))

        def write(self, address, row, column, stride, rows, columns, number):
            builder, whole = self._builder, address.type
            within = builder.and_(
                builder.icmp_signed("<", whole(row), rows),
                builder.icmp_signed("<", whole(column), columns),
            )
            with builder.if_then(within):
                further = builder.add(whole(4 * row), builder.mul(whole(column), stride))
                place = builder.inttoptr(builder.add(address, further), GLOBAL)
                builder.store(number, place, align=4)

        def add(self, a, b):
            return self._builder.fadd(a, b)

        def subtract(self, a, b):
            return self._builder.fsub(a, b)

        def fma(self, a, b, c):
            return self._builder.fma(a, b, c)

        def choose(self, number, bit, a, b):
            masked = self._builder.and_(number, number.type(bit))
            return self._builder.select(
                self._builder.icmp_unsigned("!=", masked, number.type(0)), a, b
            )

        def from_lane(self, number, distance):
            text = f"shfl.sync.bfly.b32 $0, $1, {distance}, 31, -1;"
            return self._assemble(text, "=f,f", _FLOAT, number, warp=True)

        def tf32(self, x):
            bits = self._assemble("cvt.rna.tf32.f32 $0, $1;", "=r,f", _BITS, x)
            return self._builder.bitcast(bits, _FLOAT)

        def tf32_again(self, x):
            text = f"{{.reg .b32 t; add.u32 t, $1, {_HALF}; and.b32 $0, t, {_TF32};}}"
            bits = self._builder.bitcast(x, _BITS)
            bits = self._assemble(text, "=r,r", _BITS, bits, stays=True)
            return self._builder.bitcast(bits, _FLOAT)

        def mma(self, a, b, c):
            factors = [self._builder.bitcast(x, _BITS) for x in (*a, *b)]
            four = ir.LiteralStructType(4 * [_FLOAT])
            names = ",".join(4 * ["=f"] + 6 * ["r"] + 4 * ["f"])
            found = self._assemble(_MMA, names, four, *factors, *c, warp=True)
            return [self._builder.extract_value(found, k) for k in range(4)]

    def loads(results):
        def decorate(function):
            @intrinsic
            def call(typing_context, array, start):
                def codegen(context, builder, signature, args):
                    place = place_in(context, builder, array, *args)
                    return cgutils.pack_array(builder, function(Machine(builder), place))

                return types.UniTuple(types.float32, results)(array, types.int64), codegen

            return call

        return decorate

    def stores(function):
        @intrinsic
        def call(typing_context, array, start, numbers):
            def codegen(context, builder, signature, args):
                place = place_in(context, builder, array, *args[:2])
                function(Machine(builder), place, cgutils.unpack_tuple(builder, args[2]))

            return types.void(array, types.int64, numbers), codegen

        return call

    def adds(function):
        @intrinsic
        def call(typing_context, array, start, thread, weights, packed, sums):
            def codegen(context, builder, signature, args):
                place = place_in(context, builder, array, *args[:2])
                w, s = (cgutils.unpack_tuple(builder, args[k]) for k in (3, 5))
                begin = builder.mul(args[2], args[2].type(4))
                more = place_in(context, builder, packed, args[4], begin)
                found = function(Machine(builder), place, args[2], w, more, s)
                return cgutils.pack_array(builder, found)

            return sums(array, types.int64, types.int64, weights, packed, sums), codegen

        return call

    def multiplies(function):
        @intrinsic
        def call(typing_context, array, a, b, sums):
            def codegen(context, builder, signature, args):
                a, b = (place_in(context, builder, array, args[0], at) for at in args[1:3])
                s = cgutils.unpack_tuple(builder, args[3])
                return cgutils.pack_array(builder, function(Machine(builder), a, b, s))

            return sums(array, types.int64, types.int64, sums), codegen

        return call

    def writes(function):
        @intrinsic
        def call(typing_context, address, stride, rows, columns, numbers):
            def codegen(context, builder, signature, args):
                floats = cgutils.unpack_tuple(builder, args[4])
                function(Machine(builder), *args[:4], floats)

            return types.void(*4 * [types.int64], numbers), codegen

        return call
