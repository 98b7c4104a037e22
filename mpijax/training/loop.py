"""The training loop: steps, metrics, validation, checkpoints, resume."""

import dataclasses
import functools
import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from mpijax.core.sharding import replicate
from mpijax.models import check_name
from mpijax.models.blocks.layers import Network
from mpijax.training import processes, run
from mpijax.training.checkpoint import Checkpoints
from mpijax.training.config import TrainConfig
from mpijax.training.logging import QUIET_SECONDS, MetricsLog, Report, show_progress
from mpijax.training.optim import adam, learning_rate
from mpijax.training.predict import predict_rows
from mpijax.training.state import PureNetwork, TrainState, Weights, all_finite, init_state, split
from mpijax.training.step import BatchFunction, BatchStream, TrainStep, as_stream, learn, make_train_step
from mpijax.training.weights import checked_card, load_weights, save_weights

Validate = Callable[[Callable[..., jax.Array]], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run: ``weights`` are those of ``weights.npz`` (best running mean, or the last)."""

    weights: Weights
    state: TrainState
    metrics: list[dict[str, Any]]
    run_dir: Path


def fit(
    model: Network,
    batch_fn: BatchFunction | BatchStream,
    config: TrainConfig,
    *,
    run_dir: str | Path,
    validate: Validate | None = None,
    key: jax.Array | None = None,
    metadata: dict[str, Any] | None = None,
    progress: bool = True,
    sharding: NamedSharding | None = None,
) -> Result:
    """Train a network; a run directory that holds an unfinished run of the same settings is continued.

    The run directory receives ``config.json``, ``metrics.jsonl``, ``checkpoints/`` with ``checkpoints.json``, and ``weights.npz``
    with its card ``weights.json``. A damaged checkpoint leads to the one before it, with a warning. Ctrl-C ends the current step,
    writes a checkpoint and raises KeyboardInterrupt.

    Of several processes (``jax.distributed``) every one calls this with the same arguments and a run directory that all of them
    see; the first one validates, writes and prints. Ctrl-C or SIGTERM on any of them ends all, with one checkpoint.

    Args:
        model: Network made by `mpijax.models.create`; it is left unchanged.
        batch_fn: Batch of a random key, traced into the step (see `mpijax.training.step.BatchFunction`), or a stream of batch
            functions, such as `mpijax.datasets.RowStream`.
        config: Recipe of the run.
        run_dir: Directory of the run.
        validate: ``validate(apply) -> {name: value}``, called with the running mean of the weights behind
            ``apply(x, **inputs)``, which is told what a batch would tell; None keeps the last weights instead of the best.
        key: Random key of the run; None = ``jax.random.key(config.seed)``.
        metadata: Plain facts about the data, part of what defines the run and kept on the weights' card.
        progress: Show a progress bar if the output is a terminal; else one line per log interval is printed.
        sharding: Where the rows of a batch function's batches lie, made by `mpijax.training.row_sharding`; None = on one device.
            A stream has its own.

    Returns:
        Weights, state and metrics.

    Raises:
        ValueError: The network's name is not known (`mpijax.models.register_network`), the run directory holds a different run or
            damaged checkpoints only, batches do not fit the recipe, the network, the devices or the processes, or these are told of
            different runs.
        FloatingPointError: Loss or gradient became NaN or infinite.
        CheckpointError: A checkpoint could not be written; the previous one is intact.
    """
    check_name(model.config["name"])  # now, not when the weights are read after the last step
    network, weights = split(model)
    key = jax.random.key(config.seed) if key is None else key
    stream = as_stream(batch_fn, sharding)
    processes.check_sharding(stream.sharding, config.batch_size)
    for batches in stream.examples():
        _check_batch(network, weights, batches, key, config)
    directory, data = Path(run_dir), _data_facts(stream, metadata)
    description = run.describe(model.config, config, key, data)
    processes.check_agreed(description)
    processes.on_first(lambda: run.claim(directory, description))
    step_fn = _compiled_step(network, config)
    state = init_state(weights, adam(config))
    if stream.sharding is not None:
        state = replicate(state, stream.sharding)
    with Checkpoints(directory) as checkpoints:
        metrics = MetricsLog(directory / "metrics.jsonl")
        start, state = checkpoints.restore(state) or (None, state)
        processes.on_first(lambda: _cut_records(metrics, start, config))
        with show_progress(start or 0, config.steps, progress) as report, _deferred_interrupt() as interrupted:
            trainer = _Trainer(
                model.config, data, network, config, directory, checkpoints, metrics, validate, report, stream.report
            )
            if start is None:
                trainer.validate(0, state)
            elif start < config.steps:
                processes.on_first(functools.partial(trainer.resume, start))

            def advance(step: int, state: TrainState) -> tuple[TrainState, jax.Array]:
                return step_fn(state, key, stream.at(step))

            state = trainer.run(start or 0, state, advance, _agreed(interrupted))
    if validate is None:
        processes.on_first(lambda: trainer.save_weights(config.steps, state, {}))
    return Result(load_weights(directory)[1], state, metrics.records(), directory)


def check_run(
    model_config: dict[str, Any],
    batch_fn: BatchFunction | BatchStream,
    config: TrainConfig,
    *,
    run_dir: str | Path,
    key: jax.Array | None = None,
    metadata: dict[str, Any] | None = None,
    sharding: NamedSharding | None = None,
) -> None:
    """Refuse a run directory that :func:`fit` would refuse for a network of this configuration; nothing is written.

    Raises:
        ValueError: The run directory holds a different run, or a damaged one.
    """
    key = jax.random.key(config.seed) if key is None else key
    data = _data_facts(as_stream(batch_fn, sharding), metadata)
    run.check(Path(run_dir), run.describe(model_config, config, key, data))


def _data_facts(stream: BatchStream, metadata: dict[str, Any] | None) -> dict[str, Any]:
    return (metadata or {}) | ({"stream": stream.facts} if stream.facts else {})


class _Trainer:
    """What happens between the steps of one run."""

    def __init__(
        self,
        model_config: dict[str, Any],
        data: dict[str, Any],
        network: PureNetwork,
        config: TrainConfig,
        directory: Path,
        checkpoints: Checkpoints,
        metrics: MetricsLog,
        validate: Validate | None,
        report: Report,
        describe_stream: Callable[[float | None], dict[str, Any]],
    ):
        self.model_config, self.data, self.config, self.directory = model_config, data, config, directory
        self.checkpoints, self.metrics, self.report = checkpoints, metrics, report
        self.validation, self.describe_stream = validate, describe_stream
        self.network, self.evaluate = network, jax.jit(network.evaluate)
        self.all_finite = jax.jit(all_finite)
        self.rate = learning_rate(config)
        self.best: float | None = None
        self.started = time.perf_counter()
        self.mark = (0, self.started)
        self.spoken = self.started

    def resume(self, step: int) -> None:
        """Take up the best score so far: that of the records, and of the weights kept, unless they are of a later step."""
        if self.validation is None:
            return
        scores = [self._score(record["validation"]) for record in self.metrics.records() if "validation" in record]
        try:
            card = checked_card(self.directory / "weights.npz")
        except (ValueError, FileNotFoundError) as error:
            warnings.warn(f"{error} The next validation replaces it.", stacklevel=2)
            return
        match card["metadata"]:
            case {"step": int(kept), "validation": dict(values)} if kept <= step and values:
                scores.append(self._score(values))
        self.best = min(scores, default=None)

    def run(
        self,
        start: int,
        state: TrainState,
        advance: Callable[[int, TrainState], tuple[TrainState, jax.Array]],
        interrupted: Callable[[], bool],
    ) -> TrainState:
        """Take the steps after ``start``; every step's duties end before its checkpoint, which makes a resume exact."""
        previous = state.step
        for step in range(start + 1, self.config.steps + 1):
            state, loss = advance(step - 1, state)
            if step == start + 1:  # the first step compiles: it does not count as throughput
                loss.block_until_ready()
                self.mark = (step, time.perf_counter())
            else:  # at most one step is queued, so that progress and Ctrl-C keep up
                previous.block_until_ready()
            previous = loss
            self.report(step, None)
            if self._due(step, self.config.log_every):
                state = self.log(step, state)
            elif time.perf_counter() - self.spoken > QUIET_SECONDS:
                self.say(step, f"loss {float(state.loss_sum) / max(int(state.loss_count), 1):.4e}")
            if self._due(step, self.config.validate_every):
                self.validate(step, state)
            if self._due(step, self.config.checkpoint_every):
                self.checkpoint(step, state)
            if interrupted():
                if self.checkpoints.latest != step:
                    self.checkpoint(step, state)
                if processes.is_first():
                    print(
                        f"Interrupted after step {step}; its checkpoint is written, the same run continues from there."
                    )
                raise KeyboardInterrupt
        return state

    def say(self, step: int, text: str, always: bool = False) -> None:
        """Report a text and remember when."""
        self.report(step, text, always)
        self.spoken = time.perf_counter()

    def log(self, step: int, state: TrainState) -> TrainState:
        """Write the mean loss since the last record and start a new mean."""
        self._check_finite(step, state)
        loss = float(state.loss_sum) / int(state.loss_count)
        now, (mark_step, mark_time) = time.perf_counter(), self.mark
        speed = (step - mark_step) / (now - mark_time) if step > mark_step else None
        record = {
            "step": step,
            "loss": loss,
            "learning_rate": float(self.rate(step - 1)),
            "seconds": now - self.started,
            "steps_per_second": speed,
        }
        stream = self.describe_stream(speed)
        processes.on_first(lambda: self.metrics.write(record | ({"stream": stream} if stream else {})))
        rows = "" if speed is None else f"  {speed:.2f} steps/s  {speed * self.config.batch_size:.0f} rows/s"
        ratio = stream.get("refresh_ratio")
        refresh = "" if ratio is None else f"  refreshes {ratio:.1%}"
        self.say(step, f"loss {loss:.4e}{rows}{refresh}")
        self.mark = (step, time.perf_counter())
        return dataclasses.replace(
            state, loss_sum=jnp.zeros_like(state.loss_sum), loss_count=jnp.zeros_like(state.loss_count)
        )

    def validate(self, step: int, state: TrainState) -> None:
        """Validate the running mean of the weights and keep it if it is the best so far."""
        validation = self.validation
        if validation is None:
            return
        with self._off_the_clock():
            self._check_finite(step, state)
            values = processes.on_first(lambda: self._validated(validation, step, state))
        self.say(step, "  ".join(f"{name} {value:.4g}" for name, value in values.items()), always=True)

    def _validated(self, validation: Validate, step: int, state: TrainState) -> dict[str, float]:
        predict = functools.partial(predict_rows, self.evaluate, processes.own(state.ema), self.config.batch_size)
        measured = validation(lambda x, **inputs: predict(x, **self.network.told(inputs)))
        values = {name: float(value) for name, value in measured.items()}
        score = self._score(values)
        self.metrics.write({"step": step, "validation": values})
        if self.best is None or score < self.best:
            self.best = score
            self.save_weights(step, state, values)
        return values

    def checkpoint(self, step: int, state: TrainState) -> None:
        """Write a checkpoint of a finite state."""
        with self._off_the_clock():
            self._check_finite(step, state)
            self.checkpoints.save(step, state)

    def save_weights(self, step: int, state: TrainState, validation: dict[str, float]) -> None:
        """Write the running mean of the weights as the run's result."""
        metadata = {
            "step": step,
            "validation": validation,
            "training": dataclasses.asdict(self.config),
            "data": self.data,
        }
        save_weights(self.directory / "weights.npz", state.ema, self.model_config, metadata=metadata)

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self.config.steps

    def _score(self, values: Mapping[str, float | None]) -> float:
        monitor = self.config.monitor or next(iter(values))
        name = monitor.removeprefix("-")
        if name not in values:
            raise ValueError(f"monitor = {monitor!r}; validation returned {', '.join(values)}.")
        value = values[name]
        if value is None or not math.isfinite(value):
            return math.inf
        return -value if monitor.startswith("-") else value

    def _check_finite(self, step: int, state: TrainState) -> None:
        if self.all_finite((state.weights, state.ema, state.opt_state)) and not int(state.bad_step):
            return
        bad = int(state.bad_step) or step
        raise FloatingPointError(
            f"loss, gradient or weights became NaN or infinite at step {bad}, learning rate "
            f"{float(self.rate(bad - 1)):.3g}. Last good checkpoint: {self.checkpoints.describe_latest()}. "
            "Lower learning_rate or check the batches, and start in a new run directory."
        )

    @contextmanager
    def _off_the_clock(self) -> Iterator[None]:
        """Leave the time spent inside out of the throughput."""
        begin = time.perf_counter()
        yield
        step, mark_time = self.mark
        self.mark = (step, mark_time + time.perf_counter() - begin)


@functools.lru_cache(maxsize=4)
def _compiled_step(network: PureNetwork, config: TrainConfig) -> TrainStep:
    """The step of a recipe; continuing a run in the same process does not compile again."""
    return make_train_step(network, adam(config), loss=config.loss, ema_decay=config.ema_decay)


def _cut_records(metrics: MetricsLog, start: int | None, config: TrainConfig) -> None:
    """Leave the records up to the step that the run continues from; None = it starts."""
    if start is None:
        _check_unbegun(metrics, config)
    metrics.cut(start)


def _check_unbegun(metrics: MetricsLog, config: TrainConfig) -> None:
    """Refuse to start at step 0 where a checkpoint must have been, and say so where a run ended before its first one."""
    last = max((record["step"] for record in metrics.records()), default=0)
    if last > config.checkpoint_every:
        raise ValueError(
            f"{metrics.path.parent} is damaged: its metrics reach step {last}, but there is no checkpoint. Choose another run "
            "directory, or delete this one to start again."
        )
    if last:
        warnings.warn(f"the run ended at step {last} without a checkpoint; it starts again at step 0", stacklevel=2)


def _check_batch(
    network: PureNetwork, weights: Weights, batches: jax.tree_util.Partial, key: jax.Array, config: TrainConfig
) -> None:
    batch = jax.eval_shape(lambda batches, key: batches(key), batches, key)
    missing = [name for name in ("input", "target") if name not in batch]
    if missing:
        raise ValueError(f"batch_fn returned {', '.join(batch)}; {' and '.join(missing)} missing.")
    rows = batch["input"].shape[0]
    if rows != config.batch_size:
        raise ValueError(f"batch_fn delivers {rows} rows, but batch_size = {config.batch_size}; make them equal.")
    out = jax.eval_shape(functools.partial(learn, network), weights, batch, key)[0]
    if out.shape != batch["target"].shape:
        raise ValueError(
            f"the network maps input {batch['input'].shape} to {out.shape}, but target is {batch['target'].shape}."
        )


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield whether Ctrl-C was pressed, so that a step, whose state is donated, ends whole; a second one acts now.

    Of several processes SIGTERM is taken, too: a scheduler stops them by it, and JAX's own notice of it ends nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = []
    taken = (signal.SIGINT,) if jax.process_count() == 1 else (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in taken}

    def on_interrupt(number: int, frame: Any) -> None:
        pressed.append(number)
        if number == signal.SIGINT:
            signal.signal(number, previous[signal.SIGINT])

    for number in taken:
        signal.signal(number, on_interrupt)
    try:
        yield lambda: bool(pressed)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _agreed(interrupted: Callable[[], bool]) -> Callable[[], bool]:
    """Whether any process was interrupted, the same answer on all of them; it is a step late, so that no step waits for it."""
    if jax.process_count() == 1:
        return interrupted
    asked = processes.any_process(False)

    def agreed() -> bool:
        nonlocal asked
        before, asked = asked, processes.any_process(interrupted())
        return bool(before)

    return agreed
