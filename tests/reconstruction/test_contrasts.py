"""Two tracers told apart by their matrices."""

from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import contrast_problem, reconstruct, reconstruct_contrasts

GRID = mj.Grid.create((12, 12, 1), (12e-3, 12e-3, 1e-3))
BINS = np.arange(20, 190)
CENTERS = ((-3e-3, 1e-3), (3e-3, -1e-3))
CONCENTRATIONS = (100.0, 30.0)


@pytest.fixture(scope="module")
def scan():
    """Matrices of 20 and 40 nm cores, calibrated with 50 and 20 mmol/L; a dot of each, from a grid three times finer."""
    scanner = mj.Scanner.create((-3.0, -3.0, 6.0), receive_coils=np.eye(3)[:2])
    sequence = mj.LissajousSequence.create((18e-3, 18e-3, 0), n_samples=400)
    fine = GRID.refine((3, 3, 1))
    place = np.asarray(fine.positions)[:, :2]
    matrices, truth, signal = [], [], 0
    for diameter, sample, center, value in zip((20e-9, 40e-9), (50.0, 20.0), CENTERS, CONCENTRATIONS, strict=True):
        particle = mj.Particle.create(diameter)
        matrices.append(mj.simulate_system_matrix(scanner, sequence, particle, GRID, BINS, concentration=sample))
        dot = value * np.all(np.abs(place - center) < 1e-3, axis=1)
        signal = signal + np.asarray(mj.simulate_system_matrix(scanner, sequence, particle, fine, BINS).values) @ dot
        truth.append(dot.reshape(12, 3, 12, 3).mean((1, 3)))
    rng = np.random.default_rng(0)
    noise = 1e-4 * np.abs(signal).max() * (rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape))
    data = mj.Measurement.create(
        (signal + noise / 2**0.5)[None, None],
        matrices[0].frequencies,
        frequency_indices=BINS,
        n_samples=400,
        bandwidth=matrices[0].bandwidth,
    )
    return matrices, np.array(truth), data


def test_two_dots_are_separated_in_their_own_units(scan):
    """Cross-talk: the mean of an image over the other tracer's dot, relative to its own dot."""
    matrices, truth, data = scan
    options = {"regularization": 1e-5, "sweeps": 200}
    solution = reconstruct_contrasts(matrices, data, **options)
    assert solution.value.shape == (1, 2, 1, 12, 12)
    images, dots = np.asarray(solution.value)[0, :, 0], truth > 0
    alone = [np.asarray(reconstruct(matrix, data, **options).value)[0, 0] for matrix in matrices]

    def crosstalk(found):
        return [found[i][dots[1 - i]].mean() / found[i][dots[i]].mean() for i in (0, 1)]

    assert max(crosstalk(images)) < 0.25
    assert all(np.array(crosstalk(images)) < 0.5 * np.array(crosstalk(alone)))
    for i in (0, 1):
        assert images[i][dots[i]].mean() == pytest.approx(CONCENTRATIONS[i], rel=0.3)


def test_the_problem_is_the_two_matrices_side_by_side(scan):
    matrices, _, data = scan
    few = [matrices[0].select(min_frequency=40e3), matrices[1].select(max_frequency=200e3, channels=[0, 1])]
    problem = contrast_problem(few, data)
    bins = np.asarray(matrices[0].frequency_indices)
    common = (matrices[0].frequencies >= 40e3) & (matrices[0].frequencies <= 200e3)
    assert 0 < common.sum() < len(bins)
    both = np.concatenate([np.asarray(m.values)[:, common].reshape(-1, 144) for m in matrices], axis=1)
    np.testing.assert_array_equal(problem.matrix, both)
    np.testing.assert_allclose(problem.data, data.values[:, 0][..., common].reshape(1, -1), rtol=1e-6)
    np.testing.assert_allclose(problem.scale, (50.0, 20.0))
    images = np.random.default_rng(0).uniform(size=(1, 2, 1, 12, 12)).astype(np.float32)
    np.testing.assert_allclose(problem.images(problem.unknowns(images)), images, rtol=1e-6)
    weighted = contrast_problem(few, data, row_weights="row_norm")
    np.testing.assert_allclose(weighted.row_weights, 1 / np.linalg.norm(both, axis=1), rtol=1e-4)


def test_refusals(scan):
    matrices, _, data = scan
    first = matrices[0]
    for given, message in (
        ([first], "at least two"),
        (first, "at least two"),
        ([first, first.crop((10, 12, 1))], r"\(10, 12, 1\) voxels.*\(12, 12, 1\)"),
        ([first.select(max_frequency=60e3), first.select(min_frequency=70e3)], "none in common"),
        ([first, replace(first, n_samples=402)], "samples per period"),
    ):
        with pytest.raises(ValueError, match=message):
            contrast_problem(given, data)
    with pytest.raises(ValueError, match="reconstructs one contrast"):
        reconstruct_contrasts(matrices, data, solver="admm")
