"""torch with cuDNN on an NVIDIA GPU, TF32 not allowed."""

from .pytorch_cuda import allow_tf32
from .pytorch_cuda import infer as infer
from .pytorch_cuda import train as train


def setup(threads):
    """Compute in float32."""
    allow_tf32(False)
