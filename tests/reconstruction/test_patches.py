"""Multi-patch reconstruction: two positions of the field-free point, one image."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import align_to_lattice, patch_problem, reconstruct, reconstruct_patches, solve

SCANNER = mj.Scanner.create((-2.0, -2.0, 4.0), receive_coils=np.eye(3)[:2])
SEQUENCE = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=400)  # field of view 12 mm x 12 mm
PARTICLE = mj.Particle.create(30e-9)
BINS = np.arange(45, 175)
POSITIONS = np.array([[-5e-3, 0, 0], [5e-3, 0, 0]])
PATCH = mj.Grid.create((30, 12, 1), (30e-3, 12e-3, 1e-3))
UNION = mj.Grid.create((40, 12, 1), (40e-3, 12e-3, 1e-3))


def simulate(scanner, grid, concentration=1.0):
    return mj.simulate_system_matrix(scanner, SEQUENCE, PARTICLE, grid, BINS, concentration=concentration)


@pytest.fixture(scope="module")
def scan():
    """The one matrix, a bar across the patches' border, and its noisy data from a grid three times finer."""
    matrix, fine = simulate(SCANNER, PATCH, 20.0), UNION.refine((3, 3, 1))
    x, y, _ = np.asarray(fine.positions).T
    phantom = 10.0 * ((np.abs(x) < 8e-3) & (np.abs(y - 1e-3) < 1.5e-3))
    phantom += 5.0 * ((np.abs(x - 2e-3) < 1.5e-3) & (np.abs(y + 3e-3) < 1e-3))
    values = np.stack([np.asarray(simulate(SCANNER.at(p), fine).values) @ phantom for p in POSITIONS])[None]
    rng = np.random.default_rng(0)
    sigma = 3e-3 * np.abs(values).max()
    values = values + sigma * (rng.normal(size=values.shape) + 1j * rng.normal(size=values.shape)) / 2**0.5
    return matrix, phantom.reshape(12, 3, 40, 3).mean((1, 3)), measurement(values, matrix)


def measurement(values, matrix):
    return mj.Measurement.create(
        values, matrix.frequencies, frequency_indices=BINS, n_samples=400, bandwidth=matrix.bandwidth
    )


def step(image, column=19):
    """Largest step from the last column of the left half to the first of the right, inside the bar."""
    return np.abs(np.diff(image[6:8], axis=1))[:, column].max()


def test_joint_image_is_continuous_and_better_than_stitched_images(scan):
    matrix, truth, data = scan
    options = {"regularization": 0.1, "sweeps": 50}
    solution = reconstruct_patches(matrix, data, positions=POSITIONS, **options)
    assert solution.stats["grid"].shape == UNION.shape
    np.testing.assert_allclose(solution.stats["grid"].fov, UNION.fov)
    np.testing.assert_allclose(solution.stats["grid"].center, 0, atol=1e-12)
    joint = np.asarray(solution.value)[0, 0]
    left, right = (np.asarray(reconstruct(matrix, data, period=p, **options).value)[0, 0] for p in (0, 1))
    stitched = np.concatenate([left[:, :20], right[:, 10:]], axis=1)
    errors = [np.linalg.norm(image - truth) / np.linalg.norm(truth) for image in (joint, stitched)]
    assert errors[0] < 0.18 and errors[0] < 0.85 * errors[1]
    assert step(joint) < 0.6 * step(stitched)


def test_one_shifted_matrix_is_the_matrix_of_every_patch(scan):
    matrix, _, data = scan
    problem = patch_problem(matrix, data, positions=POSITIONS)
    rows = len(matrix.rows())
    for number, point in enumerate(POSITIONS):
        exact = np.asarray(simulate(SCANNER.at(point), UNION, 20.0).rows()).reshape(rows, 12, 40)
        found = np.asarray(problem.matrix)[number * rows : (number + 1) * rows].reshape(rows, 12, 40)
        inside = slice(0, 30) if number == 0 else slice(10, 40)
        np.testing.assert_allclose(found[..., inside], exact[..., inside], atol=2e-5 * np.abs(exact).max())
        assert not np.delete(found, np.arange(40)[inside], axis=2).any()
    np.testing.assert_allclose(problem.data, data.values.reshape(1, -1), rtol=1e-6)


def test_agreement_with_one_big_solve():
    """Random patches of different sample units, overlapping in two axes, against the assembled system in double precision."""
    rng = np.random.default_rng(1)

    def patch(shape, start, concentration):
        grid = mj.Grid.create(shape, np.array(shape) * 2e-3, (np.array(start) + np.array(shape) / 2) * 2e-3)
        values = rng.normal(size=(2, 20, grid.size)) + 1j * rng.normal(size=(2, 20, grid.size))
        return mj.SystemMatrix.create(
            values, np.arange(20) * 1e4, grid, n_samples=38, sample_concentration=concentration
        )

    patches = [patch((3, 4, 1), (0, 0, 0), 5.0), patch((4, 3, 1), (2, 2, 0), 50.0), patch((2, 2, 1), (1, -1, 0), 5.0)]
    values = rng.normal(size=(2, 4, 2, 20)) + 1j * rng.normal(size=(2, 4, 2, 20))
    data = mj.Measurement.create(values, np.arange(20) * 1e4, n_samples=38)
    big = np.zeros((120, 6, 6), complex)  # y from -1 to 4, x from 0 to 5; x in units of 5 mmol/L
    big[:40, 1:5, 0:3] = patches[0].rows().reshape(40, 4, 3)
    big[40:80, 3:6, 2:6] = patches[1].rows().reshape(40, 3, 4) / 10
    big[80:, 0:2, 1:3] = patches[2].rows().reshape(40, 2, 2)
    weights = rng.uniform(0.5, 2, 120)
    a = weights[:, None] * big.reshape(120, 36)
    b = weights * np.concatenate([values[:, p].reshape(2, -1) for p in (3, 1, 0)], axis=1)
    lam = 0.1 * np.linalg.norm(a) ** 2 / 36
    expected = 5 * np.linalg.solve(a.conj().T @ a + lam * np.eye(36), a.conj().T @ b.T).T.real
    with jax.enable_x64(True):
        options = {"periods": [3, 1, 0], "row_weights": weights, "regularization": 0.1, "constraint": None}
        solution = reconstruct_patches(patches, data, sweeps=4000, **options)
        assert solution.stats["grid"].shape == (6, 6, 1)
        np.testing.assert_allclose(solution.value, expected.reshape(2, 1, 6, 6), rtol=1e-6, atol=1e-8)
        assert float(solution.stats["lambda"]) == pytest.approx(lam)


def test_a_patch_is_aligned_to_the_lattice(scan):
    matrix, _, data = scan
    off = replace(matrix, grid=mj.Grid.create(PATCH.shape, PATCH.fov, (0.4e-3, -0.3e-3, 0.2e-3)))
    linear = replace(off, values=np.asarray(off.grid.positions) @ [[1.0], [2.0], [0]] * np.ones((1, 260)) + 0j)
    linear = replace(linear, values=np.asarray(linear.values).T.reshape(2, 130, -1))
    aligned = align_to_lattice(linear, UNION)
    assert aligned.grid.shape == (29, 11, 1)
    expected = np.asarray(aligned.grid.positions) @ [1.0, 2.0, 0]
    np.testing.assert_allclose(aligned.values[1, 5].real, expected, atol=1e-15)
    with pytest.raises(ValueError, match="align_to_lattice"):
        patch_problem([matrix, off], data)
    problem = patch_problem([matrix, align_to_lattice(off, PATCH)], data)
    assert problem.grid.shape == PATCH.shape


def test_weights_and_noise_cover_the_rows_of_all_patches(scan):
    matrix, _, data = scan
    rng = np.random.default_rng(2)
    sigma = 1e-9 * np.array([1.0, 4.0])[:, None, None] * np.ones((2, 2, 130))
    background = sigma * (rng.normal(size=(60, *sigma.shape)) + 1j * rng.normal(size=(60, *sigma.shape))) / 2**0.5
    noisy = replace(data, background=background)
    problem = patch_problem(matrix, noisy, positions=POSITIONS, row_weights="whitening")
    weights = np.asarray(problem.row_weights).reshape(2, 260)
    assert weights[0].mean() / weights[1].mean() == pytest.approx(4, rel=0.1)
    np.testing.assert_allclose(problem.noise_std, np.repeat([1e-9, 4e-9], 260), rtol=0.5)
    drift = patch_problem(matrix, noisy, positions=POSITIONS, drift_components=2)
    assert drift.drift.shape == (520, 2)
    assert solve(drift).stats["drift"].shape == (1, 2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "one matrix with positions="),
        ({"positions": POSITIONS[0]}, r"\(patches, 3\)"),
        ({"positions": POSITIONS * np.nan}, "NaN"),
        ({"positions": POSITIONS[:1]}, "1 patches and 2 periods"),
        ({"positions": POSITIONS, "periods": [0]}, "2 patches and 1 periods"),
        ({"positions": POSITIONS, "periods": [0, 2]}, "periods 0 to 1"),
        ({"positions": POSITIONS + [[0, 0, 0], [0.5e-3, 0, 0]]}, "not a whole number"),
    ],
)
def test_refusals(scan, options, message):
    matrix, _, data = scan
    with pytest.raises(ValueError, match=message):
        reconstruct_patches(matrix, data, **options)


def test_refusals_of_matrices(scan):
    matrix, _, data = scan
    for matrices, message in (
        ([], "empty"),
        ([matrix, matrix.crop((30, 12, 1)).regrid(PATCH.refine((2, 1, 1)))], "voxels of"),
    ):
        with pytest.raises(ValueError, match=message):
            patch_problem(matrices, data)
    with pytest.raises(TypeError, match="no option lambda_"):
        reconstruct_patches(matrix, data, positions=POSITIONS, lambda_=1.0)
    with pytest.raises(ValueError, match="finer lattice"):
        align_to_lattice(matrix, mj.Grid.create((1, 1, 1), (0.2, 0.2, 0.2), (0.05, 0.05, 0)))
