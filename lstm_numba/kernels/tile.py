"""The register tile: a block of rows x lanes floats that the compiler keeps in vector registers.

Numba knows scalars and arrays. Between the two lies what a processor computes with: vectors of 4, 8
or 16 floats. A *tile* is a few of them, one row of the batch under the other, as one Numba value::

               lane 0   lane 1   ...
    row 0    [ unit j   unit j+1 ... ]        rows: sequences of the batch
    row 1    [ unit j   unit j+1 ... ]        lanes: neighbouring units of the layer
    ...

``+ - * /`` and the activations work on a tile as they work on a float, so ``cells.py`` writes each
equation once, for both. What scalars lack is the inner step of a matrix product, ``outer_add``::

    acc[r, :] += a[r] * w[:]

One vector of ``w`` serves all rows and one number of ``a`` serves all lanes, so a tile of R rows
and V vectors needs R + V reads for R * V multiply-adds. That ratio is the whole trick: reads are
slower than arithmetic, and a product written with tiles is bound by arithmetic.

``VECTOR_BYTES`` is the processor's (AVX-512: 64, AVX with FMA: 32, else 16); the environment
variable ``LSTM_NUMBA_VECTOR_BYTES`` overrides it. ``ROWS`` is 4 or 3: tiles of ROWS rows and four
vectors, one for each gate, stay in registers. In a product for weight gradients rows are inputs.

Tiles are read from and written to flat, C-ordered arrays at an index, without any check.
"""

import operator
import os
import platform

from llvmlite import binding, ir
from numba import config
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

from .parts import PART


def _vector_bytes():
    """Return the width of the processor's vector registers in bytes."""
    forced = os.environ.get("LSTM_NUMBA_VECTOR_BYTES")
    if forced:
        return int(forced)
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") and features.get("fma") else 16


VECTOR_BYTES = _vector_bytes()

# A tile of ROWS x 4 vectors, a broadcast for each row and one vector of weights must fit the
# register file: 32 registers with AVX-512 and on ARM, else 16. Six rows would fit 32 (24 + 6 + 1),
# and read a little less; but four divide the usual batch sizes, and leave no row to be computed for
# nothing.
_MANY_REGISTERS = VECTOR_BYTES == 64 or platform.machine().lower() in ("arm64", "aarch64")
ROWS = 4 if _MANY_REGISTERS else 3


# Of 1 / y, for ``quotient``. Numba can be told to compile for another processor than this one.
_HAS_ESTIMATE = (
    config.CPU_NAME is None
    and config.CPU_FEATURES is None
    and binding.get_host_cpu_features().get("avx512f", False)
)


class Tile(types.Type):
    """Numba type of ``rows`` x ``vectors`` machine vectors of ``scalar``.

    To LLVM a row of 1, 2, 4 ... vectors is one vector, a *piece* of ``lanes`` numbers; any other
    row is as many pieces as it has machine vectors, for LLVM keeps a vector of another length in
    single numbers from one turn of a loop to the next.
    """

    def __init__(self, scalar, rows, vectors):
        self.scalar, self.rows, self.vectors = scalar, rows, vectors
        self.pieces = 1 if vectors & (vectors - 1) == 0 else vectors
        self.lanes = vectors // self.pieces * lanes_of(scalar)
        super().__init__(name=f"Tile({scalar}, {rows}x{vectors})")


def lanes_of(scalar):
    """Return how many numbers of the Numba type ``scalar`` fit one vector register."""
    return VECTOR_BYTES * 8 // scalar.bitwidth


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        scalar = ir.FloatType() if tile.scalar is types.float32 else ir.DoubleType()
        pieces = ir.ArrayType(ir.VectorType(scalar, tile.lanes), tile.rows * tile.pieces)
        super().__init__(manager, tile, pieces)


# building blocks


def _vector_type(context, tile):
    return context.get_value_type(tile).element


def _splat(builder, vector_type, scalar):
    """Return the vector whose lanes all hold ``scalar``."""
    undefined, index = ir.Constant(vector_type, ir.Undefined), ir.IntType(32)
    single = builder.insert_element(undefined, scalar, index(0))
    zeros = ir.Constant(ir.VectorType(index, vector_type.count), [0] * vector_type.count)
    return builder.shuffle_vector(single, undefined, zeros)


def _by_piece(context, builder, tile, emit, *tiles):
    """Return the tile whose piece k, row by row, is ``emit(k, pieces k of the tiles)``."""
    out = ir.Constant(context.get_value_type(tile), ir.Undefined)
    for k in range(tile.rows * tile.pieces):
        out = builder.insert_value(out, emit(k, *(builder.extract_value(t, k) for t in tiles)), k)
    return out


def _declare(builder, name, value_type, n_args):
    """Return LLVM's function ``name`` on ``value_type``, e.g. llvm.fma.v16f32."""
    lanes, scalar = "", value_type
    if isinstance(value_type, ir.VectorType):
        lanes, scalar = f"v{value_type.count}", value_type.element
    bits = 32 if isinstance(scalar, ir.FloatType) else 64
    signature = ir.FunctionType(value_type, [value_type] * n_args)
    return cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.{lanes}f{bits}")


def _address(context, builder, array_type, array, index, pointee):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), pointee.as_pointer())


def _index(builder, tile, start, stride, k):
    """Return where piece ``k`` of a tile begins, whose row r begins at ``start + r stride``."""
    row, piece = divmod(k, tile.pieces)
    start = builder.add(start, builder.mul(stride, stride.type(row)))
    return builder.add(start, start.type(piece * tile.lanes)) if piece else start


# arithmetic, on tiles and on scalars alike


def elementwise(emit, n_args):
    """Return an intrinsic on floats or tiles; ``emit(builder, *values)`` writes one of the
    floats, or one piece of a row.

    A float beside a tile takes the tile's precision and serves all of its elements, so a literal
    never decides the precision of a tile.
    """

    def codegen_for(kind):
        def codegen(context, builder, signature, args):
            given = zip(args, signature.args, strict=True)
            if not isinstance(kind, Tile):
                return emit(builder, *(context.cast(builder, a, t, kind) for a, t in given))
            vector, n = _vector_type(context, kind), kind.rows * kind.pieces
            pieces = []
            for value, ty in given:
                if isinstance(ty, Tile):
                    pieces.append([builder.extract_value(value, k) for k in range(n)])
                else:
                    scalar = context.cast(builder, value, ty, kind.scalar)
                    pieces.append([_splat(builder, vector, scalar)] * n)
            return _by_piece(
                context, builder, kind, lambda k: emit(builder, *(piece[k] for piece in pieces))
            )

        return codegen

    def type_of(args):
        tiles = {a for a in args if isinstance(a, Tile)}
        if len(tiles) == 1:
            return tiles.pop()
        # Python's literals are float64: they follow whatever is computed with them.
        floats = [a for a in args if isinstance(a, types.Float)]
        return floats[0] if floats and not tiles else None

    if n_args == 1:

        @intrinsic
        def operation(typing_context, x):
            kind = type_of((x,))
            return kind and (kind(x), codegen_for(kind))

    elif n_args == 2:

        @intrinsic
        def operation(typing_context, x, y):
            kind = type_of((x, y))
            return kind and (kind(x, y), codegen_for(kind))

    else:

        @intrinsic
        def operation(typing_context, x, y, z):
            kind = type_of((x, y, z))
            return kind and (kind(x, y, z), codegen_for(kind))

    return operation


# Contraction to fused multiply-adds is the only liberty: reassociation would undo exact
# cancellations.
_FLAGS = ("contract",)


def _bind(python_operator, instruction):
    operation = elementwise(lambda b, x, y: getattr(b, instruction)(x, y, flags=_FLAGS), 2)

    @overload(python_operator, jit_options=PART)
    def on_tiles(x, y):
        if isinstance(x, Tile) or isinstance(y, Tile):
            return lambda x, y: operation(x, y)


for _operator, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _bind(_operator, _instruction)


_negative = elementwise(lambda b, x: b.fneg(x), 1)


@overload(operator.neg, jit_options=PART)
def _negative_of_tile(x):
    if isinstance(x, Tile):
        return lambda x: _negative(x)


fma = elementwise(lambda b, x, y, z: b.call(_declare(b, "fma", x.type, 3), [x, y, z]), 3)

absolute = elementwise(lambda b, x: b.call(_declare(b, "fabs", x.type, 1), [x]), 1)
with_sign_of = elementwise(lambda b, x, y: b.call(_declare(b, "copysign", x.type, 2), [x, y]), 2)

# ``bound < x ? bound : x`` keeps a NaN in x, and is one instruction.
at_most = elementwise(lambda b, x, bound: b.select(b.fcmp_ordered("<", bound, x), bound, x), 2)
at_least = elementwise(lambda b, x, bound: b.select(b.fcmp_ordered(">", bound, x), bound, x), 2)


def _quotient(builder, x, y):
    if not _HAS_ESTIMATE or x.type != ir.VectorType(ir.FloatType(), 16):
        return builder.fdiv(x, y)
    kinds = [y.type, y.type, ir.IntType(16)]
    signature, name = ir.FunctionType(y.type, kinds), "llvm.x86.avx512.rcp14.ps.512"
    estimate = cgutils.get_or_insert_function(builder.module, signature, name)
    all_lanes = ir.IntType(16)(-1)
    reciprocal = builder.call(estimate, [y, ir.Constant(y.type, ir.Undefined), all_lanes])
    guess, multiply_add = builder.fmul(x, reciprocal), _declare(builder, "fma", x.type, 3)
    rest = builder.call(multiply_add, [builder.fneg(guess), y, x])
    return builder.call(multiply_add, [rest, reciprocal, guess])


quotient = elementwise(_quotient, 2)
quotient.__doc__ = """x / y within one unit in the last place, where y and 1 / y are normal.

Only tiles of one vector of float32 on AVX-512 need that unit: all others are divided, as by ``/``.
AVX-512 divides sixteen floats in the time of twenty other instructions, and has an estimate of the
reciprocal to 14 bits: one step of Newton's method, by the remainder of the quotient, takes three.
"""

square_root = elementwise(lambda b, x: b.call(_declare(b, "sqrt", x.type, 1), [x]), 1)

# A NaN in x counts as not positive.
where_positive = elementwise(
    lambda b, x, y, z: b.select(b.fcmp_ordered(">", x, ir.Constant(x.type, None)), y, z), 3
)


def polynomial(single, double):
    """Return p(x) for floats and tiles: coefficients for float32 and float64, highest power first.

    Horner's rule with fused multiply-adds.
    """

    def emit(builder, x):
        is_vector = isinstance(x.type, ir.VectorType)
        scalar = x.type.element if is_vector else x.type
        multiply_add = _declare(builder, "fma", x.type, 3)

        def constant(c):
            return ir.Constant(x.type, [c] * x.type.count if is_vector else c)

        first, *others = single if isinstance(scalar, ir.FloatType) else double
        total = constant(first)
        for c in others:
            total = builder.call(multiply_add, [total, x, constant(c)])
        return total

    return elementwise(emit, 1)


def _emit_within(builder, x, bound):
    """1 where |x| <= bound, else 0."""
    size = builder.call(_declare(builder, "fabs", x.type, 1), [x])
    inside = builder.fcmp_ordered("<=", size, bound)
    is_vector = isinstance(x.type, ir.VectorType)

    def constant(value):
        return ir.Constant(x.type, [value] * x.type.count if is_vector else value)

    return builder.select(inside, constant(1.0), constant(0.0))


within = elementwise(_emit_within, 2)


def _emit_power_of_two(builder, x):
    """2**n from x = n + bias + 1.5 * 2**m, for m mantissa bits and the bias of their exponent.

    The low bits of such a number hold n + bias: moved up, they are the exponent of 2**n.
    """
    is_vector = isinstance(x.type, ir.VectorType)
    scalar = x.type.element if is_vector else x.type
    bits, mantissa = (32, 23) if isinstance(scalar, ir.FloatType) else (64, 52)
    integer, places = ir.IntType(bits), ir.IntType(bits)(mantissa)
    if is_vector:
        integer = ir.VectorType(integer, x.type.count)
        places = ir.Constant(integer, [mantissa] * x.type.count)
    return builder.bitcast(builder.shl(builder.bitcast(x, integer), places), x.type)


power_of_two = elementwise(_emit_power_of_two, 1)


# making, reading and writing tiles


def read_rows(context, builder, tile, array_type, array, start, stride):
    """Return the tile whose row r is read at ``start + r * stride``."""

    def one(k):
        index = _index(builder, tile, start, stride, k)
        vector_type = _vector_type(context, tile)
        vector = builder.load(_address(context, builder, array_type, array, index, vector_type))
        vector.align = tile.scalar.bitwidth // 8
        return vector

    return _by_piece(context, builder, tile, one)


@intrinsic
def lanes(typing_context, array):
    """Numbers of the array's dtype in one vector register."""
    count = lanes_of(array.dtype)
    return types.intp(array), lambda context, builder, signature, args: ir.IntType(64)(count)


@intrinsic(prefer_literal=True)
def zeros(typing_context, array, rows, vectors):
    """Tile of zeros in the array's dtype; ``rows`` and ``vectors`` are constants."""
    if not isinstance(rows, types.IntegerLiteral) or not isinstance(vectors, types.IntegerLiteral):
        return None
    tile = Tile(array.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(array, rows, vectors), codegen


@intrinsic(prefer_literal=True)
def load(typing_context, array, start, stride, rows, vectors):
    """Tile whose row r is read at ``start + r stride``; ``rows`` and ``vectors`` are constants."""
    if not isinstance(rows, types.IntegerLiteral) or not isinstance(vectors, types.IntegerLiteral):
        return None
    tile = Tile(array.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context, builder, signature, args):
        return read_rows(context, builder, tile, array, *args[:3])

    return tile(array, types.intp, types.intp, rows, vectors), codegen


@intrinsic
def load_like(typing_context, tile, array, start, stride):
    """Tile of the shape of ``tile`` whose row r is read at ``start + r * stride``."""

    def codegen(context, builder, signature, args):
        return read_rows(context, builder, tile, array, *args[1:])

    return tile(tile, array, types.intp, types.intp), codegen


@intrinsic
def load_first(typing_context, array, start, count):
    """Tile of one vector, whose first ``count`` numbers are read and whose others are 0."""
    tile = Tile(array.dtype, 1, 1)

    def codegen(context, builder, signature, args):
        vector = _vector_type(context, tile)
        place = _address(context, builder, array, *args[:2], vector)
        index, bit = (
            ir.VectorType(ir.IntType(64), tile.lanes),
            ir.VectorType(ir.IntType(1), tile.lanes),
        )
        lane = ir.Constant(index, list(range(tile.lanes)))
        mask = builder.icmp_signed("<", lane, _splat(builder, index, args[2]))
        kinds = [place.type, ir.IntType(32), bit, vector]
        name = f"llvm.masked.load.v{tile.lanes}f{tile.scalar.bitwidth}.p0"
        read = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, kinds), name)
        align = ir.IntType(32)(tile.scalar.bitwidth // 8)
        vector = builder.call(read, [place, align, mask, ir.Constant(vector, None)])
        return _by_piece(context, builder, tile, lambda k: vector)

    return tile(array, types.intp, types.intp), codegen


@intrinsic
def spread(typing_context, like, array, start):
    """Tile of the shape of ``like``, all numbers of whose row r are ``array[start + r]``."""

    def codegen(context, builder, signature, args):
        vector = _vector_type(context, like)

        def one(k):
            index = builder.add(args[2], args[2].type(k // like.pieces))
            place = _address(context, builder, array, args[1], index, vector.element)
            return _splat(builder, vector, builder.load(place))

        return _by_piece(context, builder, like, one)

    return like(like, array, types.intp), codegen


@intrinsic
def store(typing_context, array, start, stride, tile):
    """Write row r of the tile at ``start + r * stride``."""

    def codegen(context, builder, signature, args):
        for k in range(tile.rows * tile.pieces):
            index = _index(builder, tile, args[1], args[2], k)
            pointer = _address(context, builder, array, args[0], index, _vector_type(context, tile))
            instruction = builder.store(builder.extract_value(args[3], k), pointer)
            instruction.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), codegen


@intrinsic
def outer_add(typing_context, acc, a, start, stride, w, w_start):
    """acc[r, :] + a[start + r * stride] * w[w_start : w_start + length of a row of acc]"""

    def codegen(context, builder, signature, args):
        acc_, a_, start_, stride_, w_, w_start_ = args
        vector = _vector_type(context, acc)
        multiply_add = _declare(builder, "fma", vector, 3)
        numbers, pieces = [], []
        for r in range(acc.rows):
            index = builder.add(start_, builder.mul(stride_, stride_.type(r)))
            x = builder.load(_address(context, builder, a, a_, index, vector.element))
            numbers.append(_splat(builder, vector, x))
        for p in range(acc.pieces):
            index = builder.add(w_start_, w_start_.type(p * acc.lanes))
            pieces.append(builder.load(_address(context, builder, w, w_, index, vector)))
            pieces[-1].align = acc.scalar.bitwidth // 8

        def one(k, total):
            r, p = divmod(k, acc.pieces)
            return builder.call(multiply_add, [numbers[r], pieces[p], total])

        return _by_piece(context, builder, acc, one, acc_)

    return acc(acc, a, types.intp, types.intp, w, types.intp), codegen


def _split(parts):
    """Return an intrinsic that cuts a tile's vectors, from left to right, into equal parts."""

    @intrinsic
    def split(typing_context, tile):
        part = Tile(tile.scalar, tile.rows, tile.vectors // parts)

        def codegen(context, builder, signature, args):
            def one(k):
                if tile.pieces == parts:
                    pick = lambda r: builder.extract_value(args[0], r * parts + k)  # noqa: E731
                    return _by_piece(context, builder, part, pick)
                lanes = range(k * part.lanes, (k + 1) * part.lanes)
                mask = ir.Constant(ir.VectorType(ir.IntType(32), part.lanes), list(lanes))
                undefined = ir.Constant(_vector_type(context, tile), ir.Undefined)
                pick = lambda r, v: builder.shuffle_vector(v, undefined, mask)  # noqa: E731
                return _by_piece(context, builder, part, pick, args[0])

            tiles = [one(k) for k in range(parts)]
            return context.make_tuple(builder, signature.return_type, tiles)

        return types.UniTuple(part, parts)(tile), codegen

    return split


halves, thirds, quarters = _split(2), _split(3), _split(4)


@intrinsic
def side_by_side(typing_context, a, b, c):
    """One tile of three vectors a row, from three of one."""
    whole = Tile(a.scalar, a.rows, 3)
    if a.vectors != 1 or {b, c} != {a}:
        return None

    def codegen(context, builder, signature, args):
        def one(k):
            return builder.extract_value(args[k % 3], k // 3)

        return _by_piece(context, builder, whole, one)

    return whole(a, b, c), codegen
