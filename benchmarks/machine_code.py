"""How many machine instructions does one step of the recurrence take on an NVIDIA GPU?

Counted in the machine code of the kernels that keep recurrent weights in registers, and of the
product of two matrices, compiled for sm_90, which needs no GPU but the packages of
``lstm_numba[cuda]`` and ``nvidia-cuda-nvdisasm``. A multiprocessor has four schedulers, each starts
one instruction of a warp per cycle: instructions x warps / 4 is the least number of cycles that a
step takes for the rows of a block, when nothing ever waits. It is no measurement.
"""

import argparse
import collections
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import report

PRODUCTS = {"ffma": (16, 64, 80), "3xtf32": (16, 32, 64, 96, 128), "tf32": (16, 32, 64, 96, 128)}
# Clock of an H200 under load.
GIGAHERTZ = 1.98
_SCHEDULERS, _WARP = 4, 32


class _Hopper:
    compute_capability = 9, 0


def machine_code(kernel, signature):
    """Return PTX, cubin for sm_90 and the assembler's report of a kernel; needs no GPU."""
    import numba.cuda.dispatcher as dispatcher
    from cuda.core import Linker, LinkerOptions, ObjectCode
    from numba import cuda

    # Without it, kernels that call device functions ask the driver for the device.
    dispatcher.get_current_device = lambda: _Hopper
    chosen = kernel.targetoptions
    options = {name: chosen[name] for name in ("fastmath", "launch_bounds") if chosen.get(name)}
    ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=(9, 0), **options)
    options = LinkerOptions(arch="sm_90", verbose=True, ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    return ptx, linker.link("cubin").code, linker.get_info_log()


def instructions_of_loop(assembly):
    """Return how often each instruction occurs in the longest innermost loop of a disassembly."""
    operations, labels, loops = [], {}, []
    for line in assembly.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(operations)
        elif operation := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            operations.append(operation[1])
            target = re.search(r"BRA.*?(\.L_x_\d+)", operation[1])
            if target and target[1] in labels:
                loops.append((labels[target[1]], len(operations)))
    innermost = [
        (first, stop)
        for first, stop in loops
        if not any((first, stop) != own and first <= own[0] and own[1] <= stop for own in loops)
    ]
    first, stop = max(innermost, key=lambda loop: loop[1] - loop[0])
    names = (re.sub(r"^@!?U?P\d+\s+", "", text).split()[0] for text in operations[first:stop])
    return collections.Counter(name.split(".")[0] for name in names)


def _disassembler():
    found = shutil.which("nvdisasm")
    if found is None:
        import nvidia

        places = (place for root in nvidia.__path__ for place in Path(root).glob("*/bin/nvdisasm"))
        found = next(places, None)
    if found is None:
        raise SystemExit("nvdisasm is missing: pip install nvidia-cuda-nvdisasm")
    return found


def _signatures():
    from numba.cuda import types

    def array(ndim, dtype=types.float32):
        return types.Array(dtype, ndim, "C")

    number, matrix = types.int64, array(2)
    models, three = array(1, number), types.UniTuple(number, 3)
    first = models, three, matrix, matrix
    return {
        "forward": types.void(*first, number, matrix, matrix, matrix),
        "backward": types.void(*first, *3 * [matrix], *3 * [number], matrix),
        "product": types.void(models, three, number, *3 * (matrix, three)),
    }


def count(kernel, signature, threads):
    """Return what is to be known about the longest loop of a kernel."""
    _, cubin, log = machine_code(kernel, signature)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [_disassembler(), "-c", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    counts = instructions_of_loop(done.stdout)
    cycles = counts.total() * threads / _WARP / _SCHEDULERS
    return {
        "threads": threads,
        "registers": int(re.search(r"Used (\d+) registers", log)[1]),
        "instructions": counts.total(),
        "multiply_adds": counts["FFMA"],
        "tensor_cores": counts["HMMA"],
        "cycles": round(cycles),
        "microseconds": round(cycles / GIGAHERTZ / 1e3, 2),
        "all": dict(counts.most_common()),
    }


def count_steps(sizes):
    """Yield the cases of the recurrence."""
    from lstm_numba.kernels.cuda import resident

    signatures = _signatures()
    for products, units in sizes.items():
        for hidden in units:
            for way in ("forward", "backward"):
                kernel = getattr(resident, f"{way}_kernel")(products, hidden)
                _, threads = resident.blocks_of_samples(1, hidden)
                where = {"products": products, "hidden": hidden, "way": way}
                yield where | count(kernel, signatures[way], threads)


def count_products(kinds):
    """Yield the cases of the matrix product."""
    from lstm_numba.kernels.cuda import product

    for products in kinds:
        kernel = product.tiled_product(products)
        yield {"products": products} | count(kernel, _signatures()["product"], product.THREADS)


def _table(cases, columns):
    header = [*(name.replace("_", "-") for name in columns), f"µs at {GIGAHERTZ} GHz"]
    rows = [[*(case[name] for name in columns), case["microseconds"]] for case in cases]
    return report.table(header, rows)


def main(argv=None):
    """Count and publish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one size, and nothing is written")
    args = parser.parse_args(argv)
    steps = list(count_steps({"3xtf32": (16,)} if args.quick else PRODUCTS))
    products = list(count_products(["3xtf32"] if args.quick else PRODUCTS))
    counted = "threads", "registers", "instructions", "multiply_adds", "tensor_cores", "cycles"
    page = (
        "One step of the LSTM, 8 rows of the batch.\n\n"
        f"{_table(steps, ('products', 'hidden', 'way', *counted))}\n\n"
        "A matrix product, 64 x 64 outputs and 16 steps of their sum.\n\n"
        f"{_table(products, ('products', *counted))}"
    )
    packages = ("lstm_numba", "numba", "numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink")
    results = {"steps": steps, "products": products}
    report.publish("machine_code", page, {}, results, packages, keep=not args.quick)


if __name__ == "__main__":
    main()
