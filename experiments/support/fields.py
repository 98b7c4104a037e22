"""Neural fits that continue where they stopped, and record a quantity of the image while they run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mpijax.core.files import atomic_path
from mpijax.models.siren import PureSiren
from mpijax.reconstruction import NeuralField, NeuralSolution, neural_implicit
from mpijax.reconstruction.solvers.neural.steps import NeuralState, initial_state

TRACE = ("step", "loss", "held_out_loss", "quantity")


def fit(
    path: Path,
    matrix: Any,
    data: Any,
    image_shape: tuple[int, int, int],
    quantity: Callable[[NeuralField], float],
    *,
    key: jax.Array,
    width: int,
    omega: float,
    nonnegative: bool,
    ensemble: int,
    save_every: int,
    **options: Any,
) -> tuple[NeuralSolution, dict[str, np.ndarray]]:
    """`neural_implicit` with its state in a file: an interrupted fit continues, a finished one is read.

    Args:
        path: .npz file of the state and the trace.
        matrix, data, image_shape, key, width, omega, nonnegative, ensemble: As for `neural_implicit`.
        quantity: What to record of the current field after every chunk.
        save_every: Steps between two writings of the file.
        **options: Further arguments of `neural_implicit`.

    Returns:
        The solution, and the trace: "step", "loss", "held_out_loss" (means over the ensemble) and "quantity".
    """
    network = PureSiren(dimensions=2, width=width, omega=omega, nonnegative=nonnegative)
    trace: list[tuple[float, ...]] = []
    state = None
    if path.exists():
        template = jax.eval_shape(lambda: initial_state(network, image_shape, 1.0, ensemble, key=key))
        with np.load(path) as file:
            trace = [tuple(row) for row in file["trace"]]
            leaves = [file[f"leaf{i}"] for i in range(len(jax.tree.leaves(template)))]
        state = jax.tree.unflatten(jax.tree.structure(template), leaves)

    def record(now: NeuralState, loss: np.ndarray, held: np.ndarray) -> None:
        trace.append((int(now.step), float(np.mean(loss)), float(np.mean(held)), quantity(now.field)))
        if int(now.step) % save_every == 0 or int(now.step) >= options["steps"]:
            leaves: dict[str, Any] = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(now))}
            with atomic_path(path) as temporary, open(temporary, "wb") as stream:
                np.savez(stream, trace=np.asarray(trace), **leaves)

    solution = neural_implicit(
        matrix, data, image_shape, key=key, width=width, omega=omega, nonnegative=nonnegative, ensemble=ensemble,
        state=state, callback=record, **options,
    )  # fmt: skip
    return solution, dict(zip(TRACE, np.asarray(trace).T, strict=True))
