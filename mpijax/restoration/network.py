"""A trained network as a method that restores rows."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.restoration.method import Method
from mpijax.restoration.upsample import load_upsampler
from mpijax.rows.scaling import channels_to_complex, complex_to_channels, denormalize, normalize, row_scale
from mpijax.rows.tasks import Complete, Denoise, Inpaint, Task, Upsample, task_of
from mpijax.training.predict import predict_rows
from mpijax.training.state import abstract
from mpijax.training.weights import load_weights, read_card

MEMBERS = 2
"""Global phases that a network's result is averaged over: the networks that ship turn every row to its main phase, which leaves
its sign open."""

VOXELS = 1 << 17
"""Voxels of the restored grid that a network sees at once."""


def load_network(path: str | Path, task: Task, dimensions: int) -> tuple[Method, Task]:
    """A trained network from a run directory or weights file, once its card says that it was trained for this.

    Raises:
        ValueError: weights for another task, dimension, scale or way of sampling, or damaged ones.
        FileNotFoundError: there are no weights at the path.
    """
    weights_file = Path(path) / "weights.npz" if Path(path).is_dir() else Path(path)
    card = read_card(weights_file)
    data = card["metadata"].get("data", {})
    trained: Any = data.get("task") if isinstance(data, dict) else data
    if isinstance(data, dict) and not isinstance(trained, dict):  # of `mpijax train`: upsampling without noise
        sampling = task.facts().get("sampling") or ("stride" if data.get("method") == "stride" else "box")
        task = _match(path, task, (Upsample(card["model"].get("scale"), sampling),))
        upsampler = load_upsampler(path, task.factor, sampling)
        return Method(str(path), lambda rows, known, inside, sigma: upsampler(rows, sigma), sha256=card["sha256"]), task
    tasks, noise_limit = _training(weights_file, trained)
    task = _match(path, task, tasks, dimensions, card["model"].get("dimensions", 2))
    config, weights = load_weights(weights_file)
    network, _ = abstract(config)
    evaluate = jax.jit(network.evaluate)

    def apply(
        rows: Complex[Array, " b *s"], known: Bool[Array, " *s"], inside: Bool[Array, " *s"], sigma: Float[Array, " b"]
    ) -> Complex[jax.Array, " b *t"]:
        scaled, unit = normalize(jax.numpy.where(known, rows, 0), row_scale(rows, mask=known))
        mask = np.stack([known, inside], -1).astype(np.float32)
        inputs = {
            "mask": np.broadcast_to(mask, (len(rows), *mask.shape)),
            "noise_level": jax.numpy.asarray(sigma) / unit,
        }
        size = batch_rows(rows.shape[1:], config.get("scale") or 1)
        out = predict_rows(evaluate, weights, size, complex_to_channels(scaled), **network.told(inputs))
        return denormalize(channels_to_complex(out), unit)

    return Method(str(path), apply, noise_limit, MEMBERS, card["sha256"]), task


def _training(path: Path, trained: Any) -> tuple[tuple[Task, ...], float]:
    """The tasks that the card of a network names, and the largest noise."""
    try:
        _, high = trained["noise_range"]
        name, limit = str(trained["task"]), float(high)
        if name == "any":
            return (Denoise(), Inpaint(), Complete(int(trained["step"]))), limit
        facts = {
            "complete": {"scale": trained["step"]},
            "upsample": {"scale": trained["scale"], "sampling": trained["method"]},
        }
        return (task_of(name, **facts.get(name, {})),), limit
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path.with_suffix('.json')} does not say what the network was trained for; it is damaged, or was changed by hand."
        ) from None


def _match(path: str | Path, task: Task, tasks: tuple[Task, ...], dimensions: int = 2, trained: int = 2) -> Task:
    """The task with what it left open as the network was trained; raises ValueError where it was trained for another."""
    check_trained(path, "task", task.name, tuple(own.name for own in tasks))
    check_trained(path, "dimensions", dimensions, (trained,))
    own = next(own for own in tasks if own.name == task.name)
    for name, value in task.facts().items():
        if value is not None:
            check_trained(path, name, value, (own.facts()[name],))
    return own if own.facts() else task


def check_trained(model: str | Path, name: str, asked: Any, trained: tuple) -> None:
    """Raise ValueError where a network is asked for what it was not trained for."""
    if asked not in trained:
        own = " or ".join(map(str, trained))
        raise ValueError(f"{model} was trained for {name} {own}, but {name} = {asked} is asked for.")


def batch_rows(shape: tuple[int, ...], scale: int = 1) -> int:
    """How many rows of a grid are restored at once."""
    return int(max(1, min(256, VOXELS // (np.prod(shape) * scale ** len(shape)))))
