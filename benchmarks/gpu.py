"""A task on a GPU at several sizes: the contest, the device, and the floor under our time.

The floor is the largest of three: the chain of steps, which cannot be taken side by side
(STEP_MICROSECONDS each, an estimate); the arithmetic of the gates at the multiply-add peak; and the
state and the gates of each step, written once and, in training, read once.
"""

import statistics

from . import contest, report
from .contestants import Size
from .sweep import TRAINING, gate_flops

OURS = "lstm_numba, GPU"
RIVALS = "cuDNN, TF32", "cuDNN, float32"
# Products in TF32 differ by its eleven bits.
TOLERANCE = 5e-3
GRID = tuple(
    Size(batch, seq_len, 8, hidden, 1)
    for hidden in (16, 32, 64, 128)
    for batch, seq_len in ((32, 96), (256, 24), (256, 96), (1024, 96), (1024, 336), (4096, 96))
)
QUICK_GRID = (Size(32, 24, 1, 16, 1), Size(256, 96, 8, 64, 1))
# Read from shared memory, multiply, activate, write, meet: latencies of one step.
STEP_MICROSECONDS = {True: 0.65, False: 0.30}
# Of the H200; other devices are not known here.
BYTES_PER_SECOND = 4.3e12
PACKAGES = (*contest.PACKAGES, "numba-cuda")


def options(docstring):
    """Return the parser of the options of a benchmark on a GPU."""
    parser = contest.options(docstring)
    parser.set_defaults(threads=[2])
    return parser


def device():
    """Describe the GPU: name, multiprocessors, peak of float32 multiply-adds in GFLOP/s."""
    from numba import cuda

    gpu = cuda.get_current_device()
    clock = gpu.CLOCK_RATE * 1e3
    return {
        "name": gpu.name.decode() if isinstance(gpu.name, bytes) else gpu.name,
        "multiprocessors": gpu.MULTIPROCESSOR_COUNT,
        "multiply_add_gflops": gpu.MULTIPROCESSOR_COUNT * 128 * 2 * clock / 1e9,
    }


def floor_seconds(size, products, gpu):
    """Return the floor under the time of one unit."""
    training = products == TRAINING
    chain = size.layers * size.seq_len * STEP_MICROSECONDS[training] * 1e-6
    arithmetic = gate_flops(size, products) / (gpu["multiply_add_gflops"] * 1e9)
    numbers = size.layers * size.batch * size.seq_len * (12 * size.hidden if training else 0)
    return max(chain, arithmetic, 4 * numbers / BYTES_PER_SECOND)


def measure(task, products, args):
    """Run the contest over the grid; return a page of tables and the results as plain data."""
    gpu, budget = device(), contest.budget(args)
    sizes = QUICK_GRID if args.quick else GRID
    with contest.Contest(RIVALS, args.threads[0], OURS) as arena:
        outcomes = [arena.compare(task, size, **budget, tolerance=TOLERANCE) for size in sizes]
    header = ["batch, seq_len, features, hidden, layers", OURS, "floor", "of floor"]
    for rival in arena.names[1:]:
        header += [rival, "way", "ratio"]
    rows, cases = [], []
    for size, outcome in zip(sizes, outcomes, strict=True):
        ours = statistics.median(outcome.seconds[OURS])
        floor = floor_seconds(size, products, gpu)
        row = [", ".join(map(str, size)), f"{ours * 1e6:.0f}", f"{floor * 1e6:.0f}"]
        row.append(f"{floor / ours:.0%}")
        for rival in arena.names[1:]:
            if rival in outcome.seconds:
                theirs = statistics.median(outcome.seconds[rival])
                ratio = report.spread(report.summary(outcome.ratios[rival]))
                row += [f"{theirs * 1e6:.0f}", outcome.notes.get(rival, ""), ratio]
            else:
                row += ["failed", outcome.failures.get(rival, ""), ""]
        rows.append(row)
        case = outcome.as_json("microseconds", 1e-6)
        cases.append({"size": size._asdict(), "floor_microseconds": floor * 1e6} | case)
    page = f"{gpu['name']}. Microseconds, medians.\n\n{report.table(header, rows)}"
    return page, {"device": gpu, "absent": arena.absent, "cases": cases}
