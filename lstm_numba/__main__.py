"""``python -m lstm_numba`` is the command ``lstm-numba``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
