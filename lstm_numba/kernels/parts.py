"""How the functions that only kernels call are compiled: as parts of the kernels.

Numba optimizes a function and emits its machine code, with entries from Python, and then does the
same for each function that calls it, with its code inside. Five levels of calls make five times the
work, of which only the last is used. A part has no entries, and is optimized and emitted with the
kernel: an empty cache fills in half the time.
"""

from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder


class _NoEnvironment:
    """In place of what links machine code with the interpreter: a part has none."""

    @staticmethod
    def set_env(name, environment):
        pass


class _PartOfKernel(JITCodeLibrary):
    """The code of a function and of what it calls, as it is before it is optimized."""

    codegen = _NoEnvironment

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True


class _PartCompiler(CompilerBase):
    def define_pipelines(self):
        state = self.state
        state.library = _PartOfKernel(state.targetctx.codegen(), state.func_id.func_qualname)
        return [DefaultPassBuilder.define_nopython_pipeline(state)]


ARITHMETIC = {"error_model": "numpy", "boundscheck": False}

_APART = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _PartCompiler,
}

# For ``register_jitable`` and ``overload`` of Numba: small functions, put into their callers.
PART = _APART | {"forceinline": True}

# Makes and returns no arrays, so references need not be counted.
subkernel = njit(_nrt=False, **_APART, **ARITHMETIC)
