"""Two processes train one network over loopback; each is a program of its own, see ``in_a_process.py``."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from mpijax.training import adam, init_state, split
from mpijax.training.checkpoint import Checkpoints
from tests.training.in_a_process import RECIPE, models

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LIMIT = 280
"""Seconds for one part; none takes more than 20 alone on two cores."""


def start(part, folder, *place):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    program = Path(__file__).with_name("in_a_process.py")
    return subprocess.Popen(
        [sys.executable, program, part, folder, *map(str, place)],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(folder, *parts):
    """Exit status, output and errors of the processes of each part; ``(part, number of processes)``."""
    processes = []
    try:
        for part, count in parts:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            processes += [start(part, folder, *((port, k) if count > 1 else ())) for k in range(count)]
        return [(*p.communicate(timeout=LIMIT), p.returncode) for p in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """The folder of all runs, and how the processes of each part ended."""
    folder = tmp_path_factory.mktemp("processes")
    found = {part: run(folder, (part, 2)) for part in ("whole", "killed", "stopped")}
    found["alone"] = run(folder, ("whole", 1))
    for part in ("whole", "alone"):
        assert [status for *_, status in found[part]] == [0] * len(found[part]), found[part]
    return folder, found


def records(folder, name):
    lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "steps_per_second")} for line in lines]


def assert_close(found, expected):
    assert [record["step"] for record in found] == [record["step"] for record in expected]
    values = [
        [record.get("loss", record.get("validation", {}).get("error")) for record in x] for x in (found, expected)
    ]
    np.testing.assert_allclose(*values, rtol=1e-5)


def checkpoint(run_dir, only):
    """The state of one checkpoint."""
    network = models.create("srcnn", scale=2, input_shape=(4, 4), features=(4, 4), rngs=0)
    with Checkpoints(run_dir) as checkpoints:
        return checkpoints._read(only, init_state(split(network)[1], adam(RECIPE)), listed=True)


def assert_equal(tree, other):
    for leaf, expected in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(leaf, expected)


def test_two_processes_train_what_one_trains_and_write_once(ends):
    folder, found = ends
    several, one = records(folder, "whole"), records(folder, "alone")
    assert_close(several, one)
    (first, _, _), (second, _, _) = found["whole"]
    assert first.count("step 12/12") == 2 and "step" not in second.replace("refused", "")
    assert sorted(os.listdir(folder / "whole")) == [
        "checkpoints", "checkpoints.json", "config.json", "metrics.jsonl", "weights.json", "weights.npz"
    ]  # fmt: skip
    weights = [np.load(folder / f"whole{k}.npz") for k in (0, 1)]
    for name in weights[0].files:
        np.testing.assert_array_equal(weights[0][name], weights[1][name])


def test_rows_that_the_processes_do_not_share_are_refused_in_words(ends):
    folder, found = ends
    for out, *_ in found["whole"]:
        assert "refused: this is one of 2 processes" in out and "row_sharding() to fit or restoration.train" in out
        assert "refused: batch_size = 3 rows cannot be shared equally by 2 devices" in out
        assert "refused: sharding has devices of 1 of 2 processes" in out
        assert "refused: the processes would train different runs" in out
    assert not (folder / "refused").exists()


def test_a_solver_takes_frames_that_lie_on_two_processes(ends):
    folder, found = ends
    several, one = np.load(folder / "whole0.npz"), np.load(folder / "alone0.npz")
    for name in ("tikhonov", "kaczmarz"):
        np.testing.assert_allclose(several[name], one[name], rtol=1e-4, atol=1e-5)
    for out, *_ in [*found["whole"], *found["alone"]]:
        assert "refused: data has 4 NaN or infinite entries in 4 of 4 frames" in out


def test_the_death_of_one_process_ends_the_other(ends):
    (_, errors, status), (_, _, killed) = ends[1]["killed"]
    assert killed == -9 and status == 2
    assert "error: process 0 of 2: another process ended or is out of reach" in errors
    assert "Traceback" not in errors and "stack trace" not in errors


def test_a_signal_to_one_process_stops_both_after_one_checkpoint(ends):
    folder, found = ends
    (first, _, status), (second, _, other) = found["stopped"]
    assert status == other == 130
    assert "Interrupted after step 6;" in first and "Interrupted after step 8;" in first
    for out in (first, second):
        assert "stopped by a signal ['4', '6']" in out
    # killed after step 5, continued from 4, 6 and 8: bit for bit the run that nothing stopped
    assert_equal(checkpoint(folder / "stopped", 8), checkpoint(folder / "whole", 8))
    assert [r for r in records(folder, "stopped") if r["step"] <= 8] == [
        r for r in records(folder, "whole") if r["step"] <= 8
    ]


def test_one_process_ends_what_two_began(ends):
    folder, _ = ends
    assert_close(records(folder, "stopped"), records(folder, "whole"))
    got, want = checkpoint(folder / "stopped", 12), checkpoint(folder / "whole", 12)
    for leaf, expected in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(leaf, expected, rtol=1e-4, atol=1e-6)
