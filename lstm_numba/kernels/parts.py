"""How the functions that only kernels call are compiled: as parts of the kernels.

Numba compiles a function, optimizes it, emits machine code and two entries from Python, and then
does the same for each function that calls it, which contains it: with five levels of calls that is
five times the work, of which only the last is used. Parts have no entries, and are optimized and
emitted once, with the kernel.
"""

from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder


class _NoEnvironment:
    """What a part's code needs from the interpreter: nothing."""

    @staticmethod
    def set_env(name, environment):
        pass


class _PartOfKernel(JITCodeLibrary):
    """Code that is linked with what it calls, and then left as it is.

    The methods are those that Numba calls to optimize the whole and to emit it.
    """

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

# For Numba's ``register_jitable`` and ``overload``: small functions, put into their callers.
PART = _APART | {"forceinline": True}

# Makes and returns no arrays, so references need not be counted.
subkernel = njit(_nrt=False, **_APART, **ARITHMETIC)

# The same, put into its callers before these are compiled.
inlined = njit(inline="always", **ARITHMETIC)
