"""A task at several sizes and numbers of threads: measured as contests, published as tables."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from . import contest, limits, report
from .contestants import Size

GRID = (
    Size(32, 24, 1, 32, 1),
    Size(64, 48, 1, 64, 1),
    Size(64, 96, 8, 64, 2),
    Size(128, 96, 7, 128, 1),
    Size(256, 168, 8, 128, 2),
    Size(32, 96, 7, 256, 1),
    Size(1024, 24, 1, 16, 1),
)
QUICK_GRID = (Size(5, 7, 3, 9, 2), GRID[0])
TRAINING, FORWARD = 3, 1


@dataclass(frozen=True)
class Sweep:
    """What is measured, and what the tables show.

    Attributes
    ----------
    name, task : str
        Of the benchmark, and what the contestants call it.
    rivals : tuple of str
    sizes, quick_sizes : tuple of Size or Collection
    size_header, label : str, callable
        The first column: ``label(size)``.
    unit_name, unit : str, float
        Of times, and its length in seconds.
    figure_names, figures : tuple of str, callable
        The columns after our time: ``figures(size, seconds, peak)``, the peak in GFLOP/s.
    """

    name: str
    task: str
    rivals: tuple
    sizes: tuple
    quick_sizes: tuple
    size_header: str
    label: Callable
    unit_name: str
    unit: float
    figure_names: tuple
    figures: Callable


def gate_flops(size, products):
    """Return the floating-point operations of the gates' products alone.

    A layer multiplies each row and step by weights (inputs + hidden, 4 hidden). ``FORWARD`` is one
    product; ``TRAINING`` has two more, for what comes from above and for the weights.
    """
    total = 0
    for layer in range(size.layers):
        inputs = size.hidden if layer else size.features
        weights = 4 * size.hidden * (size.hidden + inputs)
        total += products * 2 * size.batch * size.seq_len * weights
    return total


def on_grid(name, task, products, rivals):
    """Return the sweep of a task over the grid of batches."""

    def figures(size, seconds, peak):
        gflops = gate_flops(size, products) / seconds / 1e9
        return [f"{gflops:.0f}", f"{gflops / peak:.0%}"]

    return Sweep(
        name=name,
        task=task,
        rivals=rivals,
        sizes=GRID,
        quick_sizes=QUICK_GRID,
        size_header="batch, seq_len, features, hidden, layers",
        label=lambda size: ", ".join(map(str, size)),
        unit_name="milliseconds",
        unit=1e-3,
        figure_names=("GFLOP/s", "of peak"),
        figures=figures,
    )


def options(docstring):
    """Return the parser of the options that all sweeps share."""
    parser = contest.options(docstring)
    parser.set_defaults(rounds=3)
    parser.add_argument(
        "--starts", type=int, default=3, help="how often all processes start anew (default: 3)"
    )
    return parser


def _measure(sweep, sizes, threads, starts, budget):
    """Return the outcomes of all sizes, and the last contest.

    A process keeps the luck of its start, as where its memory lies: some libraries take half as
    long again in one as in the next, round for round. So several are asked.
    """
    outcomes = [contest.Outcome() for _ in sizes]
    for _ in range(starts):
        with contest.Contest(sweep.rivals, threads) as arena:
            for size, outcome in zip(sizes, outcomes, strict=True):
                outcome.add(arena.compare(sweep.task, size, **budget))
    return outcomes, arena


def run(sweep, args, remark="", **budget):
    """Measure for each number of threads, and publish.

    Parameters
    ----------
    sweep : Sweep
    args : Namespace
        From ``options``.
    remark : str
        Stands above the tables.
    budget : dict
        What differs from the usual budget of ``Contest.compare``.
    """
    budget = contest.budget(args) | budget
    sizes, starts = (sweep.quick_sizes, 1) if args.quick else (sweep.sizes, args.starts)
    results, pages = {}, []
    for threads in args.threads:
        limit = limits.measure(threads, 16 if args.quick else 256)
        outcomes, arena = _measure(sweep, sizes, threads, starts, budget)
        cases = list(zip(sizes, outcomes, strict=True))
        pages += [limits.sentence(limit, threads), *_page(sweep, cases, arena, limit)]
        results[str(threads)] = {
            "limits": limit,
            "absent": arena.absent,
            "cases": [
                {"size": size._asdict()} | outcome.as_json(sweep.unit_name, sweep.unit)
                for size, outcome in cases
            ],
        }
    first = (
        f"{sweep.unit_name.capitalize()}, medians; ratio: a rival's time over ours, median "
        f"(lowest to highest) of {budget['rounds']} rounds in each of {starts} processes. {remark}"
    )
    page = "\n\n".join([first.strip(), *pages])
    report.publish(
        sweep.name,
        page,
        budget | {"starts": starts},
        results,
        contest.PACKAGES,
        keep=not args.quick,
    )


def _page(sweep, cases, arena, limit):
    """Return the paragraphs for one number of threads: table, means, failures."""
    rivals = arena.names[1:]
    header = [sweep.size_header, contest.OURS, *sweep.figure_names]
    for rival in rivals:
        header += [rival, "ratio"]
    rows, failures = [], []
    for size, outcome in cases:
        label, ours = sweep.label(size), statistics.median(outcome.seconds[contest.OURS])
        figures = sweep.figures(size, ours, limit["multiply_add_gflops"])
        row = [label, _number(ours / sweep.unit), *figures]
        for rival in rivals:
            if rival in outcome.seconds:
                theirs = statistics.median(outcome.seconds[rival])
                ratios = report.summary(outcome.ratios[rival])
                row += [_number(theirs / sweep.unit), report.spread(ratios)]
            else:
                row += ["failed", ""]
        rows.append(row)
        failures += [
            f"Failed at ({label}): {name}, {why}." for name, why in outcome.failures.items()
        ]
    means = []
    for rival in rivals:
        ratios = [statistics.median(one.ratios[rival]) for _, one in cases if rival in one.ratios]
        if len(ratios) > 1:
            mean = statistics.geometric_mean(ratios)
            means.append(f"{rival} {mean:.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")
    paragraphs = [report.table(header, rows)]
    if means:
        paragraphs.append(f"Geometric mean of the ratios: {', '.join(means)}.")
    if arena.absent:
        paragraphs.append(f"Not installed: {', '.join(arena.absent)}.")
    return paragraphs + failures


def _number(value):
    """Write a number with three digits that count, and no fewer before the point."""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"
