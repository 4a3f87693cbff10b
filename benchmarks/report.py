"""What every benchmark reports alike: the machine, the versions, tables, a JSON file."""

import importlib.metadata
import json
import os
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"


def machine():
    """Describe the processor and how much of it this process may use."""
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": _usable_cores(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(*packages):
    """Return ``{package: version}`` of those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def summary(samples, digits=4):
    """Return the median, the lowest and the highest of some measurements, and all of them."""
    samples = [round(sample, digits) for sample in samples]
    return {
        "median": round(statistics.median(samples), digits),
        "low": min(samples),
        "high": max(samples),
        "samples": samples,
    }


def spread(figures, digits=2):
    """Write a `summary` as ``median (low to high)``."""
    low, median, high = (f"{figures[key]:.{digits}f}" for key in ("low", "median", "high"))
    return f"{median} ({low} to {high})"


def table(header, rows):
    """Write rows as a Markdown table: the first column to the left, figures to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    marks = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines = [cells[0], marks, *cells[1:]]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in lines
    )


def publish(name, page, settings, results, packages, keep=True):
    """Print a page of tables, put it into README.md and write ``results/<name>.json``.

    Parameters
    ----------
    name : str
        Of the benchmark.
    page : str
        Markdown. It replaces what an earlier run has put between the marks in README.md.
    settings, results : dict
    packages : iterable of str
        Those whose versions count.
    keep : bool
        False: print only, and write nothing.
    """
    report = _report(name, settings, results, packages)
    page = f"{page}\n\n{_origin(report)}"
    print(page)
    if not keep:
        return
    _write_json(report)
    first, last = marks(name)
    head, _, rest = README.read_text(encoding="utf-8").partition(first)
    tail = rest.partition(last)[2]
    _write(README, f"{head}{first}\n\n{page}\n\n{last}{tail}")


def save(name, settings, results, packages):
    """Write ``results/<name>.json`` alone, while a long benchmark is under way."""
    _write_json(_report(name, settings, results, packages))


def _report(name, settings, results, packages):
    return {
        "benchmark": name,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(*packages),
        "settings": settings,
        "results": results,
    }


def marks(name):
    """Return the lines in README.md between which the page of a benchmark stands."""
    return f"<!-- {name}: written by the benchmark -->", f"<!-- end of {name} -->"


def _origin(report):
    machine, cores = report["machine"], report["machine"]["cores"]
    packages = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"{machine['processor']}, {cores} core{'s' if cores > 1 else ''}; {machine['system']}, "
        f"Python {machine['python']}, {packages}; {report['date']}."
    )


def _write_json(report):
    RESULTS.mkdir(exist_ok=True)
    _write(RESULTS / f"{report['benchmark']}.json", json.dumps(report, indent=2) + "\n")


def _write(path, text):
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _usable_cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()
