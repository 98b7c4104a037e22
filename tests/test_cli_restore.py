"""``mpijax restore`` as a physicist with one calibration would use it."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax import cli


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


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    """A simulated, noisy calibration of 13 x 13 voxels with background frames."""
    path = tmp_path_factory.mktemp("restore") / "measured.mdf"
    sys.argv = ["mpijax", "simulate", "2d", "-o", str(path), "--shape", "13", "13", "1", "--peak-snr", "300"]
    cli.main()
    return path


def test_denoise_says_what_it_did_and_draws_it(capsys, calibration, tmp_path):
    out = tmp_path / "denoised.mdf"
    status, text = run(
        capsys,
        "restore",
        calibration,
        "-o",
        out,
        "--task",
        "denoise",
        "--model",
        "dct-garrote",
        "--min-frequency",
        "40",
    )
    assert status == 0, text
    for words in (
        "rows/s",
        "20 background frames",
        "left as measured:",
        "not above the noise",
        "times as many averages",
        "not identified: only a network that is checked",
    ):
        assert words in text
    assert sorted(os.listdir(tmp_path)) == ["denoised-left.tsv", "denoised.mdf", "denoised.png"]
    assert (tmp_path / "denoised.png").stat().st_size > 20_000
    before, after = (mj.io.read_system_matrix(path, min_frequency=40e3) for path in (calibration, out))
    assert after.metadata["/calibration/_restoration"].startswith("denoised by dct-garrote")
    assert after.metadata["/measurement/isBackgroundCorrected"] == 1
    left = (tmp_path / "denoised-left.tsv").read_text().splitlines()
    restored = 3 * len(after.frequencies) - (len(left) - 1)
    assert f"restored {restored} of {3 * len(after.frequencies)} rows" in text and restored > 50
    mean = np.asarray(before.background).mean(0)
    channel, index, *_, reason = left[1].split("\t")
    k = int(np.flatnonzero(np.asarray(before.frequency_indices) == int(index))[0])
    same = np.asarray(before.values)[int(channel), k] - mean[int(channel), k]
    np.testing.assert_allclose(
        np.asarray(after.values)[int(channel), k], same, rtol=1e-4, atol=1e-6 * np.abs(same).max()
    )
    assert reason == "not above the noise"


def test_positions_are_filled_and_grids_refined(capsys, calibration, tmp_path):
    (tmp_path / "failed.txt").write_text("84\n85\n")
    common = ["--min-frequency", "40", "--no-draw"]
    out = tmp_path / "a.mdf"
    options = ["--task", "inpaint", "--model", "biharmonic", *common, "--missing"]
    status, text = run(capsys, "restore", calibration, "-o", out, *options, tmp_path / "failed.txt")
    assert status == 0 and "positions measured: 167 instead of 169" in text, text
    assert "inpainted at 2 of 169 positions" in mj.io.read_system_matrix(out).metadata["/experiment/description"]
    marks = np.isin(np.arange(169), [84, 85])
    np.save(tmp_path / "marks.npy", marks.astype(np.uint8).reshape(13, 13))
    (tmp_path / "marks.txt").write_text("".join(f"{mark:d}\n" for mark in marks))
    (tmp_path / "odd.txt").write_text("84\n84\n")
    for name in ("marks.npy", "marks.txt"):
        status, text = run(capsys, "restore", calibration, "-o", tmp_path / "m.mdf", *options, tmp_path / name)
        assert status == 0 and "positions measured: 167 instead of 169" in text, text
    status, text = run(capsys, "restore", calibration, "-o", tmp_path / "m.mdf", *options, tmp_path / "odd.txt")
    assert status == 2 and "missing names 84 more than once" in text, text
    out = tmp_path / "b.mdf"
    status, text = run(capsys, "restore", calibration, "-o", out, "--task", "complete", "--model", "spline", *common)
    assert status == 0 and "13 x 13 x 1 -> 25 x 25 x 1" in text and "signal not acquired" in text, text
    assert mj.io.read_system_matrix(out).grid.shape == (25, 25, 1)
    out = tmp_path / "c.mdf"
    status, text = run(capsys, "restore", calibration, "-o", out, "--task", "upsample", "--model", "bicubic", *common)
    assert status == 0 and "13 x 13 x 1 -> 26 x 26 x 1" in text and not list(tmp_path.glob("*.png")), text


def test_what_is_told_is_what_was_done(capsys, calibration, tmp_path):
    common = ["--min-frequency", "40", "--no-draw"]
    out = tmp_path / "new" / "a.mdf"
    options = ["--task", "complete", "--model", "spline"]
    status, text = run(capsys, "restore", calibration, "-o", out, *options, *common)
    assert status == 0 and "filled by spline: " in text and "classical method" not in text, text
    assert sorted(os.listdir(out.parent)) == ["a-left.tsv", "a.mdf"]
    assert "hidden" not in text
    options = ["--task", "inpaint", "--model", "biharmonic-garrote", "--missing", tmp_path / "failed.txt"]
    (tmp_path / "failed.txt").write_text("84\n")
    status, text = run(capsys, "restore", calibration, "-o", out, *options, *common)
    assert status == 0 and "checked at 1 measured voxels that were hidden" in text, text
    options = ["--task", "denoise", "--model", "dct-garrote", "--no-trust", "--noise-std", "1e-30"]
    status, text = run(capsys, "restore", calibration, "-o", out, *options, *common)
    assert status == 0 and os.listdir(out.parent) == ["a.mdf"], text  # the table of rows is not that of another run


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--task", "denoise", "--model", "nowhere"], "nowhere: no run directory or weights file"),
        (["--task", "upsample", "--model", "bicubic", "--scale", "3"], "scale = 3"),
        (["--task", "paint"], "'denoise', 'inpaint', 'upsample', 'complete'"),
        (["--task", "upsample", "--scale", "4"], "no weights ship for upsample 2-D (scale 4)"),
        (["--task", "denoise", "--model", "dct-soft", "--snr-threshold", "1e9"], "keeps no row"),
        (["--task", "denoise", "--model", "dct-soft", "--noise-std", "1"], "not above the noise"),
        (["--task", "inpaint", "--model", "biharmonic", "--missing", "FILE"], "cannot be read; --missing takes"),
        (["--task", "inpaint", "--model", "biharmonic", "--missing", "absent"], "absent: there is no such file"),
        (["--task", "inpaint", "--model", "biharmonic"], "no position is missing"),
        (["--task", "denoise", "--figure", "a.xyz"], "names the format"),
        ([], "--task"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(capsys, calibration, tmp_path, arguments, message):
    arguments = [calibration if a == "FILE" else a for a in arguments]
    status, text = run(capsys, "restore", calibration, "-o", tmp_path / "out.mdf", *arguments)
    assert status == 2 and message in text and text.count("\n") == 1 and text.startswith("error:"), text
    assert os.listdir(tmp_path) == []


def test_a_measurement_is_no_calibration_and_the_input_is_kept(capsys, calibration, tmp_path):
    scan = tmp_path / "scan.mdf"
    status, text = run(capsys, "measure", "2d", "dots", "-o", scan, "--shape", "6", "6", "1", "--frames", "2")
    assert status == 0, text
    status, text = run(capsys, "restore", scan, "-o", tmp_path / "out.mdf", "--task", "denoise")
    assert status == 2 and "calibration" in text and text.count("\n") == 1, text
    status, text = run(capsys, "restore", calibration, "-o", calibration, "--task", "denoise", "--model", "dct-soft")
    assert status == 2 and "would be overwritten" in text, text


def test_dynamics_without_an_identification_are_refused(capsys, calibration, tmp_path):
    out, options = tmp_path / "x.mdf", ["--task", "denoise", "--no-identify", "--dynamics", "neel"]
    status, text = run(capsys, "restore", calibration, "-o", out, *options)
    assert status == 2 and "--no-identify leaves it out; drop one" in text and not out.exists(), text


def test_upsampling_a_field_free_line_by_a_fit(capsys, calibration, tmp_path):
    """A line's file carries what the fit needs; one that does not say its gradient is refused in one line."""
    grid = mj.Grid.create((8, 8, 1), (32e-3, 32e-3, 1e-3))
    line = mj.simulate_field_free_line(
        0.7, 11e-3, mj.system.line_angles(6), mj.Particle.create(22e-9), grid, harmonics=(2, 3), samples=64
    )
    path, out, rng = tmp_path / "line.mdf", tmp_path / "fine.mdf", np.random.default_rng(0)
    sigma = 1e-2 * float(np.abs(line.values).max())
    noise = sigma * (rng.normal(size=(*line.values.shape, 2)) @ [1, 1j]) / np.sqrt(2)
    mj.io.write_system_matrix(path, replace(line, values=line.values + noise))
    options = ["-o", out, "--task", "upsample", "--method", "fitted", "--scale", "2", "--noise-std", sigma]
    status, text = run(capsys, "restore", path, *options)
    assert status == 0 and "grid 8 x 8 x 1 -> 16 x 16 x 1" in text and "restored 12 of 12 rows" in text, text
    assert "field-free line fitted to 12 rows" in text and "turned by" in text
    assert "by fitted" in mj.io.read_system_matrix(out).header.restoration
    silent = tmp_path / "silent.mdf"
    mj.io.write_system_matrix(silent, replace(mj.io.read_system_matrix(calibration), scanner=None))
    status, text = run(capsys, "restore", silent, "-o", tmp_path / "none.mdf", *options[2:])
    assert status == 2 and "does not say the gradient" in text and "Traceback" not in text, text


def test_a_network_that_restores_no_row_is_said(calibration, tmp_path):
    from mpijax.cli.restore import _in_vain

    (tmp_path / "own").mkdir()
    matrix = mj.io.read_system_matrix(calibration, background="mean", min_frequency=40e3)
    stats = mj.restore(matrix, mj.Denoise(), method="wiener").stats
    assert not _in_vain(str(tmp_path / "own"), stats)  # nothing was fitted that could have stood in
    object.__setattr__(stats, "identified", "a fit")
    assert _in_vain(str(tmp_path / "own"), stats) and not _in_vain("wiener", stats)
    object.__setattr__(stats, "method", np.where(stats.trusted, "own", ""))
    assert not _in_vain(str(tmp_path / "own"), stats)
