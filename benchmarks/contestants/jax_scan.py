"""JAX: a scan over time, the whole step compiled by XLA, its buffers donated."""

import jax
import jax.numpy as jnp
from jax import lax

from . import CLIP_NORM, LEARNING_RATE, Work, fastest, problem

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
# Steps of time in one turn of the loop: the faster is taken.
UNROLL = (1, 4)


def setup(threads):
    """Nothing to set: XLA starts as many threads as the process may use cores."""


def _advance(z, carry, w_h):
    h, c = carry
    i, f, g, o = jnp.split(z + h @ w_h, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _forward(params, x, unroll):
    """Return the forecasts (batch, 1) for x (batch, seq_len, features)."""
    below = x.swapaxes(0, 1)
    for k, layer in enumerate(params["layers"]):
        is_top = k + 1 == len(params["layers"])

        def turn(carry, z, w_h=layer["w_h"], is_top=is_top):
            carry = _advance(z, carry, w_h)
            return carry, None if is_top else carry[0]

        # The input's part of all steps is one product outside of the loop.
        z = below @ layer["w_x"] + layer["b"]
        state = jnp.zeros((x.shape[0], layer["w_h"].shape[0]), x.dtype)
        (h, _), below = lax.scan(turn, (state, state), z, unroll=unroll)
    return h @ params["w_out"] + params["b_out"]


def _step(unroll):
    """Return the compiled training step."""

    def loss_of(params, x, y):
        return jnp.mean((_forward(params, x, unroll) - y) ** 2)

    def step(params, mean, square, count, x, y):
        loss, gradient = jax.value_and_grad(loss_of)(params, x, y)
        norm = jnp.sqrt(sum(jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(gradient)))
        scale = jnp.minimum(1.0, CLIP_NORM / norm)
        gradient = jax.tree.map(lambda leaf: scale * leaf, gradient)
        count += 1
        mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, gradient)
        square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, square, gradient)
        rate, correction = LEARNING_RATE / (1 - BETA1**count), 1 / (1 - BETA2**count)
        params = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v * correction) + EPSILON),
            params,
            mean,
            square,
        )
        return params, mean, square, count, loss

    return jax.jit(step, donate_argnums=(0, 1, 2, 3))


def _prepared(size):
    x, y, weights = problem(size)
    params = {
        "layers": [
            {
                "w_x": jnp.array(weights[f"weight_ih_l{k}"].T),
                "w_h": jnp.array(weights[f"weight_hh_l{k}"].T),
                "b": jnp.array(weights[f"bias_l{k}"]),
            }
            for k in range(size.layers)
        ],
        "w_out": jnp.array(weights["head.weight"].T),
        "b_out": jnp.array(weights["head.bias"]),
    }
    return params, jnp.array(x), jnp.array(y)


def train(size, threads):
    """One unit is one training step."""
    return fastest(_train(size, unroll) for unroll in UNROLL)


def _train(size, unroll):
    params, x, y = _prepared(size)
    step = _step(unroll)
    zeros = lambda: jax.tree.map(jnp.zeros_like, params)  # noqa: E731
    state = params, zeros(), zeros(), jnp.array(0.0)

    def run():
        nonlocal state
        *state, loss = step(*state, x, y)
        return loss.block_until_ready()

    return Work(run, [float(run()) for _ in range(3)], note=f"unroll={unroll}")


def infer(size, threads):
    """One unit is one batch."""
    return fastest(_infer(size, unroll) for unroll in UNROLL)


def _infer(size, unroll):
    params, x, _ = _prepared(size)
    forward = jax.jit(_forward, static_argnums=2)

    def run():
        return forward(params, x, unroll).block_until_ready()

    return Work(run, run().ravel().tolist(), note=f"unroll={unroll}")


def stream(size, threads):
    """One unit is one observation."""
    params, x, _ = _prepared(size)
    (layer,) = params["layers"]

    @jax.jit
    def advance(observation, carry):
        carry = _advance(observation @ layer["w_x"] + layer["b"], carry, layer["w_h"])
        return carry[0] @ params["w_out"] + params["b_out"], carry

    carry = jnp.zeros((1, size.hidden)), jnp.zeros((1, size.hidden))

    def run(observation=x[:, -1]):
        nonlocal carry
        out, carry = advance(observation, carry)
        return out.block_until_ready()

    answer = [float(run(x[:, t])[0, 0]) for t in range(size.seq_len)]
    return Work(run, answer)
