"""How long do 1,000 short series take, one small model each, beside a loop in torch?

120 points each, windows of 24 steps, 12 steps ahead, 16 units, batches of 32, 30 epochs, no early
stopping. We train all series in each measurement; torch trains a few, one after the other, and its
time is multiplied by the number of series. Both begin with the same weights, and the losses of the
last epoch must agree to a few percent (they shuffle differently).
"""

from . import sweep
from .contestants import Collection, Size

RIVALS = ("torch",)
ONE_SERIES = Collection(1, 120, 24, 12, 16, 32, 30)
LOSS_TOLERANCE = 0.05
REMARK = (
    "torch is measured on a few series and scaled. One process of torch per core could at best "
    "divide its time with one thread by the cores: for that, look at the ratio with one thread."
)


def _of_peak(sizes, seconds, peak):
    windows = sizes.points - sizes.seq_len - sizes.horizon + 1
    epoch = sweep.gate_flops(Size(windows, sizes.seq_len, 1, sizes.hidden, 1), sweep.TRAINING)
    return [f"{sizes.epochs * epoch / seconds / 1e9 / peak:.0%}"]


def main(argv=None):
    """Measure and publish."""
    parser = sweep.options(__doc__)
    parser.set_defaults(rounds=1)
    parser.add_argument("--series", type=int, default=1000, help="default: 1000")
    args = parser.parse_args(argv)
    series = 20 if args.quick else args.series
    sizes = (ONE_SERIES._replace(series=series),)
    collection = sweep.Sweep(
        name="many_series",
        task="many_series",
        rivals=RIVALS,
        sizes=sizes,
        quick_sizes=sizes,
        size_header="series",
        label=lambda size: f"{size.series:,}",
        unit_name="seconds",
        unit=1 / series,
        figure_names=("of peak",),
        figures=_of_peak,
    )
    # One call of ours lasts many seconds.
    sweep.run(collection, args, REMARK, repeats=1, tolerance=LOSS_TOLERANCE)


if __name__ == "__main__":
    main()
