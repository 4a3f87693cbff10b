"""LSTMRegressor: scikit-learn's checks, shapes, scaling, training."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lstm_numba import LSTMRegressor, make_windows
from lstm_numba.forecast import _fitting

SMALL = {"hidden_size": 4, "max_epochs": 3, "random_state": 0}
X, Y = make_windows(np.sin(np.arange(60) / 3), seq_len=6, horizon=2)
Y1 = Y[:, 0, 0]
RNG = np.random.default_rng(0)
X3 = RNG.normal(size=(40, 5, 3))


def small(**changes):
    return LSTMRegressor(**(SMALL | changes))


@parametrize_with_checks([LSTMRegressor()])
def test_scikit_learn_checks(estimator, check):  # c01
    check(estimator)


def test_shapes():
    assert small().fit(X, Y1).predict(X).shape == (53,)
    assert small().fit(X, Y1[:, np.newaxis]).predict(X).shape == (53, 1)
    assert small().fit(X, Y[:, :, 0]).predict(X).shape == (53, 2)
    assert small().fit(X3, X3[:, 0, :2]).predict(X3).shape == (40, 2)


def test_two_axes_are_steps_of_one_feature():
    flat = small().fit(X[:, :, 0], Y1)
    assert flat.network_.seq_len == 6
    assert flat.network_.features == 1
    assert_array_equal(flat.predict(X[:, :, 0]), small().fit(X, Y1).predict(X))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_learns_which_feature_and_step_count(cell):
    rows = RNG.normal(size=(400, 5, 3))
    truth = 2 * rows[:, 1, 2] - 1
    model = LSTMRegressor(
        cell=cell, hidden_size=16, max_epochs=60, learning_rate=0.01, random_state=0
    )
    assert model.fit(rows[:300], truth[:300]).score(rows[300:], truth[300:]) > 0.9


@pytest.mark.parametrize("factor", [1e-12, 1e12, 1e150])  # v08
def test_scaling_is_inside(factor):
    expected = small().fit(X, Y1).predict(X)
    assert_allclose(
        small().fit(X * factor, Y1 * factor).predict(X * factor) / factor, expected, rtol=1e-4
    )


def test_features_are_scaled_apart():
    scaled = X3 * [1e-9, 1.0, 1e9] + [0, 5.0, -1e12]
    target = X3[:, -1, 0]
    assert_allclose(
        small().fit(scaled, target).predict(scaled), small().fit(X3, target).predict(X3), atol=1e-4
    )


def test_constant_output():  # v07
    assert_allclose(small().fit(X3, np.full(40, 1e6)).predict(X3), 1e6, atol=1)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (X3[:, :4], "expecting 5 features"),
        (X3[:, :, :2], "seq_len=5, features=3"),
        (X3[:, :, 0], "seq_len=5, features=3"),
        (X3[:0], r"0 sample\(s\)"),
        (np.full((2, 5, 3), np.nan), "NaN"),
        (np.full((2, 5, 3), np.inf), "infinity"),
        (X3[..., np.newaxis], "must have the shape"),
    ],
)
def test_other_windows_are_refused_in_predict(found, words):  # p03, v03, v06
    model = small().fit(X3, X3[:, 0, 0])
    with pytest.raises(ValueError, match=words):
        model.predict(found)


@pytest.mark.parametrize(
    ("rows", "target", "words"),
    [
        (X3, np.ones(39), "inconsistent numbers of samples"),
        (X3, np.full(40, np.nan), "NaN"),
        (X3, np.full(40, np.inf), "infinity"),
        (np.where(X3 > 2, np.nan, X3), np.ones(40), "NaN"),
        (X3 + 0j, np.ones(40), "Complex data"),
        (X3[:, :, :0], np.ones(40), "one feature at least"),
        (X3[:, :0], np.ones(40), "one step"),
        (np.full((40, 2, 2), "a"), np.ones(40), "could not convert|dtype"),
    ],
)
def test_bad_data_leave_the_estimator_as_it_was(rows, target, words):
    model = small().fit(X, Y1)
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=words):
        model.fit(rows, target)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden_size", 0), ("cell", "elman"), ("max_epochs", -1), ("dtype", "int8")],
)
def test_bad_parameters(name, value):  # p09
    with pytest.raises(ValueError, match=f"'{name}' parameter of LSTMRegressor must be"):
        small(**{name: value}).fit(X, Y1)


def test_integers_of_numpy_are_as_those_of_python():
    sizes = {"hidden_size": 4, "num_layers": 2, "max_epochs": 2, "batch_size": 9, "n_jobs": 2}
    of_numpy = {name: np.uint8(size) for name, size in sizes.items()}
    model = clone(LSTMRegressor(random_state=np.uint8(200), **of_numpy)).fit(X, Y1)
    expected = LSTMRegressor(random_state=200, **sizes).fit(X, Y1)
    assert_array_equal(model.params_, expected.params_)


def test_before_fit():  # p01
    with pytest.raises(NotFittedError):
        small().predict(X)


def test_early_stopping_holds_back_the_last_rows():
    changed = Y1.copy()
    changed[-6:] = 1e3  # ceil(0.1 * 53) rows
    model = small(early_stopping=True).fit(X, changed)
    assert len(model.validation_loss_curve_) == model.n_iter_
    plain = small(early_stopping=True).fit(X, Y1)
    assert_array_equal(model._output_scaler.mean, plain._output_scaler.mean)
    assert model.loss_curve_ == plain.loss_curve_
    assert small().fit(X, Y1).validation_loss_curve_ == []


def test_too_few_rows_for_early_stopping():
    with pytest.warns(UserWarning, match=r"X has 1 row\(s\), too few"):
        small(early_stopping=True).fit(X[:1], Y1[:1])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_same_random_state_same_bits(cell):  # t01, t03
    expected = small(cell=cell).fit(X, Y1).params_
    assert_array_equal(small(cell=cell, n_jobs=2).fit(X, Y1).params_, expected)
    assert not np.array_equal(small(cell=cell, random_state=1).fit(X, Y1).params_, expected)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_clone_and_pickle_keep_the_cell(cell):  # s01
    model = small(cell=cell).fit(X, Y1)
    assert clone(model).cell == model.network_.cell == cell
    assert_array_equal(clone(model).fit(X, Y1).params_, model.params_)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_warm_start_goes_on():
    model = small(warm_start=True).fit(X, Y1)
    learnt = model.params_.copy()
    assert_array_equal(model.set_params(learning_rate=1e-30).fit(X, Y1).params_, learnt)
    assert not np.allclose(model.set_params(warm_start=False).fit(X, Y1).params_, learnt)


def test_refit_on_other_shapes():  # p08
    frame = pd.DataFrame(X[:, :, 0]).rename(columns=str)
    model = small().fit(frame, Y1)
    assert list(model.feature_names_in_) == list("012345")
    model.fit(X3, X3[:, 0, 0])
    assert not hasattr(model, "feature_names_in_")
    assert_array_equal(model.params_, small().fit(X3, X3[:, 0, 0]).params_)


def test_interrupted_training_is_usable(monkeypatch):  # k03
    class Interrupted(_fitting.Progress):
        def __call__(self, epoch, train_loss, valid_loss):
            raise KeyboardInterrupt

    monkeypatch.setattr(_fitting, "Progress", Interrupted)
    with pytest.warns(UserWarning, match="interrupted by user after 1 epoch"):
        model = small(max_epochs=50, verbose=1).fit(X, Y1)
    assert np.isfinite(model.predict(X)).all()


def test_read_only_and_strided_windows():  # p05
    expected = small().fit(X.copy(), Y1.copy()).predict(X)
    assert not X.flags.writeable
    assert_array_equal(small().fit(X, Y1).predict(np.asfortranarray(X)), expected)
    assert_array_equal(small().fit(X.astype(">f8"), Y1).predict(X[::-1]), expected[::-1])


def test_pipeline_and_grid_search():
    pipeline = make_pipeline(StandardScaler(), small())
    search = GridSearchCV(
        pipeline, {"lstmregressor__hidden_size": [2, 3]}, cv=KFold(2), error_score="raise"
    ).fit(X[:, :, 0], Y1)
    assert search.predict(X[:, :, 0]).shape == (53,)


def test_windows_with_an_axis_too_many_are_named():
    X, y = make_windows(np.arange(20.0), seq_len=4, horizon=2)
    with pytest.raises(ValueError, match=r"but has \(15, 2, 1\).*give y\[:, :, 0\]"):
        LSTMRegressor().fit(X, y)
