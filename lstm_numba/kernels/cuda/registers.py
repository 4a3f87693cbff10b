"""What a thread does with its registers: products, four floats at once, reciprocals.

A loop over a local array would put it into memory. So the numbers are a tuple, and the product is
written out in full, by an intrinsic. The simulator has no intrinsics: there, and where numba-cuda
is missing, the same functions are written in Python.
"""

import functools

import numpy as np

from .device import is_complete

# Numba's own simulator knows neither shuffles nor aligned shared memory: plain kernels run there.
AVAILABLE = is_complete()

# Rows of the batch that meet a thread's weights at once.
SAMPLES = 4

if not is_complete():

    @functools.cache
    def weights_loader(n):
        """Return a function (array, start) -> n floats from there on, as a tuple."""
        return lambda array, start: tuple(array[start : start + n])

    @functools.cache
    def products(outputs, length, row):
        """Return a function (weights, array, start) -> outputs x SAMPLES sums, as a tuple.

        sums[output, sample] = sum over k of
            weights[output length + k] array[start + sample row + k]
        """

        def sums(weights, array, start):
            total = np.zeros((outputs, SAMPLES), array.dtype)
            for sample in range(SAMPLES):
                first = start + sample * row
                for k, number in enumerate(array[first : first + length]):
                    for output in range(outputs):
                        total[output, sample] += weights[output * length + k] * number
            return tuple(total.reshape(-1))

        return sums

    def load_four(array, at):
        """Return four floats from ``at`` on, a multiple of 4."""
        return tuple(array[at : at + 4])

    def store_four(array, at, a, b, c, d):
        """Write four floats from ``at`` on, a multiple of 4."""
        array[at : at + 4] = a, b, c, d

    def reciprocal(x):
        """1 / x; on a device, in float32, to one unit in the last place."""
        return type(x)(1) / x

    def add_outer(total, a, a_start, b, b_start):
        """Return total (4 x 4 floats, a tuple) + the outer product of four floats of a and of b."""
        rows, columns = a[a_start : a_start + 4], b[b_start : b_start + 4]
        return tuple(np.asarray(total) + np.outer(rows, columns).reshape(-1))

else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic

    _VECTOR = ir.VectorType(ir.FloatType(), 4)

    def _load_four(builder, base, offset):
        """Four floats from one aligned access of 16 bytes."""
        place = builder.gep(base, [ir.IntType(64)(offset)])
        vector = builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=16)
        return [builder.extract_element(vector, ir.IntType(32)(k)) for k in range(4)]

    def _store_four(builder, base, floats):
        vector = ir.Constant(_VECTOR, ir.Undefined)
        for k, number in enumerate(floats):
            vector = builder.insert_element(vector, number, ir.IntType(32)(k))
        builder.store(vector, builder.bitcast(base, _VECTOR.as_pointer()), align=16)

    def _base(context, builder, array_type, array, start):
        data = context.make_array(array_type)(context, builder, array).data
        return builder.gep(data, [start])

    @functools.cache
    def weights_loader(n):
        @intrinsic
        def load(typing_context, array, start):
            def codegen(context, builder, signature, args):
                base = _base(context, builder, array, *args)
                floats = [v for k in range(0, n, 4) for v in _load_four(builder, base, k)]
                return cgutils.pack_array(builder, floats)

            return types.UniTuple(types.float32, n)(array, types.int64), codegen

        return load

    @functools.cache
    def products(outputs, length, row):
        @intrinsic
        def sums(typing_context, weights, array, start):
            def codegen(context, builder, signature, args):
                w = cgutils.unpack_tuple(builder, args[0], outputs * length)
                base = _base(context, builder, array, *args[1:])
                total = [ir.FloatType()(0.0)] * (outputs * SAMPLES)
                for first in range(0, length, 4):
                    for sample in range(SAMPLES):
                        numbers = _load_four(builder, base, sample * row + first)
                        for at, output in enumerate(range(outputs)):
                            place = at * SAMPLES + sample
                            for k, number in enumerate(numbers, first):
                                factors = w[output * length + k], number
                                total[place] = builder.fma(*factors, total[place])
                return cgutils.pack_array(builder, total)

            result = types.UniTuple(types.float32, outputs * SAMPLES)
            return result(weights, array, types.int64), codegen

        return sums

    @intrinsic
    def load_four(typing_context, array, at):
        def codegen(context, builder, signature, args):
            base = _base(context, builder, array, *args)
            return cgutils.pack_array(builder, _load_four(builder, base, 0))

        return types.UniTuple(types.float32, 4)(array, types.int64), codegen

    @intrinsic
    def store_four(typing_context, array, at, a, b, c, d):
        def codegen(context, builder, signature, args):
            _store_four(builder, _base(context, builder, array, *args[:2]), args[2:])

        return types.void(array, types.int64, a, b, c, d), codegen

    @intrinsic
    def reciprocal(typing_context, x):
        def codegen(context, builder, signature, args):
            if x != types.float32:
                return builder.fdiv(args[0].type(1.0), args[0])
            kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
            rcp = ir.InlineAsm(kind, "rcp.approx.ftz.f32 $0, $1;", "=f,f")
            return builder.call(rcp, args)

        return x(x), codegen

    @intrinsic
    def add_outer(typing_context, total, a, a_start, b, b_start):
        def codegen(context, builder, signature, args):
            sums = cgutils.unpack_tuple(builder, args[0], 16)
            rows = _load_four(builder, _base(context, builder, a, *args[1:3]), 0)
            columns = _load_four(builder, _base(context, builder, b, *args[3:]), 0)
            pairs = ((row, column) for row in rows for column in columns)
            added = [builder.fma(*pair, s) for pair, s in zip(pairs, sums, strict=True)]
            return cgutils.pack_array(builder, added)

        return total(total, a, types.int64, b, types.int64), codegen
