"""The scores of the restoration tables: figures against NumPy, fixed corruptions, methods against the package's own."""

from pathlib import Path

import jax
import numpy as np
import pytest

import mpijax as mj
from experiments.support import restoration_eval as ev
from experiments.support import restoration_methods as methods
from experiments.support.restoration_paper import calibration_hours
from experiments.support.restoration_scans import twice_as_fine
from mpijax.rows.filters import dct_filter
from mpijax.rows.splines import spline_upsample

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def rows():
    return ev.smooth_rows(2)


def problem_of(rows, task, sigma, box=16):
    (batch,) = ev.batches(rows, np.arange(len(rows)), (box,))
    return batch, ev.corrupt(batch, ev.fixed_task(task), sigma, KEY)


def test_clean_rows_have_peak_one_and_noise_the_named_deviation(rows):
    _, problem = problem_of(rows, "denoise", 0.1)
    inside = problem.inside
    assert np.abs(problem.clean).max(axis=(1, 2)) == pytest.approx(1, rel=1e-5)
    assert not problem.clean[~inside].any() and not problem.images[~inside].any()
    noise = (problem.images - problem.clean)[inside]
    assert np.sqrt(np.mean(np.abs(noise) ** 2)) == pytest.approx(0.1, rel=0.15)


def test_a_row_is_corrupted_alike_whatever_stands_beside_it(rows):
    batch, problem = problem_of(rows, "inpaint", 0.1)
    alone = ev.corrupt(
        ev.Batch(batch.rows[2:3], batch.matrix[2:3], batch.extents[2:3], batch.clean[2:3]),
        ev.fixed_task("inpaint"),
        0.1,
        KEY,
    )
    np.testing.assert_array_equal(alone.images[0], problem.images[2])
    np.testing.assert_array_equal(alone.known[0], problem.known[2])
    share = 1 - problem.known.sum(axis=(1, 2)) / problem.inside.sum(axis=(1, 2))
    assert share == pytest.approx(0.1, abs=0.02)


def test_psnr_counts_complex_errors_once_and_only_inside(rows):
    batch, problem = problem_of(rows, "inpaint", 0.2)
    garbage = np.where(problem.inside, problem.images, 1e3)
    found = ev.score(garbage, problem)
    for i, (ny, nx) in enumerate(batch.extents):
        error = np.abs(problem.images[i, :ny, :nx].astype(complex) - problem.clean[i, :ny, :nx]) ** 2
        known = problem.known[i, :ny, :nx]
        assert found["psnr"][i] == pytest.approx(-10 * np.log10(error.mean()), abs=1e-4)
        assert found["psnr_known"][i] == pytest.approx(-10 * np.log10(error[known].mean()), abs=1e-4)
        assert found["psnr_missing"][i] == pytest.approx(-10 * np.log10(error[~known].mean()), abs=1e-4)
        window = int(min(11, (min(ny, nx) - 1) // 2 * 2 + 1))
        parts = [
            mj.metrics.ssim(part(problem.images[i, :ny, :nx]), part(problem.clean[i, :ny, :nx]), 2.0, window=window)
            for part in (np.real, np.imag)
        ]
        assert found["ssim"][i] == pytest.approx(float(np.mean(parts)), abs=1e-4)


def test_upsampling_gives_every_second_voxel(rows):
    batch, problem = problem_of(rows, "upsample", 0.0)
    np.testing.assert_allclose(problem.images, problem.clean[:, ::2, ::2], atol=1e-6)
    ny, nx = batch.extents[0]
    ours = methods.interpolation("spline")(problem)[0, :ny, :nx]
    coarse = problem.images[:1, : -(-ny // 2), : -(-nx // 2)]
    np.testing.assert_allclose(ours, spline_upsample(coarse, (int(ny), int(nx)))[0], atol=1e-5)
    for kind in ("spline", "bicubic"):
        kept = methods.interpolation(kind)(problem)[0, :ny:2, :nx:2]
        np.testing.assert_allclose(kept, coarse[0], atol=1e-5)


def test_completing_reads_the_known_voxels_only(rows):
    batch, problem = problem_of(rows, "complete", 0.0)
    ny, nx = batch.extents[0]
    assert problem.known[0].sum() == -(-ny // 2) * -(-nx // 2)
    spoiled = ev.Problem(**{**problem.__dict__, "images": np.where(problem.known, problem.images, 7)})
    spline = methods.interpolation("spline")
    np.testing.assert_array_equal(spline(problem), spline(spoiled))


@pytest.mark.parametrize("rule", ["soft", "hard", "garrote"])
def test_the_filter_is_the_package_s_own(rows, rule):
    batch, problem = problem_of(rows, "denoise", 0.1)
    ny, nx = batch.extents[0]
    expected = dct_filter(problem.images[:1, :ny, :nx], 0.1, threshold=2.0, rule=rule)
    ours = methods.dct_filter(2.0, rule)(problem)[:1, :ny, :nx]
    np.testing.assert_allclose(ours, expected, atol=2e-6)


def test_the_tuned_threshold_is_the_best_of_the_scored_ones(rows):
    _, problem = problem_of(rows, "denoise", 0.1)
    best, means = methods.tune_threshold([problem], "garrote", np.array([1.0, 2.0, 4.0]))
    scored = {t: ev.score(methods.dct_filter(t, "garrote")(problem), problem)["psnr"].mean() for t in means}
    assert best == max(scored, key=lambda t: scored[t])
    assert scored == pytest.approx(means, abs=1e-3)


def test_choosing_rows(rows):
    assert len(ev.choose_rows(rows, None, None)) == 4
    np.testing.assert_array_equal(rows.matrix[ev.choose_rows(rows, None, 1)], [0, 1])
    np.testing.assert_array_equal(ev.choose_rows(rows, 1, None), [0, 1])
    np.testing.assert_array_equal(ev.choose_rows(rows, None, None, np.array([False, True])), [2, 3])


def test_summary_has_one_line_per_range_and_method():
    values = {"a": {"psnr": np.array([1.0, 3.0, 10.0]), "ssim": np.ones(3)}}
    figures = ev.Figures(np.arange(3), np.array([0, 0, 1]), np.array([14.0, 14.0, 20.0]), values)
    small, everything = ev.summarize(figures, {"(12, 18]": (12, 18), "(24, 30]": (24, 30)}, key=KEY)
    assert (small["range"], small["rows"], small["matrices"], small["psnr"][0]) == ("(12, 18]", 2, 1, 2.0)
    assert everything["psnr"][0] == pytest.approx(14 / 3) and everything["psnr"][1] == pytest.approx(2.0)


def test_missing_sets_and_weights_say_what_to_do():
    with pytest.raises(FileNotFoundError, match="fixed_sets --name restoration_2d"):
        ev.load_set("restoration_2d", Path("no such folder"))
    with pytest.raises(FileNotFoundError, match="train_restoration"):
        methods.find_weights("no such weights")


def test_calibration_times():
    """19^3 positions of 1,000 averages take 41 h, where the paper prints 4.1 h; its other times are right."""
    assert calibration_hours(19**3, 1000, 3) == pytest.approx(41.04, abs=0.01)
    assert calibration_hours(10**3, 1000, 3) == pytest.approx(5.98, abs=0.01)
    assert calibration_hours(25 * 21 * 27, 50, 3) == pytest.approx(4.24, abs=0.01)
    assert 3600 * calibration_hours(17 * 15, 330, 2) == pytest.approx(54.9, abs=0.1)
    assert 3600 * calibration_hours(17 * 15, 10, 2) == pytest.approx(1.66, abs=0.01)


def test_every_second_fine_voxel_is_a_coarse_one():
    grid = mj.Grid.create((5, 4, 1), (5e-3, 8e-3, 1e-3), (1e-3, 0.0, 2e-3))
    centers = np.asarray(twice_as_fine(grid).positions).reshape(8, 10, 3)
    np.testing.assert_allclose(centers[::2, ::2].reshape(-1, 3), grid.positions, atol=1e-8)
