"""The command line as a physicist with one file would use it."""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mpijax as mj
from mpijax import cli
from tests import DATA

ROOT = Path(__file__).resolve().parent.parent
HEADSCANNER = DATA / "hamburg_headscanner_2018" / "systemMatrix.mdf"


def run(capsys, *arguments):
    """Exit status and what was printed."""
    saved = sys.argv
    sys.argv = ["mpijax", *map(str, arguments)]
    try:
        cli.main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    finally:
        sys.argv = saved
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def processes(coordinator, count, number):
    return ["--distributed", "--coordinator", coordinator, "--processes", str(count), "--process", str(number)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A simulated fine calibration with background frames, and a coarse one."""
    folder = tmp_path_factory.mktemp("cli")
    fine = ["-o", str(folder / "fine.mdf"), "--shape", "16", "16", "1", "--background-frames", "12"]
    sys.argv = ["mpijax", "simulate", "2d", *fine]
    cli.main()
    fine = mj.io.read_system_matrix(folder / "fine.mdf")
    grid = fine.grid.coarsen((2, 2, 1))
    coarse = np.asarray(fine.images()).reshape(3, -1, 8, 2, 8, 2).mean((3, 5)).reshape(3, -1, 64).astype(np.complex64)
    matrix = mj.SystemMatrix.create(
        coarse, fine.frequencies, grid, n_samples=fine.n_samples, bandwidth=fine.bandwidth, background=fine.background / 2,
        sequence=fine.sequence,
    )  # fmt: skip
    mj.io.write_system_matrix(folder / "coarse.mdf", matrix)
    return folder


def test_simulated_file_holds_what_was_asked_for(files):
    matrix = mj.io.read_system_matrix(files / "fine.mdf")
    assert matrix.grid.shape == (16, 16, 1) and matrix.values.shape == (3, 817, 256)
    assert matrix.sample_concentration == pytest.approx(100.0)
    assert matrix.background.shape[0] == 12 and matrix.snr.max() > 300
    np.testing.assert_allclose(np.diagonal(matrix.scanner.gradient), [-1, -1, 2])


@pytest.mark.parametrize(
    "preset, shape",
    [
        ("line", (60, 8, 12)),
        ("2d-fluid", (3, 817, 12)),
        ("2d-immobilized", (3, 817, 12)),
        ("spectrometer", (3, 52, 12)),
    ],
)
def test_presets(capsys, tmp_path, preset, shape):
    status, text = run(capsys, "simulate", preset, "-o", tmp_path / "a.mdf", "--shape", "4", "3", "1")
    assert status == 0, text
    matrix = mj.io.read_system_matrix(tmp_path / "a.mdf")
    assert matrix.values.shape == shape and np.all(np.isfinite(matrix.values))
    assert (matrix.angles is not None) == (preset == "line")


def test_numbers_of_the_dynamics(capsys, tmp_path):
    """Viscosity in mPa s, diameter in nm: the file is that of the particle in SI units."""
    small = ["-o", tmp_path / "a.mdf", "--shape", "2", "2", "1", "--peak-snr", "1e9"]
    status, text = run(capsys, "simulate", "2d-brown", *small, "--viscosity", "0.5", "--hydrodynamic-diameter", "50")
    assert status == 0, text
    found = mj.io.read_system_matrix(tmp_path / "a.mdf").values[:2]
    chosen = mj.datasets.presets.PRESETS["2d-brown"]
    thin, thick = (
        replace(chosen, shape=(2, 2, 1), dynamics=mj.Brown(hydrodynamic_diameter=50e-9, viscosity=eta)).simulate()
        for eta in (5e-4, 1e-3)
    )
    assert mj.metrics.nrmse(found, thin.values[:2]) < 1e-3 < 0.1 < mj.metrics.nrmse(found, thick.values[:2])


@pytest.mark.parametrize(
    "preset, options, says",
    [
        ("2d", ["--viscosity", "1"], "viscosity is given, but the particles of this preset follow the field at once"),
        ("2d-neel", ["--viscosity", "1"], "viscosity is given, but the particles of this preset have Neel rotation"),
        ("2d-neel", ["--hydrodynamic-diameter", "40"], "or take a preset that has it: 2d-brown."),
        ("2d-brown", ["--damping", "0.1"], "or take a preset that has it: 2d-neel, spectrometer-neel."),
        ("2d-brown", ["--viscosity", "2000"], "viscosity = 2.0 Pa s; allowed is 1e-05 to 0.1 Pa s. Viscosities are in"),
        ("2d-brown", ["--viscosity", "1e-3"], "viscosity = 1e-06 Pa s; allowed is 1e-05 to 0.1 Pa s."),
        ("2d-brown", ["--hydrodynamic-diameter", "20"], "it includes the shell"),
        ("2d-neel", ["--damping", "5"], "damping = 5.0; allowed is 0.03 to 1."),
    ],
)
def test_dynamics_that_a_preset_has_not(capsys, tmp_path, preset, options, says):
    for command in (["simulate", preset], ["measure", preset, "dots"]):
        status, text = run(capsys, *command, "-o", tmp_path / "a.mdf", *options)
        assert status == 2 and says in text and text.count("\n") == 1, text
    assert not (tmp_path / "a.mdf").exists()


def test_info(capsys, files):
    status, text = run(capsys, "info", files / "fine.mdf")
    assert status == 0
    assert "cannot" not in text
    for word in ("16", "12", "mT", "kHz", "mm", "817"):
        assert word in text
    assert "concentration 0 " not in text and "volume 0 " not in text


def test_inspect_draws_and_train_then_restore(capsys, files, tmp_path):
    picture = tmp_path / "look.png"
    status, text = run(capsys, "inspect", files / "fine.mdf", "-o", picture)
    assert status == 0 and picture.stat().st_size > 20_000, text

    options = ["--steps", "4", "--options", "features=4", "blocks=1", "embed=8", "--snr-threshold", "5"]
    status, text = run(capsys, "train", files / "fine.mdf", "--run-dir", tmp_path / "run", *options)
    assert status == 0 and "held-out rows of maximum 1" in text, text

    out = tmp_path / "fine.mdf"
    status, text = run(
        capsys, "restore", files / "coarse.mdf", "-o", out, "--task", "upsample", "--model", tmp_path / "run",
        "--snr-threshold", "5",
    )  # fmt: skip
    assert status == 0 and "8 x 8 x 1 -> 16 x 16 x 1" in text, text
    restored, truth = mj.io.read_system_matrix(out), mj.io.read_system_matrix(files / "fine.mdf")
    assert "upsampled" in restored.metadata["/calibration/_restoration"]
    rows = restored.row_index()
    kept = np.asarray(truth.values)[rows.channel, rows.frequency_index]
    assert len(kept) > 50 and mj.metrics.nrmse(restored.rows(), kept) < 0.35


def test_train_on_a_simulated_source(capsys, tmp_path):
    options = ["--model", "srcnn", "--steps", "2", "--options", "features=[4,4]"]
    status, text = run(capsys, "train", "--source", "in-house", "--run-dir", tmp_path / "run", *options)
    assert status == 0 and "TranSMS paper" in text and "weights.npz" in text, text
    upsample = mj.restoration.load_upsampler(tmp_path / "run", 2)
    assert upsample(np.ones((1, 8, 16), np.complex64)).shape == (1, 16, 32)


def test_train_a_denoiser_for_a_scanner_and_for_a_file(capsys, files, tmp_path):
    small = ["--task", "denoise", "--model", "unet", "--options", "features=[4]", "blocks=1", "patch=1", "--steps", "2"]
    small += ["--batch-size", "2"]
    run_dir = tmp_path / "scanner"
    status, text = run(capsys, "train", *small, "--source", "2d", "--shape", "8", "8", "1", "--run-dir", run_dir)
    assert status == 0 and "dB on held-out rows" in text, text
    out = tmp_path / "out.mdf"
    words = ["restore", files / "coarse.mdf", "-o", out, "--task", "denoise", "--method", run_dir, "--no-draw"]
    status, text = run(capsys, *words, "--snr-threshold", "5")
    assert status == 0 and "of 223 rows" in text, text
    assert "denoised by scanner (sha256" in mj.io.read_system_matrix(out).metadata["/calibration/_restoration"]
    status, text = run(capsys, "train", files / "coarse.mdf", *small, "--run-dir", tmp_path / "file")
    assert status == 0 and "8 x 8 voxels" in text and "dB on held-out rows" in text, text


SMALL = ["--model", "unet", "--options", "features=[4]", "blocks=1", "patch=1", "--steps", "2", "--batch-size", "2"]


def test_train_for_the_scanner_of_a_file_and_refuse_another_run_at_once(capsys, files, tmp_path, monkeypatch):
    words = ["train", "--like", files / "coarse.mdf", *SMALL, "--run-dir", tmp_path / "own", "--shape", "6", "6", "1"]
    status, text = run(capsys, *words, "--gradient", "-1", "-1", "2")  # which coarse.mdf lacks
    assert status == 0 and "6 x 6 x 1 voxels on 30 x 30 x 1 mm, gradient -1 x -1 x 2 T/m" in text, text
    assert "in model" in text and "step 2/2  loss" in text, text
    prior = json.loads((tmp_path / "own" / "config.json").read_text())["data"]["prior"]
    assert prior["shape"] == [6, 6, 1] and prior["n_samples"] == 1632
    card = json.loads((tmp_path / "own" / "weights.json").read_text())
    assert "denoise" in json.dumps(card)

    def simulated(*arguments, **options):
        raise AssertionError("matrices are simulated before the run directory is looked at")

    monkeypatch.setattr("mpijax.datasets.Calibrations.held_out", simulated)
    monkeypatch.setattr("mpijax.restoration.training.fit", simulated)
    status, text = run(capsys, *words, "--gradient", "-1", "-1", "2", "--seed", "5")
    assert status == 2 and "training.seed is 0 there and 5 here" in text and "fewer steps" not in text, text
    status, text = run(capsys, *words, "--gradient", "-1", "-1", "2", "--steps", "1")
    assert status == 2 and "training.steps is 2 there and 1 here" in text and "choose another run directory" in text, (
        text
    )
    assert "More or fewer steps are another run" in text, text
    status, text = run(capsys, *words, "--gradient", "-1", "-1", "2")
    assert status == 0 and "own is complete, nothing is left to do: weights.npz of 2 steps: PSNR" in text, text
    assert "wrote" not in text and "--steps N" in text and "simulating" not in text, text
    (tmp_path / "own" / "checkpoints.json").write_text('{"steps": [1]}')
    with pytest.raises(AssertionError, match="matrices are simulated"):
        run(capsys, *words, "--gradient", "-1", "-1", "2")
    assert "own holds a part of this run, which goes on from step 1 of 2" in capsys.readouterr().out
    status, text = run(capsys, *words)
    assert status == 2 and "coarse.mdf lacks the gradient (/acquisition/gradient); give it by hand: --gradient" in text


def test_a_real_file_of_a_lab(capsys, tmp_path):
    status, text = run(capsys, "info", HEADSCANNER)
    assert status == 0 and "lack" in text.lower() and "snr" in text.lower()
    assert "no gradient: no particle is identified" in text and "no grid" not in text
    picture = tmp_path / "head.png"
    status, text = run(capsys, "inspect", HEADSCANNER, "-o", picture)
    assert status == 0 and picture.stat().st_size > 20_000, text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["info", "absent.mdf"], "absent.mdf"),
        (["info", "README.md"], "HDF5"),
        (["inspect", "FINE", "-o", "OUT", "--rows", "999"], "1 to 12"),
        (["simulate", "4d", "-o", "OUT"], "'2d', '2d-fluid'"),
        (["simulate", "2d", "-o", "OUT", "--diameter", "20e-9"], "diameter"),
        (["simulate", "2d", "-o", "OUT", "--gradient", "1", "1", "1"], "zero divergence"),
        (["simulate", "2d", "-o", "OUT", "--anisotropy", "3.5"], "3.5 kJ/m^3 is 3500"),
        (["simulate", "2d-fluid", "-o", "OUT", "--easy-axis", "0", "0", "1"], "either immobilized or fluid"),
        (["simulate", "line", "-o", "OUT", "--amplitude", "12", "12", "0"], "driven along z"),
        (["simulate", "line", "-o", "OUT", "--gradient", "0", "1", "-1"], "(G, 0, -G)"),
        (["simulate", "spectrometer", "-o", "OUT", "--gradient", "1", "1", "-2"], "has none"),
        (["simulate", "2d", "-o", "OUT", "--shape", "3000000", "3000000", "1"], "not enough memory"),
        (["simulate", "2d", "-o", "/dev/null"], "not a regular file"),
        (["train", "FINE", "--run-dir", "OUT", "--snr-threshold", "1e9"], "keeps no row"),
        (["train", "FINE", "--devices", "3", "--run-dir", "OUT"], "devices = 3, but JAX sees 1 here (cpu)"),
        (["train", "FINE", "--devices", "0", "--run-dir", "OUT"], "devices = 0; expected a whole number of at least 1"),
        (["train", "FINE", "--process", "1", "--run-dir", "OUT"], "--process given without --distributed"),
        (["train", "FINE", "--distributed", "--process", "1", "--run-dir", "OUT"], "--processes N --process K"),
        (["train", "FINE", *processes("node1", 2, 0), "--run-dir", "OUT"], "coordinator = 'node1'; give HOST:PORT"),
        (
            ["train", "FINE", *processes("node1:1", 2, 2), "--run-dir", "OUT"],
            "process = 2 of 2 processes; count from 0 to 1",
        ),
        (["train", "--run-dir", "OUT"], "name at least one MDF file with a calibration, or a --source"),
        (["train", "FINE", "--no-imperfections", "--run-dir", "OUT"], "belongs to --like and the sources 2d, 3d"),
        (["train", "FINE", "--source", "ffl", "--run-dir", "OUT"], "train on one of them"),
        (["train", "--source", "scanner", "--run-dir", "OUT"], "'in-house', 'lissajous'"),
        (["train", "--source", "open-mpi-tracer", "--run-dir", "OUT"], "--data-root"),
        (["train", "--source", "open-mpi-tracer", "--data-root", "absent", "--run-dir", "OUT"], "absent"),
        (["train", "FINE", "--model", "dncnn", "--run-dir", "OUT"], "'consistent_unet'"),
        (["train", "FINE", "--scale", "3", "--run-dir", "OUT"], "scale"),
        (["train", "FINE", "--task", "polish", "--run-dir", "OUT"], "'denoise', 'inpaint', 'upsample', 'complete'"),
        (["train", "FINE", "--task", "denoise", "--scale", "2", "--run-dir", "OUT"], "leave it out for 'denoise'"),
        (["train", "FINE", "--task", "denoise", "--model", "vrfnet", "--run-dir", "OUT"], "choose one of 'dncnn'"),
        (["train", "FINE", "--task", "inpaint", "--preset", "published", "--run-dir", "OUT"], "take preset 'quick'"),
        (["train", "FINE", "--task", "denoise", "--gradient", "1", "1", "-2", "--run-dir", "OUT"], "scanner options"),
        (["train", "--source", "2d", "--run-dir", "OUT"], "on a source that has one grid: ffl, "),
        (
            ["train", "--source", "2d", "--task", "denoise", "--diameter", "20", "--run-dir", "OUT"],
            "--diameter",
        ),
        (
            ["train", "--source", "2d", "--task", "denoise", "--shape", "9", "1", "1", "--run-dir", "OUT"],
            "no field-free",
        ),
        (
            ["train", "--source", "calibrations", "--task", "denoise", "--fov", "9", "9", "1", "--run-dir", "OUT"],
            "leave out",
        ),
        (["train", "FINE", "--options", "features", "--run-dir", "OUT"], "name=value"),
        (["train", "FINE", "--options", "scale=4", "--run-dir", "OUT"], "decided by --scale"),
        (["train", "FINE", "--run-dir", "FINE"], "is a file"),
        (["train", "--source", "ffl", "--data-root", ".", "--run-dir", "OUT"], "leave out --data-root"),
        (["train", "--source", "ffl", "--batch-size", "3", "--run-dir", "OUT"], "even number of rows"),
        (["train", "FINE", "--model", "srcnn", "--options", "blocks=3", "--run-dir", "OUT"], "known: features"),
        (["simulate", "2d", "-o", "/proc/none/a.mdf"], "nothing can be made in /proc"),
        (["simulate", "2d", "-o", "INSIDE"], "is a file, not a folder"),
        (["simulate", "2d", "-o", "OUT", "--seed", "abc"], "'abc'. See mpijax simulate --help."),
        (["simulate", "2d", "-o", "OUT", "--diameter", "abc"], "['abc']. See mpijax simulate --help."),
        (["simulate", "2d"], "--output PATH MDF file to write. (required). See mpijax simulate --help."),
        (
            ["simulate", "2d", "-o", "OUT", "--peak-snrr", "9"],
            "Perhaps you meant: --peak-snr FLOAT. See mpijax simulate",
        ),
        (["simulat", "2d"], "no command 'simulat'. Did you mean 'simulate'? There are info, inspect, view, convert,"),
        (["simulate", "2d-immobilised", "-o", "OUT"], "Did you mean '2d-immobilized'?"),
        (["train", "FINE", "--model", "consistent_unett", "--run-dir", "OUT"], "Did you mean 'consistent_unet'?"),
        (["simulate", "2d", "-o", "sm.png"], "give one that ends in .mdf (mpijax inspect draws it)."),
        (["measure", "2d", "dots", "-o", "dots.nii.gz"], "(mpijax convert dots.nii.mdf writes other formats)."),
        (["convert", "FINE", "-o", "fine.pdf"], "(mpijax inspect draws a calibration, mpijax reconstruct an image)."),
        (["fit", "FINE", "-o", "fit.svg"], "give one that ends in .mdf (mpijax inspect draws it)."),
        (["restore", "FINE", "--task", "denoise", "-o", "a.png"], "--figure names the picture"),
        (["train", "FINE", "--like", "FINE", "--run-dir", "OUT"], "so does a file beside it; leave one out"),
        (["train", "--like", "FINE", "--task", "upsample", "--run-dir", "OUT"], "has one grid (--source ffl)"),
        (["train", "--like", "HEAD", "--run-dir", "OUT"], "by hand: --gradient"),
        (
            [],
            "{info, inspect, view, convert, simulate, measure, reconstruct, plan, fit, spectrum, train, restore, doctor}. See",
        ),
        (["info", "ROOT"], "is a folder"),
        (["inspect", "ROOT"], "is a folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(capsys, files, tmp_path, arguments, message):
    out = tmp_path / "out"
    fine = files / "fine.mdf"
    names = {
        "HEAD": HEADSCANNER,
        "OUT": out,
        "FINE": fine,
        "INSIDE": fine / "a.mdf",
        "ROOT": ROOT,
        "README.md": ROOT / "README.md",
    }
    status, text = run(capsys, *(names.get(a, a) for a in arguments))
    assert status == 2 and text.count("error:") == 1 and message in text and "Traceback" not in text, text
    assert text.splitlines()[-1].startswith("error:") and (arguments[:1] == ["train"] or text.count("\n") == 1), text
    assert os.listdir(tmp_path) == []


def test_help_names_every_command():
    done = subprocess.run([sys.executable, "-m", "mpijax.cli", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    for name in (
        "info",
        "inspect",
        "simulate",
        "measure",
        "reconstruct",
        "plan",
        "fit",
        "train",
        "restore",
        "doctor",
        "--version",
    ):
        assert name in done.stdout
    assert done.stderr == "" and done.stdout.count("\n") > 10


def test_what_other_packages_deprecate_is_not_said(capsys, monkeypatch, files):
    """pyparsing's deprecations, which matplotlib up to 3.10.6 provokes, are user warnings as well."""

    class Both(UserWarning, DeprecationWarning):
        pass

    def warned(path):
        warnings.warn("'oneOf' deprecated - use 'one_of'", Both, stacklevel=1)
        warnings.warn("no SNR", UserWarning, stacklevel=1)

    monkeypatch.setattr("mpijax.cli.look.check_input", warned)
    status, text = run(capsys, "info", files / "fine.mdf")
    assert status == 0 and "warning: no SNR" in text and "oneOf" not in text
