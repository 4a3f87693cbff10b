"""Small programs in processes of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start_python(code, *options, **environment):
    """Start a program; a variable of the environment that is None is taken away."""
    changed = os.environ | environment
    return subprocess.Popen(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={name: value for name, value in changed.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout=240):
    """Return what a program printed; fail with its errors if it did not end well."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    assert process.returncode == 0, f"exit status {process.returncode}\n{err}"
    return out, err


def run_python(code, *options, **environment):
    """Run a program to its end; return its output and its errors, see `start_python`."""
    return finish(start_python(code, *options, **environment))
