import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import reality_gap
from experiments.support import reality_parallel as parallel
from experiments.support import reality_sets as stored
from experiments.support.reality_families import BY_NAME, FAMILIES, MEASURED, TrueField
from experiments.support.reality_scores import background, problems, with_background
from experiments.support.reality_truths import check, told_rows, true_rows
from mpijax.physics.dynamics.full import full_moment
from mpijax.physics.dynamics.neel import neel_moment
from mpijax.physics.dynamics.stored import neel_table

PERIOD, SAMPLES = 652.8e-6, 1632


@pytest.fixture(scope="module")
def small():
    """The smallest matrix of the test half: equilibrium and with a transfer function, some bins."""
    index = min(range(8), key=lambda i: np.prod(BY_NAME["equilibrium"].draw("test", i)[1].told.extent))
    cases = {name: BY_NAME[name].draw("test", index)[1] for name in ("equilibrium", "transfer", "file", "coils")}
    return cases, np.array([14, 16, 17, 33, 48])


def test_held_out_families_and_controls_are_marked():
    assert [family.name for family in FAMILIES if family.held_out] == ["both", "pairs"]
    assert [family.name for family in FAMILIES if family.in_model] == ["equilibrium", "transfer", "file"]
    assert all(family.half == 8 for family in FAMILIES if family.dimensions == 2)


def test_halves_have_other_draws_and_families_share_theirs():
    first = [
        BY_NAME[name].draw(half, 0)[0]
        for name, half in (("equilibrium", "test"), ("coils", "test"), ("coils", "development"))
    ]
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.any(first[1] == first[2])


def test_a_transfer_function_multiplies_rows_and_nothing_else(small):
    cases, bins = small
    plain, _ = true_rows(cases["equilibrium"], bins, False)
    turned, _ = true_rows(cases["transfer"], bins, False)
    factor = turned[:2] / plain[:2]
    np.testing.assert_allclose(factor, np.broadcast_to(factor[..., :1], factor.shape), rtol=1e-6)
    assert np.ptp(np.abs(factor[..., 0])) > 0.1


def test_equilibrium_is_what_the_file_tells_and_a_wrong_file_is_not(small):
    cases, bins = small
    for name, same in (("equilibrium", True), ("file", False)):
        true, told = true_rows(cases[name], bins, False)[0][:2], told_rows(cases[name], bins)[:2]
        assert (np.linalg.norm(true - told) < 1e-9 * np.linalg.norm(true)) == same


def test_rows_agree_with_a_quadrature(small):
    cases, bins = small
    rows, _ = true_rows(cases["coils"], bins, False)
    channel = np.zeros(len(bins), int)
    assert check(cases["coils"], rows[0], channel, bins, np.array([3, 40])) < 1e-9


def test_every_second_voxel_of_fine_rows_is_one_of_the_file(small):
    cases, bins = small
    coarse, (nx, ny, _) = true_rows(cases["coils"], bins, False)
    fine, extent = true_rows(cases["coils"], bins, True)
    assert tuple(extent) == (2 * nx, 2 * ny, 1)
    found = fine.reshape(3, len(bins), 2 * ny, 2 * nx)[..., ::2, ::2].reshape(coarse.shape)
    np.testing.assert_allclose(found, coarse, atol=1e-9 * np.abs(coarse).max())


def test_the_measured_field_has_neither_curl_nor_divergence():
    field = TrueField(np.diag([1.0, 1.5, -2.5]), MEASURED, 0.02, np.eye(3), np.zeros(3))
    step, points = 1e-5, np.array([[0.004, -0.007, 0.003]])
    jacobian = np.stack(
        [(field.field(points + step * e) - field.field(points - step * e))[0] / (2 * step) for e in np.eye(3)], 1
    )
    largest = np.abs(jacobian).max()
    assert abs(np.trace(jacobian)) < 2e-3 * largest  # the numbers stand with three digits
    assert np.abs(jacobian - jacobian.T).max() < 2e-3 * largest
    assert np.abs(jacobian - np.diag([1.0, 1.5, -2.5])).max() > 0.01


def test_rates_of_both_rotations_add():
    """The slow manifold with a further decay against the full equation with a renewal, which changes the moment."""
    angle = 2 * np.pi * 4 / PERIOD
    static, drive = np.array([[0.3, 0.2, 0.5]]), np.array([1.0, 0.5, 3.0])
    beta, alpha, tau, rho = 1.0, 8.0, 2e-8, 2e-2
    field = lambda t: static + drive * np.cos(angle * t)  # noqa: E731
    full = [
        full_moment(
            field, PERIOD, 192, alpha=alpha, tau=tau, damping=0.1, renewal=r / tau, degree=18, order=6, substeps=1
        )
        for r in (0.0, rho)
    ]
    table = neel_table(0.1)
    times = lambda x: (np.arange(192) + x) * PERIOD / 192  # noqa: E731
    wave = lambda x: jnp.asarray(drive[:, None] * np.cos(angle * times(x)), jnp.float32)  # noqa: E731
    rate = lambda x: jnp.asarray(-angle * drive[:, None] * np.sin(angle * times(x)), jnp.float32)  # noqa: E731
    for r, expected in zip((0.0, rho), full, strict=True):
        found, _ = neel_moment(
            jnp.asarray(static, jnp.float32), wave, rate, beta, jnp.asarray([alpha]), jnp.asarray([[0.0, 0.0, 1.0]]), tau, 0.1,
            PERIOD / 192, table, extra=lambda u, v, r=r: (2 * r, 0.0),
        )  # fmt: skip
        np.testing.assert_allclose(np.stack(found, -1), expected, atol=1e-2)
    assert np.abs(full[0] - full[1]).max() > 0.05


def test_delayed_waves():
    t = np.arange(SAMPLES) / SAMPLES
    wave = jnp.asarray(np.cos(2 * np.pi * 5 * t))
    np.testing.assert_allclose(parallel.delayed(wave, 0.4, 1.0), np.cos(2 * np.pi * 5 * (t + 0.4 / SAMPLES)), atol=1e-4)
    rate = parallel.delayed(wave, 0.0, 1.0, derivative=True)
    np.testing.assert_allclose(rate, -10 * np.pi * np.sin(2 * np.pi * 5 * t), atol=2e-2)


def test_a_background_has_unit_power_and_the_fitted_correlation():
    series = np.stack([background([10, 14], np.random.default_rng(i)).ravel() for i in range(400)])
    assert abs(np.mean(np.abs(series) ** 2) - 1) < 0.05
    assert abs(np.mean((series[:, 1:] * series[:, :-1].conj()).real) - 0.71) < 0.03


def test_stored_sets_are_whole_and_backgrounds_leave_the_rest_alone():
    found = stored.read_set("neel")
    assert np.bincount(found.rows.matrix).max() == stored.ROWS and len(found.rows.extents) == 16
    assert set(found.rows.matrix[found.of_half(found.rows, "test")]) == set(range(8, 16))
    (_, problem), *_ = problems(found, "denoise", "white", "test", 0)
    changed = with_background(problem, np.arange(len(problem.images)), problem.clean, 0)
    assert not np.any(changed.images[~problem.inside])
    deviation = np.abs(changed.images - problem.clean)[problem.inside]
    assert abs(np.sqrt(np.mean(deviation**2)) / 0.1 - 1) < 0.1


@pytest.mark.parametrize("damage", ["edited", "card", "missing", "unknown"])
def test_damaged_sets_are_refused_in_one_sentence(tmp_path, damage):
    for ending in ("npz", "json"):
        shutil.copy(stored.FOLDER / f"neel.{ending}", tmp_path / f"neel.{ending}")
    name, says = "neel", "checksum"
    if damage == "edited":
        content = bytearray((tmp_path / "neel.npz").read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "neel.npz").write_bytes(content)
    elif damage == "card":
        (tmp_path / "neel.json").write_text("{")
        says = "card"
    elif damage == "missing":
        (tmp_path / "neel.npz").unlink()
        says = "--make"
    else:
        name, says = "brownish", "choose from"
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        stored.read_set(name, tmp_path)


def test_every_stored_set_was_checked_by_an_independent_evaluation():
    cards = stored.read_card()
    assert set(cards) >= {family.name for family in FAMILIES if family.dimensions == 2}
    for name, card in cards.items():
        worst = max(card["check"]["relative_deviation"])
        assert worst < (1e-4 if BY_NAME[name].physics == "equilibrium" and not BY_NAME[name].members else 0.05), name


@pytest.mark.slow
def test_the_experiment_runs(tmp_path):
    config = reality_gap.Config(
        families=("equilibrium",), tasks=("denoise", "upsample"), smoke=True, run_dir=tmp_path
    )  # fmt: skip
    found = reality_gap.main(config)["families"]["equilibrium"]["denoise, white"]
    assert found["denoise_2d"]["psnr"][0] > found["Wiener"]["psnr"][0] > found["as measured"]["psnr"][0] + 3
    assert abs(found["as measured"]["psnr"][0] - 20) < 0.2
    assert "equilibrium (in model)" in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "results.json").read_text())["half"] == "test"
    assert (tmp_path / "figures" / "reality_gap.png").stat().st_size > 10_000
