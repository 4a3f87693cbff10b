"""torch with cuDNN on an NVIDIA GPU, TF32 allowed, as it is set by default for recurrent layers.

Each task runs step by step and as a CUDA graph; the faster is measured.
"""

import torch

from . import CLIP_NORM, LEARNING_RATE, Work, fastest, problem
from .pytorch import Network

# Steps between two looks at the clock: the device is never waited for in between.
STEPS = 20


def setup(threads):
    """Allow TF32."""
    allow_tf32(True)


def allow_tf32(allowed):
    """Set the precision of products, in recurrent layers and elsewhere."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def _prepared(size):
    x, y, weights = problem(size)
    network = Network(size.features, size.hidden, size.layers, 1, weights).cuda()
    return network, torch.from_numpy(x).cuda(), torch.from_numpy(y).cuda()


def _stepper(size):
    """Return a function that takes one training step on the device and returns its loss there."""
    network, x, y = _prepared(size)
    params = [own for own in network.parameters() if own.requires_grad]
    adam = torch.optim.Adam(params, lr=LEARNING_RATE, fused=True, capturable=True)

    def step():
        adam.zero_grad(set_to_none=False)
        loss = torch.nn.functional.mse_loss(network(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, CLIP_NORM, foreach=True)
        adam.step()
        return loss.detach()

    return step


def _captured(call):
    """Return a function that replays what ``call`` launches."""
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def _works(make, answer):
    """Yield the work of calls without and, if possible, with a graph; ``make`` returns a call."""
    for note, prepare in (("eager", lambda call: call), ("CUDA graph", _captured)):
        try:
            call = prepare(make())
        except RuntimeError:
            if prepare is not _captured:
                raise
            continue  # not every version can be captured

        def run(call=call):
            for _ in range(STEPS):
                call()
            torch.cuda.synchronize()

        yield Work(run, answer, STEPS, note)


def train(size, threads):
    """One unit is one training step."""
    step = _stepper(size)
    answer = [float(step()) for _ in range(3)]
    return fastest(_works(lambda: _stepper(size), answer))


def infer(size, threads):
    """One unit is one batch, its input and its forecasts on the device."""
    network, x, _ = _prepared(size)

    @torch.no_grad()
    def call():
        return network(x)

    return fastest(_works(lambda: call, call().ravel().tolist()))
