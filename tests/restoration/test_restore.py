from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax.restoration import Method, record, trust
from mpijax.rows import biharmonic_inpaint, wiener_inpaint
from tests.restoration.matrices import UNIT, noisy, smooth_matrix


def errors(estimate, truth):
    return np.mean(np.abs(np.asarray(estimate.rows()) - np.asarray(truth.rows())) ** 2, axis=1)


def test_denoising_removes_noise_and_leaves_rows_of_noise_alone_bit_for_bit():
    truth = smooth_matrix()
    matrix = noisy(truth, 0.1, frames=60)
    solution = mj.restore(matrix, "denoise", model="dct-garrote")
    stats = solution.stats
    assert list(stats["reason"][:6]) == [trust.NOISE] * 6 and stats["trusted"][6:].sum() >= 17
    assert stats.reasons()["not above the noise"] == 6 and stats.reasons()["restored"] == stats.trusted.sum()
    left = ~stats["trusted"]
    np.testing.assert_array_equal(np.asarray(solution.value.rows())[left], np.asarray(matrix.rows())[left])
    assert np.all(stats["residual"][left] == 0) and np.all(stats["residual"][~left] > 0)
    gain = (errors(matrix, truth) / errors(solution.value, truth))[~left]
    assert np.median(gain) > 2
    assert record.averages_gained(stats) == pytest.approx(1 / np.mean(1 / gain), rel=0.3)
    np.testing.assert_allclose(stats["sigma"], matrix.row_values(matrix.noise_std), rtol=1e-5)
    text = solution.value.metadata["/calibration/_restoration"]
    assert "denoised by dct-garrote; noise from 60 background frames" in text and "6 not above the noise" in text
    assert solution.value.values.dtype == np.complex64 and solution.value.background is matrix.background


def test_noise_is_given_or_from_frames_or_from_the_rows():
    truth = smooth_matrix((16, 16, 1))
    matrix = noisy(truth, 0.1)
    guessed = mj.restore(matrix, "denoise", model="dct-garrote")
    assert "estimated from the rows" in guessed.stats["noise_source"]
    assert np.median(guessed.stats["sigma"]) == pytest.approx(0.1 * UNIT, rel=0.25)
    results = [
        mj.restore(matrix, "denoise", model="dct-garrote", noise_std=sigma)
        for sigma in (0.1 * UNIT, np.full(24, 0.1 * UNIT), np.full((2, 12), 0.1 * UNIT))
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(other.value.values, results[0].value.values)
    with pytest.raises(ValueError, match=r"noise_std has shape \(5,\)"):
        mj.restore(matrix, "denoise", model="dct-soft", noise_std=np.ones(5))


def test_overstated_noise_is_noticed():
    matrix = noisy(smooth_matrix((24, 24, 1), empty=0), 0.02)
    with pytest.raises(
        ValueError, match="no row would change, noise as given: .*row 0 .channel 0, bin 0, 0.00 kHz.*noise_std"
    ):
        mj.restore(matrix, "denoise", model="dct-garrote", noise_std=0.06 * UNIT)


@pytest.mark.parametrize("shape", [(12, 10, 1), (9, 1, 8), (8, 7, 6)])
def test_missing_positions_are_filled_however_they_are_named(shape):
    truth = smooth_matrix(shape, empty=2)
    matrix = noisy(truth, 0.01, frames=30)
    size = truth.grid.size
    holes = np.zeros(size, bool)
    holes[size // 2 : size // 2 + 3] = True
    broken = matrix.with_rows(np.where(holes, np.nan, np.asarray(matrix.rows())))
    filled = mj.restore(broken, "inpaint", model="biharmonic")
    rows = np.asarray(filled.value.rows())
    used = tuple(n for n in shape[::-1] if n > 1)
    want = biharmonic_inpaint(np.asarray(matrix.rows()).reshape(24, *used), ~holes.reshape(used)).reshape(24, -1)
    np.testing.assert_allclose(rows, want, atol=1e-5 * UNIT)
    np.testing.assert_array_equal(filled.stats["missing"], holes)
    assert f"inpainted at 3 of {size} positions" in filled.value.metadata["/calibration/_restoration"]
    for missing in (holes, holes.reshape(shape[::-1]), np.flatnonzero(holes)):
        again = mj.restore(matrix, "inpaint", model="biharmonic", missing=missing)
        np.testing.assert_allclose(again.value.rows(), rows, atol=1e-6 * UNIT)


def test_outliers_are_found_and_repaired():
    truth = smooth_matrix((16, 14, 1), rows=40, empty=4)
    matrix = noisy(truth, 0.01, frames=30)
    broken = np.array(matrix.rows())
    broken[:, 100:103] = 0
    solution = mj.restore(matrix.with_rows(broken), "inpaint", model="biharmonic", missing="auto")
    assert solution.stats["missing"][100:103].all() and solution.stats["missing"].sum() < 12
    rows, true = (np.asarray(m.rows())[:, 100:103] for m in (solution.value, truth))
    assert np.linalg.norm(rows - true) < 0.2 * np.linalg.norm(true)
    with pytest.raises(
        ValueError, match="no position is missing, as far as can be seen; name positions with missing=.$"
    ):
        mj.restore(matrix, "inpaint", model="biharmonic", missing="auto")


def test_splines_complete_a_grid_measured_at_every_second_position():
    fine = smooth_matrix((11, 9, 1), empty=0)
    coarse = np.asarray(fine.images())[..., ::2, ::2].reshape(2, 12, -1)
    grid = mj.Grid.create((6, 5, 1), np.array([12, 10, 1]) * 1e-3, fine.grid.center)
    matrix = mj.SystemMatrix.create(coarse, fine.frequencies, grid, n_samples=64, bandwidth=32e3)
    solution = mj.restore(matrix, "complete", model="spline", noise_std=1e-4 * UNIT)
    assert solution.value.grid.shape == (11, 9, 1)
    np.testing.assert_allclose(solution.value.grid.positions, fine.grid.positions, atol=1e-12)
    np.testing.assert_allclose(
        np.asarray(solution.value.images())[..., ::2, ::2].reshape(2, 12, -1), coarse, atol=1e-5 * UNIT
    )
    assert mj.metrics.nrmse(solution.value.rows(), fine.rows()) < 0.25


def test_a_matrix_without_anything_to_restore_is_refused():
    with pytest.raises(ValueError, match=r"no row would change, .*: not above the noise \(24\)"):
        mj.restore(smooth_matrix(), "denoise", model="dct-soft", noise_std=10 * UNIT)


def test_bad_requests():
    matrix = smooth_matrix()
    cases = [
        (dict(task="paint"), "allowed: 'denoise', 'inpaint', 'upsample', 'complete'"),
        (dict(task="denoise", scale=2), "scale is an option of 'upsample' and 'complete'"),
        (dict(task="denoise", sampling="box"), "sampling is an option of 'upsample'; leave it out"),
        (dict(task="denoise", missing=[1]), "missing is an option of 'inpaint'; leave it out"),
        (dict(task="inpaint", model="biharmonic"), "no position is missing; name positions"),
        (dict(task="inpaint", model="biharmonic", missing=np.ones(7, bool)), r"shape \(7,\); expected a mask"),
        (dict(task="inpaint", model="biharmonic", missing=[0, 120]), "holds 120; .*from 0 to 119"),
        (dict(task="inpaint", model="biharmonic", missing=[0.5]), "holds 0.5; .*from 0 to 119"),
        (dict(task="inpaint", model="biharmonic", missing=np.arange(70)), "at most half"),
        (dict(task="complete", scale=1), "scale = 1"),
        (dict(task="upsample", scale=3, model="bicubic"), "scale = 3; upsample takes 2, 4 or 8"),
        (dict(task="upsample", scale=3, model="spline"), "with splines, too"),
    ]  # fmt: skip
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            mj.restore(matrix, **options)
    with pytest.raises(ValueError, match="12 x 3 x 1 voxels; .* at least 4"):
        mj.restore(smooth_matrix((12, 3, 1)), "denoise", model="dct-soft")
    with pytest.raises(ValueError, match="12 x 1 x 1 voxels"):
        mj.restore(smooth_matrix((12, 1, 1)), "denoise", model="dct-soft")
    broken = replace(matrix, values=np.where(np.arange(120) == 3, np.nan, np.asarray(matrix.values)))
    with pytest.raises(
        ValueError, match="24 entries .* at 1 positions are NaN .*all rows; the first is voxel 3,.*--task inpaint"
    ):
        mj.restore(broken, "denoise", model="dct-soft")
    values = np.array(matrix.values)
    values[1, 2] = np.nan
    broken = replace(matrix, values=values)
    with pytest.raises(
        ValueError, match=r"120 positions are NaN or infinite, in row 14 \(channel 1, bin 2, 2.00 kHz\)"
    ):
        mj.restore(broken, "denoise", model="dct-soft")
    with pytest.raises(ValueError, match="at most half can be filled. Leave out broken rows .*row 14 "):
        mj.restore(broken, "inpaint", model="biharmonic")


def test_a_restored_matrix_is_not_restored_with_the_noise_it_no_longer_has():
    matrix = noisy(smooth_matrix(), 0.1, frames=40)
    once = mj.restore(matrix, "denoise", model="dct-garrote").value
    with pytest.raises(ValueError, match="restored before .*denoised by dct-garrote"):
        mj.restore(once, "denoise", model="dct-garrote")
    again = mj.restore(once, "denoise", model="dct-garrote", noise_std=0.05 * UNIT, trust=False)
    assert again.stats["noise_source"] == "noise as given"
    finer = mj.restore(once, "upsample", model="spline", trust=False)
    assert finer.stats["noise_source"] == "noise estimated from the rows themselves"


def pattern_network(pattern, error=0.0):
    """A network that knows the pattern, and is wrong by a share of it at missing or at all voxels."""

    def apply(rows, known, inside, sigma):
        fit = (rows * known * pattern.conj()).sum((1, 2)) / (np.abs(pattern) ** 2 * known).sum()
        wrong = np.where(known & ~known.all(), 1, 1 + error)
        return (fit[:, None, None] * pattern * wrong).astype(np.complex64)

    return Method("fake.npz", apply, noise_limit=0.3, sha256="0")


def pattern_matrix():
    """Rows of one pattern with random phases, the first two empty, noise of 5 % of the maximum."""
    pattern = np.asarray(smooth_matrix((14, 13, 1), rows=2, empty=0).rows())[0].reshape(13, 14)
    pattern = pattern / np.abs(pattern).max()
    weights = np.exp(2j * np.pi * np.random.default_rng(0).uniform(size=24))
    weights[:2] = 0
    clean = (UNIT * weights[:, None, None] * pattern).reshape(24, -1).astype(np.complex64)
    return pattern, clean, noisy(smooth_matrix((14, 13, 1)).with_rows(clean), 0.05, frames=40)


@pytest.mark.parametrize("error", [0.4, 0.0])
def test_gaps_are_filled_by_what_predicts_hidden_voxels_best(error):
    pattern, _, matrix = pattern_matrix()
    holes = np.zeros((13, 14), bool)
    holes[4:9, 5:10] = True
    solution = mj.restore(matrix, "inpaint", missing=holes, method=pattern_network(pattern, error))
    stats, rows = solution.stats, np.asarray(solution.value.images()).reshape(24, 13, 14)
    assert stats["hidden"] == 25 and list(stats["reason"][:2]) == [trust.NOISE] * 2
    assert np.mean(stats["trusted"][2:]) > 0.8
    assert np.mean(stats["method"][stats["trusted"]] == "fake") == pytest.approx(0.0 if error else 0.9, abs=0.2)
    by_wiener, left = stats["method"] == "wiener", ~stats["trusted"]
    measured = np.asarray(matrix.images()).reshape(24, 13, 14)
    np.testing.assert_allclose(rows[left][:, ~holes], measured[left][:, ~holes], rtol=1e-5)
    want = np.asarray(wiener_inpaint(measured / UNIT, ~holes, stats["sigma"] / UNIT)) * UNIT
    np.testing.assert_allclose(rows[left][:, holes], want[left][:, holes], atol=1e-4 * UNIT)
    np.testing.assert_allclose(rows[by_wiener], want[by_wiener], atol=1e-4 * UNIT)
    text = solution.value.metadata["/calibration/_restoration"]
    assert "checked at 25 measured voxels that were hidden" in text and "filled by wiener: 2 not above" in text


@pytest.mark.parametrize("error", [0.15, 0.0])
def test_rows_are_denoised_by_what_leaves_less_error(error):
    """A network that is wrong by 15 % everywhere passes its check, but the filter does better, and is taken."""
    pattern, clean, matrix = pattern_matrix()
    solution = mj.restore(matrix, "denoise", method=pattern_network(pattern, error))
    stats = solution.stats
    assert np.all(stats["trusted"][2:]) and not np.any(stats["method"][:2])
    assert np.all(stats["method"][2:] == ("wiener" if error else "fake"))
    left = np.linalg.norm(np.asarray(solution.value.rows()) - clean, axis=1)
    assert np.all(left[2:] < 0.8 * np.linalg.norm(np.asarray(matrix.rows()) - clean, axis=1)[2:])


def test_where_no_voxels_can_be_hidden_the_record_says_so():
    matrix = noisy(smooth_matrix(empty=0), 0.05, frames=40)
    solution = mj.restore(matrix, "inpaint", model="biharmonic-garrote", missing=np.arange(0, 120, 3))
    assert solution.stats["hidden"] == 0
    assert "not checked at hidden voxels" in solution.value.metadata["/calibration/_restoration"]
    unchecked = mj.restore(matrix, "inpaint", model="biharmonic-garrote", missing=[50], trust=False)
    assert "hidden" not in unchecked.value.metadata["/calibration/_restoration"]


def test_no_gain_is_claimed_from_noise_that_the_rows_themselves_say():
    truth = smooth_matrix()
    for frames, told in ((40, True), (5, False), (0, False)):
        stats = mj.restore(noisy(truth, 0.1, frames=frames), "denoise", model="dct-garrote").stats
        assert (record.averages_gained(stats) is not None) == told
        assert stats.noise_from_rows != told


def test_the_unit_of_the_matrix_does_not_matter():
    matrix = noisy(smooth_matrix(), 0.1, frames=30)
    want = mj.restore(matrix, "denoise", model="dct-garrote")
    factor = np.complex64(1e-21)
    tiny = replace(
        matrix, values=np.asarray(matrix.values) * factor, background=np.asarray(matrix.background) * factor
    )  # 1e-30
    got = mj.restore(tiny, "denoise", model="dct-garrote")
    np.testing.assert_array_equal(got.stats["reason"], want.stats["reason"])
    np.testing.assert_allclose(np.asarray(got.value.values) / factor, want.value.values, atol=1e-3 * UNIT)
