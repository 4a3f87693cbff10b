"""The CUDA backend, and the only place that imports ``numba.cuda``.

A block of threads takes some rows of the batch through all of time, layer by layer; the products
that need no recurrence (inputs, weight gradients, head) are taken for all steps at once. Every
array has a row for each model, and every grid too: models of one network train side by side, since
a small one cannot fill a device. Sums run in a fixed order: the same bits from run to run.
"""

from .buffers import Buffers as Buffers
from .buffers import models_at_once as models_at_once
from .device import allocate as allocate
from .device import check_device as check_device
from .device import clear_errors as clear_errors
from .device import is_simulated as is_simulated
from .device import to_device as to_device
from .device import why_not as why_not
from .training import forecast as forecast
from .training import keep as keep
from .training import score as score
from .training import train_batches as train_batches
