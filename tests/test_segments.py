"""Networks on streams: loss, gradient and state of segments, and states that are kept."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from test_network import BOTH_DTYPES, TOLERANCE, assert_close, in_float64

from lstm_numba.nn import engine
from lstm_numba.nn.engine import Engine, make_step
from lstm_numba.nn.network import Network, Windows
from lstm_numba.nn.segments import (
    States,
    Streams,
    forecast_streams,
    score_streams,
    zero_states,
)
from lstm_numba.train.trainer import train

CELLS = pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
STILL = make_step(learning_rate=0.0)


def problem(network, lengths, read_from=1, seed=0):
    """Return random params, streams that lie in any order, and their states."""
    rng = np.random.default_rng(seed)
    params = rng.normal(0, 1 / np.sqrt(network.hidden_size), network.layout.size)
    lengths = np.array(lengths)
    rows = lengths.sum() + network.horizon
    inputs, targets = (rng.normal(size=(rows, n)) for n in (network.features, network.targets))
    order = rng.permutation(len(lengths))
    starts = np.empty(len(lengths), np.int64)
    starts[order] = np.cumsum(lengths[order]) - lengths[order]
    streams = Streams(
        inputs.astype(network.dtype),
        targets.astype(network.dtype),
        starts,
        lengths,
        np.minimum(read_from, lengths + 1),
    )
    shape = network.num_layers, len(lengths), network.hidden_size
    h, c = rng.normal(size=(2, *shape))
    states = States(h.astype(network.dtype), c.astype(network.dtype) * (network.cell == "lstm"))
    return params.astype(network.dtype), streams, states


def copied(states):
    return States(*(part.copy() for part in states))


def state_of(states, k):
    return tuple(part[:, k].astype(np.float64) for part in states)


def run_batches(network, params, segments, states, n_threads=1, step=STILL, **options):
    """Return total loss, gradient of the last batch and states after all batches."""
    states = copied(states)
    batches = len(segments.bounds) - 1
    widest = np.diff(segments.bounds).max()
    with Engine(network, params, n_threads, int(widest)) as engine:
        total = engine.run_segments(segments, states, step, 0, batches, train=True, **options)
        return total, engine.gradient.copy(), states


def assert_equals_twin(network, lengths, read_from=1, loss="mse", huber_delta=1.0):
    """Compare one batch with one segment of each stream."""
    params, streams, states = problem(network, lengths, read_from)
    weights, tolerance = in_float64(network, params), TOLERANCE[network.dtype]
    segments = streams.segments(network.seq_len, 1000)
    assert len(segments.bounds) == 2
    step = make_step(loss=loss, huber_delta=huber_delta, learning_rate=0.0)
    total, gradient, after = run_batches(network, params, segments, states, step=step)
    assert gradient.dtype == network.dtype

    expected = {name: np.zeros_like(weight) for name, weight in weights.items()}
    loss_sum, count = 0.0, streams.forecasts * network.horizon * network.targets
    for k, start in enumerate(streams.starts):
        value, of_segment, end = naive.segment_loss_and_gradient(
            network, weights, streams.inputs, streams.targets, start, streams.lengths[k],
            state_of(states, k), streams.read_from[k], loss, huber_delta
        )  # fmt: skip
        loss_sum += value
        for name, g in of_segment.items():
            expected[name] += g / count
        for part, its_end in zip(after, end, strict=True):
            assert_close(part[:, k], its_end, tolerance)
    assert total * network.horizon * network.targets == pytest.approx(loss_sum, rel=tolerance)
    for name, view in network.views(gradient).items():
        assert_close(view, expected[name], tolerance, name)


# --- loss and gradient of a segment ------------------------------------------------


@BOTH_DTYPES
@CELLS
@pytest.mark.parametrize(
    ("hidden_size", "num_layers", "lengths"),
    [(1, 1, [1]), (7, 2, [5, 1, 4]), (16, 1, [5, 5, 2, 5, 3]), (33, 3, [3, 5, 4, 1, 2, 5, 5])],
)
def test_segments_equal_the_twin(cell, hidden_size, num_layers, lengths, dtype):
    network = Network(
        5, 3, 5, 2, cell=cell, hidden_size=hidden_size, num_layers=num_layers, future=1,
        stateful=True, dtype=dtype
    )  # fmt: skip
    assert_equals_twin(network, lengths)


@BOTH_DTYPES
@pytest.mark.parametrize(("loss", "huber_delta"), [("mse", 1.0), ("mae", 1.0), ("huber", 0.3)])
@pytest.mark.parametrize(
    ("features", "horizon", "targets", "future"), [(1, 1, 1, 0), (3, 17, 2, 0), (4, 2, 1, 3)]
)
def test_heads_and_losses_equal_the_twin(
    features, horizon, targets, future, loss, huber_delta, dtype
):
    network = Network(
        6, features, horizon, targets, hidden_size=7, future=future, stateful=True, dtype=dtype
    )
    assert_equals_twin(network, [6, 6, 4, 5, 6, 1, 6, 6, 6, 6, 2], 1, loss, huber_delta)


@BOTH_DTYPES
def test_steps_that_are_not_scored_leave_no_gradient(dtype):
    network = Network(6, 2, 3, 1, hidden_size=7, num_layers=2, future=1, stateful=True, dtype=dtype)
    assert_equals_twin(network, [6, 5, 2, 6, 3, 6], read_from=[3, 6, 1, 6, 9, 7])


@BOTH_DTYPES
def test_long_segments_equal_the_twin(dtype):
    # More steps than the gradients of stay in cache, and more chunks than one.
    network = Network(70, 1, 2, 1, hidden_size=40, num_layers=2, stateful=True, dtype=dtype)
    assert_equals_twin(network, [70, 70, 61, 70, 70, 33, 70, 70, 70, 70])


@BOTH_DTYPES
@CELLS
def test_gradient_equals_torch(cell, dtype):
    torch = pytest.importorskip("torch")
    network = Network(
        5, 2, 3, 1, cell=cell, hidden_size=7, num_layers=2, stateful=True, dtype=dtype
    )
    params, streams, states = problem(network, [5, 5, 5])
    total, gradient, after = run_batches(network, params, streams.segments(5, 3), states)

    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    layer = kind(2, 7, 2, batch_first=True).double()
    head = torch.nn.Linear(7, 3).double()
    weights, found = in_float64(network, params), in_float64(network, gradient)
    pairs = {}
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if cell != "gru":
                name = name.replace("bias_ih", "bias")
            pairs[name] = parameter
            value = weights.get(name)
            parameter.copy_(torch.zeros(()) if value is None else torch.tensor(value))
        head.weight.copy_(torch.tensor(weights["head.weight"]))
        head.bias.copy_(torch.tensor(weights["head.bias"]))
    pairs |= {"head.weight": head.weight, "head.bias": head.bias}

    rows = streams.starts[:, None] + np.arange(5)
    x = torch.tensor(streams.inputs[rows].astype(np.float64))
    y = torch.tensor(streams.targets[rows[..., None] + 1 + np.arange(3), 0].astype(np.float64))
    h, c = (torch.tensor(part.astype(np.float64)) for part in states)
    out, end = layer(x, (h, c) if cell == "lstm" else h)
    loss = torch.mean((head(out) - y) ** 2)
    loss.backward()
    assert total / streams.forecasts == pytest.approx(loss.item(), rel=TOLERANCE[dtype])
    for name, g in found.items():
        assert_close(g, pairs[name].grad.numpy(), TOLERANCE[dtype], name)
    assert_close(after.h, (end[0] if cell == "lstm" else end).detach().numpy(), TOLERANCE[dtype])


# --- states that are kept ----------------------------------------------------------


@BOTH_DTYPES
@CELLS
def test_forecasts_are_those_of_ever_longer_windows(cell, dtype):
    network = Network(
        4, 3, 2, 1, cell=cell, hidden_size=7, num_layers=2, future=1, stateful=True, dtype=dtype
    )
    params, streams, _ = problem(network, [11, 3, 6], read_from=1)
    states = zero_states(network, 3)
    found, origins, _ = forecast_streams(network, params, streams, states)
    assert len(found) == streams.forecasts == 20
    assert not states.h.any()
    by_origin = dict(zip(origins.tolist(), found, strict=True))
    for start, length in zip(streams.starts, streams.lengths, strict=True):
        for t in range(1, length + 1):
            whole = replace(network, seq_len=t, stateful=False)
            windows = Windows(
                streams.inputs, np.array([start]), streams.targets, np.array([start + t])
            )
            expected = whole.predict(params, windows)[0]
            assert np.array_equal(by_origin[start + t], expected)


@BOTH_DTYPES
def test_no_step_is_a_forecast_from_the_state(dtype):
    network = Network(4, 2, 3, 1, hidden_size=5, future=1, stateful=True, dtype=dtype)
    params, streams, _ = problem(network, [9, 6], read_from=[9, 6])
    whole, origins, states = forecast_streams(network, params, streams, zero_states(network, 2))
    at_end = replace(streams, starts=origins, lengths=0 * origins, read_from=0 * origins)
    order = np.argsort(streams.starts)[np.argsort(np.argsort(origins))]
    kept = States(*(part[:, order] for part in states))
    found, _, after = forecast_streams(network, params, at_end, kept)
    assert np.array_equal(found, whole)
    assert np.array_equal(after.h, kept.h)


@BOTH_DTYPES
@CELLS
def test_a_state_belongs_to_its_stream_and_not_to_a_place_in_the_batch(cell, dtype):
    network = Network(
        5, 2, 2, 1, cell=cell, hidden_size=9, num_layers=2, stateful=True, dtype=dtype
    )
    lengths = np.random.default_rng(1).integers(1, 24, 40)
    params, streams, states = problem(network, lengths)

    def run(batch_size, order=None):
        segments = streams.segments(network.seq_len, batch_size, order)
        assert np.diff(segments.bounds).max() <= batch_size
        total, _, after = run_batches(network, params, segments, states)
        out = np.empty((streams.forecasts, 2, 1), dtype)
        kept = copied(states)
        with Engine(network, params) as engine:
            engine.run_segments(segments, kept, STILL, 0, len(segments.bounds) - 1, out=out)
        assert np.array_equal(kept.h, after.h)
        by_origin = np.full((len(streams.inputs), 2), np.nan, dtype)
        for k, place in enumerate(segments.places):
            origins = segments.starts[k] + np.arange(segments.read_from[k], segments.steps[k] + 1)
            by_origin[origins] = out[place : place + len(origins), :, 0]
        return total, after, by_origin

    total, after, forecasts = run(7)
    assert np.isfinite(forecasts).sum() == 2 * streams.forecasts
    for other in (run(32), run(1), run(7, np.random.default_rng(0).permutation(40))):
        assert other[0] == pytest.approx(total, rel=1e-6 if dtype == "float32" else 1e-12)
        assert np.array_equal(other[1].h, after.h)
        assert np.array_equal(other[1].c, after.c)
        assert np.array_equal(other[2], forecasts, equal_nan=True)


@BOTH_DTYPES
def test_the_gradient_stops_at_the_border_of_a_segment(dtype):
    network = Network(4, 1, 1, 1, hidden_size=5, stateful=True, dtype=dtype)
    params, streams, _ = problem(network, [8, 8])
    zero = zero_states(network, 2)
    _, _, between = run_batches(
        network, params, replace(streams, lengths=np.array([4, 4])).segments(4, 2), zero
    )
    _, second, _ = run_batches(network, params, streams.segments(4, 2), zero)
    rest = replace(streams, starts=streams.starts + 4, lengths=np.array([4, 4]))
    _, expected, _ = run_batches(network, params, rest.segments(4, 2), between)
    assert np.array_equal(second, expected)
    _, without_state, _ = run_batches(network, params, rest.segments(4, 2), zero)
    assert not np.allclose(second, without_state)


@BOTH_DTYPES
def test_bits_do_not_depend_on_the_number_of_threads(dtype):  # t03
    network = Network(
        5, 3, 2, 2, hidden_size=17, num_layers=2, future=1, stateful=True, dtype=dtype
    )
    params, streams, states = problem(network, np.random.default_rng(1).integers(3, 30, 50))
    segments, step = streams.segments(5, 32), make_step()
    total, gradient, after = run_batches(network, params, segments, states, step=step)
    for n_threads in (2, 3):
        again = run_batches(network, params, segments, states, n_threads, step)
        assert again[0] == total
        assert np.array_equal(again[1], gradient)
        assert np.array_equal(again[2].h, after.h)
        found = forecast_streams(network, params, streams, states, n_threads)
        expected = forecast_streams(network, params, streams, states)
        assert np.array_equal(found[0], expected[0])


def test_nothing_outside_the_streams_is_read():
    network = Network(4, 2, 2, 1, hidden_size=5, future=1, stateful=True)
    params, streams, states = problem(network, [3, 6], read_from=[2, 5])
    before = forecast_streams(network, params, streams, states)[0]
    inputs = np.full((60, 2), np.nan, np.float32)
    moved = replace(streams, inputs=inputs, starts=np.array([5, 30]))
    for old, new, length in zip(streams.starts, moved.starts, streams.lengths, strict=True):
        inputs[new : new + length] = streams.inputs[old : old + length]
        inputs[new + length : new + length + 2, 1] = streams.inputs[old + length :, 1][:2]
    assert np.array_equal(forecast_streams(network, params, moved, states)[0], before)


def test_score_is_the_mean_loss_of_forecasts():
    network = Network(4, 2, 3, 1, hidden_size=5, stateful=True, dtype="float64")
    params, streams, _ = problem(network, [30, 17], read_from=[10, 16])
    zero = zero_states(network, 2)
    found, origins, _ = forecast_streams(network, params, streams, zero)
    truth = streams.targets[origins[:, None] + np.arange(3)]
    with Engine(network, params) as engine:
        score = score_streams(engine, network, streams, STILL)
    assert score == pytest.approx(np.mean((found - truth) ** 2), rel=1e-12)


# --- training ----------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", "huber"])
@pytest.mark.parametrize(
    ("clip_norm", "weight_decay", "batch_size"), [(0.1, 0.0, 2), (None, 0.3, 3), (1.0, 0.3, 1000)]
)
def test_training_equals_the_twin(loss, clip_norm, weight_decay, batch_size):
    network = Network(
        4, 3, 2, 1, hidden_size=5, num_layers=2, future=1, stateful=True, dtype="float64"
    )
    params, streams, _ = problem(network, [13, 3, 8, 10, 1])
    _, validation, _ = problem(network, [11, 6], read_from=[5, 6], seed=1)
    run = train(
        network, params, streams, validation, loss=loss, huber_delta=0.3, learning_rate=0.01,
        weight_decay=weight_decay, clip_norm=clip_norm, max_epochs=4, batch_size=batch_size,
        rng=np.random.default_rng(7)
    )  # fmt: skip

    weights, rng = in_float64(network, params), np.random.default_rng(7)
    adam = naive.Adam(weights, 0.01, weight_decay)
    options = {"loss": loss, "huber_delta": 0.3}
    train_loss, valid_loss, kept = [], [], []
    for _ in range(4):
        order = rng.permutation(len(streams))
        limit = np.inf if clip_norm is None else clip_norm
        train_loss.append(
            naive.train_stream_epoch(
                network, weights, adam, streams, order, batch_size, limit, **options
            )
        )
        valid_loss.append(naive.stream_loss(network, weights, validation, **options))
        kept.append({name: weight.copy() for name, weight in weights.items()})
    assert run.train_loss == pytest.approx(train_loss, rel=1e-9)
    assert run.valid_loss == pytest.approx(valid_loss, rel=1e-9)
    assert run.best_epoch == np.argmin(valid_loss)
    for name, view in network.views(run.params).items():
        assert_close(view, kept[run.best_epoch][name], 1e-9, name)


@BOTH_DTYPES
def test_without_updates_the_batch_size_changes_nothing(dtype):
    network = Network(5, 2, 2, 1, hidden_size=9, stateful=True, dtype=dtype)
    params, streams, _ = problem(network, np.random.default_rng(1).integers(1, 24, 40))

    def losses(batch_size):
        rng = np.random.default_rng(0)
        run = train(
            network, params, streams, streams, learning_rate=0.0, batch_size=batch_size,
            max_epochs=2, rng=rng
        )  # fmt: skip
        assert np.array_equal(run.params, params)
        return run.train_loss, run.valid_loss

    by_seven, by_many = losses(7), losses(32)
    assert by_seven[1] == by_many[1]
    assert by_seven[0] == pytest.approx(by_many[0], rel=1e-12)
    assert by_seven[0] == pytest.approx(by_seven[1], rel=1e-12)


@BOTH_DTYPES
def test_same_seed_same_bits_for_any_number_of_threads(dtype, monkeypatch):  # t01, t03
    network = Network(5, 2, 2, 1, hidden_size=9, num_layers=2, stateful=True, dtype=dtype)
    params, streams, _ = problem(network, np.random.default_rng(1).integers(1, 24, 60))
    for array in (params, streams.inputs, streams.targets, streams.starts, streams.lengths):
        array.flags.writeable = False

    def run(n_threads, seed=0):
        found = train(
            network, params, streams, streams, learning_rate=0.01, batch_size=25, max_epochs=3,
            rng=np.random.default_rng(seed), n_threads=n_threads
        )  # fmt: skip
        return found.params.tobytes(), found.train_loss, found.valid_loss

    first = run(1)
    assert run(2) == first
    assert run(3) == first
    assert run(1, seed=1) != first
    monkeypatch.setattr(engine, "KERNEL_SECONDS", 0.0)  # back to Python after every batch
    assert run(2) == first
