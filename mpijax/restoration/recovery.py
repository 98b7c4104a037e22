"""Training a network to recover fine rows from coarse ones, the same for simulated and measured rows."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from mpijax import models
from mpijax.datasets.recovery_task import RecoveryTask, recovery_batches
from mpijax.datasets.stream import Rows, RowSource
from mpijax.metrics import nrmse
from mpijax.rows.scaling import RowScaling, channels_to_complex, complex_to_channels
from mpijax.training import Result, TrainConfig, fit


def train_recovery(
    model: str,
    task: RecoveryTask,
    source: RowSource,
    validation: Rows | None,
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
        validation: rows held out; the weights with the least nRMSE on them are kept. None keeps the last weights.
        config: recipe.
        run_dir: an unfinished run of the same settings is continued there.
        model_options: of the network.
        data: plain facts about the source; a run directory made with others is refused.
        progress: whether to show a progress bar.

    Returns:
        The finished run.
    """
    height, width = jax.eval_shape(source, jax.random.key(0)).images.shape[1:]
    network = models.create(
        model,
        scale=task.scale,
        input_shape=(height // task.scale, width // task.scale),
        rngs=config.seed,
        **(model_options or {}),
    )
    return fit(
        network,
        recovery_batches(task, source),
        config,
        run_dir=run_dir,
        validate=None if validation is None else _validation(task, validation, config.seed),
        metadata={**asdict(task), **(data or {})},
        progress=progress,
    )


def _validation(task: RecoveryTask, rows: Rows, seed: int) -> Callable[[Callable[..., jax.Array]], dict[str, float]]:
    """nRMSE over held-out rows, each in the scaling of its coarse image; the noise is drawn once."""
    coarse, target, sigma = task.measure(jax.random.key(seed), rows)
    scaling = RowScaling.of(coarse, task.normalization)
    inputs = {} if sigma is None else {"noise_level": sigma * scaling.gain}
    x = scaling.apply(complex_to_channels(coarse))
    gain = scaling.gain[:, None, None]

    def validate(apply: Callable[..., jax.Array]) -> dict[str, float]:
        fine = channels_to_complex(scaling.undo(apply(x, **inputs)))
        return {"nrmse": float(nrmse(fine * gain, target * gain))}

    return validate
