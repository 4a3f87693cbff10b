"""The kernels on vectors of another width than this processor's."""

import os
import subprocess
import sys
from pathlib import Path

from lstm_numba.kernels import tile


def test_another_vector_width_equals_the_twin():
    # The width is fixed when the package is imported, so it takes another process.
    width = 16 if tile.VECTOR_BYTES != 16 else 32
    twins = str(Path(__file__).with_name("test_network.py"))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "twin and float32",
            twins,
        ],
        env={**os.environ, "LSTM_NUMBA_VECTOR_BYTES": str(width)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
