"""A contestant's process: orders come in as lines of JSON, answers go out likewise.

    {"prepare": task, "size": [...]}          {"answer": [...], "note": ...}
    {"measure": seconds, "repeats": least}    {"seconds": [per unit, ...]}

An order that fails is answered by ``{"error": ...}``.
"""

import argparse
import importlib
import json
import os
import sys
import time

from . import CONTESTANTS, SIZE_OF_TASK

SAMPLES = 50


class Worker:
    """Carries out the orders of the host."""

    def __init__(self, contestant, threads):
        self._contestant, self._threads = contestant, threads
        self._work = None

    def obey(self, order):
        """Return the answer to an order."""
        if "prepare" in order:
            return self.prepare(order["prepare"], order["size"])
        return self.measure(order["measure"], order["repeats"])

    def prepare(self, task, size):
        """Set up a task, compile and warm up."""
        if self._work:
            self._work.close()
        self._work = None
        self._work = getattr(self._contestant, task)(SIZE_OF_TASK[task](*size), self._threads)
        self._work.run()
        return {"answer": self._work.answer, "note": self._work.note}

    def measure(self, seconds, repeats):
        """Return seconds per unit, each from as many runs as last long enough to be timed."""
        run, units = self._work.run, self._work.units
        # Brings the caches back after the turn of another process, and tells how long a run takes.
        began = time.perf_counter()
        run()
        estimate = time.perf_counter() - began
        if estimate < 1e-3:
            began = time.perf_counter()
            for _ in range(10):
                run()
            estimate = (time.perf_counter() - began) / 10
        loops = range(max(1, int(seconds / SAMPLES / estimate)))
        samples, stop = [], time.perf_counter() + seconds
        while len(samples) < repeats or time.perf_counter() < stop:
            began = time.perf_counter()
            for _ in loops:
                run()
            samples.append((time.perf_counter() - began) / (len(loops) * units))
        return {"seconds": samples}


def keep_to_cores(threads):
    """Leave this process no more cores than threads, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main(argv=None):
    """Serve one contestant until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)

    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(answer):
        print(json.dumps(answer), file=answers, flush=True)

    # Libraries look at the cores when they are imported.
    keep_to_cores(args.threads)
    try:
        module = importlib.import_module(f"{__package__}.{CONTESTANTS[args.name][0]}")
        module.setup(args.threads)
    except Exception as error:
        return reply({"error": f"{type(error).__name__}: {error}"})
    worker = Worker(module, args.threads)
    for line in sys.stdin:
        try:
            reply(worker.obey(json.loads(line)))
        except Exception as error:
            reply({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
