"""The main job on its smallest preset: what it writes, and that a kill in mid-training changes nothing."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from experiments import vrfnet_open_mpi
from experiments.support.competitors import classical_methods
from experiments.support.run import parse, run_main
from experiments.vrfnet_open_mpi import PRESETS, main

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = [
    "--preset", "smoke", "--features", "4", "--embed", "8", "--steps", "16", "--test-matrices", "1", "--checkpoint-every", "4",
    "--validate-every", "8", "--log-every", "2", "--no-progress", "--snr-threshold", "50",
]  # fmt: skip


def start(run_dir):
    command = [sys.executable, "-m", "experiments.vrfnet_open_mpi", *TINY, "--run-dir", str(run_dir)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )


def finish(run_dir, *extra):
    """The command in this process: only what is killed needs one of its own."""
    chosen = parse(PRESETS, [*TINY, "--run-dir", str(run_dir), *extra], "")
    few = partial(classical_methods, batches=8)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as output:
        patch.setattr(vrfnet_open_mpi, "classical_methods", few)
        run_main(main, chosen, chosen.run_dir)
    return output.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    assert "report.md" in finish(run_dir)
    return run_dir


def test_report_tables_figures_and_settings_are_written(whole):
    results = json.loads((whole / "results.json").read_text())
    errors = {r["method"]: r for r in results["matrices"]}
    assert list(errors) == [
        "bicubic", "strided bicubic", "strided bicubic, misaligned", "consistent-bicubic", "linear filter 5x5", "VRF-Net",
    ]  # fmt: skip
    assert errors["strided bicubic"]["nrmse"] < errors["strided bicubic, misaligned"]["nrmse"]
    assert (
        errors["linear filter 5x5"]["nrmse"] < errors["consistent-bicubic"]["nrmse"] < errors["bicubic"]["nrmse"] < 0.2
    )
    assert 0 < errors["bicubic"]["noise_floor"] < errors["linear filter 5x5"]["nrmse"]
    images = {r["method"]: r for r in results["images"]}
    assert images["linear filter 5x5"]["psnr_to_true_matrix"] > images["bicubic"]["psnr_to_true_matrix"]
    assert images["true matrix"]["psnr_to_phantom"] > images["bicubic"]["psnr_to_phantom"]
    record = json.loads((whole / "experiment.json").read_text())
    assert record["config"]["features"] == 4 and record["versions"]["jax"]
    with open(whole / "tables" / "matrices.csv") as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["nrmse"]) for row in table] == [r["nrmse"] for r in results["matrices"]]
    report = (whole / "report.md").read_text()
    assert "Noise floor" in report and "positions instead of" in report
    for name in ("rows", "images", "learning_curve"):
        assert f"figures/{name}.png" in report
        assert (whole / "figures" / f"{name}.png").stat().st_size > 10_000


def without_clock(path):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in r.items() if k not in ("seconds", "steps_per_second")} for r in records]


def test_a_killed_run_ends_with_the_same_numbers(whole, tmp_path):
    run_dir = tmp_path / "run"
    process = start(run_dir)
    metrics = run_dir / "metrics.jsonl"
    deadline = time.time() + 240
    while time.time() < deadline and process.poll() is None:
        if metrics.exists() and '"step": 6' in metrics.read_text():
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run_dir / "results.json").exists() and '"step": 16' not in metrics.read_text()
    finish(run_dir)
    assert without_clock(metrics) == without_clock(whole / "metrics.jsonl")
    assert (run_dir / "results.json").read_text() == (whole / "results.json").read_text()
    with np.load(run_dir / "weights.npz") as a, np.load(whole / "weights.npz") as b:
        assert all(np.array_equal(a[k], b[k]) for k in a.files)


def test_a_run_directory_of_another_config_is_refused(whole, capsys):
    with pytest.raises(SystemExit) as stop:
        finish(whole, "--features", "8")
    output = "".join(capsys.readouterr())
    assert stop.value.code == 2 and "holds a different run" in output and "features" in output
    assert "Traceback" not in output


def test_unknown_flags_and_presets_are_errors(tmp_path, capsys):
    for flags, message in ((["--feetures", "8"], "feetures"), (["--preset=fast"], "choose from")):
        with pytest.raises(SystemExit) as stop:
            parse(PRESETS, [*TINY, "--run-dir", str(tmp_path / "run"), *flags], "")
        assert stop.value.code and message in "".join(capsys.readouterr())
    assert not (tmp_path / "run").exists()
