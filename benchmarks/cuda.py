"""Do the CUDA kernels give the right numbers on this GPU, and how fast are they?

One command for a machine with a GPU: the tests of the devices on the GPU itself, then the
benchmarks ``train_cuda`` and ``infer_cuda``; all of it in one file.
"""

import subprocess
import sys

from . import contest, gpu, report, sweep


def main(argv=None):
    """Test, measure and publish."""
    args = gpu.options(__doc__).parse_args(argv)
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_devices.py"]
    done = subprocess.run(command, cwd=contest.ROOT, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode:
        raise SystemExit(
            f"{done.stdout}\n{done.stderr}\nThe kernels are wrong: nothing is measured."
        )
    training, trained = gpu.measure("train", sweep.TRAINING, args)
    forecasts, inferred = gpu.measure("infer", sweep.FORWARD, args)
    page = f"Tests on the device: {last}.\n\nTraining. {training}\n\nForecasts. {forecasts}"
    results = {"tests": last, "train": trained, "infer": inferred}
    settings = contest.budget(args)
    report.publish("cuda", page, settings, results, gpu.PACKAGES, keep=not args.quick)


if __name__ == "__main__":
    main()
