"""The benchmarks for a GPU machine, as far as they run without one."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_numba.kernels import load
from lstm_numba.nn import device
from lstm_numba.nn.network import Network

ROOT = Path(__file__).parents[1]
DEVICE = {"name": "a GPU", "multiprocessors": 132, "multiply_add_gflops": 6e4}


@pytest.fixture
def benchmarks(monkeypatch, tmp_path):
    """Return a function that imports a benchmark; on an imagined GPU, written to a new folder."""
    monkeypatch.syspath_prepend(str(ROOT))
    gpu, report = (importlib.import_module(f"benchmarks.{name}") for name in ("gpu", "report"))
    readme = tmp_path / "README.md"
    readme.write_text(report.README.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(report, "README", readme)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu, "check", lambda: None)
    monkeypatch.setattr(gpu, "device", lambda: DEVICE)
    monkeypatch.setattr(gpu, "GRID", gpu.QUICK_GRID)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def imagined_contest(contest, broken):
    """Return a class in place of ``Contest``, in which we fail at the sizes ``broken``."""

    class Imagined(contest.Contest):
        def __init__(self, names, threads, ours):
            self.names, self.absent, self.ours = [ours, names[0]], list(names[1:]), ours
            self._processes = {}

        def compare(self, task, size, **budget):
            if size in broken:
                raise contest.Failure("out of order")
            seconds = {self.ours: [1e-3, 2e-3], self.names[1]: [3e-3, 3e-3]}
            ratios = {self.names[1]: [3.0, 1.5]}
            return contest.Outcome(seconds, ratios, {self.names[1]: "eager"})

    return Imagined


@pytest.mark.parametrize("name", ["train_cuda", "infer_cuda"])
def test_a_size_that_fails_does_not_cost_the_others(name, benchmarks, monkeypatch, tmp_path):
    gpu, contest = benchmarks("gpu"), benchmarks("contest")
    imagined = imagined_contest(contest, gpu.QUICK_GRID[:1])
    monkeypatch.setattr(contest, "Contest", imagined)
    benchmarks(name).main([])
    written = json.loads((tmp_path / f"{name}.json").read_text())
    first, second = written["results"]["cases"]
    assert first["failure"] == "out of order"
    assert second["microseconds"][gpu.OURS]["median"] == 1500
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Failed at (32, 24, 1, 16, 1): lstm_numba, GPU, out of order." in page
    assert "| 256, 96, 8, 64, 1 " in page


def test_what_is_measured_is_kept_at_once(benchmarks, monkeypatch, tmp_path):
    gpu, contest = benchmarks("gpu"), benchmarks("contest")

    class CutShort(imagined_contest(contest, [])):
        def compare(self, task, size, **budget):
            if size == gpu.QUICK_GRID[1]:
                raise KeyboardInterrupt
            return super().compare(task, size, **budget)

    monkeypatch.setattr(contest, "Contest", CutShort)
    with pytest.raises(KeyboardInterrupt):
        benchmarks("train_cuda").main([])
    written = json.loads((tmp_path / "train_cuda.json").read_text())
    assert [case["size"]["hidden"] for case in written["results"]["cases"]] == [16]


@pytest.mark.parametrize("tests_pass", [True, False])
def test_one_command_measures_whatever_fails(tests_pass, benchmarks, monkeypatch, tmp_path):
    cuda, contest = benchmarks("cuda"), benchmarks("contest")
    said = "= 95 passed =" if tests_pass else "FAILED test_x\n= 1 failed ="
    done = subprocess.CompletedProcess([], not tests_pass, said)
    monkeypatch.setattr(cuda.subprocess, "run", lambda *args, **options: done)
    monkeypatch.setattr(contest, "Contest", imagined_contest(contest, []))
    floor = cuda.gpu.floor_seconds

    def no_floor_for_forecasts(size, products, gpu):
        if products == cuda.sweep.FORWARD:
            raise ZeroDivisionError("floor")
        return floor(size, products, gpu)

    monkeypatch.setattr(cuda.gpu, "floor_seconds", no_floor_for_forecasts)
    with pytest.raises(SystemExit) as end:
        cuda.main([])
    found = json.loads((tmp_path / "cuda.json").read_text())["results"]
    assert found["tests"]["passed"] == tests_pass
    assert len(found["train"]["cases"]) == 2
    assert "ZeroDivisionError" in found["infer"]["error"]
    # The imagined GPU is faster at all sizes.
    least = min(map(int, found["auto"]["ratio_by_multiply_adds"]))
    assert found["auto"]["worth_a_gpu"] == pytest.approx(least)
    assert ("tests" in str(end.value)) != tests_pass
    assert "Training. a GPU" in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ({10: 0.5, 40: 2.0, 90: 3.0}, 20),
        ({10: 2.0, 40: 0.9, 90: 3.0}, 60),
        ({40: 1.1, 90: 3.0}, 40),
        ({10: 0.5, 40: 1.0}, None),
        ({}, None),
    ],
)
def test_a_gpu_is_worth_it_from_where_it_stays_faster(ratios, expected, benchmarks):
    assert benchmarks("auto_device").threshold(ratios) == expected


def test_what_auto_goes_by_is_counted_as_it_counts(benchmarks, monkeypatch):
    auto_device = benchmarks("auto_device")
    size = auto_device.GRID[0]
    network = Network(size.seq_len, size.features, 1, 1, hidden_size=size.hidden)
    monkeypatch.setattr(load("cuda"), "is_simulated", lambda: False)
    monkeypatch.setattr(load("cuda"), "why_not", lambda: None)
    for worth, expected in ((0, "cuda"), (1, "cpu")):
        monkeypatch.setattr(device, "_WORTH_A_GPU", auto_device.multiply_adds(size) + worth)
        assert device.choose_device("auto", network, size.batch) == expected


def test_a_contestant_that_is_stuck_is_ended(benchmarks, monkeypatch):
    contest = benchmarks("contest")
    monkeypatch.setattr(contest, "PATIENCE", 0.01)
    with contest.Contest([], 1) as arena, pytest.raises(contest.Failure, match="ended with status"):
        arena.compare("train", (5, 7, 3, 9, 2))


def test_without_a_gpu_nothing_is_measured():
    command = [sys.executable, "-m", "benchmarks.cuda"]
    environment = os.environ | {"NUMBA_DISABLE_CUDA": "1", "NUMBA_ENABLE_CUDASIM": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("There is no GPU to measure: ")


def test_our_worker_trains_and_forecasts(cuda_device, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    ours = importlib.import_module("benchmarks.contestants.ours")
    ours_cuda = importlib.import_module("benchmarks.contestants.ours_cuda")
    contestants = importlib.import_module("benchmarks.contestants")
    size = contestants.Size(2, 3, 1, 3, 1)
    for task in ("train", "infer"):
        work, expected = (getattr(module, task)(size, 1) for module in (ours_cuda, ours))
        work.run()
        assert work.answer == pytest.approx(expected.answer, rel=1e-5)
        work.close()
        expected.close()
