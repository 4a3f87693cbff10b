"""What every benchmark reports alike: the machine, the versions, a table, a JSON file."""

import importlib.metadata
import json
import os
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


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


def save(name, settings, results, packages):
    """Write ``results/<name>.json`` with machine, versions and date; return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    report = {
        "benchmark": name,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(*packages),
        "settings": settings,
        "results": results,
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return path


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
