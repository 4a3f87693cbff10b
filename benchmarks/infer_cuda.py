"""How long does the forecast of a batch take on a GPU, beside torch with cuDNN?

Ours begins with windows of a series that is on the device and ends with forecasts on the host;
torch's begins and ends on the device.
"""

from . import contest, gpu, report, sweep


def main(argv=None):
    """Measure and publish."""
    args = gpu.options(__doc__).parse_args(argv)
    page, results = gpu.measure("infer", sweep.FORWARD, args)
    settings = contest.budget(args)
    report.publish("infer_cuda", page, settings, results, gpu.PACKAGES, keep=not args.quick)


if __name__ == "__main__":
    main()
