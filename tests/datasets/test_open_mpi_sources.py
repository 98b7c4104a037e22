"""Protocols on the Open MPI data set: files in its layout and grids, with a few rows each, made here."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.datasets import CoarseMeasurement
from mpijax.datasets.open_mpi import noise_from_snr, open_mpi_pool, open_mpi_source
from mpijax.io import MDFError, SystemMatrixFile, system_matrix_snr

BINS = np.array([1000, 4000, 4100, 4200, 4300])  # the first lies below 80 kHz
SNR = np.array([[300.0, 60.0, 20.0, 7.0, 0.7], [300.0, 60.0, 2.0, 20.0, 0.7]])  # rms of the clean row over sigma
SIGMA = 1e-9 * np.array([[1.0, 2.0, 0.5, 1.0, 3.0], [4.0, 1.0, 1.0, 0.25, 1.0]])
FRAMES = 80
GRIDS = {3: (19, 19, 19), 7: (37, 37, 37), 8: (33, 33, 27), 9: (33, 33, 27), 10: (33, 33, 27)}


def noise(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def calibration(number):
    """Smooth patterns of known SNR on a constant background, and background frames of the same noise."""
    rng = np.random.default_rng(number)
    gradient = 1.0 if number in (3, 7) else 0.5
    grid = mj.Grid.create(GRIDS[number], np.asarray(GRIDS[number]) * [2e-3, 2e-3, 1e-3])
    r = np.asarray(grid.positions) * 1e3 * gradient
    waves = np.exp(1j * r @ rng.uniform(0.05, 0.2, (3, SNR.size))).T.reshape(*SNR.shape, -1)
    offset = 5 * SIGMA[..., None] * (1 + 1j)
    values = SIGMA[..., None] * (SNR[..., None] * waves + noise(rng, *waves.shape)) + offset
    background = SIGMA * noise(rng, FRAMES, *SNR.shape) + offset[..., 0]
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 12e-3), phase=(np.pi / 2,) * 3)
    return mj.SystemMatrix.create(
        values.astype(np.complex64), sequence.frequencies[BINS], grid, frequency_indices=BINS,
        n_samples=sequence.n_samples, bandwidth=sequence.bandwidth, sequence=sequence,
        background=background.astype(np.complex64), scanner=mj.Scanner.create((-gradient, -gradient, 2 * gradient)),
        sample_volume=4e-9, metadata={"/tracer/name": "Synomag-D" if number == 7 else "Perimag"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def matrices():
    return {number: calibration(number) for number in GRIDS}


@pytest.fixture(scope="module")
def root(matrices, tmp_path_factory):
    root = tmp_path_factory.mktemp("open_mpi")
    (root / "calibrations").mkdir()
    for number, matrix in matrices.items():
        mj.io.write_system_matrix(root / "calibrations" / f"{number}.mdf", matrix)
    return root


def expected(matrix, threshold, shape, start):
    """Whitened rows (m, z, y, x) and their sigma, from the definitions, in float64."""
    background = np.asarray(matrix.background, complex)
    mean = background.mean(0)
    sigma = np.sqrt(np.sum(np.abs(background - mean) ** 2, 0) / (len(background) - 1))
    images = ((np.asarray(matrix.values, complex) - mean[..., None]) / sigma[..., None]).reshape(
        *SIGMA.shape, *matrix.grid.shape[::-1]
    )
    images = images[..., start : start + shape, start : start + shape]
    keep = np.sqrt(np.mean(np.abs(images) ** 2, axis=(-3, -2, -1))) >= threshold
    keep[:, 0] = False
    return images[keep], sigma[keep]


def test_temporal_trains_on_two_whole_calibrations_and_tests_on_a_third(root, matrices):
    pool = open_mpi_pool(root, "temporal", scale=8)
    parts = [expected(matrices[n], 5.0, 32, 0) for n in (8, 9)]
    assert [len(images) for images, _ in parts] == [5, 5]  # SNR 60, 20, 7 of one channel, 60 and 20 of the other
    want = np.concatenate([images.reshape(-1, 32, 32) for images, _ in parts])
    assert pool.images.dtype == np.complex64 and pool.images.shape == (10 * 27, 32, 32)
    np.testing.assert_allclose(pool.images, want, atol=2e-5 * np.abs(want).max())
    np.testing.assert_array_equal(pool.sigma, np.ones(270))

    (test,) = pool.tests
    images, sigma = expected(matrices[10], 5.0, 32, 0)
    assert test.number == 10 and test.matrix.grid.shape == (32, 32, 27) and test.path.name == "10.mdf"
    np.testing.assert_allclose(test.matrix.grid.to_image(test.matrix.rows()), images, atol=2e-5 * np.abs(images).max())
    np.testing.assert_allclose(test.sigma, sigma, rtol=1e-6)
    assert test.matrix.row_index().frequency_index.tolist() == [4000, 4100, 4200, 4000, 4200]
    np.testing.assert_allclose(test.matrix.noise_std[test.matrix.row_mask], 1, rtol=1e-5)
    floor = np.sqrt(images.size) / np.linalg.norm(images)
    assert abs(test.noise_floor / floor - 1) < 1e-6
    # all clean energy is known: the floor is 1 / sqrt(mean SNR^2 + 1) up to the errors of the estimated sigma
    assert abs(floor * np.sqrt(np.mean(np.array([60, 20, 7, 60, 20]) ** 2.0) + 1) - 1) < 0.15

    assert pool.facts["rows"] == {"calibration 8": 5, "calibration 9": 5, "calibration 10": 5}
    assert pool.facts["noise_floor"] == {"calibration 10": test.noise_floor} and pool.facts["images"] == 270
    assert json.loads(json.dumps(pool.facts)) == pool.facts


def test_noise_of_the_kept_rows_has_the_complex_standard_deviation_one(root, matrices):
    (test,) = open_mpi_pool(root, "temporal", scale=2).tests
    rng = np.random.default_rng(10)
    rng.uniform(0.05, 0.2, (3, SNR.size))
    drawn = noise(rng, *SNR.shape, matrices[10].grid.size) * SIGMA[..., None]
    keep = np.zeros(SNR.shape, bool)
    keep[[0, 0, 0, 1, 1], [1, 2, 3, 1, 3]] = True
    scaled = drawn[keep] / test.sigma[:, None]
    np.testing.assert_allclose(np.sqrt(np.mean(np.abs(scaled) ** 2, axis=1)), 1, atol=0.2)
    assert abs(np.sqrt(np.mean(scaled.real**2)) - np.sqrt(0.5)) < 0.06


def test_tracer_crops_37_voxels_centrally_and_slices_every_z(root, matrices):
    pool = open_mpi_pool(root, "tracer", scale=4)
    images, _ = expected(matrices[7], 5.0, 32, 2)
    np.testing.assert_allclose(
        pool.images, images.reshape(-1, 32, 32), atol=2e-5 * np.abs(images).max()
    )  # 37 slices of each row
    assert len(pool.images) == 5 * 37 and [t.number for t in pool.tests] == [10]


def test_vrfnet_takes_central_slices_of_rows_of_snr_10_and_crops_the_small_test_grid(root, matrices):
    pool = open_mpi_pool(root, "vrfnet", scale=8)
    want = np.concatenate([expected(matrices[n], 10.0, 32, 0)[0][:, 13] for n in (9, 10)])
    np.testing.assert_allclose(pool.images, want, atol=2e-5 * np.abs(want).max())
    assert [(t.number, t.matrix.grid.shape, len(t.sigma)) for t in pool.tests] == [
        (3, (16, 16, 19), 4),
        (8, (32, 32, 27), 4),
    ]


def test_rows_that_cannot_suffice_are_not_read(root, monkeypatch):
    read, seen = SystemMatrixFile.read, []

    def spy(self, **options):
        seen.append(self.frequency_indices.tolist())
        return read(self, **options)

    monkeypatch.setattr(SystemMatrixFile, "read", spy)
    open_mpi_pool(root, "temporal", scale=2, snr_threshold=15)
    assert seen == [[4000, 4100, 4200]] * 3


def test_without_background_frames_the_noise_follows_from_the_stored_snr(matrices, tmp_path):
    for number in (8, 9, 10):
        matrix = matrices[number]
        background = np.asarray(matrix.background)
        snr = system_matrix_snr(np.asarray(matrix.values), background)
        corrected = np.asarray(matrix.values) - background.mean(0)[..., None]
        found = noise_from_snr(corrected, snr)
        strong = snr > 3.5
        np.testing.assert_allclose(found[strong], SIGMA[strong], rtol=0.2)
        assert np.isnan(noise_from_snr(corrected[:1, :1], np.zeros((1, 1)))).all()
        stored = replace(matrix, values=corrected, background=None, snr=snr)
        mj.io.write_system_matrix(tmp_path / f"{number}.mdf", stored)
    pool = open_mpi_pool(tmp_path, "temporal", scale=2)
    assert pool.facts["rows"] == {f"calibration {n}": 5 for n in (8, 9, 10)}
    (test,) = pool.tests
    np.testing.assert_allclose(test.sigma, SIGMA[[0, 0, 0, 1, 1], [1, 2, 3, 1, 3]], rtol=0.2)
    unknown = replace(matrices[9], background=None, snr=None)
    mj.io.write_system_matrix(tmp_path / "9.mdf", unknown)
    with pytest.raises(MDFError, match=r"calibration 9\) holds neither an SNR nor two background frames"):
        open_mpi_pool(tmp_path, "temporal", scale=2)


def test_a_source_feeds_training_with_measured_targets(root):
    source = open_mpi_source(root, "tracer", 4, batch_size=3)
    assert (source.sample, source.target, source.validation) == ("retrospective", "noisy", None)
    assert "Calibration 7 to train (185 slices), 10 to test" in source.description
    rows = source.rows(jax.random.key(0))
    assert rows.measured and rows.images.shape == (3, 32, 32) and rows.sigma.tolist() == [1, 1, 1]
    batch = CoarseMeasurement(scale=4, sample="retrospective", target="noisy", augment="none").batch(
        jax.random.key(1), rows
    )
    assert batch["input"].shape == (3, 8, 8, 2)
    blocks = np.asarray(batch["target"]).reshape(3, 8, 4, 8, 4, 2).mean((2, 4))
    np.testing.assert_allclose(batch["input"], blocks, atol=1e-5)  # no noise was added


def test_missing_calibrations_are_all_named(root, tmp_path):
    shutil.copy(root / "calibrations" / "9.mdf", tmp_path / "9.mdf")
    shutil.copy(root / "calibrations" / "3.mdf", tmp_path / "coarse.mdf")
    shutil.copy(root / "calibrations" / "8.mdf", tmp_path / "unnamed.mdf")
    with pytest.raises(MDFError) as error:
        open_mpi_pool(tmp_path, "temporal", scale=2)
    message = str(error.value)
    assert "trains on calibration 8 and 9 and tests on 10; 8 and 10 are missing" in message
    assert "which holds 3 and 9." in message
    assert "unnamed.mdf may be 8, 9, 10 or 11: put the number into the file name." in message
    with pytest.raises(MDFError, match="7 and 10 are missing"):
        open_mpi_pool(tmp_path, "tracer", scale=2)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        open_mpi_pool(tmp_path / "nowhere", "temporal", scale=2)


def test_bad_requests_are_refused(root):
    with pytest.raises(ValueError, match="calibration 8 has 33 x 33 voxels along x and y, fewer than size = 40"):
        open_mpi_pool(root, "temporal", scale=8, size=40)
    with pytest.raises(ValueError, match="size = 30 is not a multiple of scale = 4; 28 would be"):
        open_mpi_pool(root, "temporal", scale=4, size=30)
    with pytest.raises(ValueError, match="allowed: 'temporal', 'tracer', 'vrfnet'"):
        open_mpi_pool(root, "spatial", scale=4)
    with pytest.raises(ValueError, match="keeps no row; the largest SNR"):
        open_mpi_pool(root, "temporal", scale=4, snr_threshold=1e4)
    with pytest.raises(ValueError, match=r"keeps no row of .*\(calibration 8\), whose largest SNR is"):
        open_mpi_pool(root, "temporal", scale=4, snr_threshold=80)
