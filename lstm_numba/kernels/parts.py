"""How the functions that only kernels call are compiled: as parts of the kernels.

Numba optimizes a function and emits its machine code, with entries from Python, and then does the
same for each function that calls it, with its code inside. Five levels of calls make five times the
work, of which only the last is used. A part has no entries, and is optimized and emitted with the
kernel: an empty cache fills in half the time.
"""

from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.typed_passes import NopythonTypeInference


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


@register_pass(mutates_CFG=False, analysis_only=True)
class _NothingThatIsCounted(AnalysisPass):
    """Refuse a subkernel that returns an array.

    It does not count references, but its caller would release one.
    """

    _name = "nothing_that_is_counted"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        returned = state.targetctx.data_model_manager[state.return_type]
        if not state.flags.nrt and returned.contains_nrt_meminfo():
            name = state.func_id.func_qualname
            raise TypeError(f"A subkernel must not return arrays, but {name} does.")
        return False


class _PartCompiler(CompilerBase):
    def define_pipelines(self):
        state = self.state
        name = state.func_id.func_qualname
        state["library"] = _PartOfKernel(state.targetctx.codegen(), name)
        passes = DefaultPassBuilder.define_nopython_pipeline(state)
        passes.add_pass_after(_NothingThatIsCounted, NopythonTypeInference)
        passes.finalize()
        return [passes]


ARITHMETIC = {"error_model": "numpy", "boundscheck": False}

_APART = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _PartCompiler,
}

# For ``register_jitable`` and ``overload`` of Numba: what is put into every caller, so that tiles
# which it is given or returns stay in registers. The rules of arithmetic are the caller's.
PART = _APART | {"forceinline": True}

# A function on places in arrays, which LLVM puts into its callers or not. References to arrays are
# not counted, which would cost a training step 3 %.
subkernel = njit(_nrt=False, **_APART, **ARITHMETIC)
