"""List the benchmarks: name, and the question that each answers."""

import ast
from pathlib import Path

HERE = Path(__file__).parent


def main():
    """Print the first line of the docstring of each module that can be run."""
    for path in sorted(HERE.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        runnable = any(
            isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body
        )
        if runnable and path.name != "__main__.py":
            first = ast.get_docstring(tree).split("\n", 1)[0]
            print(f"python -m benchmarks.{path.stem:16} {first}")


if __name__ == "__main__":
    main()
