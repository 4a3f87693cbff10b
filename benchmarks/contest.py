"""A contest: the same work by several libraries, each in a process of its own, in turn.

Two libraries in one process disturb each other's threads, and a machine that gets slower in
between spoils what is measured one after the other. So each contestant has a process that stays,
and a round gives each of them a short turn while the others wait for their orders. Ratios are
taken within a round. Before, all contestants answer with what they compute: who computes
something else is not measured.
"""

import argparse
import importlib.util
import json
import math
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import report
from .contestants import CONTESTANTS

ROOT = Path(__file__).parents[1]
OURS = "lstm_numba"
# Threads of a library that has had its turn spin for a while.
PAUSE = 0.05
# A contestant that has not answered by then, in seconds, is taken for stuck and ended.
PATIENCE = 300
TOLERANCE = 1e-4
PACKAGES = ("lstm_numba", "numba", "llvmlite", "numpy", "torch", "jax", "onnxruntime")


class Failure(Exception):
    """A contestant could not do what it was asked to."""


@dataclass
class Outcome:
    """One case: seconds per unit by contestant, each contestant's time over ours, and failures."""

    seconds: dict = field(default_factory=dict)
    ratios: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)

    def add(self, other):
        """Add what other processes did; whoever has failed in any of them has failed."""
        self.failures |= other.failures
        self.notes |= other.notes
        for mine, theirs in ((self.seconds, other.seconds), (self.ratios, other.ratios)):
            for name, rounds in theirs.items():
                mine.setdefault(name, []).extend(rounds)
            for name in self.failures:
                mine.pop(name, None)

    def as_json(self, unit_name, unit):
        """Return plain data, with the seconds in units of ``unit`` seconds."""
        return {
            unit_name: {
                name: report.summary([one / unit for one in rounds])
                for name, rounds in self.seconds.items()
            },
            "ratio": {name: report.summary(rounds) for name, rounds in self.ratios.items()},
            "notes": self.notes,
            "failures": self.failures,
        }


class _Process:
    """A contestant's process."""

    def __init__(self, name, threads):
        command = [sys.executable, "-m", "benchmarks.contestants", name, "--threads", str(threads)]
        # In a session of its own, Ctrl-C reaches the host alone, which ends its processes.
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, **order):
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it may have left a reason
        out_of_patience = threading.Timer(PATIENCE, self._process.kill)
        out_of_patience.start()
        line = self._process.stdout.readline()
        out_of_patience.cancel()
        if not line:
            raise Failure(f"its process ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def end(self):
        self._process.kill()
        self._process.communicate()


class Contest:
    """Contestants that are installed, ours first; use as a context manager.

    Parameters
    ----------
    names : iterable of str
        Of ``CONTESTANTS``.
    threads : int
        Of each of them; each is kept to as many cores.
    ours : str
        The one that the others are compared with.

    Attributes
    ----------
    absent : list of str
        Those that are not installed.
    """

    def __init__(self, names, threads, ours=OURS):
        self.ours = ours
        names = [ours, *(name for name in names if name != ours)]
        self.names = [name for name in names if _is_installed(name)]
        self.absent = [name for name in names if name not in self.names]
        self._threads = threads
        self._processes = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for name in list(self._processes):
            self._end(name)

    def compare(self, task, size, rounds=5, seconds=0.3, repeats=3, tolerance=TOLERANCE):
        """Measure a task of one size, and return the `Outcome`.

        Parameters
        ----------
        task : str
        size : tuple of int
        rounds : int
        seconds, repeats : float, int
            Least length of a turn.
        tolerance : float
            Largest difference from our answer, relative to 1 plus the answer.

        Raises
        ------
        Failure
            When it is ours that fails.
        """
        outcome, answers = Outcome(), {}

        def try_to(name, **order):
            try:
                return self._ask(name, **order)
            except Failure as failure:
                self._end(name)
                if name == self.ours:
                    raise
                outcome.failures[name] = str(failure)

        for name in self.names:
            reply = try_to(name, prepare=task, size=list(size))
            if reply:
                answers[name] = reply["answer"]
                outcome.notes |= {name: reply["note"]} if reply["note"] else {}
        for name, answer in answers.items():
            difference = _difference(answers[self.ours], answer)
            if not difference <= tolerance:
                outcome.failures[name] = f"its answer differs from ours by {difference:.1e}"
            else:
                outcome.seconds[name] = []
        for _ in range(rounds):
            for name in list(outcome.seconds):
                time.sleep(PAUSE)
                reply = try_to(name, measure=seconds, repeats=repeats)
                if reply:
                    outcome.seconds[name].append(statistics.median(reply["seconds"]))
                else:
                    del outcome.seconds[name]
        outcome.ratios = {
            name: [one / ours for one, ours in zip(times, outcome.seconds[self.ours], strict=True)]
            for name, times in outcome.seconds.items()
            if name != self.ours
        }
        return outcome

    def _ask(self, name, **order):
        if name not in self._processes:
            self._processes[name] = _Process(name, self._threads)
        return self._processes[name].ask(**order)

    def _end(self, name):
        if name in self._processes:
            self._processes.pop(name).end()


def options(docstring):
    """Return the parser of the options that all contests share."""
    parser = argparse.ArgumentParser(description=docstring.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.3, help="least turn (default: 0.3)")
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=sorted({1, report.machine()["cores"]}),
        help="numbers of threads (default: 1 and all cores)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="see whether it works: smallest sizes and turns, and nothing is written",
    )
    return parser


def budget(args):
    """Return rounds, seconds and repeats, as `compare` takes them."""
    if args.quick:
        return {"rounds": 2, "seconds": 0.02, "repeats": 1}
    return {"rounds": args.rounds, "seconds": args.seconds, "repeats": 3}


def _is_installed(name):
    return all(importlib.util.find_spec(package) for package in CONTESTANTS[name][1])


def _difference(ours, theirs):
    """Return the largest difference, relative to 1 + |ours|; NaN and other lengths differ."""
    if len(ours) != len(theirs):
        return math.inf
    return max(
        (
            abs(a - b) / (1 + abs(a)) if math.isfinite(a - b) else math.inf
            for a, b in zip(ours, theirs, strict=True)
        ),
        default=0.0,
    )
