"""One small model for each series of a panel, trained side by side."""

import warnings

import numpy as np

from .. import _checks
from ..nn.network import Windows
from ..train.many import train_many
from ..train.trainer import TrainingRun
from ._fitting import ModelProgress, generator
from ._preparing import PreparingEstimator


class EachEstimator(PreparingEstimator):
    """Trains a network for each of many series."""

    def _train_each(self, panel, members):
        """Train a network for each series; those of one kind side by side in one kernel.

        Each series is prepared as if it were fitted alone, and all models start from the same
        random numbers: no series has an influence on another.

        Parameters
        ----------
        panel : Panel
        members : list of Series

        Returns
        -------
        fitted : dict
            Fitted attributes, with one item per series.
        scaled : list of Scaled
        problems : list of Problem
        """
        seed = generator(self.random_state).integers(2**63)
        before = self._models_before()
        turned = [before[name][2] if name in before else None for name in panel.ids]
        prepared = map(self._problem, members, turned)
        norms, scaled, problems = zip(*prepared, strict=True)

        groups = {}
        for k, problem in enumerate(problems):
            groups.setdefault(problem.network, []).append(k)
        runs = [None] * len(members)
        for network, group in groups.items():
            drawn = network.init(np.random.default_rng(seed))
            for k in group:
                known, params, _ = before.get(panel.ids[k], (None, None, None))
                params = params if known == network else problems[k].begin(drawn)
                runs[k] = TrainingRun(params, reason="interrupted")
        self._train_groups(groups, problems, runs, seed)
        self._check_runs(runs, panel.labels)
        return (
            {
                "network_": [problem.network for problem in problems],
                "params_": [run.params for run in runs],
                "loss_curve_": [run.train_loss for run in runs],
                "validation_loss_curve_": [run.valid_loss for run in runs],
                "best_epoch_": [run.best_epoch for run in runs],
                "n_iter_": [len(run.train_loss) for run in runs],
                "seq_len_": [problem.network.seq_len for problem in problems],
                "window_norm_": list(norms),
            },
            scaled,
            problems,
        )

    def _models_before(self):
        """Return (network, params, orientation) by id of the models of the last fit."""
        if not self.warm_start or not isinstance(getattr(self, "network_", None), list):
            return {}
        turned = self._target_scaler.scale[:, np.newaxis] < 0
        models = zip(self.network_, self.params_, turned, strict=True)
        return dict(zip(self.series_ids_, models, strict=True))

    def _train_groups(self, groups, problems, runs, seed):
        """Train the models of each network from where ``runs`` has them; update ``runs``."""
        progress = ModelProgress(len(runs)) if self.verbose else None
        finished = 0
        for network, group in groups.items():
            expected = finished + len(group)

            def count(models_done, before=finished):
                nonlocal finished
                finished = before + models_done
                if progress:
                    progress(finished)

            windows, limits = _side_by_side([problems[k] for k in group])
            trained = train_many(
                network,
                np.stack([runs[k].params for k in group]),
                windows,
                limits,
                **self._training_options(),
                seeds=np.full(len(group), seed, np.uint64),
                device="cuda" if self.device == "cuda" else "cpu",
                on_model=count,
            )
            for k, run in zip(group, trained, strict=True):
                runs[k] = run
            # Ctrl-C ends the training of all groups.
            if finished < expected:
                break
        if progress:
            progress.close("trained" if finished == len(runs) else "interrupted")

    def _check_runs(self, runs, labels):
        """Raise if training diverged, warn if it was interrupted; name the series."""
        diverged = [labels[k] for k, run in enumerate(runs) if run.reason == "diverged"]
        if diverged:
            raise FloatingPointError(
                "The loss must stay finite, but it did not for "
                f"{_checks.first_three(diverged)} (learning_rate={self.learning_rate}). Use a "
                "smaller learning_rate, or a smaller clip_norm, or scale the data."
            )
        left = [labels[k] for k, run in enumerate(runs) if run.reason == "interrupted"]
        if left:
            start = "linear forecast" if self.linear_skip else "initial weights"
            done = len(runs) - len(left)
            warnings.warn(
                f"Training interrupted by user after {done} of {len(runs)} series; "
                f"{_checks.first_three(left)} will be forecast with the best weights so far, or "
                f"where there are none with the {start}.",
                UserWarning,
                stacklevel=5,
            )


def _side_by_side(problems):
    """Return the windows of several problems as one, and for each the limits of its windows.

    Returns
    -------
    windows : Windows
    limits : (problems, 4) int64
        See ``train_many``.
    """
    rows = np.concatenate([problem.windows.inputs for problem in problems])
    starts, target_starts, sizes = [], [], [0]
    first = 0
    for problem in problems:
        for part in (problem.windows, problem.validation):
            if part is not None:
                starts.append(part.starts + first)
                target_starts.append(part.target_starts + first)
            sizes.append(0 if part is None else len(part.starts))
        first += len(problem.windows.inputs)
    edges = np.cumsum(sizes)
    limits = np.stack([edges[:-1:2], edges[1::2], edges[1::2], edges[2::2]], axis=1)
    # A series of a panel is its own and only input.
    return Windows(rows, np.concatenate(starts), rows, np.concatenate(target_starts)), limits
