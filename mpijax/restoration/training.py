"""Training a network that restores rows: one way for every task, network and source of rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from mpijax import models
from mpijax.datasets.buckets import Prior
from mpijax.datasets.calibrations import Calibrations
from mpijax.datasets.corruption import RandomCorruption
from mpijax.datasets.pairs import Pairs
from mpijax.datasets.sources import Source
from mpijax.restoration.card import KEY, to_card
from mpijax.rows.tasks import Task, task_of
from mpijax.training import Result, TrainConfig, fit


def train(
    task: Task | str | Sequence[Task] | Pairs,
    prior: Prior | Source,
    network: Any,
    config: TrainConfig,
    *,
    run_dir: str | Path,
    options: dict[str, Any] | None = None,
    progress: bool = True,
) -> Result:
    """Train a network to restore rows; what it writes is what ``mj.restore(matrix, task, method=run_dir)`` takes.

    Args:
        task: a task or several that one network learns (:class:`mpijax.rows.Denoise`, ...), with the noise and gaps of
            :class:`mpijax.datasets.RandomCorruption`; or a value that says how fine rows become pairs: ``RandomCorruption(...)``,
            or ``CoarseMeasurement(...)`` for upsampling at a scanner's own noise.
        prior: distribution of calibrations, simulated while it trains (:class:`mpijax.datasets.Calibrations` says how many at a
            time); or rows: :class:`mpijax.datasets.TrainingRows`, ``simulated_source(...)``, ``open_mpi_source(...)``.
        network: registered name, or a network.
        config: recipe. ``seed`` decides weights, matrices and batches; ``monitor`` names the score on held-out rows by which
            weights are kept, by default that of the pairs: "nrmse", or "-psnr" for random corruptions.
        run_dir: an unfinished run of the same settings is continued there.
        options: of a network that is named.
        progress: whether to show a progress bar.

    Returns:
        The finished run.

    Raises:
        ValueError: settings that do not fit, or a run directory that holds another run.
    """
    pairs = _pairs(task)
    source = prior if isinstance(prior, Source) else Calibrations(prior)
    if isinstance(network, str):
        network = _created(network, pairs, source, config.seed, options or {})
    elif options:
        raise ValueError(f"options = {options} beside a network; they are those of a network that is named.")
    held_out = source.held_out()
    return fit(
        network,
        source.batches(pairs, config.batch_size, jax.random.fold_in(jax.random.key(config.seed), 1)),
        replace(config, monitor=config.monitor or pairs.monitor),
        run_dir=run_dir,
        validate=None if held_out is None else pairs.validation(held_out, config.seed),
        metadata={KEY: to_card(pairs.trained(source.dimensions)), "pairs": pairs.facts(), **source.facts},
        progress=progress,
    )


def _pairs(task: Task | str | Sequence[Task] | Pairs) -> Pairs:
    if isinstance(task, Pairs):
        return task
    tasks = (task,) if isinstance(task, str | Task) else tuple(task)
    return RandomCorruption(tuple(map(task_of, tasks)))


def _created(name: str, pairs: Pairs, source: Source, seed: int, options: dict[str, Any]) -> Any:
    shape = None if source.shape is None else tuple(n // pairs.factor for n in source.shape)
    facts = {"input_shape": shape} | ({"dimensions": source.dimensions} if source.dimensions != 2 else {})
    return models.create(name, scale=pairs.factor, rngs=seed, **facts | options)
