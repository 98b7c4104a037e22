"""Complete training steps of TranSMS and VRF-Net against the same networks and steps in PyTorch.

    python -m benchmarks.bench_super_resolution [--only NAME ..] [--batch 64] [--rounds 9] [--json FILE]

One step: forward, L1 loss, backward, Adam; fine rows of 32 x 32 cells, networks of the published sizes (VRF-Net without the Keys
upsampling that it corrects, and with a quarter of the batch). The step of mpijax is the one that `mpijax train` runs, with its
running mean of the weights and its check for non-finite numbers. From the same weights and batch both must give the same loss and
gradients (float64, two rows) before anything is timed. On a GPU both run there, with TF32 products. Under foreign load PyTorch's
threads wait for each other: mind the quickest steps, or give both one core (`taskset -c 0`).
"""

import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax import models
from mpijax.training.state import by_path, init_state, split
from mpijax.training.step import make_train_step

SIDE = 32
NETWORKS = {
    "TranSMS 2x": (1, dict(name="transms", scale=2)),
    "TranSMS 4x": (1, dict(name="transms", scale=4)),
    "VRF-Net 2x": (4, dict(name="vrfnet", scale=2, residual=False)),
}
"""Name -> (what the batch is divided by, options of the network)."""

RATE, NOISE = 1e-4, 0.05
SLOWER = 2.5
"""How many times PyTorch's step one of mpijax may take on a CPU."""


def draw(batch, scale):
    """Coarse and fine rows, and the coarse ones' noise; the fine ones stay off the kink of the L1 loss."""
    rng = np.random.default_rng(0)
    coarse, fine = (rng.normal(size=(batch, side, side, 2)).astype(np.float32) for side in (SIDE // scale, SIDE))
    return coarse, fine + 10 * np.sign(fine), np.full(batch, NOISE, np.float32)


class Ours:
    """The training step of mpijax; it holds its state, which every step takes and gives anew."""

    def __init__(self, network, weights, coarse, fine, level):
        batch = {"input": jnp.asarray(coarse), "target": jnp.asarray(fine), "noise_level": jnp.asarray(level)}
        self.batches = jax.tree_util.Partial(lambda batch, key: batch, batch)
        optimizer = optax.adam(RATE)
        self.state = init_state(weights, optimizer)
        self.step = make_train_step(network, optimizer, loss="l1")

    def __call__(self):
        self.state, value = self.step(self.state, jax.random.key(0), self.batches)
        return float(value)

    def gradients(self):
        """Of the first step, by path: Adam's first moment after it is a tenth of them."""
        return {path: 10 * np.asarray(moment) for path, moment in by_path(self.state.opt_state[0].mu).items()}


class Peer:
    """The same in PyTorch, on the same kind of device."""

    def __init__(self, torch, module, coarse, fine, level):
        device = "cpu" if jax.default_backend() == "cpu" else "cuda"
        self.torch, self.module = torch, module.to(device)
        self.input, self.target = (
            torch.from_numpy(rows).permute(0, 3, 1, 2).contiguous().to(device) for rows in (coarse, fine)
        )
        consistent = getattr(module, "data_consistency", False)
        self.noise = {"noise_level": torch.from_numpy(level).to(device)} if consistent else {}
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=RATE)

    def __call__(self):
        value = self.torch.nn.functional.l1_loss(self.module(self.input, **self.noise), self.target)
        self.optimizer.zero_grad()
        value.backward()
        self.optimizer.step()
        return value.item()  # waits for the device

    def gradient(self, path):
        """Of the last step, by flax's path and in its order of axes."""
        *modules, kind = path.split("/")
        name = ".".join([*modules, {"kernel": "weight", "scale": "weight"}.get(kind, kind)])
        array = self.module.get_parameter(name).grad.cpu().numpy()
        if kind == "kernel":  # (out, in, h, w) -> (h, w, in, out), (out, in) -> (in, out)
            return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        return array


def agree(torch, twin, model):
    """Losses and gradients of a step on two rows in float64, where no feature rounds to the other side of a ReLU's kink."""
    with jax.enable_x64(True):
        network, weights = split(model)
        rows = [array.astype(np.float64) for array in draw(2, model.config["scale"])]
        peer = Peer(torch, twin(model.config, by_path(weights)).double(), *rows)
        ours = Ours(network, jax.tree.map(lambda array: array.astype(float), weights), *rows)
        value, other, gradients = ours(), peer(), ours.gradients()
        difference = optax.global_norm({path: array - peer.gradient(path) for path, array in gradients.items()})
        relative = float(difference / optax.global_norm(gradients))
    assert abs(value - other) <= 1e-6 * other, (model.config, value, other)
    assert relative <= 1e-5, (model.config, relative)
    print(f"in float64: losses {value:.9f} and {other:.9f}, gradients differ by {relative:.1e}")


def compare(args):
    try:
        import torch

        from benchmarks.torch_networks import twin
    except ImportError:
        print("PyTorch is not installed; the comparison needs it: pip install torch", file=sys.stderr)
        return False
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as JAX does by default
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    must = 1 / SLOWER if jax.default_backend() == "cpu" else None
    timings, ratios = [], []
    for name in args.only or NETWORKS:
        divisor, config = NETWORKS[name]
        rows = draw(args.batch // divisor, config["scale"])
        model = models.create(**config, input_shape=rows[0].shape[1:3], rngs=0)
        agree(torch, twin, model)
        network, weights = split(model)
        ours, peer = Ours(network, weights, *rows), Peer(torch, twin(model.config, by_path(weights)), *rows)
        label = f"{name}, {args.batch // divisor} rows"
        timed = interleave({f"{label}, mpijax": ours, f"{label}, PyTorch": peer}, args.rounds)
        mine, theirs = timed.values()
        timings += [mine, theirs]
        ratios += [
            Ratio(f"{label}, PyTorch / mpijax", ratio(theirs, mine), must),
            Ratio(f"{label}, PyTorch / mpijax, quickest of each", theirs.min / mine.min, must),
        ]
    report(f"Training step, fine rows {SIDE} x {SIDE}", timings, ratios, args.json)
    return True


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--only", nargs="+", choices=list(NETWORKS), help="networks; default all")
    parser.add_argument("--batch", type=int, default=64, help="rows per step")
    sys.exit(0 if compare(parser.parse_args()) else 1)
