"""The command ``lstm-numba``: demo, forecast, warmup, info."""

import argparse
import contextlib
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import lstm_numba

from .plotting import plot_forecast, require_matplotlib


def main(argv=None):
    """Run one command and return its exit code: 0, or 2 after an error told in one line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
    """
    arguments = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return arguments.command(arguments)
    except BrokenPipeError:
        # The reader has gone (`| head`); Python must not complain again while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("lstm-numba: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, ArithmeticError, OSError, ImportError) as error:
        _tell("error", error)
        return 2


def _tell(kind, what):
    print(f"lstm-numba: {kind}: {' '.join(str(what).split())}", file=sys.stderr)


def _show_warning(message, *where):
    _tell("warning", message)


def _parser():
    parser = argparse.ArgumentParser(
        prog="lstm-numba",
        description="Forecast time series with recurrent networks on Numba kernels.",
    )
    parser.add_argument(
        "--version", action="version", version=f"lstm_numba {lstm_numba.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="forecast the last 24 months of AirPassengers and compare with the truth"
    )
    demo.add_argument("--plot", metavar="P.png", type=Path, default=Path("forecast.png"))
    demo.add_argument("--random-state", metavar="N", type=int, default=0)
    demo.set_defaults(command=_demo)

    forecast = commands.add_parser("forecast", help="forecast a column of a CSV file")
    forecast.add_argument("file", metavar="FILE.csv", type=Path)
    forecast.add_argument("--target", metavar="COLUMN", required=True, help="what to forecast")
    forecast.add_argument(
        "--time",
        metavar="COLUMN",
        help="the times of the rows; by default the one column that holds dates, "
        "or else the rows are numbered",
    )
    forecast.add_argument("--horizon", metavar="N", type=int, required=True, help="steps ahead")
    forecast.add_argument("--plot", metavar="P.png", type=Path, help="write a picture")
    forecast.add_argument("--output", metavar="F.csv", type=Path, help="write the forecast")
    forecast.add_argument("--random-state", metavar="N", type=int, default=0)
    forecast.set_defaults(command=_forecast)

    warmup = commands.add_parser(
        "warmup", help="compile the kernels of a default fit and forecast, into the disk cache"
    )
    warmup.add_argument(
        "--all",
        action="store_true",
        help="also those of local models, stateful models, streams and layers",
    )
    warmup.set_defaults(command=_warmup)
    info = commands.add_parser("info", help="versions, cores, vector width, devices, cache folder")
    info.set_defaults(command=_info)
    return parser


def _demo(arguments):
    can_plot = _check_plot(arguments.plot)
    season, months = 12, 24
    y = lstm_numba.datasets.load_air_passengers()
    history, truth = y[:-months], y[-months:]
    print(f"AirPassengers, monthly: {len(history)} months to learn from, {months} to forecast.")
    print("Training. The first run on a machine also compiles the kernels.", flush=True)

    started = time.perf_counter()
    model = lstm_numba.LSTMForecaster(horizon=months, random_state=arguments.random_state).fit(
        history
    )
    forecast = model.predict()
    print(f"Trained in {time.perf_counter() - started:.1f} s with the default parameters.\n")

    baselines = lstm_numba.baselines
    seasonal = baselines.seasonal_naive(history, months, season_length=season)
    shown = pd.DataFrame({"truth": truth, "LSTM": forecast, "seasonal naive": seasonal})
    shown.index = shown.index.strftime("%Y-%m").rename(None)
    print(shown.to_string(float_format="{:.1f}".format), end="\n\n")
    rivals = {
        "LSTM": forecast,
        "seasonal naive": seasonal,
        "drift": baselines.drift(history, months),
        "naive": baselines.naive(history, months),
    }
    scores = {
        name: {
            "RMSE": baselines.rmse(truth, values),
            "MASE": baselines.mase(truth, values, history, season_length=season),
        }
        for name, values in rivals.items()
    }
    print(pd.DataFrame(scores).T.to_string(float_format="{:.2f}".format), end="\n\n")

    if can_plot:
        title = "AirPassengers: 24 months that the model has not seen"
        others = {"seasonal naive": seasonal}
        _write_plot(arguments.plot, history, forecast, truth, others=others, title=title)
    return 0


def _forecast(arguments):
    can_plot = arguments.plot is not None and _check_plot(arguments.plot)
    if arguments.output is not None:
        _check_folder(arguments.output)
    y = _read_series(arguments.file, arguments.target, arguments.time)
    model = lstm_numba.LSTMForecaster(
        horizon=arguments.horizon, random_state=arguments.random_state
    ).fit(y)
    forecast = model.predict()
    forecast.index.name = y.index.name or "step"
    print(forecast.to_frame().to_string(), end="\n\n")
    if arguments.output is not None:
        with _replacing(arguments.output) as partial:
            forecast.to_csv(partial)
        print(f"Forecast: {arguments.output}")
    if can_plot:
        _write_plot(arguments.plot, y, forecast, title=f"{y.name}: the next {len(forecast)} steps")
    return 0


def _warmup(arguments):
    started = time.perf_counter()
    lstm_numba.warmup(parts="all" if arguments.all else ("windows",))
    print(f"Kernels are ready after {time.perf_counter() - started:.1f} s.")
    return 0


def _info(arguments):
    facts = lstm_numba.info()
    width = max(map(len, facts))
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items())
        elif isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value))
        print(f"{name.replace('_', ' '):{width}}  {value}")
    return 0


def _read_series(path, target, time_column):
    """One column of a CSV file as a Series over its times."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    for column in filter(None, (target, time_column)):
        if column not in table.columns:
            names = ", ".join(map(repr, table.columns))
            raise ValueError(f"{path} has no column {column!r}. Its columns: {names}.")
    if time_column == target:
        raise ValueError(f"--time and --target both name {target!r}; they must differ.")
    if time_column is None:
        time_column = _guess_time_column(table.drop(columns=target))
    y = table[target]
    if time_column is not None:
        y.index = _times(table[time_column])
    return y


def _guess_time_column(table):
    """The one column of `table` whose text is dates; None when there is none."""
    dated = []
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            with contextlib.suppress(ValueError):
                _times(table[name])
                dated.append(name)
    if len(dated) > 1:
        names = ", ".join(map(repr, dated))
        raise ValueError(f"Several columns hold dates ({names}). Choose one with --time.")
    print(f"Times: column {dated[0]!r}" if dated else "Times: row numbers (no column holds dates)")
    return dated[0] if dated else None


def _times(column):
    """A column as an index: dates from text, equally spaced whole numbers as they are."""
    name = column.name
    if pd.api.types.is_integer_dtype(column):
        steps = np.unique(np.diff(column))
        if len(steps) != 1 or steps[0] <= 0:
            raise ValueError(
                f"The numbers of time column {name!r} must rise by one fixed step, but the steps "
                f"are {', '.join(map(str, steps[:5])) or 'none'}. Fill the gaps or name a column "
                "of dates."
            )
        start, step = int(column.iloc[0]), int(steps[0])
        return pd.RangeIndex(start, start + step * len(column), step, name=name)
    if pd.api.types.is_numeric_dtype(column):
        raise ValueError(
            f"Time column {name!r} must hold dates or whole numbers, but its type is "
            f"{column.dtype}."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas warns when it guesses no format
        try:
            times = pd.to_datetime(column)
        except ValueError as error:
            raise ValueError(
                f"Time column {name!r} must hold dates of one form, such as 2024-01-31 or "
                f"2024-01-31 18:00: {error}"
            ) from error
    return pd.DatetimeIndex(times)


def _check_folder(path):
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder of {path} does not exist. Make it first.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file to write.")


def _check_plot(path):
    """Whether `path` can be drawn; what cannot be written is told before training."""
    _check_folder(path)
    try:
        plt = require_matplotlib()
    except ImportError as error:
        print(f"{error}\nThe plot is left out.", file=sys.stderr)
        return False
    # Files are written, windows are not opened: this must work without a screen.
    plt.switch_backend("agg")
    kinds = plt.gcf().canvas.get_supported_filetypes()
    plt.close()
    if path.suffix[1:].lower() not in kinds:
        raise ValueError(
            f"The picture {path} must end in one of {', '.join(sorted(kinds))}; "
            "forecast.png would do."
        )
    return True


def _write_plot(path, history, forecast, truth=None, **options):
    ax = plot_forecast(history, forecast, truth, **options)
    figure = ax.get_figure()
    with _replacing(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=150)
    require_matplotlib().close(figure)
    print(f"Plot: {path}")


@contextlib.contextmanager
def _replacing(path):
    """A file to write beside `path`, which takes its place only when it is complete."""
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
