"""How kernels are compiled, and where the machine code is kept.

Numba's own disk cache notices an edit in the file of a function only, not in what the function
calls; it stops the import when no folder is writable, and the program when a file is damaged. The
cache here differs in these points:

- its folder is named after a hash of all kernel sources and the vector width;
- an unwritable folder costs a warning, and the compile time in every process;
- a damaged file is compiled again;
- each signature has files of its own, so processes that write at once do not meet in an index.

``NUMBA_CACHE_DIR`` moves it.
"""

import functools
import hashlib
import os
import warnings
from pathlib import Path

from numba import config, njit, typeof
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    _CacheLocator,
)
from numba.misc.appdirs import AppDirs

from .parts import ARITHMETIC
from .tile import VECTOR_BYTES

if config.DISABLE_JIT:
    raise RuntimeError(
        "The kernels of lstm_numba compute with vector registers, which only compiled code has: "
        "unset NUMBA_DISABLE_JIT, and start Python again."
    )


@functools.cache
def cache_folder():
    """Return the folder that holds the compiled kernels; it need not exist yet."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    base = config.CACHE_DIR or AppDirs("lstm_numba", appauthor=False).user_cache_dir
    return os.path.join(base, f"kernels-{digest.hexdigest()[:16]}-{8 * VECTOR_BYTES}bit")


class _Locator(_CacheLocator):
    def __init__(self, function):
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self):
        return cache_folder()

    def get_source_stamp(self):
        return None  # the folder's name is the stamp

    def get_disambiguator(self):
        return str(self._line)


class _CacheImpl(CompileResultCacheImpl):
    def __init__(self, function):
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function)
        name = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}"
        self._filename_base = self.get_filename_base(name, "")


@functools.cache
def _warn_unwritable(reason):
    warnings.warn(
        f"The compiled kernels cannot be kept in {cache_folder()} ({reason}): every process "
        "compiles them anew. Set the environment variable NUMBA_CACHE_DIR to a writable folder.",
        RuntimeWarning,
        stacklevel=2,
    )


class KernelCache(FunctionCache):
    """Disk cache of one kernel, see the module's docstring."""

    _impl_class = _CacheImpl

    def _index_key(self, sig, codegen):
        # Files of its own for each key. Processes that write to Numba's one index at the same time
        # lose entries, and may leave an entry that names another signature's code.
        key = super()._index_key(sig, codegen)
        digest = hashlib.sha256(repr(key).encode()).hexdigest()
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{digest[:16]}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )
        return key

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a damaged pickle may raise anything
            return None

    def save_overload(self, sig, data):
        try:
            try:
                super().save_overload(sig, data)
            except OSError:
                raise
            except Exception:  # a damaged index may raise anything: start a new one
                self.flush()
                super().save_overload(sig, data)
        except OSError as error:
            _warn_unwritable(error.strerror)


def kernel(function):
    """Compile a function on arrays: no interpreter, no lock, no checks, kept on disk."""
    dispatcher = njit(nogil=True, no_cfunc_wrapper=True, **ARITHMETIC)(function)
    dispatcher._cache = KernelCache(function)
    return dispatcher


def entry_point(kernel, args):
    """Return the compiled code of a kernel for arguments of the types of ``args``.

    To find the code for the arguments of a call takes Numba microseconds, as long as one step of a
    stream. Who calls with the same types each time looks once.
    """
    signature = tuple(typeof(arg) for arg in args)
    kernel.compile(signature)
    return kernel.overloads[signature].entry_point
