"""Fitted estimators to ONNX: ONNX Runtime gives their predictions from raw windows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lstm_numba import LSTMForecaster, LSTMRegressor, datasets, interop

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


def run(model, **feeds):
    """Return the output of a model under ONNX Runtime."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("outputs", [None, 2])
def test_regressor(cell, outputs):
    X = np.random.default_rng(0).normal(50, 5, (40, 7, 3))
    y = X[:, -1, 0] if outputs is None else X[:, -1, :outputs]
    model = LSTMRegressor(cell=cell, hidden_size=6, num_layers=2, max_epochs=3, random_state=0)
    model.fit(X, y)
    found = run(interop.to_onnx(model), x=X[:5])
    assert found.dtype == np.float64
    assert found.shape == y[:5].shape
    assert_allclose(found, model.predict(X[:5]), rtol=1e-6)


FORECASTERS = {
    "last": {"window_norm": "last"},
    "level": {"window_norm": "level", "cell": "gru"},
    "no skip": {"window_norm": None, "linear_skip": False, "cell": "rnn"},
    "plain": {"window_norm": None, "scaler": None, "num_layers": 2},
}


@pytest.mark.parametrize("form", FORECASTERS.values(), ids=FORECASTERS)
@pytest.mark.parametrize("targets", [1, 2])
def test_forecaster(form, targets):
    y = datasets.load_air_passengers()
    y = pd.DataFrame({"air": y, "falling": 2e6 - 3 * y}) if targets == 2 else y
    model = LSTMForecaster(horizon=6, hidden_size=6, max_epochs=3, random_state=0, **form).fit(y)
    windows = y.to_numpy(float).reshape(1, len(y), targets)[:, -model.seq_len_ :]
    # Rows of a batch do not meet.
    found = run(interop.to_onnx(model), x=np.concatenate([windows, 2 * windows]))
    assert found.shape == (2, 6, targets)
    expected = model.predict().to_numpy().reshape(6, targets)
    assert_allclose(found[0], expected, rtol=1e-6)
    again = 2 * y[-model.seq_len_ :]
    again.index = pd.date_range("1961-01-01", periods=len(again), freq="MS")
    expected = model.update(again).predict().to_numpy().reshape(6, targets)
    assert_allclose(found[1], expected, rtol=1e-6)


def test_covariates_known_in_advance():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 2))
    y = np.sin(np.arange(90) / 3) + X[:, 0]
    model = LSTMForecaster(horizon=4, seq_len=12, hidden_size=6, max_epochs=3, random_state=0)
    model.fit(X[:-4], y[:-4])
    window = np.column_stack([y, X])[None, -16:-4]
    found = run(interop.to_onnx(model), x=window, future=X[None, -4:])
    assert_allclose(found[0, :, 0], model.predict(X[-4:]), rtol=1e-5)


def test_a_target_that_never_changed():
    y = np.column_stack([np.sin(np.arange(80) / 3), np.full(80, 0.1)])
    few = {"seq_len": 12, "hidden_size": 6, "max_epochs": 3, "random_state": 0}
    model = LSTMForecaster(horizon=4, linear_skip=False, **few).fit(y)
    exported = interop.to_onnx(model)
    found = run(exported, x=y[None, -12:])
    assert_allclose(found[0], model.predict(), rtol=1e-5)
    assert (found[0, :, 1] == 0.1).all()
    y[-1, 1] = 3
    assert (run(exported, x=y[None, -12:])[0, :, 1] != 0.1).all()


@pytest.mark.parametrize("size", [1e-310, 1e307])
def test_series_of_any_size(size):
    y = size * (2 + np.sin(np.arange(80) / 3))
    model = LSTMForecaster(horizon=4, seq_len=12, hidden_size=6, max_epochs=3, random_state=0)
    model.fit(y)
    found = run(interop.to_onnx(model), x=y[None, -12:, None])
    assert_allclose(found[0, :, 0] / size, model.predict() / size, rtol=1e-6)


def test_estimators_that_cannot_be_exported():
    y = datasets.load_air_passengers()
    few = {"horizon": 2, "hidden_size": 4, "max_epochs": 1, "random_state": 0}
    frame = pd.DataFrame({"a": y, "b": y[::-1].to_numpy()})
    panel = frame.melt(var_name="unique_id", value_name="y")
    with pytest.raises(ValueError, match="stateful=True"):
        interop.to_onnx(LSTMForecaster(stateful=True, **few).fit(y))
    with pytest.raises(ValueError, match="scope='local'"):
        interop.to_onnx(LSTMForecaster(scope="local", **few).fit(frame))
    with pytest.raises(ValueError, match="panel"):
        interop.to_onnx(LSTMForecaster(**few).fit(panel))
    with pytest.raises(ValueError, match="not fitted"):
        interop.to_onnx(LSTMForecaster())
    with pytest.raises(TypeError, match="Got dict"):
        interop.to_onnx({})
    with pytest.raises(ValueError, match="are for layers"):
        interop.to_onnx(LSTMRegressor(), lengths=True)
