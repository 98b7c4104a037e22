"""`mpijax spectrum` on files."""

import csv

import numpy as np
import pytest

import mpijax as mj
from tests.identification.test_spectroscopy import noisy, simulated
from tests.io.test_mdf_reconstruction import reconstruction
from tests.test_cli import HEADSCANNER, run


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("spectrum") / "sample.mdf"
    matrix = simulated(mj.Particle.create(20e-9))
    sigma = 1e-3 * np.abs(np.asarray(matrix.values)).max()
    mj.io.write_measurement(path, noisy(matrix, sigma, 4, 10))
    return path


def test_table_picture_and_csv(capsys, file, tmp_path):
    picture, table = tmp_path / "out" / "sample.png", tmp_path / "sample.csv"
    status, text = run(capsys, "spectrum", file, "-o", picture, "--csv", table, "--gradient", 2.5)
    assert status == 0 and "drive field 20 mT at 25 kHz along x" in text and "no transfer function" in text
    width = float(text.split("half maximum ")[1].split(" +-")[0])
    assert width == pytest.approx(8.48, abs=0.05) and f"= {width / 2.5:.2f}" in text
    assert picture.stat().st_size > 10_000
    rows = list(csv.DictReader(table.open()))
    assert rows[2]["order"] == "3" and rows[2]["held"] == "1" and rows[1]["held"] == "0"
    assert float(rows[2]["frequency_hz"]) == pytest.approx(75e3) and abs(float(rows[2]["lag_deg"])) < 1


def test_a_fit_and_an_empty_scan(capsys, file, tmp_path, monkeypatch):
    from mpijax import identification as ident

    empty = tmp_path / "empty.mdf"
    matrix = simulated(mj.Particle.create(20e-9))
    nothing = matrix.as_measurement(0 * np.asarray(matrix.values)[None, None, :, :, 0].repeat(2, 0))
    mj.io.write_measurement(empty, nothing)
    every = ident.particle_candidates
    monkeypatch.setattr(
        "mpijax.identification.spectroscopy.fit.particle_candidates",
        lambda spectrum: {"equilibrium": every(spectrum)["equilibrium"]},
    )
    status, text = run(capsys, "spectrum", file, "--empty", empty, "--fit", "-o", tmp_path / "fit.svg")
    assert status == 0 and "chi^2" in text
    assert float(text.split("equilibrium: core diameter ")[1].split(" ")[0]) == pytest.approx(20, abs=0.1)
    assert (tmp_path / "fit.svg").exists()


def test_measured_data(capsys, tmp_path):
    picture = tmp_path / "voxel.png"
    status, text = run(capsys, "spectrum", HEADSCANNER, "-o", picture, "--position", 156, -11.2, 71)
    assert status == 0 and "25.699 kHz along x" in text and "neither frames nor background" in text
    assert picture.exists()


def test_bad_input_writes_nothing(capsys, file, tmp_path):
    picture = tmp_path / "bad.png"
    matrix = simulated(mj.Particle.create(20e-9), mj.Scanner.create((-1.0, -1.0, 2.0)))
    mj.io.write_measurement(tmp_path / "field.mdf", noisy(matrix, 1e-30, 2, 0))
    both = mj.LissajousSequence.create((12e-3, 12e-3, 0), (3, 4, 1), 75e3, n_samples=48)
    mj.io.write_system_matrix(tmp_path / "two.mdf", simulated(mj.Particle.create(20e-9), sequence=both))
    mj.io.write_reconstruction(tmp_path / "image.mdf", reconstruction())
    for words, says in (
        ([HEADSCANNER], "9 voxels"),
        ([tmp_path / "field.mdf"], "--position"),
        ([tmp_path / "two.mdf"], "--axis x"),
        ([tmp_path / "two.mdf", "--axis", "z"], "is not driven"),
        ([tmp_path / "two.mdf", "--empty", file], "empty scan is subtracted from measurements only"),
        ([file, "--empty", file], "is the measurement itself"),
        ([file, "--empty", tmp_path / "two.mdf"], "an empty scan is a measurement without iron"),
        ([file, "--gradient", "0"], "gradient = 0"),
        ([file, "--channel", "7"], "channel 7"),
        ([file, "--first-harmonic", "0"], "first = 0"),
        ([file, "--csv", file], "is read and would be overwritten"),
        ([tmp_path], "is a folder"),
        ([tmp_path / "image.mdf"], "image.mdf holds images; a spectrum is that of a measurement or of a calibration"),
        ([tmp_path / "none.mdf"], "none.mdf"),
    ):
        status, text = run(capsys, "spectrum", *words, "-o", picture)
        assert status == 2 and says in text and text.count("\n") == 1, text
    status, text = run(capsys, "spectrum", file, "-o", tmp_path / "sample.tex")
    assert status == 2 and "suffix" in text
    assert not picture.exists()
