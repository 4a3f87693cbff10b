"""How long does the forecast of a batch take on a GPU, beside torch with cuDNN?

Ours begins with windows of a series that is on the device and ends with forecasts on the host;
torch's begins and ends on the device.
"""

from functools import partial

from . import gpu, sweep


def main(argv=None):
    """Measure and publish."""
    gpu.run("infer_cuda", partial(gpu.measure, "infer", sweep.FORWARD), __doc__, argv)


if __name__ == "__main__":
    main()
