"""The series that ship with the package."""

from importlib import resources

import numpy as np
import pytest

from lstm_numba import datasets


@pytest.mark.parametrize(
    ("load", "name", "length", "freq", "first", "last", "total"),
    [
        (datasets.load_air_passengers, "passengers", 144, "MS", "1949-01", "1960-12", 40363),
        (datasets.load_sunspots, "sunspots", 309, "YS", "1700-01", "2008-01", 15373.4),
        (datasets.load_co2, "co2", 516, "MS", "1959-01", "2001-12", 175486.38),
    ],
)
def test_series(load, name, length, freq, first, last, total):
    y = load()
    assert y.name == name
    assert len(y) == length
    assert y.index.freqstr.startswith(freq)
    assert f"{y.index[0]:%Y-%m}" == first
    assert f"{y.index[-1]:%Y-%m}" == last
    assert y.sum() == pytest.approx(total)
    assert np.isfinite(y).all()


def test_air_passengers_values():
    y = datasets.load_air_passengers()
    assert y["1949"].tolist() == [112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118]
    assert y["1960"].tolist() == [417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432]


def test_months_without_measurement_are_filled_as_said():
    y = datasets.load_co2()
    for month in ("1964-02", "1964-03", "1964-04"):
        year, of_year = month.split("-")
        around = [y[f"{int(year) + k}-{of_year}"].item() for k in (-1, 1)]
        assert y[month].item() == pytest.approx(np.mean(around), abs=0.011)


def test_loads_are_independent():
    y = datasets.load_co2()
    y.iloc[:] = 0
    assert datasets.load_co2().iloc[0] == 315.5


def test_each_file_has_its_source_beside_it():
    folder = resources.files(datasets)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    files = [file.name for file in folder.iterdir() if file.name.endswith(".csv")]
    assert len(files) == 3
    for file in files:
        assert f"## {file}" in readme
