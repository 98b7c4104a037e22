"""A run directory whose files changed after they were written: nothing damaged is used, nothing starts over in silence."""

import errno
import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpijax.training import CheckpointError, TrainConfig, fit
from mpijax.training import manifest as manifests
from mpijax.training.checkpoint import Checkpoints
from mpijax.training.logging import MetricsLog
from mpijax.training.state import TrainState, Weights
from tests.training.test_fit import assert_same, metrics_of, steps_of

RECIPE = TrainConfig(steps=6, batch_size=4, learning_rate=1e-2, log_every=1, validate_every=1, checkpoint_every=2)


def state_of(step):
    weights = Weights({"a": jax.random.normal(jax.random.key(step), (40,)), "b": jnp.full((3,), float(step))}, {})
    number = jnp.asarray(step, jnp.int32)
    return TrainState(weights, weights, (), number, jnp.zeros(()), number, number)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run directory with the checkpoints of steps 3 and 5."""
    folder = tmp_path_factory.mktemp("written")
    with Checkpoints(folder) as checkpoints:
        for step in (1, 3, 5):
            checkpoints.save(step, state_of(step))
    assert steps_of(folder) == [3, 5]
    return folder


@pytest.fixture
def run(written, tmp_path):
    return shutil.copytree(written, tmp_path / "run")


def restored(folder):
    with Checkpoints(folder) as checkpoints:
        step, state = checkpoints.restore(state_of(0))
        assert step == checkpoints.latest
    assert_same(state, state_of(step))
    return step


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(path, part, mask):
    raw = bytearray(path.read_bytes())
    raw[int(part * (len(raw) - 1))] ^= mask
    path.write_bytes(raw)


def test_whole_checkpoints_are_read_without_a_word(run):
    assert restored(run) == 5


@settings(max_examples=30, deadline=None, derandomize=True)
@given(number=st.integers(0, 99), part=st.floats(0, 1), mask=st.integers(1, 255))
def test_a_changed_byte_is_found_wherever_it_lies(written, tmp_path_factory, number, part, mask):
    run = shutil.copytree(written, tmp_path_factory.mktemp("flip") / "run")
    files = [path for path in files_of(run / "checkpoints/5") if path.name != manifests.MANIFEST]
    flip(files[number % len(files)], part, mask)
    with pytest.warns(
        UserWarning, match="the checkpoint of step 5 is damaged .* has changed.; the run continues from step 3"
    ):
        assert restored(run) == 3


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.5, 0.99, 1.0])
def test_a_changed_manifest_is_found(run, part):
    flip(run / "checkpoints/5" / manifests.MANIFEST, part, 0x41)
    with pytest.warns(UserWarning, match="step 5 is damaged"):
        assert restored(run) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: [path.write_bytes(path.read_bytes()[:-1]) for path in files_of(folder / "default")], "has changed"),
        (lambda folder: (folder / "default/_METADATA").write_bytes(b""), "_METADATA has changed"),
        (lambda folder: (folder / "default/_METADATA").unlink(), "_METADATA is missing"),
        (lambda folder: (folder / "_CHECKPOINT_METADATA").unlink(), "_CHECKPOINT_METADATA is missing"),
        (lambda folder: (folder / "commit_success.txt").unlink(), "commit_success.txt is missing"),
        (lambda folder: (folder / "default/d/more").write_bytes(b"nonsense"), "more does not belong to it"),
        (lambda folder: shutil.rmtree(folder / "default"), "is missing"),
        (lambda folder: [path.unlink() for path in files_of(folder)], "manifest.json: No such file"),
        (shutil.rmtree, "its folder: No such file"),
        (lambda folder: (shutil.rmtree(folder), folder.write_text("")), "its folder: Not a directory"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json: No such file"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "manifest.json does not read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "does not hold a JSON object"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "not that of step 5"),
        (lambda folder: (shutil.rmtree(folder), shutil.copytree(folder.parent / "3", folder)), "not that of step 5"),
        (lambda folder: folder.rename(folder.parent / "6"), "step 6 is damaged .manifest.json is not that of step 6"),
    ],
)  # fmt: skip
def test_any_damage_leads_to_the_checkpoint_before_and_then_to_an_error(run, change, reason):
    change(run / "checkpoints/5")
    with pytest.warns(UserWarning, match=f"{reason}.*continues from step 3") as words:
        assert restored(run) == 3
    assert all("\n" not in str(word.message) for word in words)
    flip(run / "checkpoints/3" / "default/_METADATA", 0.5, 1)
    with pytest.raises(ValueError, match=f"{reason}.*step 3 is damaged .*; there is no other one"):
        restored(run)


def test_a_damaged_checkpoint_gives_way_to_the_next_one(run):
    flip(run / "checkpoints/5/default/_METADATA", 0.5, 1)
    with Checkpoints(run) as checkpoints, pytest.warns(UserWarning, match="step 5 is damaged"):
        assert checkpoints.describe_latest() == "none"
        assert checkpoints.restore(state_of(0))[0] == 3
        assert "step 3" in checkpoints.describe_latest()
        assert steps_of(run) == [3, 5]  # nothing is deleted before something is written
        checkpoints.save(5, state_of(5))
    assert restored(run) == 5 and steps_of(run) == [3, 5]


def test_a_damaged_checkpoint_goes_when_an_earlier_step_is_written(run):
    flip(run / "checkpoints/5/default/_METADATA", 0.5, 1)
    with Checkpoints(run) as checkpoints, pytest.warns(UserWarning, match="step 5 is damaged"):
        checkpoints.restore(state_of(0))
        checkpoints.save(4, state_of(4))
    assert restored(run) == 4 and steps_of(run) == [3, 4]


def test_no_checkpoint_is_none(tmp_path):
    with Checkpoints(tmp_path / "run") as checkpoints:
        assert checkpoints.restore(state_of(0)) is None


def test_what_a_kill_left_of_a_write_is_no_checkpoint(run):
    (run / "checkpoints/5").rename(run / "checkpoints/.5.part")
    (run / "checkpoints.json").write_text('{"steps": [1, 3]}')
    assert restored(run) == 3
    with Checkpoints(run) as checkpoints:
        checkpoints.restore(state_of(0))
        checkpoints.save(5, state_of(5))
    assert restored(run) == 5 and steps_of(run) == [3, 5]


@pytest.mark.parametrize("text", ["", "[5]", '{"steps": ["5"]}', '{"steps": 5}', "\x00"])
def test_a_damaged_list_of_checkpoints_costs_nothing_but_a_word(run, text):
    (run / "checkpoints.json").write_text(text)
    with pytest.warns(UserWarning, match="checkpoints.json is damaged"):
        assert restored(run) == 5


def test_checkpoints_of_an_older_version_are_used_with_a_word(run):
    (run / "checkpoints.json").unlink()
    for step in (3, 5):
        (run / "checkpoints" / str(step) / manifests.MANIFEST).unlink()
    with pytest.warns(UserWarning, match="5 is a checkpoint of an older version, without checksums"):
        assert restored(run) == 5
    (run / "checkpoints/5/default/_METADATA").write_bytes(b"{")
    with pytest.warns(UserWarning, match="step 5 is damaged .*continues from step 3"):
        assert restored(run) == 3


def test_a_whole_checkpoint_of_another_state_is_not_called_damaged(run):
    like = state_of(0)
    with (
        Checkpoints(run) as checkpoints,
        pytest.raises(ValueError, match="a whole checkpoint, but this version does not read it"),
    ):
        checkpoints.restore(TrainState(like.weights, like.ema, (jnp.zeros(7),), *[like.step] * 4))  # fmt: skip


def test_what_the_system_refuses_is_no_damage(run, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(manifests, "sha256", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        restored(run)
    assert steps_of(run) == [3, 5]


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "Free some space"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "Free some space"),
        (ValueError("Failed to write 9 bytes: No space left on device [os_error_code='28']"), "Free some space"),
        (PermissionError(errno.EACCES, "Permission denied"), "Remove the cause"),
        (OSError(errno.EROFS, "Read-only file system"), "Remove the cause"),
        (ValueError("RESOURCE_EXHAUSTED: Failed to open: Too many open files [os_error_code='24']"), "Remove the cause"),
    ],
)  # fmt: skip
def test_only_a_full_disk_asks_for_space(run, monkeypatch, error, cure):
    def fail(*_, **__):
        raise error

    with Checkpoints(run) as checkpoints:
        monkeypatch.setattr(checkpoints._orbax, "save", fail)
        with pytest.raises(CheckpointError, match="There is none before it.*starts at step 0"):
            checkpoints.save(6, state_of(6))
        checkpoints.restore(state_of(0))
        with pytest.raises(CheckpointError) as caught:
            checkpoints.save(6, state_of(6))
    text = str(caught.value)
    assert str(error) in text and f"{cure} and start the same run again: it continues from there" in text
    assert restored(run) == 5


def test_missing_space_is_told_in_numbers(run, monkeypatch):
    usage = shutil.disk_usage(run)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with (
        Checkpoints(run) as checkpoints,
        pytest.raises(CheckpointError, match="1 MB are needed, 0 MB are free.*Free some space"),
    ):
        checkpoints.save(6, state_of(6))


@pytest.fixture(scope="module")
def trained(model, batch_fn, tmp_path_factory):
    """A run, and what continues a copy of it after a change."""
    tmp_path = tmp_path_factory.mktemp("trained")

    def validate(apply):  # best at step 3
        validate.calls += 1
        return {"error": float(abs(validate.calls - 4))}

    def train(folder, calls=0):
        validate.calls = calls
        return fit(model, batch_fn, RECIPE, run_dir=tmp_path / folder, validate=validate, progress=False)

    whole = train("whole")

    def again(change, calls=0):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        copy = shutil.copytree(tmp_path / "whole", tmp_path / "copy")
        change(copy)
        return train("copy", calls), copy

    return whole, again, tmp_path / "whole"


def test_a_run_continues_from_the_checkpoint_that_reads_or_not_at_all(trained):
    whole, again, folder = trained

    def damage(*steps):
        return lambda run: [flip(run / f"checkpoints/{step}/default/_METADATA", 0.5, 1) for step in steps]

    with pytest.warns(UserWarning, match="step 6 is damaged .* continues from step 4"):
        resumed, copy = again(damage(6), calls=5)
    assert_same(resumed.state, whole.state)
    assert metrics_of(copy) == metrics_of(folder)
    assert (copy / "weights.npz").read_bytes() == (folder / "weights.npz").read_bytes()
    assert json.loads((copy / "weights.json").read_text())["metadata"]["step"] == 3
    assert again(lambda run: None)[0].metrics == whole.metrics  # what was written again reads

    gone = lambda run: shutil.rmtree(run / "checkpoints")  # noqa: E731
    for change in (
        damage(6, 4),
        gone,
        lambda run: [shutil.rmtree(entry) for entry in (run / "checkpoints").iterdir()],
        lambda run: (gone(run), (run / "checkpoints.json").unlink()),
        lambda run: (run / "config.json").unlink(),
        lambda run: (run / "config.json").write_text("[]"),
        lambda run: (run / "config.json").write_bytes(b"\xff"),
    ):
        with pytest.raises(ValueError, match="damaged"):
            again(change)


def test_the_best_weights_outlive_a_damaged_line_of_metrics(trained):
    _, again, _ = trained

    def change(run):
        shutil.rmtree(run / "checkpoints/6")
        lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        (best,) = [n for n, line in enumerate(lines) if json.loads(line).get("validation", {}).get("error") == 0]
        (run / "metrics.jsonl").write_bytes(b"".join([*lines[:best], b'{"step": \xff\n', *lines[best + 1 :]]))

    with pytest.warns(UserWarning) as words:
        resumed, copy = again(change, calls=5)
    assert any("metrics.jsonl is damaged in line" in str(word.message) for word in words)
    assert json.loads((copy / "weights.json").read_text())["metadata"]["step"] == 3
    assert resumed.metrics[-1]["step"] == 6


def test_damaged_weights_are_replaced_with_a_word_where_the_run_goes_on(trained):
    _, again, _ = trained

    def change(run):
        shutil.rmtree(run / "checkpoints/6")
        flip(run / "weights.npz", 0.5, 1)

    with pytest.warns(UserWarning, match="does not match the checksum.*The next validation replaces it"):
        _, copy = again(change, calls=5)
    assert json.loads((copy / "weights.json").read_text())["metadata"]["step"] == 5
    with pytest.raises(ValueError, match="does not match the checksum"):
        again(lambda run: flip(run / "weights.npz", 0.5, 1))


def test_a_run_stopped_before_its_first_checkpoint_says_that_it_starts_again(model, batch_fn, tmp_path):
    calls = []

    def stop(apply):
        calls.append(apply)
        if len(calls) > 1:
            raise RuntimeError("power cut")
        return {"error": 1.0}

    config = TrainConfig(steps=4, batch_size=4, log_every=1, validate_every=3, checkpoint_every=4)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(model, batch_fn, config, run_dir=tmp_path, validate=stop)
    with pytest.warns(UserWarning, match="ended at step 3 without a checkpoint; it starts again at step 0"):
        fit(model, batch_fn, config, run_dir=tmp_path, validate=lambda apply: {"error": 1.0})


@pytest.mark.parametrize(
    "line", [b"garbage", b"\xff\xfe", b"\x00" * 20, b"[]", b"1", b'{"loss": 1}', b'{"step": "2"}', b""]
)
def test_damaged_lines_of_metrics_are_left_out_with_a_word(tmp_path, line):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        log.write({"step": step})
    lines = log.path.read_bytes().splitlines()
    log.path.write_bytes(b"\n".join([lines[0], line, lines[2]]) + b'\n{"step": 4')
    with pytest.warns(UserWarning, match="metrics.jsonl is damaged in line 2, which is left out"):
        assert log.cut(3) == [{"step": 1}, {"step": 3}]
    assert log.records() == [{"step": 1}, {"step": 3}]
    np.testing.assert_equal(log.path.read_text().count("\n"), 2)
