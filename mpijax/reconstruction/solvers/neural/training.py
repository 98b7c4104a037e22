"""Neural-implicit reconstruction: a SIREN from position to concentration, fitted to one measurement."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import track

from mpijax.core.checks import check_choice, check_count, check_finite, check_range
from mpijax.core.typing import Array, Inexact, Matrix, Num, Values, Vector
from mpijax.models.siren import PureSiren
from mpijax.reconstruction.inputs import check_key, check_problem, check_row_weights
from mpijax.reconstruction.solvers.neural.field import (
    NeuralField,
    NeuralSolution,
    cell_points,
    check_grid,
    coordinate_axes,
)
from mpijax.reconstruction.solvers.neural.steps import NeuralProblem, NeuralState, advance, initial_state

NEURAL_PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"width": 128, "steps": 2000, "learning_rate": 3e-4},
    "paper": {"width": 256, "steps": 70_000, "learning_rate": 1e-4},
}
"""Size and length of the fit by name; "quick" takes minutes on two CPU cores, "paper" is the published recipe."""


def neural_implicit(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    image_shape: tuple[int, ...],
    *,
    key: jax.Array,
    row_weights: str | Vector | None = "row_norm",
    preset: str = "quick",
    steps: int | None = None,
    learning_rate: float | None = None,
    width: int | None = None,
    depth: int = 3,
    omega: float = 30.0,
    nonnegative: bool = False,
    max_factor: int = 5,
    held_out: float | None = 0.1,
    patience: int | None = None,
    check_every: int = 100,
    ensemble: int = 1,
    progress: bool = False,
    state: NeuralState | None = None,
    callback: Callable[[NeuralState, np.ndarray, np.ndarray], None] | None = None,
) -> NeuralSolution:
    r"""Fit a real concentration phi_theta(p) that is known at every position p to one measurement.

    .. math:: \min_\theta\ \|W (A D_s\, \phi_\theta(p_s) - b)\|^2

    s is drawn anew from 1 .. max_factor in every step. p_s are the voxel centers of the s times finer grid, D_s averages them
    over each voxel of the matrix. Adam; the weights with the least loss on rows that were kept out of the fit are returned
    (early stopping: a long fit turns to noise). The output is scaled so that the back projection of the data has a peak of one.
    A run takes place in float32 on the default device and is not differentiable. One step holds activations of about
    16 * width * depth * max_factor^d * n * ensemble bytes: choose a smaller ``max_factor`` in 3-D.

    Args:
        matrix: A, complex (m, n), or real with real data.
        data: b, complex (m,) or (frames, m); frames are fitted one after another, each with the same key.
        image_shape: Grid (nx, ny, nz) of the n columns, x fastest. Axes of one voxel are no coordinates.
        key: Random key of initial weights, factors and held-out rows: the same key gives the same bits.
        row_weights: Diagonal of W (m,), None, or "row_norm", 1/|a_k|, as in the paper. Rows of weight or norm 0 are
            skipped.
        preset: "quick" (minutes on a CPU) or "paper": ``steps``, ``learning_rate`` and ``width`` where those are None.
        steps: Adam steps at most; whole chunks of ``check_every`` are taken.
        learning_rate: Adam's.
        width: Width of the sine layers.
        depth: Sine layers after the first one.
        omega: Factor in the sines; larger = finer structure, and noise, is fitted sooner. 30 is the networks' usual value;
            for noisy scans 5 to 10 give smoother images (``python -m experiments.neural_implicit_spiral``).
        nonnegative: Whether the output passes through softplus.
        max_factor: Largest factor s.
        held_out: Share of the rows kept for early stopping; None = train on all rows and return the last weights.
        patience: Steps without a better held-out loss after which the fit ends; None = take all steps.
        check_every: Steps between two looks at the held-out rows.
        ensemble: Networks of different initial weights, fitted in one program; their mean is the image, their standard
            deviation an uncertainty. They share factors and held-out rows.
        progress: Whether to draw a progress bar.
        state: Continue from this state (of one frame and the same arguments).
        callback: Called as callback(state, loss, held-out loss) after every chunk, losses (ensemble,).

    Returns:
        NeuralSolution: value (n,) or (frames, n), the mean over every voxel; ``field``, whose ``sample(shape)`` gives any
        grid and ``sample_std(shape)`` the uncertainty; stats "residual" = |W(Ax - b)|/|Wb|, "steps", "best_step"
        (members,), "history_step" (chunks,), "loss" and "held_out_loss" (members, chunks), the squared relative residual
        of both kinds of rows, NaN after the end, "held_out_rows" (indices), "seconds" and, for an ensemble, "std" (n,).
        With several frames each but "seconds" and the rows has the frames first.

    Raises:
        ValueError: Shapes that do not agree, NaN, a matrix of zeros, or a setting out of range.
        TypeError: No arrays, real data for a complex matrix, or the reverse; a key or a state that is none.

    Source: A. Tsanda et al., IJMPI (2025), "Neural implicit representations for grid-agnostic MPI reconstructions", eq. 1;
    not stated there and chosen here: the network's size (Sitzmann et al. 2020), the square, the stopping rule, cell
    centers.
    """
    matrix, data = check_problem(matrix, data)
    check_finite("matrix", matrix)
    shape = _image_shape(image_shape, np.shape(matrix)[1])
    check_key(key)
    if not isinstance(state, NeuralState | None):
        raise TypeError(f"state = {state!r}; expected None or the NeuralState that a callback was given.")
    check_choice("preset", preset, tuple(NEURAL_PRESETS))
    settings = NEURAL_PRESETS[preset]
    steps = settings["steps"] if steps is None else steps
    learning_rate = settings["learning_rate"] if learning_rate is None else learning_rate
    counts = {"steps": steps, "max_factor": max_factor, "check_every": check_every, "ensemble": ensemble}
    for name, count in counts.items() | ({} if patience is None else {"patience": patience}).items():
        check_count(name, count)
    check_range("learning_rate", learning_rate, 1e-12, 1.0, "")
    if held_out is not None:
        check_range("held_out", held_out, 1e-6, 0.9, "", "None trains on every row.")
    network = PureSiren(
        dimensions=len(coordinate_axes(shape)),
        width=settings["width"] if width is None else width,
        depth=depth,
        omega=omega,
        nonnegative=nonnegative,
    )
    if state is not None and np.ndim(data) != 1:
        raise ValueError(f"data has shape {np.shape(data)}; only the fit of one frame, data (m,), can be continued.")
    start, weights_key, factors_key = time.perf_counter(), *jax.random.split(key)
    weighted = _Equations(matrix, row_weights, held_out, key=jax.random.fold_in(key, 2))
    points = tuple(
        jnp.asarray(cell_points(shape, s, coordinate_axes(shape)), jnp.float32) for s in range(1, max_factor + 1)
    )

    def fit(frame: np.ndarray) -> tuple[NeuralField, dict[str, Any]]:
        problem, scale = weighted.problem(frame, points)
        now = initial_state(network, shape, scale, ensemble, key=weights_key) if state is None else state
        history = []
        first = int(now.step) // check_every
        chunks = range(first, max(first, math.ceil(steps / check_every)))
        for _ in track(chunks, "neural field", disable=not progress):
            now, loss, held = advance(problem, now, learning_rate, key=factors_key, steps=check_every)
            history.append(np.stack([loss, held]))
            if callback is not None:
                callback(now, *history[-1])
            if patience is not None and int(now.step) - int(np.max(now.best_step)) >= patience:
                break
        losses = np.full((2, ensemble, len(chunks)), np.nan)
        losses[:, :, : len(history)] = np.stack(history, -1) if history else 0
        image = np.asarray(now.best.sample(average=max_factor))
        stats = {
            "residual": weighted.residual(image, frame),
            "steps": int(now.step),
            "best_step": np.asarray(now.best_step),
            "history_step": (np.arange(len(chunks)) + first + 1) * check_every,
            "loss": losses[0],
            "held_out_loss": losses[1],
        }
        if ensemble > 1:
            stats["std"] = np.asarray(now.best.sample_std(average=max_factor))
        return now.best, {"value": image, **stats}

    results = [fit(frame) for frame in np.atleast_2d(np.asarray(data))]
    if np.ndim(data) == 1:
        field, stats = results[0]
    else:
        field = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(field for field, _ in results))
        stats = jax.tree.map(lambda *leaves: np.stack(leaves), *(stats for _, stats in results))
    stats |= {"held_out_rows": weighted.held, "seconds": time.perf_counter() - start}
    return NeuralSolution(jnp.asarray(stats.pop("value")), stats, field)


class _Equations:
    """The weighted rows in float64, split into training and held-out ones: signals in SI units underflow in float32."""

    def __init__(self, matrix: Matrix, row_weights: str | Vector | None, held_out: float | None, *, key: jax.Array):
        matrix = np.asarray(matrix)
        matrix = matrix.astype(np.complex128 if np.iscomplexobj(matrix) else np.float64)
        norms = np.linalg.norm(matrix, axis=1)
        if not norms.any():
            raise ValueError("the matrix has only zeros; nothing can be reconstructed with it.")
        if isinstance(row_weights, str):
            check_choice("row_weights", row_weights, ("row_norm",))
            weights = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
        else:
            check_row_weights(row_weights, len(matrix))
            weights = np.ones(len(matrix)) if row_weights is None else np.asarray(row_weights, np.float64)
        used = np.flatnonzero((norms > 0) & (weights != 0))
        count = 0 if held_out is None else max(1, round(held_out * len(used)))
        if count >= len(used):
            raise ValueError(
                f"{len(used)} rows are not zero and held_out = {held_out} keeps {count} of them out of the fit; give more "
                "rows or held_out=None."
            )
        shuffled = used[np.asarray(jax.random.permutation(key, len(used)))]
        self.held, self.trained = np.sort(shuffled[:count]), np.sort(shuffled[count:])
        self.matrix, self.weights = weights[:, None] * matrix, weights

    def problem(self, frame: np.ndarray, points: tuple[Values, ...]) -> tuple[NeuralProblem, float]:
        """Equations of one frame for outputs of order one, and the scale of these outputs."""
        data = self.weights * frame
        rows, targets = _stacked(self.matrix[self.trained]), _stacked(data[self.trained])
        back = rows.T @ targets
        again = rows @ back
        energy = again @ again
        scale = float(np.abs(back).max() * (again @ targets) / energy) if energy > 0 else 1.0
        norm = np.linalg.norm(targets) or 1.0
        held: tuple[Any, Any] = (None, None)
        if len(self.held):
            held_targets = _stacked(data[self.held])
            held_norm = np.linalg.norm(held_targets) or 1.0
            held = (
                _float32(_stacked(self.matrix[self.held]) * (scale / held_norm)),
                _float32(held_targets / held_norm),
            )
        return NeuralProblem(_float32(rows * (scale / norm)), _float32(targets / norm), *held, points), scale

    def residual(self, image: np.ndarray, frame: np.ndarray) -> float:
        """|W(Ax - b)| / |Wb| over all rows."""
        data = self.weights * frame
        return float(np.linalg.norm(self.matrix @ image - data) / (np.linalg.norm(data) or 1.0))


def _stacked(array: np.ndarray) -> np.ndarray:
    """Real above imaginary parts; a real array as it is."""
    return np.concatenate([array.real, array.imag]) if np.iscomplexobj(array) else array


def _float32(array: np.ndarray) -> jax.Array:
    return jnp.asarray(array, jnp.float32)


def _image_shape(image_shape: Any, voxels: int) -> tuple[int, int, int]:
    check_grid("image_shape", image_shape)
    shape = (int(image_shape[0]), int(image_shape[1]), int(image_shape[2]))
    if math.prod(shape) != voxels:
        raise ValueError(
            f"image_shape = {shape} has {math.prod(shape)} voxels, but the matrix has {voxels} columns; give grid.shape of "
            "the matrix."
        )
    if not coordinate_axes(shape):
        raise ValueError(f"image_shape = {shape}; a field needs at least one axis with more than one voxel.")
    return shape
