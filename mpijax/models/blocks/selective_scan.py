"""The selective scan: a linear recurrence whose decay, input and output change from step to step.

It runs step by step, chunk by chunk, and has an adjoint of its own: going back, the states of one chunk are computed again and
held, those of the others are not. On a CPU that is many times as fast as prefix sums, in a thirtieth of their memory
(``python -m benchmarks.bench_mamba``); on a GPU it has not been measured.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_count
from mpijax.core.typing import Array, Float

CHUNK = 64
"""Steps whose states are held at a time."""

_reduce = functools.partial(jnp.einsum, precision="highest")


def selective_scan(
    x: Float[Array, "b k l d"],
    step: Float[Array, "b k l d"],
    a: Float[Array, "k d n"],
    b: Float[Array, "b k l n"],
    c: Float[Array, "b k l n"],
    skip: Float[Array, "k d"],
    *,
    chunk: int = CHUNK,
) -> Float[jax.Array, "b k l d"]:
    """Outputs of h_t = exp(step_t a) h_(t-1) + step_t b_t x_t, y_t = <c_t, h_t> + skip x_t with h_0 = 0, in float32.

    Every channel d of every sequence k has n states of its own. The input is weighted by step b, as in Mamba's kernel, and not
    by the zero-order hold (exp(step a) - 1)/a b of its paper. For l steps the forward pass holds the b k n d states of one step,
    the backward pass those of l/chunk + chunk steps. Reverse differentiation only.

    Args:
        x: Sequences.
        step: Positive widths of the steps.
        a: Decay rates, negative.
        b: Weights of the input.
        c: Weights of the states in the output.
        skip: Weight of the input in the output.
        chunk: Steps per chunk.

    Returns:
        Sequences of the shape of x, float32.

    Source: A. Gu and T. Dao, arXiv:2312.00752, Alg. 2.
    """
    check_count("chunk", chunk)
    x, step, a, b, c, skip = (jnp.asarray(value, jnp.float32) for value in (x, step, a, b, c, skip))
    length = x.shape[2]
    chunk = min(chunk, length)

    def chunks(values: jax.Array) -> jax.Array:
        """(b, k, l, m) as (chunks, chunk, b, k, m), zeros behind the end: a step of width zero changes no state."""
        first = jnp.pad(jnp.moveaxis(values, 2, 0), ((0, -length % chunk), (0, 0), (0, 0), (0, 0)))
        return first.reshape(-1, chunk, *first.shape[1:])

    rates = jnp.swapaxes(a, 1, 2)
    start = jnp.zeros((x.shape[0], *rates.shape), jnp.float32)
    inputs = tuple(chunks(values) for values in (step, step * x, b, c))
    _, y = jax.lax.scan(lambda state, values: _chunk(state, rates, *values), start, inputs)
    return jnp.moveaxis(y.reshape(-1, *y.shape[2:])[:length], 0, 2) + skip[:, None] * x


def _states(state: jax.Array, rates: jax.Array, inputs: tuple[jax.Array, ...], *, keep: bool) -> Any:
    """Last state (b, k, n, d), outputs (l, b, k, d), and the state after every step where they are kept."""

    def advance(state: jax.Array, values: tuple[jax.Array, ...]) -> Any:
        step, drive, b, c = values
        state = jnp.exp(step[:, :, None] * rates) * state + drive[:, :, None] * b[..., None]
        return state, (_reduce("zknd,zkn->zkd", state, c), state if keep else None)

    return jax.lax.scan(advance, state, inputs)


@jax.custom_vjp
def _chunk(
    state: jax.Array, rates: jax.Array, step: jax.Array, drive: jax.Array, b: jax.Array, c: jax.Array
) -> tuple[jax.Array, jax.Array]:
    last, (y, _) = _states(state, rates, (step, drive, b, c), keep=False)
    return last, y


def _chunk_forward(state: jax.Array, rates: jax.Array, *inputs: jax.Array) -> Any:
    return _chunk(state, rates, *inputs), (state, rates, inputs)


def _chunk_backward(saved: Any, cotangents: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
    """Adjoint recurrence g_t = c_t dy_t + exp(step_(t+1) a) g_(t+1), from the last step to the first."""
    state, rates, inputs = saved
    _, (_, states) = _states(state, rates, inputs, keep=True)
    before = jnp.concatenate([state[None], states[:-1]])

    def retreat(carry: tuple[jax.Array, jax.Array], values: tuple[jax.Array, ...]) -> Any:
        g, d_rates = carry
        step, drive, b, c, state, previous, dy = values
        g = g + dy[:, :, None] * c[..., None]
        d_drive = _reduce("zknd,zkn->zkd", g, b)
        d_b, d_c = _reduce("zknd,zkd->zkn", g, drive), _reduce("zknd,zkd->zkn", state, dy)
        g = jnp.exp(step[:, :, None] * rates) * g
        decay = g * previous
        d_step = _reduce("zknd,knd->zkd", decay, rates)
        return (g, d_rates + _reduce("zknd,zkd->knd", decay, step)), (d_step, d_drive, d_b, d_c)

    carry = (cotangents[0], jnp.zeros_like(rates))
    (g, d_rates), d_inputs = jax.lax.scan(retreat, carry, (*inputs, states, before, cotangents[1]), reverse=True)
    return (g, d_rates, *d_inputs)


_chunk.defvjp(_chunk_forward, _chunk_backward)
