"""What surrounds a process: the disk cache of kernels, unwritable folders, options of Python."""

import json
import os
import random

import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile
from scripts import ROOT, finish, run_python, start_python

import lstm_numba
from lstm_numba.kernels import jit, parts
from lstm_numba.kernels.cpu import amx

X = np.arange(4.0)


# --- the cache, with a kernel that compiles quickly -------------------------------------


def new_kernel():
    """A kernel that this process has not compiled, as in a new process."""

    def double(x):
        return 2 * x

    return jit.kernel(double)


def test_a_subkernel_that_returns_an_array_is_not_compiled():
    @parts.subkernel
    def first(pair):
        return pair[0][1:], 1

    @jit.kernel
    def kernel(pair):
        return first(pair)[1]

    with pytest.raises(TypeError, match=r"must not return arrays, but .*first does"):
        kernel((X, X))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the cache; the kernel is in it."""
    path = tmp_path / "cache"
    monkeypatch.setattr(jit, "cache_folder", lambda: str(path))
    kernel = new_kernel()
    assert kernel(X).tolist() == [0, 2, 4, 6]
    assert counts(kernel) == (0, 1)
    assert sorted(file.suffix for file in path.iterdir()) == [".nbc", ".nbi"]
    return path


def counts(kernel):
    """How many signatures a kernel has loaded, and compiled."""
    return sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values())


DAMAGES = {
    "zero": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "short": lambda content: content[:-1],
    "zeros": lambda content: bytes(len(content)),
    "garbage": lambda content: random.Random(0).randbytes(len(content)),
    "pickle": lambda content: b"\x80\x04N.",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_damaged_files_are_compiled_again(folder, suffix, damage):  # e03
    (file,) = folder.glob("*" + suffix)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    for expected in ((0, 1), (1, 0)):
        kernel = new_kernel()
        assert kernel(X).tolist() == [0, 2, 4, 6]
        assert counts(kernel) == expected


def test_processes_that_save_at_once_do_not_mix_up_their_kernels(tmp_path, monkeypatch):  # e04
    monkeypatch.setattr(jit, "cache_folder", lambda: str(tmp_path))
    single, late = X.astype(np.float32), []
    with monkeypatch.context() as race:
        # Neither sees what the other has written, and the first one writes its code last.
        race.setattr(IndexDataCacheFile, "_load_index", lambda self: {})
        save = IndexDataCacheFile._save_data
        race.setattr(IndexDataCacheFile, "_save_data", lambda *given: late.insert(0, given))
        new_kernel()(X)
        new_kernel()(single)
        for given in late:
            save(*given)
    for x in (X, single):
        kernel = new_kernel()
        found = kernel(x)
        assert found.tolist() == [0, 2, 4, 6]
        assert found.dtype == x.dtype
        assert counts(kernel) == (1, 0)


def test_first_calls_of_threads_and_processes(tmp_path):  # t06, e04
    code = """
        import sys, threading
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        sys.path.insert(0, "tests")
        from test_environment import new_kernel

        kernel, barrier = new_kernel(), threading.Barrier(8)

        def call(n):
            barrier.wait()
            return kernel(np.arange(4.0, dtype="f4" if n % 2 else "f8")).tolist()

        with ThreadPoolExecutor(8) as pool:
            print(*pool.map(call, range(8)))
    """
    processes = [start_python(code, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(3)]
    expected = " ".join(["[0.0, 2.0, 4.0, 6.0]"] * 8) + "\n"
    assert [finish(process) for process in processes] == [(expected, "")] * 3


def test_folders_of_other_kernels_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(jit, "cache_folder", lambda: str(folder / "other"))
    kernel = new_kernel()
    kernel(X)
    assert counts(kernel) == (0, 1)


# --- the cache, with all kernels ----------------------------------------------------------


FITS = """
    lstm_numba.warmup()
    for cell in ("lstm", "gru", "rnn"):
        model = LSTMForecaster(2, 5, cell=cell, hidden_size=3, max_epochs=2, n_jobs=2)
        model.fit(y).predict()
"""

WARM_EVERYTHING = """
    lstm_numba.warmup(parts="all")
"""

EVERYTHING = """
    options = {"seq_len": 5, "hidden_size": 3, "max_epochs": 2, "random_state": 0}
    model = LSTMForecaster(2, **options).fit(y)
    model.stream().step(model.predict()[0])
    model = LSTMForecaster(2, **options, stateful=True).fit(y)
    model.update(y[:3]).predict()
    model.stream().step(0.0)
    panel = np.stack([y, y], axis=1)
    LSTMForecaster(2, **options, scope="local").fit(panel).predict()
    options["hidden_size"] = 48
    model = LSTMForecaster(2, **options).fit(y)
    model.stream().step(model.predict()[0])
    LSTMForecaster(2, **options, scope="local").fit(panel).predict()
    layer = LSTM(3, 17, 2, bidirectional=True, n_jobs=2)
    out, state = layer(np.ones((9, 4, 3)), lengths=[4, 1, 2, 3, 4, 4, 4, 4, 4], training=True)
    layer.backward(out, state)
"""

COUNTED = """
    import json, sys
    import numpy as np
    import lstm_numba
    from lstm_numba import LSTM, LSTMForecaster
    from numba.core.caching import NullCache
    from numba.core.dispatcher import Dispatcher

    y = np.sin(np.arange(40))
{}
    counts = {{}}
    for module in [m for name, m in sys.modules.items() if name.startswith("lstm_numba.")]:
        for kernel in vars(module).values():
            if isinstance(kernel, Dispatcher) and not isinstance(kernel._cache, NullCache):
                stats = kernel.stats.cache_hits, kernel.stats.cache_misses
                counts[kernel.__name__] = [sum(stat.values()) for stat in stats]
    print(json.dumps(counts))
"""


def counted(code, **environment):
    """Return how often each kernel was read from the disk, and compiled."""
    out, _ = run_python(COUNTED.format(code), **environment)
    return json.loads(out)


def test_every_kernel_comes_back_from_the_disk():
    counted(FITS)
    found = counted(FITS)
    assert found["infer"] == found["train_batches"] == [3 + amx.available(), 0]
    assert {compiled for _, compiled in found.values()} == {0}, found
    assert not list((ROOT / "lstm_numba").rglob("*.nb[ic]"))  # e02


def test_warmup_leaves_nothing_to_compile(tmp_path):
    own = {"NUMBA_CACHE_DIR": str(tmp_path)}
    counted(WARM_EVERYTHING, **own)
    found = counted(EVERYTHING, **own)
    assert found["run_segments"] == found["backward_sequences"] == [1, 0]
    assert {compiled for _, compiled in found.values()} == {0}, found


def test_parts_of_a_warmup_are_named():
    with pytest.raises(ValueError, match=r"some of windows, local, .*but hold 'kernels'"):
        lstm_numba.warmup(parts=["windows", "kernels"])


# --- folders that cannot be written -------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path):
    """A path below a file: nobody can write there, not even root."""
    (tmp_path / "file").touch()
    return str(tmp_path / "file" / "folder")


def test_unwritable_cache_folder_and_first_calls_of_threads(nowhere):  # e01, e12, t06
    code = """
        import warnings
        import numpy as np
        from lstm_numba import LSTMRegressor

        x = np.random.default_rng(0).normal(size=(20, 4, 1))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = LSTMRegressor(cell="rnn", hidden_size=3, max_epochs=2, n_jobs=2)
            assert np.isfinite(model.fit(x, x[:, 0, 0]).predict(x)).all()
        print(*(f"{one.category.__name__}: {one.message}" for one in caught), sep="\\n")
    """
    away = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"))
    out, err = run_python(code, HOME=nowhere, TMPDIR=nowhere, **away)
    assert err == ""
    assert out.count("\n") == 1
    assert out.startswith("RuntimeWarning: The compiled kernels cannot be kept in")
    assert nowhere in out
    assert "NUMBA_CACHE_DIR" in out


def test_unwritable_cache_folder_is_said_once(nowhere, monkeypatch):  # e01
    monkeypatch.setattr(jit, "cache_folder", lambda: nowhere)
    jit._warn_unwritable.cache_clear()
    with pytest.warns(RuntimeWarning, match="cannot be kept"):
        assert new_kernel()(X).tolist() == [0, 2, 4, 6]
    assert new_kernel()(X).tolist() == [0, 2, 4, 6]  # warnings are errors here


@pytest.mark.parametrize("lost", ["HOME", "TMPDIR", "both"])
def test_without_home_or_temporary_folder(lost, nowhere):  # e12
    names = ("HOME", "TMPDIR") if lost == "both" else (lost,)
    given = dict.fromkeys(names, nowhere) | {"NUMBA_CACHE_DIR": os.path.dirname(warm_folder())}
    assert run_python(SILENT, **given) == ("", "")


# --- options of Python and of the system --------------------------------------------------


def warm_folder():
    lstm_numba.warmup()
    return lstm_numba.info()["cache"]


SILENT = """
    import numpy as np
    from lstm_numba import LSTMForecaster, LSTMRegressor, baselines, datasets, make_windows

    y = datasets.load_air_passengers()
    model = LSTMForecaster(12, hidden_size=3, max_epochs=2, random_state=0, n_jobs=2).fit(y)
    if len(model.predict()) != 12:
        raise SystemExit("wrong length")
    repr(model)
    x, target = make_windows(y.to_numpy(), seq_len=4, horizon=1)
    LSTMRegressor(hidden_size=3, max_epochs=2).fit(x, target[:, 0, 0]).predict(x)
    baselines.seasonal_naive(y, 12)
    for bad in ({"horizon": 0}, {"cell": "elman"}, {"seq_len": 10**6}):
        try:
            LSTMForecaster(**bad).fit(y)
        except ValueError:
            continue
        raise SystemExit(f"{bad} was not refused")
    try:
        LSTMForecaster().fit([1.0, np.nan] * 20)
    except ValueError:
        raise SystemExit
    raise SystemExit("NaN was not refused")
"""


@pytest.mark.parametrize("options", [(), ("-O",), ("-W", "error")])
def test_options_of_python(options):  # e07, e11
    assert run_python(SILENT, *options) == ("", "")


def test_locale_without_utf_8():  # e11
    assert run_python(SILENT, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") == ("", "")
