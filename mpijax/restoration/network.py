"""A trained network as a method that restores rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mpijax.core.typing import Array, Bool, Complex
from mpijax.restoration.card import from_card
from mpijax.restoration.method import Method
from mpijax.rows.scaling import RowScaling, channels_to_complex, complex_to_channels, denormalize, normalize, row_scale
from mpijax.rows.tasks import RowMethod, Task, Trained
from mpijax.training.predict import predict_rows
from mpijax.training.state import Weights, abstract
from mpijax.training.weights import load_weights, read_card

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
    trained = from_card(weights_file, card)
    task = _match(path, task, trained, dimensions)
    apply = network_rows(*load_weights(weights_file), trained)
    return Method(str(path), apply, trained.noise_limit, trained.members, card["sha256"]), task


def network_rows(
    config: dict[str, Any],
    weights: Weights,
    trained: Trained,
    batch_size: int | None = None,
    guides: Callable[..., Any] | None = None,
) -> RowMethod:
    """A network as a method of rows: scaled as in its training, told what it takes, scaled back.

    Args:
        config: ``model.config`` of the network.
        weights: its weights.
        trained: what it was trained for.
        batch_size: rows at once; None = as many as :func:`batch_rows` says.
        guides: (rows, known, sigma) -> what a network with the input ``guides`` is told, in the unit of the rows.
    """
    network, _ = abstract(config)
    evaluate = jax.jit(network.evaluate)

    def apply(
        rows: Complex[Array, " b *s"], known: Bool[Array, "..."], inside: Bool[Array, "..."], sigma: Any
    ) -> Complex[jax.Array, " b *t"]:
        inputs: dict[str, Any] = {}
        if trained.scaling == "peak":
            scaled, unit = normalize(jax.numpy.where(known, rows, 0), row_scale(rows, known=known))
            channels, level = complex_to_channels(scaled), None if sigma is None else jax.numpy.asarray(sigma) / unit
            mask = np.stack([known, inside], -1).astype(np.float32)
            inputs["mask"] = np.broadcast_to(mask, (*rows.shape, 2))
            if guides is not None:
                inputs["guides"] = guides(rows, known, sigma) / unit.reshape(-1, *(1,) * (rows.ndim))
        else:
            scaling = RowScaling.of(rows, trained.scaling)
            channels = scaling.apply(complex_to_channels(rows))
            level = None if sigma is None else jax.numpy.asarray(sigma) * scaling.gain
        size = batch_size or batch_rows(rows.shape[1:], config.get("scale") or 1)
        out = predict_rows(evaluate, weights, size, channels, **network.told(inputs | {"noise_level": level}))
        if trained.scaling == "peak":
            return denormalize(channels_to_complex(out), unit)
        return channels_to_complex(scaling.undo(out))

    return apply


def _match(path: str | Path, task: Task, trained: Trained, dimensions: int) -> Task:
    """The task with what it left open as the network was trained; raises ValueError where it was trained for another."""
    check_trained(path, "task", task.name, tuple(own.name for own in trained.tasks))
    check_trained(path, "dimensions", dimensions, (trained.dimensions,))
    own = next(own for own in trained.tasks if own.name == task.name)
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
