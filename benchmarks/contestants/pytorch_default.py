"""torch as it comes, with subnormal numbers computed in full."""

import torch

from .pytorch import infer as infer
from .pytorch import many_series as many_series
from .pytorch import stream as stream
from .pytorch import train as train


def setup(threads):
    """Set the number of threads."""
    torch.set_num_threads(threads)
