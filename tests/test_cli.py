"""The command line, as a user types it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lstm_numba
from lstm_numba import cli, datasets

pytest.importorskip("matplotlib")

# Processes start where the package is found, installed or not.
ROOT = Path(lstm_numba.__file__).parents[1]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def quick(monkeypatch):
    """Forecasts of two epochs, where a test is about the command and not the forecast."""

    class Quick(lstm_numba.LSTMForecaster):
        def fit(self, X, y=None):
            return self.set_params(max_epochs=2, hidden_size=8).fit_whole(X, y)

        fit_whole = lstm_numba.LSTMForecaster.fit

    monkeypatch.setattr(lstm_numba, "LSTMForecaster", Quick)


@pytest.fixture
def passengers():
    datasets.load_air_passengers().to_csv("p.csv")
    return ["forecast", "p.csv", "--target", "passengers", "--horizon", "5"]


def failure(arguments, capsys):
    """The one line on stderr of a command that must fail with exit code 2."""
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("lstm-numba: error: ")
    assert error.count("\n") == 1
    return error


def png_size(path):
    """Width and height from a PNG header."""
    with open(path, "rb") as file:
        header = file.read(24)
    assert header.startswith(b"\x89PNG")
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])


def test_demo_beats_the_seasonal_naive_forecast(capsys):
    assert cli.main(["demo"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^19(?:59|60)-\d\d( +\d+\.?\d*){3}$", out, re.MULTILINE)) == 24
    scores = dict(re.findall(r"^(LSTM|seasonal naive|drift|naive) +([\d.]+) +[\d.]+$", out, re.M))
    assert scores["seasonal naive"] == "76.99"
    assert float(scores["LSTM"]) < 76.99
    width, height = png_size("forecast.png")
    assert width > 1000
    assert height > 500
    assert os.listdir() == ["forecast.png"]


def test_demo_without_matplotlib_says_how_to_get_it(quick, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert cli.main(["demo"]) == 0
    captured = capsys.readouterr()
    assert 'pip install "lstm_numba[plot]"' in captured.err
    assert "1960-12" in captured.out
    assert not os.listdir()


def test_forecast_of_a_file(quick, passengers, capsys):
    assert cli.main([*passengers, "--plot", "p.png", "--output", "f.csv"]) == 0
    assert "Times: column 'month'" in capsys.readouterr().out
    forecast = pd.read_csv("f.csv", index_col="month", parse_dates=True)["passengers"]
    assert list(forecast.index) == list(pd.date_range("1961-01", periods=5, freq="MS"))
    assert np.isfinite(forecast).all()
    png_size("p.png")
    assert sorted(os.listdir()) == ["f.csv", "p.csv", "p.png"]


def test_forecast_is_repeatable(quick, passengers):
    for name in ("a.csv", "b.csv"):
        assert cli.main([*passengers, "--output", name]) == 0
    with open("a.csv") as a, open("b.csv") as b:
        assert a.read() == b.read()


def test_forecast_without_times_numbers_the_rows(quick, capsys):
    pd.DataFrame({"y": np.sin(np.arange(80) / 3), "colour": "red"}).to_csv("n.csv", index=False)
    arguments = ["forecast", "n.csv", "--target", "y", "--horizon", "3", "--output", "f.csv"]
    assert cli.main(arguments) == 0
    assert "Times: row numbers" in capsys.readouterr().out
    assert pd.read_csv("f.csv")["step"].tolist() == [80, 81, 82]


def test_forecast_with_numbered_times(quick):
    years = np.arange(1700, 1860, 2)
    pd.DataFrame({"year": years, "y": np.sin(years)}).to_csv("n.csv", index=False)
    arguments = ["forecast", "n.csv", "--target", "y", "--time", "year", "--horizon", "3"]
    assert cli.main([*arguments, "--output", "f.csv"]) == 0
    assert pd.read_csv("f.csv")["year"].tolist() == [1860, 1862, 1864]


def test_a_failed_write_leaves_the_old_file(quick, passengers, monkeypatch, capsys):
    with open("f.csv", "w") as file:
        file.write("old")

    def full_disk(self, path, **options):
        with open(path, "w") as file:
            file.write("ha")
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.Series, "to_csv", full_disk)
    assert "f.csv cannot be written: No space left" in failure(
        [*passengers, "--output", "f.csv"], capsys
    )
    with open("f.csv") as file:
        assert file.read() == "old"
    assert sorted(os.listdir()) == ["f.csv", "p.csv"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--target", "passenger"], "no column 'passenger'. Its columns: 'month', 'passengers'"),
        (["--time", "when"], "no column 'when'"),
        (["--time", "passengers"], "both name 'passengers'"),
        (["--horizon", "0"], "horizon"),
        (["--horizon", "500"], "500"),
        (["--output", "missing/f.csv"], "folder of missing/f.csv does not exist"),
        (["--plot", "missing/p.png"], "folder of missing/p.png does not exist"),
        (["--plot", "p.mp3"], "must end in one of"),
        (["--plot", "."], "is a folder"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(passengers, change, message, capsys):
    assert message in failure([*passengers, *change], capsys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as CSV"),
        ("day,y\n2024-01-01,1\n2024-01-02,2,3,4\n", "cannot be read as CSV"),
        ("day,y\n", "y"),
        (
            "day,y\n" + "".join(f"2024-01-{d:02},{d}\n" for d in range(1, 32) if d != 9),
            "2024-01-08",
        ),
        ("day,y\n" + "".join(f"2024-01-{d:02},a{d}\n" for d in range(1, 32)), "y"),
        ("a,b,y\n2024-01-01,2024-02-01,1\n", "('a', 'b')"),
    ],
)
def test_bad_files_are_told_in_one_line(text, message, capsys):
    with open("b.csv", "w") as file:
        file.write(text)
    assert message in failure(["forecast", "b.csv", "--target", "y", "--horizon", "2"], capsys)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-01-01", "soon"], "must hold dates of one form"),
        ([1, 5], None),
        ([1, 5, 6], "rise by one fixed step, but the steps are 1, 4"),
        ([3, 2, 1], "rise by one fixed step"),
        ([0.5, 1.5], "must hold dates or whole numbers"),
    ],
)
def test_time_columns(times, message):
    column = pd.Series(times, name="when")
    if message is None:
        assert list(cli._times(column)) == times
    else:
        with pytest.raises(ValueError, match=re.escape(message)):
            cli._times(column)


def test_missing_file(capsys):
    assert "There is no file no.csv" in failure(
        ["forecast", "no.csv", "--target", "y", "--horizon", "2"], capsys
    )


@pytest.mark.filterwarnings("default")
def test_warnings_are_told_in_one_line(quick, capsys):
    pd.DataFrame({"y": np.sin(np.arange(12) / 3)}).to_csv("n.csv", index=False)
    assert cli.main(["forecast", "n.csv", "--target", "y", "--horizon", "8"]) == 0
    error = capsys.readouterr().err
    assert error.startswith("lstm-numba: warning: ")
    assert error.count("\n") == 1


def test_info(capsys):
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    for word in ("numba", "cores", "vector", "devices", "cache"):
        assert word in out


def test_warmup(capsys):
    assert cli.main(["warmup"]) == 0
    assert "ready" in capsys.readouterr().out


def test_version_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "lstm_numba", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"lstm_numba {lstm_numba.__version__}\n")


def test_a_closed_pipe_is_no_error():
    command = f'"{sys.executable}" -m lstm_numba info | true'
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
