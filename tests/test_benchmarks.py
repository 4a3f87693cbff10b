"""The benchmarks run; how fast anything is, no test can say."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
# The rivals' modules import the rivals, which only their own processes should do.
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("__"))


@pytest.fixture(autouse=True)
def from_the_checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def runnable():
    return [name for name in MODULES if hasattr(load(name), "main")]


def load(name):
    return importlib.import_module(f"benchmarks.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_module_can_be_imported(name):
    assert load(name).__doc__


def test_all_are_listed():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = {line.split()[2]: line for line in done.stdout.splitlines()}
    assert listed.keys() == {f"benchmarks.{name}" for name in runnable()}
    for name in runnable():
        question = load(name).__doc__.split("\n", 1)[0]
        assert listed[f"benchmarks.{name}"].endswith(question)
        assert question.endswith("?")


def test_page_has_a_place_for_each():
    page = load("report").README.read_text(encoding="utf-8")
    for name in runnable():
        first, last = load("report").marks(name)
        assert 0 <= page.find(first) < page.find(last)


def test_publish_replaces_what_stands_between_the_marks(tmp_path, monkeypatch, capsys):
    report = load("report")
    first, last = report.marks("limits")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{first}\n\nold\n\n{last}\n\nafter\n", encoding="utf-8")
    monkeypatch.setattr(report, "README", readme)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    for page in ("new", "newer"):
        report.publish("limits", page, {}, {"found": 1}, ["numpy"])
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n\n{first}\n\nnewer\n\n")
    assert text.endswith(f".\n\n{last}\n\nafter\n")
    assert "numpy" in capsys.readouterr().out
    assert (tmp_path / "results" / "limits.json").is_file()


def names_of(tree):
    """Return the functions that a module defines or imports."""
    imported = [node.names for node in tree.body if isinstance(node, ast.ImportFrom)]
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return defined + [alias.name for names in imported for alias in names]


def test_each_contestant_has_a_file():
    contestants = importlib.import_module("benchmarks.contestants")
    files = {path.stem for path in (FOLDER / "contestants").glob("[!_]*.py")}
    assert files == {module for module, _ in contestants.CONTESTANTS.values()}
    for name in files:
        tree = ast.parse((FOLDER / "contestants" / f"{name}.py").read_text(encoding="utf-8"))
        assert "setup" in names_of(tree)


TASKS = {
    "train": (5, 7, 3, 9, 2),
    "infer": (5, 7, 3, 9, 2),
    "stream": (1, 4, 2, 9, 1),
    "many_series": (3, 40, 6, 2, 3, 8, 2),
}


def test_host_and_our_worker():
    contest = load("contest")
    with contest.Contest([], threads=1) as arena:
        for task, size in TASKS.items():
            outcome = arena.compare(task, size, rounds=2, seconds=0.001, repeats=1)
            assert not outcome.failures
            assert [len(rounds) for rounds in outcome.seconds.values()] == [2]
            assert min(outcome.seconds[contest.OURS]) > 0


def test_rivals_that_fail_are_named():
    contest = load("contest")
    with contest.Contest(["ONNX Runtime"], threads=1) as arena:
        # It cannot train, installed or not.
        outcome = arena.compare("train", TASKS["train"], rounds=1, seconds=0.001, repeats=1)
        assert [*arena.absent, *outcome.failures] == ["ONNX Runtime"]
        with pytest.raises(contest.Failure, match="no_such_task"):
            arena.compare("no_such_task", TASKS["train"])


@pytest.mark.parametrize(
    ("rival", "tasks"),
    [
        ("torch", ("train", "infer", "stream")),
        ("JAX", ("train", "infer", "stream")),
        ("ONNX Runtime", ("infer", "stream")),
    ],
)
def test_rivals_compute_the_same(rival, tasks):
    contest = load("contest")
    with contest.Contest([rival], threads=1) as arena:
        if arena.absent:
            pytest.skip(f"{rival} is not installed")
        for task in tasks:
            outcome = arena.compare(task, TASKS[task], rounds=1, seconds=0.001, repeats=1)
            assert not outcome.failures
