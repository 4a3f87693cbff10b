"""How long does a training step take on a GPU, beside cuDNN, and how near is it to the floor?

One step: forward, loss, back-propagation through time, clipping, Adam, on the same batch with the
same weights.
"""

from . import contest, gpu, report, sweep


def main(argv=None):
    """Measure and publish."""
    args = gpu.options(__doc__).parse_args(argv)
    page, results = gpu.measure("train", sweep.TRAINING, args)
    settings = contest.budget(args)
    report.publish("train_cuda", page, settings, results, gpu.PACKAGES, keep=not args.quick)


if __name__ == "__main__":
    main()
