"""Training steps of the neural field against the same network and step in PyTorch (CPU), and the sine against jnp.sin.

    python -m benchmarks.bench_neural [--width 256] [--steps 5] [--rounds 5] [--json FILE]

One step: draw nothing, evaluate 29 x 29 voxels at s^2 points each, average, multiply with a real matrix of 1000 rows, squared
loss, gradients, Adam. Fixed s = 3, and one step for each s = 1 .. 5 (the mix of a fit). PyTorch gets the same weights, points,
matrix and data: loss and gradients must agree to 1e-4 of the largest gradient entry before anything is timed.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax.models.siren import PureSiren, sine
from mpijax.reconstruction.solvers.neural.field import cell_points

SIZE, ROWS = 29, 1000


def loss(network, params, points, rows, targets):
    pooled = jnp.mean(network.apply(params, points)[..., 0], axis=-1)
    return jnp.sum((jnp.matmul(rows, pooled, precision="highest") - targets) ** 2)


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def step(network, params, moments, points, rows, targets):
    value, gradients = jax.value_and_grad(partial(loss, network))(params, points, rows, targets)
    updates, moments = optax.adam(1e-4).update(gradients, moments)
    return optax.apply_updates(params, updates), moments, value


def layers(params):
    return [params["first"], *params["hidden"].values(), params["last"]]


class Peer:
    """The network and its step in PyTorch, from the same weights."""

    def __init__(self, torch, network, params, rows, targets):
        self.torch, self.omega = torch, network.omega
        self.linears = []
        for layer in layers(params):
            kernel = np.asarray(layer["kernel"])
            linear = torch.nn.Linear(*kernel.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(kernel.T.copy()))
                linear.bias.copy_(torch.from_numpy(np.array(layer["bias"])))
            self.linears.append(linear)
        self.optimizer = torch.optim.Adam([p for linear in self.linears for p in linear.parameters()], lr=1e-4)
        self.rows, self.targets = torch.from_numpy(rows), torch.from_numpy(targets)

    def backward(self, points):
        hidden = points.reshape(-1, points.shape[-1])
        for linear in self.linears[:-1]:
            hidden = self.torch.sin(self.omega * linear(hidden))
        pooled = self.linears[-1](hidden).reshape(points.shape[:2]).mean(1)
        value = ((self.rows @ pooled - self.targets) ** 2).sum()
        self.optimizer.zero_grad()
        value.backward()
        return value.detach()

    def step(self, points):
        value = self.backward(points)
        self.optimizer.step()
        return value


def compare(args):
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed; the comparison needs it: pip install torch", file=sys.stderr)
        return False
    network = PureSiren(width=args.width)
    params = network.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(ROWS, SIZE**2)) / SIZE).astype(np.float32)
    targets = rng.normal(size=ROWS).astype(np.float32)
    points = {s: cell_points((SIZE, SIZE, 1), s, (0, 1)).astype(np.float32) for s in range(1, 6)}
    device = {s: jnp.asarray(p) for s, p in points.items()}
    matrix = (jnp.asarray(rows), jnp.asarray(targets))
    peer = Peer(torch, network, params, rows, targets)

    value, gradients = jax.value_and_grad(partial(loss, network))(params, device[3], *matrix)
    theirs = float(peer.backward(torch.from_numpy(points[3])))
    assert abs(float(value) - theirs) <= 1e-4 * theirs, (float(value), theirs)
    for ours, linear in zip(layers(gradients), peer.linears, strict=True):
        for mine, other in ((ours["kernel"].T, linear.weight.grad), (ours["bias"], linear.bias.grad)):
            other = other.numpy()
            assert np.abs(np.asarray(mine) - other).max() <= 1e-4 * np.abs(other).max()
    print(f"loss and gradients agree with PyTorch to 1e-4 (loss {theirs:.6g})")

    state = [params, optax.adam(1e-4).init(params)]

    def fit(factors):
        for s in factors:
            state[0], state[1], value = step(network, *state, device[s], *matrix)
        return value

    def fit_torch(factors):
        for s in factors:
            value = peer.step(torch.from_numpy(points[s]))
        return float(value)

    x = jnp.linspace(-60, 60, 9 * SIZE**2 * args.width)
    candidates = {
        f"mpijax, {args.steps} steps of s = 3": partial(fit, args.steps * (3,)),
        f"PyTorch, {args.steps} steps of s = 3": partial(fit_torch, args.steps * (3,)),
        "mpijax, one step of each s = 1 .. 5": partial(fit, range(1, 6)),
        "PyTorch, one step of each s = 1 .. 5": partial(fit_torch, range(1, 6)),
        f"sine and cosine of {x.size:,} numbers, mpijax": partial(jax.jit(lambda x: jax.jvp(sine, (x,), (x,))), x),
        f"sine and cosine of {x.size:,} numbers, jnp.sin": partial(jax.jit(lambda x: jax.jvp(jnp.sin, (x,), (x,))), x),
    }
    timings = list(interleave(candidates, args.rounds).values())
    ratios = [
        Ratio("steps of s = 3, PyTorch / mpijax", ratio(timings[1], timings[0])),
        Ratio("mix of s = 1 .. 5, PyTorch / mpijax", ratio(timings[3], timings[2])),
    ]
    report(f"SIREN {args.width} wide, {SIZE} x {SIZE} voxels, {ROWS} rows", timings, ratios, args.json)
    for name, count, timing in (("s = 3", args.steps, timings[:2]), ("mix", 5, timings[2:4])):
        print(
            f"iterations per second, {name}: mpijax {count / timing[0].median:.1f}, PyTorch {count / timing[1].median:.1f}"
        )
    return True


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--width", type=int, default=256, help="width of the sine layers")
    parser.add_argument("--steps", type=int, default=5, help="steps per timed call of s = 3")
    sys.exit(0 if compare(parser.parse_args()) else 1)
