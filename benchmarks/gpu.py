"""A task on a GPU at several sizes: the contest, the device, and the floor under our time.

The floor is the largest of three: the chain of steps, which cannot be taken side by side
(STEP_MICROSECONDS each, an estimate); the arithmetic of the gates at the multiply-add peak; and the
state and the gates of each step, written once and, in training, read once.
"""

import statistics

from lstm_numba.kernels import load

from . import contest, report
from .contestants import Size
from .sweep import FORWARD, TRAINING, gate_flops

OURS = "lstm_numba, GPU"
RIVALS = "lstm_numba, TF32", "cuDNN, TF32", "cuDNN, float32"
# Products in TF32 differ by its eleven bits.
TOLERANCE = 5e-3
# The sizes that matter most come first: a run that is cut short has those.
GRID = tuple(
    Size(batch, seq_len, 8, hidden, 1)
    for hidden in (64, 32, 128, 16)
    for batch, seq_len in ((256, 96), (32, 96), (1024, 96), (4096, 96), (256, 24), (1024, 336))
)
QUICK_GRID = (Size(32, 24, 1, 16, 1), Size(256, 96, 8, 64, 1))
# Read from shared memory, multiply, activate, write, meet: latencies of one step.
STEP_MICROSECONDS = {TRAINING: 0.65, FORWARD: 0.30}
# Of the H200; other devices are not known here.
BYTES_PER_SECOND = 4.3e12
PACKAGES = (*contest.PACKAGES, "numba-cuda")


def options(docstring):
    """Return the parser of the options of a benchmark on a GPU."""
    parser = contest.options(docstring)
    parser.set_defaults(threads=[2], seconds=0.1)
    return parser


def check():
    """End the program, and say why, where there is no GPU to be measured."""
    kernels = load("cuda")
    reason = "Numba's simulator is switched on." if kernels.is_simulated() else kernels.why_not()
    if reason:
        raise SystemExit(f"There is no GPU to measure: {reason}")


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
    chain = size.layers * size.seq_len * STEP_MICROSECONDS[products] * 1e-6
    arithmetic = gate_flops(size, products) / (gpu["multiply_add_gflops"] * 1e9)
    kept = 12 * size.hidden if products == TRAINING else 0
    numbers = size.layers * size.batch * size.seq_len * kept
    return max(chain, arithmetic, 4 * numbers / BYTES_PER_SECOND)


def measure(task, products, args, save, rivals=RIVALS, grid=None, threads=None):
    """Run the contest over a grid; return a page of tables and the results as plain data.

    ``save(results)`` is called after each size, with the results so far. A size at which we fail is
    reported as such, and the others are measured.
    """
    gpu, budget = device(), contest.budget(args)
    rows, results = [], {"device": gpu, "cases": []}
    with contest.Contest(rivals, threads or args.threads[0], OURS) as arena:
        results["absent"], rivals = arena.absent, [name for name in rivals if name in arena.names]
        for size in QUICK_GRID if args.quick else grid or GRID:
            floor = floor_seconds(size, products, gpu)
            case = {"size": size._asdict(), "floor_microseconds": floor * 1e6}
            try:
                outcome = arena.compare(task, size, **budget, tolerance=TOLERANCE)
            except contest.Failure as failure:
                rows.append(_failed_row(size, floor, len(rivals)))
                case["failure"] = str(failure)
            else:
                rows.append(_row(size, floor, outcome, rivals))
                case |= outcome.as_json("microseconds", 1e-6)
            results["cases"].append(case)
            save(results)
    header = ["batch, seq_len, features, hidden, layers", OURS, "floor", "of floor"]
    for rival in rivals:
        header += [rival, "way", "ratio"]
    paragraphs = [f"{gpu['name']}. Microseconds, medians.", report.table(header, rows)]
    paragraphs += [*_failures(results["cases"])]
    if arena.absent:
        paragraphs.append(f"Not installed: {'; '.join(arena.absent)}.")
    return "\n\n".join(paragraphs), results


def run(name, measure, docstring, argv):
    """Let ``measure(args, save)`` measure, and publish."""
    args = options(docstring).parse_args(argv)
    check()
    settings = contest.budget(args)

    def save(results):
        if not args.quick:
            report.save(name, settings, results, PACKAGES)

    page, results = measure(args, save)
    report.publish(name, page, settings, results, PACKAGES, keep=not args.quick)


def _label(size):
    return ", ".join(map(str, size))


def _failed_row(size, floor, rivals):
    return [_label(size), "failed", f"{floor * 1e6:.0f}", "", *rivals * ["", "", ""]]


def _row(size, floor, outcome, rivals):
    ours = statistics.median(outcome.seconds[OURS])
    row = [_label(size), f"{ours * 1e6:.0f}", f"{floor * 1e6:.0f}", f"{floor / ours:.0%}"]
    for rival in rivals:
        if rival in outcome.seconds:
            theirs = statistics.median(outcome.seconds[rival])
            ratio = report.spread(report.summary(outcome.ratios[rival]))
            row += [f"{theirs * 1e6:.0f}", outcome.notes.get(rival, ""), ratio]
        else:
            row += ["failed", "", ""]
    return row


def _failures(cases):
    """Yield a sentence for each failure."""
    for case in cases:
        failures = {OURS: case["failure"]} if "failure" in case else case["failures"]
        for name, why in failures.items():
            yield f"Failed at ({_label(case['size'].values())}): {name}, {why}."
