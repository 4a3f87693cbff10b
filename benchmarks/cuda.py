"""Do the CUDA kernels give the right numbers on this GPU, and how fast are they?

One command for a machine with a GPU: the tests of the devices on the GPU itself, then what
``train_cuda``, ``infer_cuda`` and ``auto_device`` measure; all of it in one file, which is written
anew after each size, so that a run that is cut short keeps what it has.
"""

import os
import subprocess
import sys
from functools import partial

from . import auto_device, contest, gpu, report, sweep

PARTS = {
    "train": ("Training", partial(gpu.measure, "train", sweep.TRAINING)),
    "infer": ("Forecasts", partial(gpu.measure, "infer", sweep.FORWARD)),
    "auto": ('When device="auto" should take the GPU', auto_device.measure),
}
_TESTS = "tests/test_devices.py", "tests/test_cuda_launches.py"
_KEPT_OUTPUT = 20_000


def main(argv=None):
    """Test, measure and publish; the exit status tells whether all of it worked."""
    args = gpu.options(__doc__).parse_args(argv)
    gpu.check()
    settings = contest.budget(args)
    results = {"tests": run_tests()}
    print(results["tests"]["summary"], flush=True)
    paragraphs = [f"Tests on the device: {results['tests']['summary']}."]
    failed = [] if results["tests"]["passed"] else ["tests"]

    def save(part, found):
        results[part] = found
        if not args.quick:
            report.save("cuda", settings, results, gpu.PACKAGES)

    for part, (title, measure) in PARTS.items():
        try:
            page, found = measure(args, partial(save, part))
            save(part, found)
        except Exception as error:  # the other parts may work
            page = f"failed: {type(error).__name__}: {error}"
            results.setdefault(part, {})["error"] = page
            failed.append(part)
        paragraphs.append(f"{title}. {page}")
    page = "\n\n".join(paragraphs)
    report.publish("cuda", page, settings, results, gpu.PACKAGES, keep=not args.quick)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.\n{results['tests']['output']}")


def run_tests():
    """Run the tests of the devices on the GPU; return whether they passed, and what they said."""
    command = [sys.executable, "-m", "pytest", "-q", *_TESTS]
    done = subprocess.run(
        command,
        cwd=contest.ROOT,
        # The simulator is for machines without a GPU.
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines() or [f"pytest ended with status {done.returncode}"]
    passed = done.returncode == 0
    output = "" if passed else done.stdout[-_KEPT_OUTPUT:]
    return {"passed": passed, "summary": lines[-1].strip("= "), "output": output}


if __name__ == "__main__":
    main()
