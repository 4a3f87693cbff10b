"""The device: whether there is one, its memory, and what is said when something fails."""

import contextlib
import math

import numpy as np
from numba import config, cuda

# A small model cannot fill a device; there is nothing that its user could do about it.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

_HINT = (
    'Install a driver and the compiler packages (pip install "lstm_numba[cuda]", for CUDA 12 '
    '"lstm_numba[cuda12]"), or use device="cpu".'
)
# What the driver says of code that is newer than itself.
_TOO_NEW = ("UNSUPPORTED_PTX_VERSION", "NO_BINARY_FOR_GPU", "INVALID_PTX", "INSUFFICIENT_DRIVER")


def is_simulated():
    """Return whether Numba's simulator stands in for a device."""
    return bool(config.ENABLE_CUDASIM)


def is_complete():
    """Return whether numba-cuda is installed: Numba's own part of CUDA has no intrinsics."""
    return not is_simulated() and cuda.implementation == "NVIDIA"


def has_tensor_cores():
    """Return whether the device multiplies numbers of 32 bits on tensor cores: since Ampere."""
    return is_simulated() or cuda.get_current_device().compute_capability >= (8, 0)


def why_not():
    """Return in one line why no kernel can run on a device here; None if one can."""
    if is_simulated():
        return None
    if config.DISABLE_CUDA:
        return "CUDA is switched off by the environment variable NUMBA_DISABLE_CUDA."
    if not is_complete():
        return "the package numba-cuda is not installed."
    try:
        if cuda.is_available():
            cuda.current_context()
            return None
        return _one_line(cuda.cuda_error() or "the compiler packages of numba-cuda are missing")
    except Exception as error:  # a broken installation may raise anything
        return _one_line(error)


def _one_line(message):
    return " ".join(str(message).split())


def check_device():
    """Raise a RuntimeError that says why if no kernel can run on a device here."""
    reason = why_not()
    if reason:
        raise RuntimeError(
            f'device="cuda" needs an NVIDIA GPU that Numba can use, but: {reason} {_HINT}'
        )


@contextlib.contextmanager
def clear_errors():
    """Say in one error what a failure of the device or of its compiler means."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("numba", "cuda"):
            raise
        text = _one_line(error)
        if "OUT_OF_MEMORY" in text:
            raise MemoryError(
                f"The GPU has no memory left ({text}). Use a smaller batch_size, hidden_size or "
                'seq_len, or device="cpu".'
            ) from None
        if any(word in text for word in _TOO_NEW):
            raise RuntimeError(
                f"The NVIDIA driver is older than the installed CUDA packages ({text}). Update it, "
                'or install packages for CUDA 12 (pip install "lstm_numba[cuda12]"), or use '
                'device="cpu".'
            ) from error
        raise RuntimeError(
            f"The GPU failed: {text} Nothing was changed on the CPU; Python may have to be started "
            'anew before the GPU can be used again. device="cpu" works on.'
        ) from error


def free_bytes():
    """Return what the device has left; None where it does not say."""
    if is_simulated():
        return None
    context = cuda.current_context()
    # What Python has let go of is otherwise freed only now and then.
    context.memory_manager.deallocations.clear()
    return context.get_memory_info().free


def allocate(shapes, dtype):
    """Return new device arrays by name, their contents undefined.

    Raises
    ------
    MemoryError
        If the device has less memory left, before anything is taken.
    """
    itemsize = np.dtype(dtype).itemsize
    wanted = sum(math.prod(shape) for shape in shapes.values()) * itemsize
    free = free_bytes()
    if free is not None and wanted > free:
        raise MemoryError(
            f"The GPU must hold {wanted / 2**20:,.0f} MiB for one batch, but {free / 2**20:,.0f} "
            'MiB are free. Use a smaller batch_size, hidden_size or seq_len, or device="cpu".'
        )
    return {name: cuda.device_array(shape, dtype) for name, shape in shapes.items()}


def to_device(array, dtype):
    """Return a copy of an array on the device, C-ordered and of ``dtype``."""
    return cuda.to_device(np.ascontiguousarray(array, dtype))
