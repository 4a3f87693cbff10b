import os
import shutil

import pytest

# Pictures are drawn without a screen, here and in the processes that tests start.
os.environ.setdefault("MPLBACKEND", "agg")

# Without a GPU the CUDA kernels run in Numba's simulator, so `pytest` is the whole test suite on
# any machine. Numba must know before it is imported.
if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")

# Runs in a process of its own, without the simulator: see test_cuda_compiles.py.
collect_ignore = ["cuda_compiling.py"]


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """Each device in turn; for "cuda" the simulator where there is no GPU."""
    if request.param == "cuda":
        request.getfixturevalue("cuda_device")
    return request.param


@pytest.fixture
def cuda_device():
    """The GPU, or the strict simulator in its place; the module that chooses its thread order."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
        yield None
        return
    import simulator

    with simulator.installed():
        yield simulator
