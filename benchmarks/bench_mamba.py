"""MPI-Mamba at its published size, and its selective scan against an associative one.

    python -m benchmarks.bench_mamba [--rounds 5] [--json FILE]

Forward pass of stage 2 on one image of 64 x 64 (three channels, as published; at most 3 s), and the memory it takes beyond
weights and image. The scan of its finest level: 4 directions, 4,096 steps, 96 channels of 16 states, forward and with all
gradients, step by step as mpijax has it, and as `jax.lax.associative_scan` over pairs (decay, drive), which holds every state
of every step.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax import models
from mpijax.models.blocks.selective_scan import selective_scan
from mpijax.training import split

SIDE, CHANNELS, STATES, DIRECTIONS = 64, 96, 16, 4
SECONDS = 3.0
"""What one forward pass may take."""


def associative(x, step, a, b, c, skip):
    """The same outputs by prefix sums: (d, u) after (d', u') is (d d', d u' + u)."""
    decay = jnp.exp(step[..., None] * a[:, None])
    drive = (step * x)[..., None] * b[..., None, :]

    def after(first, second):
        return first[0] * second[0], second[0] * first[1] + second[1]

    states = jax.lax.associative_scan(after, (decay, drive), axis=2)[1]
    return jnp.einsum("zkldn,zkln->zkld", states, c, precision="highest") + skip[:, None] * x


def scan_inputs():
    """Sequences of one image with steps as a new network makes them."""
    rng = np.random.default_rng(0)
    shape = (1, DIRECTIONS, SIDE**2, CHANNELS)
    x, step = rng.normal(size=shape), np.exp(rng.uniform(np.log(1e-3), np.log(0.1), size=shape))
    a = -np.broadcast_to(np.arange(1.0, STATES + 1), (DIRECTIONS, CHANNELS, STATES))
    b, c = rng.normal(size=(2, 1, DIRECTIONS, SIDE**2, STATES))
    return [jnp.asarray(v, jnp.float32) for v in (x, step, a, b, c, np.ones((DIRECTIONS, CHANNELS)))]


def with_gradients(scan):
    """Compiled sum of squares and its gradients by all arguments."""
    return jax.jit(jax.value_and_grad(lambda *v: jnp.sum(scan(*v) ** 2), argnums=tuple(range(6))))


def temporary(function, *arguments):
    """Megabytes that a compiled function takes beyond arguments and results."""
    return function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes / 2**20


def main():
    arguments = options(__doc__).parse_args()
    network, weights = split(models.create("mpi_mamba", channels=3, stage=2, rngs=0))
    image = jnp.asarray(np.random.default_rng(1).uniform(size=(1, SIDE, SIDE, 3)), jnp.float32)
    forward = jax.jit(network.evaluate)
    values = scan_inputs()
    scans = {"step by step": selective_scan, "associative": associative}
    outputs = {name: jax.jit(scan) for name, scan in scans.items()}
    gradients = {name: with_gradients(scan) for name, scan in scans.items()}
    np.testing.assert_allclose(*(output(*values) for output in outputs.values()), atol=1e-4)
    for ours, theirs in zip(*(gradient(*values)[1] for gradient in gradients.values()), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * float(jnp.max(jnp.abs(theirs))))
    candidates = {"forward, 64 x 64": lambda: forward(weights, image)}
    candidates |= {f"scan {name}": lambda f=f: f(*values) for name, f in outputs.items()}
    candidates |= {f"scan {name}, gradients": lambda f=f: f(*values) for name, f in gradients.items()}
    timings = interleave(candidates, arguments.rounds)
    print(f"memory of the forward pass: {temporary(forward, weights, image):.0f} MiB")
    for name, function in gradients.items():
        print(f"memory of the scan {name} with gradients: {temporary(function, *values):.0f} MiB")
    ratios = [
        Ratio("a forward pass, 64 x 64", timings["forward, 64 x 64"].median, most=SECONDS, unit=" s"),
        Ratio(
            "scan step by step against associative",
            ratio(timings["scan associative"], timings["scan step by step"]),
        ),
        Ratio(
            "the same with gradients",
            ratio(timings["scan associative, gradients"], timings["scan step by step, gradients"]),
        ),
    ]
    report("MPI-Mamba", list(timings.values()), ratios, arguments.json)


if __name__ == "__main__":
    main()
