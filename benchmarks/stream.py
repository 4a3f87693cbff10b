"""How long does one observation of a stream take from Python, beside torch, ONNX Runtime and JAX?

Batch 1, one feature, one layer; the state is carried from call to call. torch and ONNX Runtime each
take the faster of two ways to do it. "at peak" is what the arithmetic alone would take at the
measured peak: the rest is the way from Python to the kernel and back, and the rows of the register
tile that one observation leaves empty.
"""

from . import sweep
from .contestants import Size

RIVALS = ("torch", "ONNX Runtime", "JAX")
SIZES = (Size(1, 16, 1, 32, 1), Size(1, 16, 1, 64, 1))
MICROSECOND = 1e-6


def _at_peak(size, seconds, peak):
    flops = sweep.gate_flops(size._replace(seq_len=1), sweep.FORWARD)
    return [f"{flops / (peak * 1e9) / MICROSECOND:.2f}"]


def main(argv=None):
    """Measure and publish."""
    parser = sweep.options(__doc__)
    parser.set_defaults(threads=[1])
    observation = sweep.Sweep(
        name="stream",
        task="stream",
        rivals=RIVALS,
        sizes=SIZES,
        quick_sizes=SIZES[:1],
        size_header="hidden",
        label=lambda size: str(size.hidden),
        unit_name="microseconds",
        unit=MICROSECOND,
        figure_names=("at peak",),
        figures=_at_peak,
    )
    sweep.run(observation, parser.parse_args(argv))


if __name__ == "__main__":
    main()
