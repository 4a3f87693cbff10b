"""Which steps each row of a batch takes: all, the first ones, or those that a mask leaves."""

from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """What each row of a batch does; see ``Sequences`` in ``kernels/cpu/sequences.py``."""

    order: np.ndarray  # (batch,) rows, those with the most steps first
    counts: np.ndarray  # (batch,) steps that a row takes
    steps: np.ndarray  # (batch or 1, seq_len) the steps it takes, oldest first
    hold: bool  # the output stays as it is between the steps that a row takes

    @property
    def are_full(self):
        """Whether all rows take all steps."""
        return bool((self.counts == self.steps.shape[1]).all())


def full_rows(batch, seq_len):
    """Return ``Rows`` that take all steps."""
    return first_steps(np.full(batch, seq_len), seq_len)


def first_steps(lengths, seq_len):
    """Return ``Rows`` that take their first ``lengths`` steps: padding on the right."""
    counts = np.array(lengths, dtype=np.int64)
    return Rows(_longest_first(counts), counts, np.arange(seq_len)[None], False)


def masked_steps(mask, hold):
    """Return ``Rows`` that take the steps where ``mask``, (batch, seq_len), is true."""
    counts = mask.sum(axis=1, dtype=np.int64)
    # A stable sort by "is masked" leaves the steps to take in front, in their order.
    steps = np.argsort(~mask, axis=1, kind="stable")
    return Rows(_longest_first(counts), counts, steps, hold)


def _longest_first(counts):
    return np.argsort(-counts, kind="stable")
