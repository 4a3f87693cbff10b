"""Compile every kernel of the CUDA backend for sm_90 on a machine without a GPU, and report.

Runs in a process of its own, without the simulator: reads ``[[module, name, [kinds of arguments]],
...]`` from stdin, as ``simulator.launches`` has them, and prints one JSON object by kernel:
registers, bytes of local memory (stack and spills) and whether the machine code is float64.
"""

import importlib
import json
import re
import sys

import numba.cuda.dispatcher as dispatcher
from cuda.core import Linker, LinkerOptions, ObjectCode
from numba import cuda
from numba.cuda import types


class _Hopper:
    compute_capability = 9, 0


# Without it, kernels that call device functions ask the driver for the device.
dispatcher.get_current_device = lambda: _Hopper


def numba_type(kind):
    """Return the type of a kind, e.g. "int64", "float32[2]" or "int64 x 3"."""
    if " x " in kind:
        one, count = kind.split(" x ")
        return types.UniTuple(numba_type(one), int(count))
    scalar, _, dimensions = kind.partition("[")
    scalar = getattr(types, scalar)
    return types.Array(scalar, int(dimensions[:-1]), "C") if dimensions else scalar


def kernels_of(module, name):
    """Yield the kernels of a name, and before each its size if it is made for one."""
    module = importlib.import_module(module)
    if not name.startswith("resident_"):
        yield "", getattr(module, name)
        return
    make = getattr(module, f"{name.removeprefix('resident_')}_kernel")
    for units in range(16, module.MOST_UNITS + 1, 32):
        yield f"[{units}]", make(units)


def compile_kernel(kernel, kinds):
    """Return what is to be known about one kernel."""
    bounds = kernel.targetoptions.get("launch_bounds")
    options = {"launch_bounds": bounds} if bounds else {}
    fast = kernel.targetoptions.get("fastmath", False)
    signature = types.void(*map(numba_type, kinds))
    ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=(9, 0), fastmath=fast, **options)
    options = LinkerOptions(arch="sm_90", verbose=True, ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    linker.link("cubin")
    log = linker.get_info_log()
    return {
        "registers": int(re.search(r"Used (\d+) registers", log).group(1)),
        "local_bytes": sum(map(int, re.findall(r"(\d+) bytes (?:stack frame|spill)", log))),
        "float64": sorted(set(re.findall(r"\w+(?:\.\w+)*\.f64\b", ptx))),
        "threads": bounds[0] if bounds else None,
    }


if __name__ == "__main__":
    facts = {}
    for module, name, kinds in json.load(sys.stdin):
        for size, kernel in kernels_of(module, name):
            facts[f"{name}{size} {' '.join(kinds)}"] = compile_kernel(kernel, kinds)
    print(json.dumps(facts))
