"""An upsampler is tried on measured voxels, one level coarser, before it is used."""

import warnings
from typing import ClassVar

import numpy as np
import pytest

import mpijax as mj
from mpijax import cli
from mpijax.rows import Upsample, degrade, spline_upsample
from tests.restoration.matrices import UNIT, noisy, smooth_matrix

SIGMA = 1e-4


class Untried(Upsample):
    """Without the trial."""

    has_trial: ClassVar[bool] = False


def through_samples(rows, known, inside, sigma):
    """A spline with noise between the samples: right where it was measured, wrong elsewhere."""
    fine = np.array(spline_upsample(rows, 2))
    between = np.ones(fine.shape[1:], bool)
    between[::2, ::2] = False
    return fine + 0.5 * between * np.random.default_rng(0).normal(size=fine.shape).astype(np.float32)


def exact(rows, known, inside, sigma):
    """What :func:`smooth_matrix` is made of, products of waves of unknown frequency, by a dense basis of them."""
    results = rows
    for axis in (1, 2):
        n = rows.shape[axis]
        waves = np.arange(0, 4.2, 0.35) / (n - 1) * 2
        at, fine = np.arange(n), np.arange(2 * n) / 2
        basis, new = (np.concatenate([np.cos(waves[:, None] * x), np.sin(waves[1:, None] * x)]).T for x in (at, fine))
        step = new @ np.linalg.pinv(basis, rcond=1e-6)
        results = np.moveaxis(np.moveaxis(results, axis, -1) @ step.T, -1, axis)
    return results.astype(np.complex64)


def test_a_method_that_invents_what_lies_between_is_replaced_and_said_so():
    matrix = noisy(smooth_matrix((14, 13, 1), empty=0), SIGMA)
    with pytest.warns(UserWarning, match=r"through_samples is off by .* so spline takes its place; without the check"):
        solution = mj.restore(matrix, Upsample(2, "stride"), method=through_samples, noise_std=SIGMA * UNIT)
    trial, spline = (
        solution.stats.trial,
        mj.restore(matrix, Upsample(2, "stride"), method="spline", noise_std=SIGMA * UNIT),
    )
    np.testing.assert_array_equal(solution.value.values, spline.value.values)
    assert trial.replaced and (trial.method, trial.stand_in) == ("through_samples", "spline")
    assert trial.hidden == 14 * 13 - 7 * 7
    assert trial.errors[0] > 2 * trial.errors[1] and np.all(solution.stats.method == "spline")
    assert trial.text() in solution.value.header.restoration and spline.stats.trial is None


def test_without_the_trial_it_would_have_been_believed():
    matrix = noisy(smooth_matrix((14, 13, 1), empty=0), SIGMA)
    for task, trust in ((Untried(2, "stride"), True), (Upsample(2, "stride"), False)):
        solution = mj.restore(matrix, task, method=through_samples, noise_std=SIGMA * UNIT, trust=trust)
        assert np.all(solution.stats.method == "through_samples") and solution.stats.trial is None


def test_a_better_method_is_used_as_it_was():
    matrix = noisy(smooth_matrix((16, 14, 2), empty=0), SIGMA)
    tried, untried = (
        mj.restore(matrix, task(2, "stride"), method=exact, noise_std=SIGMA * UNIT) for task in (Upsample, Untried)
    )
    trial = tried.stats.trial
    assert not trial.replaced and trial.errors[0] < 0.8 * trial.errors[1]
    assert "takes its place" not in trial.text() and trial.text() in tried.value.header.restoration
    np.testing.assert_array_equal(tried.value.values, untried.value.values)


def test_block_means_are_averaged_and_less_noisy():
    told = []

    def nearest(rows, known, inside, sigma):
        told.append((rows.shape, np.array(sigma)))
        return np.repeat(np.repeat(rows, 2, axis=1), 2, axis=2)

    matrix = noisy(smooth_matrix((12, 9, 1), empty=0), SIGMA)
    with pytest.warns(UserWarning, match="takes its place"):
        solution = mj.restore(matrix, Upsample(2, "box"), method=nearest, noise_std=SIGMA * UNIT)
    trial = solution.stats.trial
    assert (trial.method, trial.stand_in) == ("nearest", "bicubic") and trial.hidden == 8 * 12
    assert len(told) == 1 and told[0][0] == (24, 4, 6)
    peak = np.abs(np.asarray(matrix.rows())).max(axis=1)
    np.testing.assert_allclose(told[0][1], SIGMA * UNIT / peak / 2, rtol=1e-4)
    alone = mj.restore(matrix, Upsample(2, "box"), method="bicubic", noise_std=SIGMA * UNIT)
    np.testing.assert_array_equal(solution.value.values, alone.value.values)


def test_errors_are_those_of_the_hidden_voxels():
    matrix = smooth_matrix((13, 10, 1), empty=0)
    trial = mj.restore(matrix, Upsample(2, "stride"), method=exact, noise_std=SIGMA * UNIT).stats.trial
    images = np.asarray(matrix.images()).reshape(24, 10, 13)
    images = images / np.abs(images).max((1, 2), keepdims=True)
    hidden = np.ones((10, 13), bool)
    hidden[::2, ::2] = False
    for upsample, found in (
        (lambda x, n: exact(x, None, None, None), trial.errors[0]),
        (spline_upsample, trial.errors[1]),
    ):
        guess = np.asarray(upsample(images[:, ::2, ::2], 2))[:, :10, :13]
        want = np.linalg.norm((guess - images)[:, hidden], axis=1) / np.linalg.norm(images[:, hidden], axis=1)
        assert found == pytest.approx(np.exp(np.log(want).mean()), rel=1e-3)


def test_a_method_that_is_hardly_behind_is_kept_and_one_that_is_further_is_not():
    matrix = smooth_matrix((13, 10, 1), empty=0)

    def worse(factor):
        def method(rows, known, inside, sigma):
            spline, hidden = np.asarray(spline_upsample(rows, 2)), np.asarray(spline_upsample(np.abs(rows), 2))
            return spline + factor * (hidden - spline)

        return method

    kept = [worse(0.001), worse(0.3)]
    trials = []
    for method in kept:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            trials.append(mj.restore(matrix, Upsample(2, "stride"), method=method, noise_std=SIGMA * UNIT).stats.trial)
    behind = [20 * np.log10(trial.errors[0] / trial.errors[1]) for trial in trials]
    assert behind[0] < 0.5 < behind[1] and [trial.replaced for trial in trials] == [False, True]


def test_what_a_trial_is_given():
    rows = np.random.default_rng(0).normal(size=(2, 11, 17)).astype(np.complex64)
    sigma = np.array([0.1, 0.2])
    stride, box = (Upsample(2, sampling).trial(rows, sigma) for sampling in ("stride", "box"))
    np.testing.assert_array_equal(stride.rows, rows[:, ::2, ::2])
    np.testing.assert_array_equal(stride.sigma, sigma)
    assert np.count_nonzero(~stride.hidden) == 6 * 9 and not stride.hidden[::2, ::2].any()
    np.testing.assert_allclose(box.rows, degrade(rows[:, :10, :16], 2), rtol=1e-6)
    np.testing.assert_allclose(box.sigma, sigma / 2)
    assert box.hidden[:10, :16].all() and not box.hidden[10:].any() and not box.hidden[:, 16:].any()
    assert Upsample(4, "stride").trial(rows, sigma) is None and Upsample(4, "box").trial(rows[:, :, :16], sigma) is None
    assert Upsample(2, "stride").trial(rows[:, :7], sigma) is not None
    assert Upsample(2, "box").trial(rows[:, :7], sigma) is None and mj.Denoise().trial(rows, sigma) is None


def test_a_method_that_fails_is_not_chosen():
    matrix = smooth_matrix((12, 10, 1), empty=0)
    with pytest.warns(UserWarning, match="spline takes its place"):
        solution = mj.restore(
            matrix,
            Upsample(2, "stride"),
            method=lambda rows, known, inside, sigma: np.full(
                (len(rows), 2 * rows.shape[1], 2 * rows.shape[2]), np.nan + 0j
            ),
            noise_std=SIGMA * UNIT,
        )
    assert np.isfinite(np.asarray(solution.value.values)).all()


def test_on_grids_that_are_too_small_weights_that_ship_give_way_and_named_methods_do_not():
    matrix = smooth_matrix((6, 7, 1), empty=0)
    with pytest.warns(
        UserWarning, match="too small to hide measured voxels .* upsample_2d .* so spline takes its place"
    ):
        solution = mj.restore(matrix, "upsample", noise_std=SIGMA * UNIT)
    assert solution.stats.trial.errors is None and np.all(solution.stats.method == "spline")
    named = mj.restore(matrix, Upsample(2, "stride"), method=through_samples, noise_std=SIGMA * UNIT)
    assert not named.stats.trial.replaced and "too small" in named.value.header.restoration
    assert np.any(named.stats.method == "through_samples")


def test_rows_of_noise_alone_are_not_tried():
    matrix = noisy(smooth_matrix((12, 10, 1), empty=0), 1e-3)
    solution = mj.restore(matrix, Upsample(2, "stride"), method=through_samples, noise_std=10 * UNIT)
    assert solution.stats.trial is None and not solution.stats.trusted.any()


def test_the_command_says_it(capsys, tmp_path, monkeypatch):
    mj.io.write_system_matrix(tmp_path / "a.mdf", smooth_matrix((6, 7, 1), empty=0))
    arguments = ["restore", tmp_path / "a.mdf", "-o", tmp_path / "b.mdf", "--task", "upsample", "--no-draw"]
    monkeypatch.setattr("sys.argv", ["mpijax", *map(str, arguments), "--noise-std", str(SIGMA * UNIT)])
    cli.main()
    said = capsys.readouterr()
    assert said.err.count("so spline takes its place") == 1 and "takes its place" not in said.out
    assert "so spline takes its place" in mj.io.read_system_matrix(tmp_path / "b.mdf").header.restoration
