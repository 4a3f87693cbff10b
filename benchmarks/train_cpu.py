"""How long does a training step take, beside torch and JAX, and how near is it to the limit?

One step: forward, loss, back-propagation through time, clipping, Adam, on the same batch with the
same weights. GFLOP/s counts the products of the gates alone, three of them for each layer; the
limit is the multiply-add peak measured in the same run.
"""

from . import sweep

RIVALS = ("torch", "torch, default denormals", "JAX")


def main(argv=None):
    """Measure and publish."""
    args = sweep.options(__doc__).parse_args(argv)
    sweep.run(sweep.on_grid("train_cpu", "train", sweep.TRAINING, RIVALS), args)


if __name__ == "__main__":
    main()
