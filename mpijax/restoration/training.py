"""Training a network that restores rows: one way for every task, network and source of rows."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
from jax.sharding import NamedSharding

from mpijax import models
from mpijax.datasets.buckets import Prior
from mpijax.datasets.calibrations import Calibrations
from mpijax.datasets.corruption import RandomCorruption
from mpijax.datasets.pairs import Pairs, Rows, RowSource
from mpijax.datasets.sources import Source, TrainingRows
from mpijax.models.blocks.layers import Network
from mpijax.restoration.card import KEY, to_card
from mpijax.rows.tasks import Task, task_of
from mpijax.training import Result, TrainConfig, Weights, check_run, fit, processes, split
from mpijax.training.run import steps_done


def train(
    task: Task | str | Sequence[Task] | Pairs,
    prior: Prior | Source,
    network: Any,
    config: TrainConfig,
    *,
    run_dir: str | Path,
    options: dict[str, Any] | None = None,
    progress: bool = True,
    sharding: NamedSharding | None = None,
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
        sharding: of a batch's rows over devices and processes (:func:`mpijax.training.row_sharding`); None = one device.

    Returns:
        The finished run.

    Raises:
        TypeError: something else in the place of task, prior, network, config or run directory.
        ValueError: settings that do not fit, or a run directory that holds another run.

    Source: restoration paper, sections 3.2 and 3.3.
    """
    run = _Run.of(
        task, prior, network, config, run_dir, options, sharding
    )  # which refuses before anything is simulated
    done = steps_done(Path(run_dir))
    if 0 < done < config.steps and processes.is_first():
        print(f"{run_dir} holds a part of this run, which goes on from step {done} of {config.steps}", flush=True)
    network = run.create() if isinstance(network, str) else network
    simulates = hasattr(run.batches, "report")
    if simulates and processes.is_first():
        print("simulating the matrices that are held out; then the first step is compiled", flush=True)
    held_out = run.source.held_out()
    validate = None if held_out is None else run.pairs.validation(held_out, config.seed)
    if processes.is_first():
        print("\n".join(_legend(run.pairs, held_out, config, simulates)), flush=True)
    return fit(network, run.batches, run.config, validate=validate, progress=progress, **run.place)


def complete(
    task: Task | str | Sequence[Task] | Pairs,
    prior: Prior | Source,
    network: Any,
    config: TrainConfig,
    *,
    run_dir: str | Path,
    options: dict[str, Any] | None = None,
    sharding: NamedSharding | None = None,
) -> bool:
    """Whether a run directory holds this run with all its steps; nothing is simulated. Arguments and errors: see :func:`train`."""
    _Run.of(task, prior, network, config, run_dir, options, sharding)
    return steps_done(Path(run_dir)) == config.steps and (Path(run_dir) / "weights.npz").exists()


@dataclass(frozen=True)
class _Run:
    """What a training is made of before anything is simulated; ``place``: what :func:`mpijax.training.fit` is told besides."""

    pairs: Pairs
    source: Source
    create: Callable[[], Network]
    batches: Any
    config: TrainConfig
    place: dict[str, Any]

    @classmethod
    def of(
        cls,
        task: Any,
        prior: Any,
        network: Any,
        config: Any,
        run_dir: Any,
        options: dict[str, Any] | None,
        sharding: NamedSharding | None,
    ) -> "_Run":
        """Of the arguments of :func:`train`, which are checked, and the run directory with them."""
        pairs, source = _pairs(task), _source(prior)
        if not isinstance(config, TrainConfig):
            raise TypeError(
                f"config is a {type(config).__name__}; expected a TrainConfig, e.g. recipe('wiener_unet').config."
            )
        if not isinstance(run_dir, str | Path):
            raise TypeError(f"run_dir is a {type(run_dir).__name__}; give the path of a folder.")
        if Path(run_dir).exists() and not Path(run_dir).is_dir():
            raise ValueError(f"{run_dir} is a file; give the name of a folder for the run.")
        if not isinstance(network, str | Network):
            raise TypeError(
                f"network is a {type(network).__name__}; expected a name, or what mpijax.models.create returns."
            )
        if not isinstance(network, str) and options:
            raise ValueError(f"options = {options} beside a network; they are those of a network that is named.")
        processes.check_sharding(sharding, config.batch_size)
        name: Any = network
        create = functools.partial(_created, name, pairs, source, config.seed, options or {})
        model_config = network.config if isinstance(network, Network) else _config(create)
        shared = {} if sharding is None else {"sharding": sharding}  # sources of a user's own may know nothing of it
        batches = source.batches(pairs, config.batch_size, jax.random.fold_in(jax.random.key(config.seed), 1), **shared)
        config = replace(config, monitor=config.monitor or pairs.monitor)
        place: dict[str, Any] = {
            "run_dir": run_dir,
            "metadata": {KEY: to_card(pairs.trained(source.dimensions)), "pairs": pairs.facts(), **source.facts},
            "sharding": sharding,
        }
        check_run(model_config, batches, config, **place)
        return cls(pairs, source, create, batches, config, place)


def _config(create: Callable[[], Network]) -> dict[str, Any]:
    """The configuration of a network without its weights."""
    found: dict[str, Any] = {}

    def weights() -> Weights:
        model = create()
        found.update(model.config)
        return split(model)[1]

    jax.eval_shape(weights)
    return found


def _legend(pairs: Pairs, held_out: Rows | None, config: TrainConfig, simulates: bool) -> list[str]:
    """What the numbers of the training mean, in lines."""
    loss = {"l1": "mean absolute", "mse": "mean squared"}[config.loss]
    refreshes = "; refreshes: time of simulating new matrices over that of the steps" if simulates else ""
    lines = [f"loss: {loss} error on what is trained on{refreshes}"]
    says = getattr(pairs, "legend", None)  # pairs of a user's own may have none
    if held_out is not None and says is not None:
        truth = "rows of simulated matrices that are held out (in model: simulated as those that are trained on)"
        if held_out.measured:
            truth = "measured rows that are held out, with their own noise"
        lines.append(f"{says}; the truth: {truth}")
    return lines


def _pairs(task: Any) -> Pairs:
    if not isinstance(task, type) and isinstance(task, Pairs):
        return task
    tasks = tuple(task) if isinstance(task, list | tuple) else (task,)
    if not all(isinstance(one, str | Task) for one in tasks):
        raise TypeError(
            f"task = {task!r}; expected a task such as Denoise(), several, or pairs such as RandomCorruption()."
        )
    return RandomCorruption(tuple(map(task_of, tasks)))


def _source(prior: Any) -> Source:
    if not isinstance(prior, type):
        if isinstance(prior, Source):
            return prior
        if isinstance(prior, Prior):
            return Calibrations(prior)
    raise TypeError(
        f"prior = {prior!r:.60}; expected a prior with draw(key), such as RestorationPrior(), Calibrations.of_scanner(preset) for "
        "one scanner, or TrainingRows for rows of your own."
    )


def _created(name: str, pairs: Pairs, source: Source, seed: int, options: dict[str, Any]) -> Any:
    shape = None if source.shape is None else tuple(n // pairs.factor for n in source.shape)
    facts = {"input_shape": shape} | ({"dimensions": source.dimensions} if source.dimensions != 2 else {})
    try:
        return models.create(name, scale=pairs.factor, rngs=seed, **facts | options)
    except TypeError as error:
        raise ValueError(f"options = {options} do not fit the network {name!r} ({error}).") from error


def train_recovery(
    model: str,
    task: Pairs,
    source: RowSource,
    validation: Rows | None,
    config: TrainConfig,
    *,
    run_dir: str | Path,
    model_options: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    progress: bool = True,
) -> Result:
    """:func:`train` as version 0.7 spelled it."""
    rows = TrainingRows(source, validation, facts=data or {})
    return train(task, rows, model, config, run_dir=run_dir, options=model_options, progress=progress)
