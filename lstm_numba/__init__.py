"""Time-series forecasts with LSTM networks written in Numba.

>>> from lstm_numba import LSTMForecaster, datasets
>>> y = datasets.load_air_passengers()
>>> forecast = LSTMForecaster(horizon=12, random_state=0).fit(y).predict()
>>> forecast.index[0]
Timestamp('1961-01-01 00:00:00')
"""

import importlib

__version__ = "0.1.0"

# Public name -> the module that holds it. Imported when first asked for: a glance at the
# package loads neither scikit-learn nor Numba.
_HOME = {
    "LSTMForecaster": ".forecast.forecaster",
    "LSTMRegressor": ".forecast.regressor",
    "LSTM": ".nn.layers",
    "GRU": ".nn.layers",
    "SimpleRNN": ".nn.layers",
    "State": ".nn.layers",
    "padding_mask": ".nn.masking",
    "make_windows": ".data.windows",
    "warmup": ".runtime",
    "info": ".runtime",
}
_MODULES = {"baselines": ".forecast.baselines", "datasets": ".datasets", "interop": ".interop"}

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name], __name__)
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
