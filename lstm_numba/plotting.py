"""Pictures of forecasts and of learning; they need matplotlib, the extra ``plot``."""

import numpy as np
import pandas as pd

# Okabe & Ito (2008): told apart by colour-blind readers too.
HISTORY, FORECAST, TRUTH, OTHERS = (
    "#4d4d4d",
    "#0072b2",
    "#d55e00",
    ("#009e73", "#cc79a7", "#e69f00"),
)


def require_matplotlib():
    """Return ``matplotlib.pyplot``, or say how to install it.

    Raises
    ------
    ImportError
        When matplotlib is not installed; the message names the extra.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Plots need matplotlib, which is not installed. Run: pip install "lstm_numba[plot]"'
        ) from error
    return plt


def plot_forecast(history, forecast, truth=None, ax=None, *, others=None, show=None, title=None):
    """Draw what was observed, what was forecast and, where known, what came.

    Parameters
    ----------
    history : Series or DataFrame
        Observations up to the forecast origin.
    forecast : Series or DataFrame
        The forecast, of the same columns as `history`. Several targets get one panel each.
    truth : Series or DataFrame, optional
        What was observed over the forecast's time.
    ax : matplotlib Axes, or a sequence of them (one per target), optional
        Where to draw; a new figure by default.
    others : dict of str to Series or DataFrame, optional
        Forecasts to compare with, by the name that the legend shows.
    show : int, optional
        How many of the last observations to show. By default ten times the forecast's length,
        and at least 120.
    title : str, optional
        Title of the picture.

    Returns
    -------
    ax : matplotlib Axes, or an array of them for several targets

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    ValueError
        When forecast, truth or one of `others` has not as many columns as `history`, or the axes
        are not as many.

    Examples
    --------
    >>> from lstm_numba import baselines, datasets
    >>> from lstm_numba.plotting import plot_forecast
    >>> y = datasets.load_air_passengers()
    >>> seasonal = baselines.seasonal_naive(y[:-24], 24, season_length=12)
    >>> ax = plot_forecast(y[:-24], seasonal, y[-24:])  # doctest: +SKIP
    """
    plt = require_matplotlib()
    history, forecast = _frame(history), _frame(forecast)
    lines = {"forecast": forecast}
    if truth is not None:
        lines["truth"] = _frame(truth)
    lines |= {name: _frame(values) for name, values in (others or {}).items()}
    for name, frame in lines.items():
        if len(frame.columns) != len(history.columns):
            raise ValueError(
                f"{name} must have the columns of history, {list(history.columns)}, "
                f"but has {list(frame.columns)}."
            )

    count = len(history.columns)
    if ax is None:
        height = 4.2 if count == 1 else 2.6 * count
        _, ax = plt.subplots(count, 1, figsize=(9, height), sharex=True, layout="constrained")
    panels = np.ravel(ax)
    if len(panels) != count:
        raise ValueError(f"{count} targets need {count} axes, but ax holds {len(panels)}.")

    show = max(120, 10 * len(forecast)) if show is None else show
    for k, panel in enumerate(panels):
        _draw(panel, history.iloc[-show:, k], {name: f.iloc[:, k] for name, f in lines.items()})
    _legend(panels[0])
    if title:
        panels[0].set_title(title, loc="left", fontweight="bold", pad=28)
    if isinstance(history.index, (pd.DatetimeIndex, pd.PeriodIndex)):
        _tidy_dates(panels[-1])
    return panels[0] if count == 1 else panels


def plot_learning_curve(train_loss, valid_loss=(), best_epoch=None, ax=None):
    """Draw the loss of each epoch, and which epoch's weights were kept.

    Parameters
    ----------
    train_loss, valid_loss : sequence of float
        One number per epoch; `valid_loss` may be empty.
    best_epoch : int, optional
        Position of the epoch whose weights were kept.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    ImportError
        When matplotlib is not installed.

    Examples
    --------
    >>> from lstm_numba.plotting import plot_learning_curve
    >>> ax = plot_learning_curve([0.9, 0.4, 0.3], [1.0, 0.6, 0.7], best_epoch=1)  # doctest: +SKIP
    """
    plt = require_matplotlib()
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    epochs = np.arange(1, len(train_loss) + 1)
    ax.plot(epochs, train_loss, color=HISTORY, label="training")
    if len(valid_loss):
        ax.plot(epochs, valid_loss, color=FORECAST, label="validation")
    if best_epoch is not None:
        ax.axvline(best_epoch + 1, color=TRUTH, linestyle="--", linewidth=1, label="weights kept")
    losses = [*train_loss, *valid_loss]
    if losses and 0 < 10 * min(losses) < max(losses):
        ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.xaxis.get_major_locator().set_params(integer=True)
    _dress(ax)
    _legend(ax)
    return ax


def _frame(values):
    return values.to_frame() if isinstance(values, pd.Series) else values


def _positions(index):
    """The index as matplotlib can place it; times with a zone are shown in local time."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        index = index.tz_localize(None)
    return index.to_numpy()


def _draw(ax, history, lines):
    ax.plot(_positions(history.index), history, color=HISTORY, linewidth=1.4, label="history")
    colors = {"forecast": FORECAST, "truth": TRUTH}
    others = iter(OTHERS * len(lines))
    for name, values in lines.items():
        style = {"linewidth": 2.2 if name == "forecast" else 1.4}
        style["color"] = colors.get(name) or next(others)
        if name not in colors:
            style["linestyle"] = ":"
        style["zorder"] = 3 if name == "forecast" else 2
        # A single step is a point, which a line would not show.
        style["marker"] = "o" if len(values) == 1 else None
        ax.plot(_positions(values.index), values, label=name, **style)
    start = _positions(history.index[-1:])[0]
    ax.axvline(
        start, color="#999999", linestyle="--", linewidth=1, zorder=1, label="forecast starts"
    )
    if history.name is not None:
        ax.set_ylabel(str(history.name))
    _dress(ax)


def _dress(ax):
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    ax.set_axisbelow(True)


def _legend(ax):
    """Above the axes, where it covers no line."""
    ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=5, frameon=False)


def _tidy_dates(ax):
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
