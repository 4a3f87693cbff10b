"""How long does the forecast of a batch take, beside torch, ONNX Runtime and JAX?

The network is set up once and then asked for the same batch again and again, from Python. GFLOP/s
counts the products of the gates alone.
"""

from . import sweep

RIVALS = ("torch", "ONNX Runtime", "JAX")


def main(argv=None):
    """Measure and publish."""
    args = sweep.options(__doc__).parse_args(argv)
    sweep.run(sweep.on_grid("infer_cpu", "infer", sweep.FORWARD, RIVALS), args)


if __name__ == "__main__":
    main()
