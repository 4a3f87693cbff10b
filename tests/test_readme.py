"""What README.md says is what happens."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda code: code.split("\n", 1)[0][:40])
def test_example_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example in README.md", "exec"), {"__name__": "__main__"})


def test_continuous_integration_runs_the_test_command():
    command = re.search(r"\.venv/bin/(python -m pytest.*)", README).group(1).strip("` ")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert command.replace("python", '"$python"', 1) in script.splitlines()


def test_files_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_benchmarks_exist():
    commands = re.findall(r"python -m (benchmarks\.\w+)", README)
    assert commands
    for command in commands:
        source = (ROOT / command.replace(".", "/")).with_suffix(".py")
        assert "def main(" in source.read_text(encoding="utf-8")
