"""Training a network to recover fine rows from coarse ones, the same for simulated and measured rows."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from mpijax import models
from mpijax.datasets.normalize import channels_to_complex, normalize
from mpijax.datasets.stream import RecoveryTask, Rows, RowSource, recovery_batches
from mpijax.metrics import nrmse
from mpijax.training import Result, TrainConfig, fit


def train_recovery(
    model: str,
    task: RecoveryTask,
    source: RowSource,
    validation: Rows,
    config: TrainConfig,
    *,
    run_dir: str | Path,
    model_options: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    progress: bool = True,
) -> Result:
    """Train ``model`` on rows drawn from ``source``.

    Args:
        model: registered name.
        task: scale, degradation, augmentation.
        source: draws ``config.batch_size`` rows from a key.
        validation: rows held out, noise included or given by their sigma; the network with the least nRMSE on them is kept.
        config: recipe.
        run_dir: an unfinished run of the same settings is continued there.
        model_options: of the network.
        data: plain facts about the source; a run directory made with others is refused.
        progress: whether to show a progress bar.

    Returns:
        The finished run.
    """
    height, width = validation.images.shape[1] // task.scale, validation.images.shape[2] // task.scale
    network = models.create(
        model,
        scale=task.scale,
        input_shape=(height, width),
        rngs=config.seed,
        **(model_options or {}),
    )
    return fit(
        network,
        recovery_batches(task, source),
        config,
        run_dir=run_dir,
        validate=_validation(task, validation, config.seed),
        metadata={**asdict(task), **(data or {})},
        progress=progress,
    )


def _validation(task: RecoveryTask, rows: Rows, seed: int) -> Callable[[Callable[..., jax.Array]], dict[str, float]]:
    """nRMSE over held-out rows, each scaled by the largest modulus of its coarse image; the noise is drawn once."""
    coarse, scale = task.degraded(jax.random.key(seed), rows.images, rows.sigma)
    target, _ = normalize(rows.images, scale)

    def validate(apply: Callable[..., jax.Array]) -> dict[str, float]:
        return {"nrmse": float(nrmse(channels_to_complex(apply(coarse)), target))}

    return validate
