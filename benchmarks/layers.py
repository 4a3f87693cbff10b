"""What do ragged rows, masks, dropout, other activations and cells cost, beside a plain LSTM layer?

One layer, forward and backward with gradients for inputs and weights, called from Python.
"steps" is the part of the plain layer's steps that a variant takes: what its time should be. torch
takes part where it has the same thing: plain layers, and packed sequences for ragged rows.
"""

import math
import statistics

from . import contest, report
from .contestants import LayerCase

SIZES = ((64, 96, 8, 64), (256, 96, 8, 32), (128, 96, 7, 128))
QUICK_SIZES = ((9, 7, 3, 17),)
VARIANTS = {
    "plain": 1.0,
    "ragged": 0.5,
    "mask": 0.7,
    "recurrent dropout": 1.0,
    "activations": 1.0,
    "GRU": 1.0,
    "simple RNN": 1.0,
}
WITH_TORCH = "plain", "ragged", "GRU", "simple RNN"
PLAIN = "plain layer"


def _measure(size, variant, threads, budget):
    """Return the outcomes beside the plain layer, and beside torch or None."""
    case = LayerCase(*size, variant)
    with contest.Contest([PLAIN], threads) as arena:
        # A variant computes something else, on purpose.
        beside_plain = arena.compare("layer", case, **budget, tolerance=math.inf)
    if variant not in WITH_TORCH:
        return beside_plain, None
    with contest.Contest(["torch"], threads) as arena:
        return beside_plain, arena.compare("layer", case, **budget)


def _row(size, variant, beside_plain, beside_torch):
    ours = statistics.median(beside_plain.seconds[contest.OURS]) * 1e3
    of_plain = report.summary([1 / ratio for ratio in beside_plain.ratios[PLAIN]])
    row = [", ".join(map(str, size)), variant, f"{VARIANTS[variant]:.0%}", f"{ours:.2f}"]
    row.append(report.spread(of_plain))
    if beside_torch and "torch" in beside_torch.ratios:
        theirs = statistics.median(beside_torch.seconds["torch"]) * 1e3
        row += [f"{theirs:.2f}", report.spread(report.summary(beside_torch.ratios["torch"]))]
    else:
        row += ["", ""]
    return row


def main(argv=None):
    """Measure and publish."""
    parser = contest.options(__doc__)
    parser.set_defaults(threads=[1])
    args = parser.parse_args(argv)
    budget = contest.budget(args)
    header = ["batch, seq_len, features, hidden", "variant", "steps", "lstm_numba", "of plain"]
    header += ["torch", "ratio"]
    pages, results = [], {}
    for threads in args.threads:
        rows, cases = [], []
        for size in QUICK_SIZES if args.quick else SIZES:
            for variant in VARIANTS:
                outcomes = _measure(size, variant, threads, budget)
                rows.append(_row(size, variant, *outcomes))
                cases.append(
                    {"size": size, "variant": variant}
                    | {
                        name: outcome.as_json("milliseconds", 1e-3)
                        for name, outcome in zip(("plain", "torch"), outcomes, strict=True)
                        if outcome
                    }
                )
        pages.append(f"With {threads} thread{'s' if threads > 1 else ''}:")
        pages.append(report.table(header, rows))
        results[str(threads)] = cases
    first = (
        "Milliseconds, medians; of plain: time over that of the plain layer in the same round; "
        f"ratio: torch's time over ours; median (lowest to highest) of {budget['rounds']} rounds."
    )
    page = "\n\n".join([first, *pages])
    report.publish("layers", page, budget, results, contest.PACKAGES, keep=not args.quick)


if __name__ == "__main__":
    main()
