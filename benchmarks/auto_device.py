"""From which size on does a training step on a GPU take less time than on the processor?

``device="auto"`` goes by the multiply-adds of a batch's forward pass, windows x seq_len x weights.
The processor works with all its cores, and both do nothing else: compilation and the first look
for a GPU are not counted. The last line is the number for ``lstm_numba/nn/device.py``.
"""

import math

from lstm_numba.nn.network import Network

from . import contest, gpu, report
from .contestants import Size
from .sweep import TRAINING

GRID = (
    Size(32, 24, 1, 8, 1),
    Size(32, 24, 1, 16, 1),
    Size(32, 24, 1, 32, 1),
    Size(32, 96, 8, 32, 1),
    Size(64, 48, 1, 64, 1),
    Size(256, 24, 1, 64, 1),
    Size(64, 96, 8, 64, 1),
    Size(256, 96, 8, 64, 1),
    Size(1024, 96, 8, 64, 1),
)


def multiply_adds(size):
    """Return what ``device="auto"`` goes by."""
    batch, seq_len, features, hidden, layers = size
    network = Network(seq_len, features, 1, 1, hidden_size=hidden, num_layers=layers)
    return batch * seq_len * network.layout.size


def threshold(ratios):
    """Return from how many multiply-adds on the GPU is faster, halfway between two sizes.

    Parameters
    ----------
    ratios : dict
        Multiply-adds: time of the processor over that of the GPU.

    Returns
    -------
    float or None
        None if the GPU is not faster at the largest size; the smallest size if it always is.
    """
    most = max((number for number, ratio in ratios.items() if ratio <= 1), default=None)
    faster = [number for number in ratios if most is None or number > most]
    if not faster:
        return None
    return math.sqrt((most or min(faster)) * min(faster))


def measure(args, save):
    """Compare over the grid; return a page and the results as plain data; see ``gpu.measure``."""
    cores = report.machine()["cores"]
    rivals = (contest.OURS,)
    page, results = gpu.measure("train", TRAINING, args, save, rivals, GRID, cores)
    ratios = {
        multiply_adds(Size(**case["size"])): case["ratio"][contest.OURS]["median"]
        for case in results["cases"]
        if contest.OURS in case.get("ratio", {})
    }
    results["ratio_by_multiply_adds"] = {f"{number}": ratio for number, ratio in ratios.items()}
    results["worth_a_gpu"] = found = threshold(ratios)
    said = "At the largest size the GPU is not faster." if ratios else "No size could be compared."
    if found:
        number = float(f"{found:.1g}")
        said = f"The GPU is faster from about {number:.0e} multiply-adds on: `_WORTH_A_GPU`."
    return f"{page}\n\nThe processor has {cores} cores. {said}", results


def main(argv=None):
    """Measure and publish."""
    gpu.run("auto_device", measure, __doc__, argv)


if __name__ == "__main__":
    main()
