"""Imports point down, and importing the package is light and silent."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lstm_numba"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Room: (rooms it may import from, packages it may import beside the standard library).
ROOMS = {
    "_checks": (set(), {"numpy", "pandas"}),
    "_future_checks": ({"_checks"}, {"numpy"}),
    "_layer_checks": ({"_checks"}, {"numpy"}),
    # cuda.core comes with numba-cuda.
    "kernels": (set(), {"cuda", "llvmlite", "numba", "numpy"}),
    "nn": ({"_layer_checks", "kernels"}, {"numpy"}),
    # joblib and threadpoolctl come with scikit-learn.
    "train": ({"nn", "kernels"}, {"numpy", "threadpoolctl"}),
    "data": (set(), {"numpy", "pandas"}),
    "datasets": (set(), {"numpy", "pandas"}),
    "forecast": (
        {"_future_checks", "train", "nn", "kernels", "data", "plotting"},
        {"joblib", "numpy", "pandas", "sklearn"},
    ),
    "interop": (
        {"forecast", "data", "nn", "kernels"},
        {"keras", "numpy", "onnx", "sklearn", "torch"},
    ),
    "runtime": ({"nn", "train", "kernels"}, {"llvmlite", "numba", "numpy"}),
    "plotting": (set(), {"matplotlib", "numpy", "pandas"}),
    "cli": ({"", "plotting"}, {"numpy", "pandas"}),
    "__main__": ({"cli"}, set()),
    "__init__": (None, set()),
}
OPTIONAL = {"keras", "matplotlib", "onnx", "torch"}


def room_of(path):
    """The first folder, or the name of a file of the package's own folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path, tree):
    """Yield (module, line) for all import statements, with modules of the package made absolute."""
    parts = ("lstm_numba", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            if module == "lstm_numba":
                # `from . import x` may name a room.
                for alias in node.names:
                    yield f"lstm_numba.{alias.name}", node.lineno
            else:
                yield module, node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in ROOMS, f"a new room, {room}: say in ROOMS what it may import"
    below, packages = ROOMS[room]
    for module, line in imports(path, parse(path)):
        first, _, rest = module.partition(".")
        where = f"{path.relative_to(PACKAGE.parent)}:{line} imports {module}"
        if first == "lstm_numba":
            target = rest.partition(".")[0]
            allowed = below is None or target in below | {room, "_checks", "__version__"}
            assert allowed, f"{where}, which is not below {room}"
        else:
            assert first in packages | sys.stdlib_module_names, f"{where}, not allowed in {room}"


def test_numba_cuda_is_imported_by_the_cuda_backend_alone():
    for path in SOURCES:
        if path.parent == PACKAGE / "kernels" / "cuda":
            continue
        for node in ast.walk(parse(path)):
            names = [alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")]
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{name}" for name in names]
            found = [name for name in names if f"{name}.".startswith("numba.cuda.")]
            assert not found, f"{path.name}:{node.lineno} imports {found}"
        for module, line in imports(path, parse(path)):
            assert "kernels.cuda" not in module, f"{path.name}:{line}: use load(device)"
            assert module.split(".")[0] != "cuda", f"{path.name}:{line} imports {module}"


def test_optional_packages_are_imported_late():
    for path in SOURCES:
        tree = parse(path)
        late = {
            node.lineno
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, (ast.Import, ast.ImportFrom))
        }
        for module, line in imports(path, tree):
            is_room = module == "lstm_numba.plotting" and room_of(path) not in ("cli", "__main__")
            if module.split(".")[0] in OPTIONAL or is_room:
                assert line in late, f"{path.name}:{line} imports {module} at once"


def run_python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_import_is_light_and_silent():
    # t10, e11: no thread, no output, nothing heavy.
    code = """if True:
        import os, sys, threading
        import lstm_numba
        dir(lstm_numba)
        heavy = ("joblib", "keras", "matplotlib", "numba", "onnx", "pandas", "sklearn", "torch")
        assert not [name for name in heavy if name in sys.modules]
        assert threading.active_count() == 1
        if sys.platform == "linux":
            assert len(os.listdir("/proc/self/task")) == 1
    """
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_estimators_do_not_load_optional_packages():
    code = """if True:
        import sys
        import lstm_numba
        for name in lstm_numba.__all__:
            getattr(lstm_numba, name)
        optional = "keras", "matplotlib", "numba.cuda", "onnx", "torch"
        print([name for name in optional if name in sys.modules])
    """
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_public_names():
    import lstm_numba

    assert set(lstm_numba.__all__) <= set(dir(lstm_numba))
    for name in lstm_numba.__all__:
        assert getattr(lstm_numba, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        lstm_numba.no_such_name  # noqa: B018
