"""How products of float32 are taken.

"ffma": by multiply-adds of float32. Tensor cores are faster, but look at 10 bits of mantissa only,
at tf32. "tf32" leaves it at that. "3xtf32" adds the products with what rounding has taken from one
of the factors, itself in tf32: 2^-22 of a product is missing. "plain": without intrinsics.
"""

from . import registers
from .device import has_tensor_cores
from .instructions import stores


def exact_products(dtype):
    """Return the kind of products that are as accurate as ``dtype``."""
    if dtype != "float32" or not registers.AVAILABLE:
        return "plain"
    return "3xtf32" if has_tensor_cores() else "ffma"


def products_of(network):
    """Return the kind of products of a network's layers."""
    exact = exact_products(network.dtype)
    return "tf32" if (exact, network.precision) == ("3xtf32", "tf32") else exact


def split(machine, kind, numbers):
    """Return what stands for numbers: themselves or, on tensor cores, them in tf32 and the rest."""
    if kind == "ffma":
        return [numbers]
    rounded = [machine.tf32(number) for number in numbers]
    if kind == "tf32":
        return [rounded]
    pairs = zip(numbers, rounded, strict=True)
    return [rounded, [machine.tf32(machine.subtract(*pair)) for pair in pairs]]


def split_again(machine, numbers):
    """Return what ``split`` does for "3xtf32", at each call anew: registers are soon free again."""
    rounded = [machine.tf32_again(number) for number in numbers]
    return [rounded, [machine.subtract(*pair) for pair in zip(numbers, rounded, strict=True)]]


def parts_of(kind):
    """Return the number of floats that stand for one."""
    return 2 if kind == "3xtf32" else 1


def keeper(kind, apart):
    """Return a device function (array, start, numbers) that puts one or four into shared memory.

    What stands for them is ``apart`` floats apart.
    """

    @stores
    def keep(machine, place, numbers):
        for part, some in enumerate(split(machine, kind, numbers)):
            machine.store(place, part * apart, *some)

    return keep


def add_products(machine, a, b, sums):
    """Return sums + a b of tiles that are given by what stands for their numbers."""
    if len(a) > 1:
        sums = add_lost(machine, a, b, sums)
    return machine.mma(a[0], b[0], sums)


def add_lost(machine, a, b, sums):
    """Return sums + what tf32 loses of a b."""
    return machine.mma(a[0], b[1], machine.mma(a[1], b[0], sums))
