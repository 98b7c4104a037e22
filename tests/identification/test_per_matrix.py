"""One particle per matrix: what is found, what it is sure of, and how its rows are used."""

import re
from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax.identification.per_matrix import MissingFactsError, facts_of, identify_rows, told
from mpijax.identification.per_matrix.identify import NoParticleError
from mpijax.identification.per_matrix.match import Rows, imperfect, n_coil_numbers
from mpijax.identification.per_matrix.numbers import names_of
from mpijax.identification.per_matrix.rows import STEP_POINTS, Physics, value_and_slopes
from mpijax.identification.per_matrix.starts import dictionary
from mpijax.identification.problem import FITTED_TEXT
from mpijax.restoration.apply import _cautious
from mpijax.restoration.guided import NotIdentifiedError, identified_rows
from mpijax.restoration.guides import Estimator
from mpijax.restoration.noise import RowNoise
from mpijax.restoration.record import recorded

pytestmark = pytest.mark.usefixtures("optimized")

GRID = mj.Grid.create((10, 9, 1), (24e-3, 22e-3, 1e-3))
SEQUENCE = mj.LissajousSequence.create(amplitude=(10e-3, 11e-3, 0.0), active=(True, True, False))
PARTICLE = mj.Particle.create(21e-9, anisotropy_constant=3e3, spatial_modulation=0.7)
BINS = np.arange(3, 60, 3)
NOISE = 0.1


def scanner(gradient=(-0.9, -1.1, 2.0), turn=0.0, shift=(0.0, 0.0)):
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = np.diag(gradient) @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
    offset = np.diag(gradient) @ np.array([*shift, 0.0])
    return (
        mj.system.Scanner.create(gradient=np.diag(gradient))
        if turn == 0 and not any(shift)
        else replace(mj.system.Scanner.create(gradient=np.diag(gradient)), gradient=matrix, offset_field=offset)
    )


def measured(true_scanner, said=None, particle=PARTICLE, noise=NOISE):
    """Clean rows (m, n) of peak one, and the noisy matrix that its file describes."""
    matrix = mj.simulate_system_matrix(true_scanner, SEQUENCE, particle, GRID, BINS)
    rows = np.asarray(matrix.rows())
    peak = np.abs(rows).max(axis=1)
    kept = peak > 1e-2 * peak.max()
    clean = np.where(kept[:, None], rows / np.where(kept, peak, 1)[:, None], 0)
    rng = np.random.default_rng(3)
    drawn = rng.standard_normal((2, *rows.shape)) * noise / np.sqrt(2)
    noisy = np.where(kept[:, None], clean + drawn[0] + 1j * drawn[1], 0).astype(np.complex64)
    mask = kept.reshape(np.asarray(matrix.values).shape[:2])
    given = mj.SystemMatrix.create(
        noisy.reshape(matrix.values.shape), matrix.frequencies, GRID, frequency_indices=BINS,
        scanner=true_scanner if said is None else said, sequence=SEQUENCE, row_mask=mask,
    )  # fmt: skip
    return clean[kept], given


def psnr(estimate, clean):
    return float(np.mean(-10 * np.log10(np.mean(np.abs(estimate - clean) ** 2, axis=1))))


@pytest.fixture(scope="module", autouse=True)
def parts_of_one_size():
    """Short and long searches simulate parts of as many positions: their programs are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STEP_POINTS, False, 64)
        yield


@pytest.fixture(scope="module")
def wrong_file():
    """A file whose gradients are 4 % off, turned by 2 degrees and shifted by 0.6 mm."""
    clean, matrix = measured(scanner((-0.936, -1.056, 1.992), np.deg2rad(2.0), (0.6e-3, -0.4e-3)), scanner())
    facts, coil, bins = facts_of(matrix)
    rows = np.asarray(matrix.rows())
    sigma = np.full(len(rows), NOISE)
    found = identify_rows(facts, rows, np.ones(GRID.size, bool), sigma, coil, bins, dynamics="equilibrium")
    return clean, rows, sigma, coil, bins, found


@pytest.mark.parametrize(("fluid", "relaxes"), [(True, False), (False, False), (True, True)])
def test_slopes_are_those_of_finite_differences(fluid, relaxes):
    facts, physics = told(scanner(), SEQUENCE, GRID), Physics.neel() if relaxes else Physics.equilibrium()
    names = names_of(facts, relaxes)
    kind = [each for each in dictionary() if bool(each.fluid) is fluid]
    start = max(kind, key=lambda each: float(each.anisotropy_constant))
    points, bins = facts.points[:12], BINS
    t = 0.3 * np.random.default_rng(0).standard_normal(len(names))
    value, slopes = value_and_slopes(t, facts, start, points, bins, physics, names)
    chosen = ["core_diameter", "spatial_modulation" if fluid else "easy_axis_1", "shift_x", "turn_z", "field_4"]
    for name in chosen + (["time_scale"] if relaxes else ["amplitude_y"]):
        step = np.zeros(len(names))
        step[names.index(name)] = 0.03
        ends = [
            value_and_slopes(t + s, facts, start, points, bins, physics, names, slopes=False)[0] for s in (step, -step)
        ]
        expected = (ends[0] - ends[1]) / 0.06
        error = np.linalg.norm(slopes[names.index(name)] - expected)
        assert error < 0.01 * np.linalg.norm(expected) + 1e-5 * np.linalg.norm(value), name


def test_numbers_are_those_of_the_axes_in_use():
    assert "turn_z" in names_of(told(scanner(), SEQUENCE, GRID), False)
    assert not {"shift_z", "turn_x", "amplitude_z", "time_scale"} & set(
        names_of(told(scanner(), SEQUENCE, GRID), False)
    )


def test_derivatives_of_coils_are_those_of_finite_differences():
    rng = np.random.default_rng(1)

    def draw(*shape):
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    signals, slopes = draw(3, 4, 6), draw(2, 3, 4, 6)
    unit = rng.uniform(-1, 1, (2, 6))
    coil, bins = np.array([0, 1, 2, 1]), np.array([5, 6, 7, 8])
    rows = Rows.of(np.zeros((4, 6), complex), np.ones(6, bool), np.ones(4), coil, bins, unit)
    numbers = rng.standard_normal(n_coil_numbers(3, 2))
    _, derived = imperfect(signals, slopes, numbers, rows)
    for i in range(len(numbers)):
        step = np.zeros(len(numbers))
        step[i] = 1e-4
        ends = [imperfect(signals, slopes, numbers + s, rows)[0] for s in (step, -step)]
        np.testing.assert_allclose(derived[2 + i], (ends[0] - ends[1]) / 2e-4, atol=1e-6)


def test_a_wrong_file_is_found_out_and_its_rows_are_restored(wrong_file):
    clean, rows, sigma, coil, bins, found = wrong_file
    assert 0.9 < found.chi2 < 1.15
    off = found.off
    assert abs(np.rad2deg(off["turn_z"]) - 2.0) < 0.5
    assert abs(off["shift_x"] - 0.6e-3) < 0.15e-3 and abs(off["shift_y"] + 0.4e-3) < 0.15e-3
    guides = found.guides(coil, bins, found.told.points)
    estimator = Estimator.learned(guides, guides, rows, np.ones(GRID.size, bool), sigma)
    restored, _ = estimator.estimate(np.arange(len(rows)), rows, np.ones(GRID.size, bool), sigma)
    assert psnr(restored, clean) > psnr(rows, clean) + 14
    assert "turn" not in found.describe() and "rotation about z" in found.describe()


def test_what_is_within_two_errors_of_zero_is_not_found(wrong_file):
    *_, found = wrong_file
    text, split = found.describe(), len(found.names)
    assert "gradient along" not in text and "drive amplitude" not in text  # which are right in the file
    assert "coils     no change of sensitivity found, no cross talk found" in text
    numbers = np.array(found.numbers)
    numbers[split:] = 0
    numbers[-1] = -3.0  # of a prior of 10 %
    heard = replace(found, numbers=numbers).describe()
    assert re.search(r"coils     no change .* hears up to 30.0% \+- [\d.]+% of the others' components", heard), heard
    numbers[split], numbers[-1] = 1.5, 0
    assert re.search(
        r"up to 30.0% \+- [\d.]+% from the .*, no cross talk found", replace(found, numbers=numbers).describe()
    )
    numbers[:] = 0
    nothing = replace(found, numbers=numbers).describe()
    assert "file      nothing found that is off" in nothing and "field     no terms found" in nothing
    unsure = replace(found, chi2=2.0).describe()  # without errors all is named
    assert "drive amplitude along x" in unsure and "no cross talk" not in unsure and "+-" not in unsure


def test_a_field_beyond_which_the_anisotropy_grows_no_more_does_not_put_the_file_under_suspicion(monkeypatch):
    fewer_particles(monkeypatch)
    reference = 0.7 * float(told(scanner(), SEQUENCE, GRID).reference)
    particle = mj.Particle.create(21e-9, anisotropy_constant=3e3, spatial_modulation=0.7, reference_field=reference)
    _, matrix = measured(scanner(), particle=particle, noise=0.01)
    facts, coil, bins = facts_of(matrix)
    rows = np.asarray(matrix.rows())
    sigma = np.full(len(rows), 0.01)
    found = identify_rows(facts, rows, np.ones(GRID.size, bool), sigma, coil, bins, dynamics="equilibrium")
    assert found.chi2 < 1.1 and found.suspects == []
    assert abs(float(found.particle.reference_field) / reference - 1) < 0.1
    assert abs(found.off["amplitude_x"]) < 0.03 and abs(found.off["gradient_x"]) < 0.03
    assert " mT and above" in found.describe()


def test_where_the_fit_explains_the_rows_only_a_factor_is_left(wrong_file):
    _, rows, sigma, coil, bins, found = wrong_file
    guides = found.guides(coil, bins, found.told.points)
    estimator = Estimator.learned(guides, guides, rows, np.ones(GRID.size, bool), sigma)
    others = np.delete(estimator.variances, [0, len(estimator.variances) // 2])
    assert np.sqrt(others).max() < 0.1


def test_rows_beyond_the_fit_are_followed_by_its_changes(wrong_file):
    _, rows, sigma, coil, bins, found = wrong_file
    guides, known = found.guides(coil, bins, found.told.points), np.ones(GRID.size, bool)
    rng = np.random.default_rng(2)
    weights = 0.6 * rng.standard_normal(len(rows))
    truth = guides.rows + weights[:, None] * guides.changes[0]
    truth = truth / np.abs(truth).max(axis=1, keepdims=True)
    drawn = rng.standard_normal((2, *truth.shape)) * NOISE / np.sqrt(2)
    noisy = truth + drawn[0] + 1j * drawn[1]
    estimator = Estimator.learned(guides, guides, noisy, known, sigma)
    restored, seen = estimator.estimate(np.arange(len(rows)), noisy, known, sigma)
    assert psnr(restored, truth) > psnr(estimator.fine[:, 0], truth) + 3
    np.testing.assert_array_equal(restored, seen)


def test_a_file_without_facts_is_named():
    _, matrix = measured(scanner())
    with pytest.raises(MissingFactsError, match="drive amplitudes and dividers"):
        facts_of(replace(matrix, sequence=None))
    with pytest.raises(MissingFactsError, match="gradient"):
        facts_of(replace(matrix, scanner=None))
    two = replace(matrix, values=np.asarray(matrix.values)[:2], row_mask=None)
    with pytest.raises(
        MissingFactsError, match=r"2 channels, three coils .* the field /acquisition/receiver/_channels"
    ):
        facts_of(two)
    facts_of(replace(two, channel_numbers=(0, 1)))


def test_restore_takes_the_fitted_rows_and_a_fit_refuses_them(monkeypatch):
    fewer_particles(monkeypatch)
    clean, matrix = measured(scanner())
    sigma = np.full(len(clean), NOISE)
    alone = mj.restore(matrix, "denoise", noise_std=sigma, identify=False)
    together = mj.restore(matrix, "denoise", noise_std=sigma, identify="equilibrium")
    gain = psnr(np.asarray(together.value.rows()), clean) - psnr(np.asarray(alone.value.rows()), clean)
    assert gain > 5 and "fitted" in set(together.stats.method)
    assert alone.stats.identified is None and together.stats.identified.chi2 < 1.15
    assert "one particle fitted to the whole matrix" in together.value.header.restoration
    with pytest.raises(ValueError, match="as it was measured"):
        mj.fit(together.value)


def fewer_particles(monkeypatch):
    """Every fourth one of the dictionary, of either kind."""
    monkeypatch.setattr("mpijax.identification.per_matrix.identify.dictionary", lambda: dictionary()[::4])


def one_start_of_a_kind(monkeypatch):
    """The best of the whole dictionary: a fit from a bad start would be doubted for another reason."""
    for name in ("FLUID_STARTS", "IMMOBILIZED_STARTS", "FINALISTS"):
        monkeypatch.setattr(f"mpijax.identification.per_matrix.identify.{name}", 1)


def test_rows_of_two_tracers_are_doubted_and_no_fact_is_called_suspect(monkeypatch):
    one_start_of_a_kind(monkeypatch)
    _, one = measured(scanner(), noise=0.03)
    _, other = measured(
        scanner(), particle=mj.Particle.create(16e-9, anisotropy_constant=6e3, easy_axis=(1, 1, 0)), noise=0.03
    )
    both = np.asarray(one.row_mask) & np.asarray(other.row_mask)
    values = np.where((np.arange(len(BINS)) % 2 == 0)[:, None], one.values, other.values)
    facts, coil, bins = facts_of(replace(one, values=values, row_mask=both))
    rows = np.asarray(replace(one, values=values, row_mask=both).rows())
    sigma = np.full(len(rows), 0.03)
    found = identify_rows(facts, rows, np.ones(GRID.size, bool), sigma, coil, bins, dynamics="equilibrium")
    assert found.chi2 > 2 and found.suspects == []
    text = found.describe()
    assert text.startswith("doubt") and "several tracers" in text and "+-" not in text


def test_what_chi2_says_is_said_on_both_sides(wrong_file):
    *_, found = wrong_file
    deviation = found.freedom**-0.5
    assert deviation < 0.03 and "strained" not in found.describe() and "overstated" not in found.describe()
    assert re.search(
        r"field     bent: .* up to [\d.]+% \+- [\d.]+% of the gradient's field at the farthest", found.describe()
    )
    strained = replace(found, chi2=1.15).describe()
    assert f"chi^2 is {0.15 / deviation:.0f} standard deviations above one" in strained and "second tracer" in strained
    overstated = replace(found, chi2=0.25).describe()
    assert "noise     overstated by a factor of about 2:" in overstated and "+-" not in overstated
    few = replace(found, chi2=1.15, freedom=50.0).describe()  # of so few nothing can be said
    assert "strained" not in few


def test_a_matrix_that_a_fit_restored_is_not_identified_again():
    _, matrix = measured(scanner())
    again = recorded(matrix, f"denoised by fitted {FITTED_TEXT}")
    sigma = np.full(len(np.asarray(again.rows())), NOISE)
    known = np.ones(GRID.size, bool)
    with pytest.raises(NotIdentifiedError, match="another fit would find again; take the measured one"):
        identified_rows(again, mj.Denoise(), np.asarray(again.rows()), known, sigma, dynamics="auto", progress=print)


def test_where_no_particle_can_be_simulated_nothing_is_identified(monkeypatch):
    _, matrix = measured(scanner())

    def nothing(*_, **__):
        raise NoParticleError("in equilibrium")

    monkeypatch.setattr("mpijax.restoration.guided.identify_rows", nothing)
    sigma, known = np.full(len(np.asarray(matrix.rows())), NOISE), np.ones(GRID.size, bool)
    with pytest.raises(NotIdentifiedError, match="no particle of the dictionary can be simulated in equilibrium"):
        identified_rows(matrix, mj.Denoise(), np.asarray(matrix.rows()), known, sigma, dynamics="auto", progress=print)


def test_an_identification_that_cannot_be_asked_for_is_named():
    _, matrix = measured(scanner())
    with pytest.raises(ValueError, match="identify = 'nonsense'; allowed: 'auto', 'equilibrium', 'neel'"):
        mj.restore(matrix, "denoise", noise_std=1.0, identify="nonsense")


def test_a_row_that_thinks_itself_clean_does_not_rule_the_fit():
    sigma = np.full(9, 0.1)
    sigma[2] = 0.01
    cautious = _cautious(RowNoise(sigma, "", from_rows=True), np.ones(9))
    assert cautious[2] == pytest.approx(0.05) and cautious[0] == 0.1
    frames = _cautious(RowNoise(sigma, "", 30), np.ones(9))
    np.testing.assert_allclose(frames, sigma * np.sqrt(31 / 30 * 29 / 28))


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_with_a_wrong_sigma_no_fitted_row_is_believed(wrong, monkeypatch):
    one_start_of_a_kind(monkeypatch)
    clean, matrix = measured(scanner())
    sigma = np.full(len(clean), wrong * NOISE)
    try:
        methods = mj.restore(matrix, "denoise", noise_std=sigma, identify="equilibrium").stats.method
    except ValueError as error:
        assert "no row would change" in str(error)
    else:
        assert not {"fitted", "fitted + wiener"} & set(methods)


def test_restore_says_why_it_did_not_identify():
    clean, matrix = measured(scanner())
    bare = replace(matrix, sequence=None)
    solution = mj.restore(bare, "denoise", noise_std=np.full(len(clean), NOISE))
    assert solution.stats.identified is None and "dividers" in solution.stats.identification
