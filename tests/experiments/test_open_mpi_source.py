"""The main job on files in the layout of the Open MPI data set: small ones, made here."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

import mpijax as mj
from experiments import vrfnet_open_mpi
from experiments.support import fitted
from experiments.support.run import parse

BINS = np.arange(4000, 4000 + 12 * 7, 7)


def rows(grid, gradient, seed):
    """Smooth oscillating patterns that depend on position in mm times gradient, as those of a scanner do."""
    rng = np.random.default_rng(seed)
    r = np.asarray(grid.positions) * gradient * 1e3
    orders, phases = (
        np.random.default_rng(7).uniform(0.08, 0.35, (3, len(BINS), 3)),
        rng.uniform(0, 6, (3, len(BINS), 1)),
    )
    patterns = np.prod(np.cos(orders[:, :, None] * np.abs(r)), axis=-1) * np.exp(1j * phases)
    return 1e-6 * patterns * np.exp(-np.sum((r / 15) ** 2, 1))


def write_calibration(path, shape, fov, gradient, seed):
    grid = mj.Grid.create(shape, np.asarray(fov) * 1e-3)
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 12e-3), phase=(np.pi / 2,) * 3)
    matrix = mj.SystemMatrix.create(
        rows(grid, gradient, seed).astype(np.complex64), sequence.frequencies[BINS], grid, frequency_indices=BINS,
        n_samples=sequence.n_samples, bandwidth=sequence.bandwidth, sequence=sequence,
        scanner=mj.Scanner.create((-gradient, -gradient, 2 * gradient)), sample_concentration=100.0, sample_volume=4e-9,
        snr=np.where(np.arange(12) < 10, 500.0, 3.0) * np.ones((3, 1)), metadata={"/tracer/name": "Perimag"},
    )  # fmt: skip
    mj.io.write_system_matrix(path, matrix)
    return matrix


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("open_mpi")
    folder = root / "data" / "calibrations"
    for number in (8, 9, 10):
        write_calibration(folder / f"{number}.mdf", (33, 33, 27), (66, 66, 27), 0.5, number)
    matrix = write_calibration(folder / "3.mdf", (19, 19, 19), (38, 38, 19), 1.0, 3)
    image = np.zeros(matrix.grid.size)
    image[np.ravel_multi_index((9, 9, 6), (19, 19, 19))] = 0.5
    signal = np.einsum("cfn,n->cf", matrix.values, image)
    data = mj.Measurement.create(
        np.stack([signal, signal])[:, None].astype(np.complex64), matrix.frequencies, frequency_indices=BINS,
        n_samples=matrix.n_samples, bandwidth=matrix.bandwidth,
        metadata={"/tracer/name": "Perimag", "/study/name": "resolutionPhantom"},
    )  # fmt: skip
    path = root / "data" / "measurements" / "resolutionPhantom" / "3.mdf"
    mj.io.write_measurement(path, data)
    with h5py.File(folder / "3.mdf") as calibration, h5py.File(path, "a") as file:  # the fields of the same scanner
        del file["acquisition/drivefield"]
        calibration.copy("acquisition/drivefield", file["acquisition"])
        file["acquisition/gradient"] = calibration["acquisition/gradient"][()]
    return root


def test_trains_tests_and_reconstructs_from_files(data_root, tmp_path, capsys):
    config = replace(
        vrfnet_open_mpi.PRESETS["smoke"], data_root=data_root, run_dir=tmp_path / "run", steps=6, features=4, embed=8,
        checkpoint_every=3, validate_every=3, log_every=3, progress=False,
    )  # fmt: skip
    results = vrfnet_open_mpi.main(config)
    # 10 of 12 frequencies x 3 channels pass the SNR threshold in each calibration
    assert results["rows"] == {"calibration 3": 30}
    assert 0 < results["matrices"][0]["noise_floor"] < 0.1  # rows are in units of the noise that their SNR tells
    (apart,) = results["apart"].values()
    assert {r["case"] for r in apart} == {"calibration 8"}
    errors = {r["method"]: r["nrmse"] for r in results["matrices"]}
    assert errors["linear filter 5x5"] < errors["bicubic"] < 0.3
    images = {r["method"]: r for r in results["images"]}
    assert images["consistent-bicubic"]["psnr_to_true_matrix"] > 15
    assert all(r["psnr_to_phantom"] is None for r in images.values())
    text = (tmp_path / "run" / "report.md").read_text()
    assert "calibration 8: same session" in text and "Noise floor" in text
    assert "| bicubic | 47.19 | 19.5 | 0.5 to 6.5 |" in text  # Table 4 of the paper, and what its error implies
    data = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    assert data["source"] == "open_mpi" and data["pairs"]["target"] == "noisy"


def test_without_training_and_where_no_fit_is_possible(data_root, tmp_path, monkeypatch):
    def refuse(case):
        raise ValueError(f"{case.name} is no plane.")

    monkeypatch.setattr(fitted, "fitted_rows", refuse)
    config = replace(
        vrfnet_open_mpi.PRESETS["smoke"], data_root=data_root, run_dir=tmp_path / "run", steps=0, fitted_matrices=1
    )
    results = vrfnet_open_mpi.main(config)
    assert {"VRF-Net", fitted.FITTED_ROWS}.isdisjoint(r["method"] for r in results["matrices"])
    text = (tmp_path / "run" / "report.md").read_text()
    assert "Without VRF-Net." in text and "learning_curve" not in text
    assert "| fitted rows, not possible: calibration 3 is no plane. | - | - |" in text


def test_an_incomplete_copy_says_what_is_missing(data_root, tmp_path):
    (tmp_path / "9.mdf").write_bytes((data_root / "data" / "calibrations" / "9.mdf").read_bytes())
    config = replace(vrfnet_open_mpi.PRESETS["smoke"], data_root=tmp_path, run_dir=tmp_path / "run")
    with pytest.raises(ValueError, match="10, 3 and 8 are missing"):
        vrfnet_open_mpi.main(config)
    assert not (tmp_path / "run").exists()


def test_presets_and_overrides():
    config = parse(vrfnet_open_mpi.PRESETS, ["--preset", "paper", "--scale", "4"], "")
    assert (config.features, config.blocks, config.scale, config.steps) == (128, 10, 4, 32812)


def test_bad_counts_and_thresholds_are_refused_before_training(tmp_path):
    for options, message in (({"test_matrices": 0}, "test_matrices = 0"), ({"snr_threshold": 1e6}, "SNR of 1000")):
        config = replace(vrfnet_open_mpi.PRESETS["smoke"], run_dir=tmp_path / "run", **options)
        with pytest.raises(ValueError, match=message):
            vrfnet_open_mpi.main(config)
    assert not (tmp_path / "run").exists()
