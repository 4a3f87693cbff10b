"""The plain layer of lstm_numba, beside which its variants are measured."""

from . import ours
from .ours import setup as setup


def layer(case, threads):
    """One unit is one batch, forward and backward."""
    return ours.layer(case._replace(variant="plain"), threads)
