"""ONNX Runtime: a graph of LSTM nodes, optimised as far as it goes."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import Work, fastest, problem


def setup(threads):
    """Nothing to set: the number of threads is an option of each session."""


def _in_its_order(gates):
    """Reorder gates from i, f, g, o to i, o, f, g, and add the axis of directions."""
    i, f, g, o = np.split(gates, 4)
    return np.concatenate([i, o, f, g])[None]


def _session(size, x_shape, threads, with_state):
    """Return a session on x (batch, seq_len, features); `with_state` for h, c in and out."""
    weights = problem(size)[2]
    nodes, tensors = [], []

    def constant(name, array):
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    nodes.append(helper.make_node("Transpose", ["x"], ["below_0"], perm=[1, 0, 2]))
    for k in range(size.layers):
        bias = _in_its_order(weights[f"bias_l{k}"])
        inputs = [
            f"below_{k}",
            constant(f"w_{k}", _in_its_order(weights[f"weight_ih_l{k}"])),
            constant(f"r_{k}", _in_its_order(weights[f"weight_hh_l{k}"])),
            constant(f"b_{k}", np.concatenate([bias, np.zeros_like(bias)], axis=1)),
        ]
        is_top = k + 1 == size.layers
        outputs = ["" if is_top else f"all_{k}", f"newest_{k}"]
        if with_state:
            inputs += ["", "h", "c"]
            outputs += ["c_out"]
        nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=size.hidden))
        if not is_top:
            axis = constant(f"axis_{k}", np.array([1]))
            nodes.append(helper.make_node("Squeeze", [f"all_{k}", axis], [f"below_{k + 1}"]))
    axis = constant("axis", np.array([0]))
    top = f"newest_{size.layers - 1}"
    nodes.append(helper.make_node("Squeeze", [top, axis], ["h_top"]))
    head = [
        "h_top",
        constant("head", weights["head.weight"]),
        constant("bias", weights["head.bias"]),
    ]
    nodes.append(helper.make_node("Gemm", head, ["out"], transB=1))

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state_shape = 1, x_shape[0], size.hidden
    inputs, outputs = [value("x", x_shape)], [value("out", (x_shape[0], 1))]
    if with_state:
        inputs += [value("h", state_shape), value("c", state_shape)]
        outputs += [value(top, state_shape), value("c_out", state_shape)]
    graph = helper.make_graph(nodes, "network", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def infer(size, threads):
    """One unit is one batch."""
    x = problem(size)[0]
    session = _session(size, x.shape, threads, with_state=False)

    def run():
        return session.run(None, {"x": x})[0]

    return Work(run, run().ravel().tolist())


def stream(size, threads):
    """One unit is one observation; the faster of two ways to hand over the state."""
    x = problem(size)[0]
    session = _session(size, (1, 1, size.features), threads, with_state=True)
    return fastest(way(session, x, size.hidden) for way in (_as_arrays, _bound))


def _as_arrays(session, x, hidden):
    h = c = np.zeros((1, 1, hidden), np.float32)

    def run(observation=x[:, -1:]):
        nonlocal h, c
        out, h, c = session.run(None, {"x": observation, "h": h, "c": c})
        return out

    answer = [float(run(x[:, t : t + 1])[0, 0]) for t in range(x.shape[1])]
    return Work(run, answer, note="arrays")


def _bound(session, x, hidden):
    """Hand over memory once: two bindings in turn, the state out of one is that into the other."""
    value = onnxruntime.OrtValue.ortvalue_from_numpy
    states = [[value(np.zeros((1, 1, hidden), np.float32)) for _ in range(2)] for _ in range(2)]
    names = [output.name for output in session.get_outputs()]
    observation, out = value(x[:, -1:].copy()), value(np.zeros((1, 1), np.float32))
    bindings = []
    for before, after in (states, states[::-1]):
        binding = session.io_binding()
        for name, own in zip(("x", "h", "c"), (observation, *before), strict=True):
            binding.bind_ortvalue_input(name, own)
        for name, own in zip(names, (out, *after), strict=True):
            binding.bind_ortvalue_output(name, own)
        bindings.append(binding)
    now, other = bindings

    def run():
        nonlocal now, other
        session.run_with_iobinding(now)
        now, other = other, now

    answer = []
    for t in range(x.shape[1]):
        observation.update_inplace(x[:, t : t + 1].copy())
        run()
        answer.append(float(out.numpy()[0, 0]))
    return Work(run, answer, note="bound memory")
