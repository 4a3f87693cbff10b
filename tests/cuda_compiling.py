"""Compile every kernel of the CUDA backend for sm_90 on a machine without a GPU, and report.

Runs in a process of its own, without the simulator: reads ``[[module, name, [kinds of arguments]],
...]`` from stdin, as ``simulator.launches`` has them, and prints one JSON object by kernel:
registers, bytes of local memory (stack and spills), accesses of 16 bytes, whether the machine code
is float64, and how many threads and blocks it is bound to.
"""

import importlib
import json
import re
import sys

from numba.cuda import types

from benchmarks.machine_code import machine_code


def numba_type(kind):
    """Return the type of a kind, e.g. "int64", "float32[2]" or "int64 x 3"."""
    if " x " in kind:
        one, count = kind.split(" x ")
        return types.UniTuple(numba_type(one), int(count))
    scalar, _, dimensions = kind.partition("[")
    scalar = getattr(types, scalar)
    return types.Array(scalar, int(dimensions[:-1]), "C") if dimensions else scalar


# Where other weights and sums find room in registers.
UNITS = {
    "ffma": (16, 80),
    "3xtf32": (16, 32, 48, 64, 80, 96, 112, 128),
    "tf32": (16, 48, 64, 80, 96, 112, 128),
}


def kernels_of(module, name):
    """Yield the kernels of a name, and before each what it is made for, if for something."""
    module = importlib.import_module(module)
    if name == "tiled_product":
        for products in UNITS:
            yield f"[{products}]", module.tiled_product(products)
    elif name.startswith("resident_"):
        make = getattr(module, f"{name.removeprefix('resident_')}_kernel")
        for products, sizes in UNITS.items():
            for units in sizes:
                yield f"[{products}, {units}]", make(products, units)
    else:
        yield "", getattr(module, name)


def compile_kernel(kernel, kinds):
    """Return what is to be known about one kernel."""
    bounds = kernel.targetoptions.get("launch_bounds")
    ptx, _, log = machine_code(kernel, types.void(*map(numba_type, kinds)))
    return {
        "registers": int(re.search(r"Used (\d+) registers", log).group(1)),
        "local_bytes": sum(map(int, re.findall(r"(\d+) bytes (?:stack frame|spill)", log))),
        "float64": sorted(set(re.findall(r"\w+(?:\.\w+)*\.f64\b", ptx))),
        "wide": sorted(set(re.findall(r"((?:ld|st)\.(?:global|shared)\.v4)\.[bfu]32", ptx))),
        "tensor_cores": len(re.findall(r"\bmma\.sync\.aligned\.m16n8k8\S*\.tf32\b", ptx)),
        "bounds": bounds,
    }


if __name__ == "__main__":
    facts = {}
    for module, name, kinds in json.load(sys.stdin):
        for size, kernel in kernels_of(module, name):
            facts[f"{name}{size} {' '.join(kinds)}"] = compile_kernel(kernel, kinds)
    print(json.dumps(facts))
