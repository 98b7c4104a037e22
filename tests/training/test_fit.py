import dataclasses
import errno
import gc
import json
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.training import CheckpointError, TrainConfig, adam, fit, load_weights, row_sharding
from mpijax.training.checkpoint import Checkpoints
from mpijax.training.logging import MetricsLog
from mpijax.training.state import init_state, split
from mpijax.training.step import as_stream

WALL_CLOCK = ("seconds", "steps_per_second")
RECIPE = TrainConfig(
    steps=12, batch_size=4, learning_rate=1e-2, log_every=3, validate_every=7, checkpoint_every=4, monitor="nrmse"
)


def metrics_of(directory):
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in WALL_CLOCK} for line in lines]


def assert_same(tree, other):
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for leaf, expected in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(leaf, expected)


def steps_of(directory):
    return sorted(int(entry.name) for entry in (directory / "checkpoints").iterdir())


@pytest.fixture
def validate(batch_fn):
    rows = batch_fn(jax.random.key(99))

    def measure(apply):
        error = apply(rows["input"]) - rows["target"]
        return {"nrmse": float(jnp.linalg.norm(error) / jnp.linalg.norm(rows["target"])), "undefined": float("nan")}

    return measure


def stopping(validate, call, action):
    """A validation that acts on its ``call``-th call."""
    calls = []

    def wrapped(apply):
        calls.append(None)
        if len(calls) == call:
            action()
        return validate(apply)

    return wrapped


def fail():
    raise RuntimeError("power cut")


def test_interrupted_runs_end_like_an_uninterrupted_one(model, batch_fn, validate, tmp_path):
    whole = fit(model, batch_fn, RECIPE, run_dir=tmp_path / "whole", validate=validate)

    # a crash at step 7, after the records of steps 5 and 6 that the checkpoint of step 4 does not know
    with pytest.raises(RuntimeError, match="power cut"):
        fit(model, batch_fn, RECIPE, run_dir=tmp_path / "crash", validate=stopping(validate, 2, fail))
    assert steps_of(tmp_path / "crash") == [4] and metrics_of(tmp_path / "crash")[-1]["step"] == 6
    with open(tmp_path / "crash" / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 7, "lo')
    crashed = fit(model, batch_fn, RECIPE, run_dir=tmp_path / "crash", validate=validate)

    # Ctrl-C during step 7 writes the checkpoint of step 7
    handler = signal.getsignal(signal.SIGINT)
    interrupt = stopping(validate, 2, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        fit(model, batch_fn, RECIPE, run_dir=tmp_path / "stop", validate=interrupt)
    assert steps_of(tmp_path / "stop") == [4, 7]
    assert signal.getsignal(signal.SIGINT) is handler
    stopped = fit(model, batch_fn, RECIPE, run_dir=tmp_path / "stop", validate=validate)

    for name, resumed in {"crash": crashed, "stop": stopped}.items():
        assert_same(resumed.state, whole.state)
        assert_same(resumed.weights, whole.weights)
        assert metrics_of(tmp_path / name) == metrics_of(tmp_path / "whole")
        assert (tmp_path / name / "weights.npz").read_bytes() == (tmp_path / "whole" / "weights.npz").read_bytes()

    assert [record["step"] for record in whole.metrics] == [0, 3, 6, 7, 9, 12, 12]
    assert whole.metrics[0]["validation"]["undefined"] is None  # JSON has no NaN
    scores = {r["step"]: r["validation"]["nrmse"] for r in whole.metrics if "validation" in r}
    card = json.loads((tmp_path / "whole" / "weights.json").read_text())
    assert card["metadata"]["step"] == min(scores, key=scores.get)
    assert card["metadata"]["data"] == {} and card["metadata"]["training"]["seed"] == 0
    assert scores[12] < scores[0]

    # a finished run is not trained again, and a different one is refused with the names of what differs
    again = fit(model, batch_fn, RECIPE, run_dir=tmp_path / "whole", validate=validate)
    assert_same(again.state, whole.state)
    other = TrainConfig.from_dict(dataclasses.asdict(RECIPE) | {"learning_rate": 0.5, "steps": 13})
    with pytest.raises(ValueError, match=r"different run: training.steps is 12 .*13.*; training.learning_rate is 0.01"):
        fit(model, batch_fn, other, run_dir=tmp_path / "whole")
    with pytest.raises(ValueError, match=r"different run: data.method is None there and 'box' here"):
        fit(model, batch_fn, RECIPE, run_dir=tmp_path / "whole", metadata={"method": "box"})
    with pytest.raises(ValueError, match=r"different run: key is"):
        fit(model, batch_fn, RECIPE, run_dir=tmp_path / "whole", key=jax.random.key(5))


def test_a_batch_of_nan_stops_the_run_and_is_not_kept(model, batch_fn, tmp_path):
    config = TrainConfig(steps=12, batch_size=4, log_every=10, checkpoint_every=4, seed=3)
    bad = jax.random.key_data(jax.random.fold_in(jax.random.key(3), 5))  # the sixth step

    def poisoned(key):
        batch = batch_fn(key)
        return batch | {"target": jnp.where(jnp.all(jax.random.key_data(key) == bad), jnp.nan, batch["target"])}

    with pytest.raises(
        FloatingPointError, match=r"at step 6, learning rate 1\.52e-05.*Last good checkpoint: step 4 in"
    ):
        fit(model, poisoned, config, run_dir=tmp_path)
    assert steps_of(tmp_path) == [4]
    assert not (tmp_path / "weights.npz").exists()


def test_a_full_disk_leaves_the_previous_checkpoint(model, batch_fn, tmp_path, monkeypatch):
    config = TrainConfig(steps=8, batch_size=4, log_every=4, checkpoint_every=4)
    whole = fit(model, batch_fn, config, run_dir=tmp_path / "whole")
    save = Checkpoints.save

    def full(self, step, state):
        if step == 8:
            monkeypatch.setattr(self._orbax, "save", lambda *a, **k: (_ for _ in ()).throw(no_space))
        save(self, step, state)

    no_space = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", full)
        with pytest.raises(CheckpointError, match=r"step 8 could not be written.*No space left.*intact: step 4 in"):
            fit(model, batch_fn, config, run_dir=tmp_path / "full")
    resumed = fit(model, batch_fn, config, run_dir=tmp_path / "full")
    assert_same(resumed.state, whole.state)
    assert_same(resumed.weights, whole.state.ema)  # without validation: the last
    assert_same(load_weights(tmp_path / "full")[1], whole.state.ema)


@pytest.mark.filterwarnings("ignore")  # the writer's threads complain about their own end
def test_a_checkpoint_that_cannot_be_written_in_full_is_none(model, tmp_path):
    resource = pytest.importorskip("resource")
    state = init_state(split(model)[1], adam(RECIPE))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
            with pytest.raises(CheckpointError, match="The previous one is intact: step 1"):
                checkpoints.save(2, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            gc.collect()
    with Checkpoints(tmp_path) as checkpoints:
        step, restored = checkpoints.restore(state)
        assert step == checkpoints.latest == 1
        assert_same(restored, state)
        checkpoints.save(2, state)
        assert checkpoints.latest == 2 and steps_of(tmp_path) == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: {"input": b["input"]}, "target missing"),
        (lambda b: {name: rows[:2] for name, rows in b.items()}, "delivers 2 rows, but batch_size = 4"),
        (lambda b: b | {"target": b["input"]}, r"to \(4, 8, 8, 2\), but target is \(4, 4, 4, 2\)"),
    ],
)
def test_batches_that_do_not_fit_are_refused_before_anything_is_written(model, batch_fn, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        fit(model, lambda key: change(batch_fn(key)), RECIPE, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_rows_of_a_batch_function_are_placed_by_a_sharding_and_a_stream_has_its_own(model, batch_fn, tmp_path):
    config = TrainConfig(steps=2, batch_size=4)
    rows = row_sharding()
    placed = fit(model, batch_fn, config, run_dir=tmp_path / "placed", sharding=rows)
    assert_same(placed.state, fit(model, batch_fn, config, run_dir=tmp_path / "plain").state)
    assert placed.state.step.sharding.mesh == rows.mesh
    with pytest.raises(ValueError, match="stream was made with None; make the stream with the same one"):
        fit(model, as_stream(batch_fn), config, run_dir=tmp_path / "stream", sharding=rows)
    with pytest.raises(ValueError, match="target missing"):
        fit(model, lambda key: {"input": jnp.ones(4)}, config, run_dir=tmp_path / "missing", sharding=rows)


def test_unknown_monitor_is_refused_before_the_first_step(model, batch_fn, validate, tmp_path):
    config = TrainConfig(steps=2, batch_size=4, monitor="ssim")
    with pytest.raises(ValueError, match="monitor = 'ssim'; validation returned nrmse, undefined"):
        fit(model, batch_fn, config, run_dir=tmp_path, validate=validate)


def test_metrics_log_drops_what_a_kill_cut_short(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    assert log.records() == []
    for step in (1, 2, 3):
        log.write({"step": step, "loss": float("inf") if step == 2 else 0.1})
    with open(log.path, "a") as stream:
        stream.write('{"step": 4')
    assert [r["step"] for r in log.records()] == [1, 2, 3] and log.records()[1]["loss"] is None
    assert log.cut(2) == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": None}]
    assert log.path.read_text() == '{"step": 1, "loss": 0.1}\n{"step": 2, "loss": null}\n'
