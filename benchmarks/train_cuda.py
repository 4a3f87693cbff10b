"""How long does a training step take on a GPU, beside cuDNN, and how near is it to the floor?

One step: forward, loss, back-propagation through time, clipping, Adam, on the same batch with the
same weights.
"""

from functools import partial

from . import gpu, sweep


def main(argv=None):
    """Measure and publish."""
    gpu.run("train_cuda", partial(gpu.measure, "train", sweep.TRAINING), __doc__, argv)


if __name__ == "__main__":
    main()
