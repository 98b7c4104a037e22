"""Random calibrations: the percentiles of the papers' tables, their geometry, and reproducibility."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mpijax.datasets import FieldFreeLineSet, RestorationPrior, SuperResolutionPrior, describe, z_slice
from mpijax.datasets.samplers import MixedParticle
from mpijax.physics.coils import polyline_field
from mpijax.system import Grid, Particle, coil_sensitivities
from mpijax.system.simulate import simulate_rows

N_DRAWS = 50_000
TABLE_DRAWS = 20_000
"""The tabulated percentiles are sampled themselves, from at least so many draws."""


def draw_many(prior, n=N_DRAWS, seed=0):
    setups = jax.jit(jax.vmap(prior.draw))(jax.random.split(jax.random.key(seed), n))
    return jax.tree.map(np.asarray, setups)


@pytest.fixture(scope="module")
def plane():
    return draw_many(RestorationPrior(2))


@pytest.fixture(scope="module")
def volume():
    return draw_many(RestorationPrior(3))


def tolerance(p, n=N_DRAWS):
    """Four standard errors of a fraction p, of the draws here and of those behind the table."""
    return 4 * np.sqrt(p * (1 - p) * (1 / n + 1 / TABLE_DRAWS))


def assert_percentiles(values, table, rounding=0.0):
    """The tabulated value v of percentile p: P(x < v) <= p <= P(x <= v) within the sampling errors of both."""
    for percent, value in table.items():
        p = percent / 100
        below, upto = np.mean(values < value * (1 - rounding)), np.mean(values <= value * (1 + rounding))
        assert below - tolerance(p) <= p <= upto + tolerance(p), (percent, value, below, upto)


def assert_fractions(values, table, rounding=0.005):
    for limit, p in table.items():
        assert abs(np.mean(values <= limit) - p) <= tolerance(p) + rounding, (limit, p)


def gradients(setups):
    return np.diagonal(setups.scanner.gradient, axis1=1, axis2=2)


def test_voxels_per_axis(volume):
    voxels = volume.extent.ravel()
    assert_percentiles(voxels, {1: 7, 5: 10, 25: 18, 50: 27, 75: 38, 95: 59, 99: 74})
    assert 3 <= voxels.min() <= 5 and 95 <= voxels.max() <= 112
    # the axes of one draw share the diameter, so the standard error is that of the draws and not of the axes
    assert abs(voxels.mean() - 29.6) < 0.05 + 4 * 15.3 * np.sqrt(1 / N_DRAWS + 1 / TABLE_DRAWS)
    assert abs(voxels.std() - 15.3) < 0.05 + 4 * 15.3 * np.sqrt(1 / N_DRAWS + 1 / TABLE_DRAWS)


def test_sizes_in_2d(plane):
    assert np.all(plane.extent[:, 2] == 1)
    largest, voxels = plane.extent.max(axis=1), plane.extent.prod(axis=1)
    assert_percentiles(largest, {50: 33, 75: 46, 90: 58, 95: 66, 99: 79})
    assert_percentiles(voxels, {5: 120, 50: 728, 95: 2754, 99: 4050})
    assert_fractions(largest, {32: 0.49, 40: 0.66, 48: 0.79, 64: 0.943, 80: 0.992, 96: 0.9998})


def test_sizes_in_3d(volume):
    largest, voxels = volume.extent.max(axis=1), volume.extent.astype(np.int64).prod(axis=1)
    assert_percentiles(largest, {50: 37, 75: 50, 90: 62, 95: 69, 99: 81})
    assert_percentiles(voxels, {5: 1485, 25: 6460, 50: 20250, 75: 49300, 95: 124644, 99: 207000})
    assert_fractions(largest, {32: 0.41, 40: 0.58, 48: 0.73, 64: 0.919, 80: 0.989, 96: 0.9997}, rounding=0.006)
    mean = volume.extent.mean(axis=1)
    shares = [np.mean((mean > low) & (mean <= high)) for low, high in ((0, 12), (12, 18), (18, 24), (24, 30))]
    for share, p in zip(shares, (0.056, 0.160, 0.166, 0.165), strict=True):
        assert abs(share - p) <= tolerance(p) + 0.0005


def test_lengths(volume):
    gradient = np.abs(gradients(volume))
    drive = 2e3 * volume.sequence.amplitude[:, 0] / gradient[:, 0]
    assert_percentiles(drive, {5: 10.0, 50: 23.8, 95: 112}, rounding=0.005)
    assert_percentiles(volume.fov[:, 0] * 1e3, {5: 14.0, 50: 35.6, 95: 169}, rounding=0.005)
    assert_percentiles(volume.fov[:, 2] * 1e3, {5: 7.8, 50: 17.6, 95: 48}, rounding=0.01)
    assert_percentiles(4.16e3 / (volume.particle.beta * gradient[:, 0]), {5: 3.9, 50: 10.4, 95: 50}, rounding=0.015)
    assert_percentiles(volume.fov[:, 0] / volume.extent[:, 0] * 1e3, {5: 0.53, 50: 1.40, 95: 6.8}, rounding=0.01)


def test_anisotropy(volume):
    alpha = volume.particle.alpha
    assert_percentiles(alpha, {5: 0.96, 25: 2.0, 50: 3.6, 75: 6.6, 95: 12.8}, rounding=0.015)
    assert alpha.max() <= RestorationPrior(3).alpha_limit == pytest.approx(20.2, abs=0.05)
    assert_fractions(alpha, {5: 1 - 0.36, 7.5: 1 - 0.20, 10: 1 - 0.11})
    assert abs(volume.particle.fluid.mean() - 0.5) < 4 * 0.5 / np.sqrt(N_DRAWS)


def test_distributions(volume):
    """Kolmogorov-Smirnov against the table's distributions; a fixed key, so a fixed outcome."""
    particle, uniform = volume.particle, stats.uniform
    cases = {
        "d^3": ((particle.core_diameter * 1e9) ** 3, uniform(15**3, 25**3 - 15**3)),
        "log K": (np.log10(particle.anisotropy_constant), uniform(3, 1)),
        "q": (particle.spatial_modulation, uniform(0.3, 1.0)),
        "A_z": (volume.sequence.amplitude[:, 2] * 1e3, uniform(5, 9)),
        "G_y": (gradients(volume)[:, 1], uniform(0.1, 1.4)),
        "n_z": (particle.easy_axis[:, 2], uniform(-1, 2)),
        "phi": (np.arctan2(particle.easy_axis[:, 1], particle.easy_axis[:, 0]), uniform(-np.pi, 2 * np.pi)),
    }
    for name, (values, distribution) in cases.items():
        assert stats.kstest(values, distribution.cdf).pvalue > 1e-3, name
    np.testing.assert_allclose(np.linalg.norm(particle.easy_axis, axis=1), 1, atol=1e-6)
    second = np.einsum("ni,nj->ij", particle.easy_axis, particle.easy_axis) / N_DRAWS
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=4 / np.sqrt(N_DRAWS))


def test_geometry(volume):
    """No divergence; the driven field of view lies inside the calibrated one, wherever that is centered."""
    gradient = gradients(volume)
    assert np.all(np.abs(gradient.sum(axis=1)) < 1e-6) and np.all(gradient[:, :2] > 0)
    drive = 2 * volume.sequence.amplitude / np.abs(gradient)
    factor = volume.fov / drive
    assert factor.min() >= 1 - 1e-5 and factor.max() <= 2 + 1e-5
    assert np.all(np.abs(volume.center) <= (volume.fov - drive) / 2 + 1e-6 * volume.fov)
    beta = 474e3 * np.pi / 6 * (volume.particle.core_diameter.astype(float)) ** 3 / (1.380649e-23 * 293)
    per_width = volume.extent * 4.16 / (beta[:, None] * np.abs(gradient)) / volume.fov
    cell = 1 / (volume.fov / (4.16 / (beta[:, None] * np.abs(gradient))))  # one voxel more, from rounding up
    assert np.all(per_width >= 6.24 * (1 - 1e-4)) and np.all(per_width - cell <= 8.32 * (1 + 1e-4))


@pytest.mark.parametrize(("dimensions", "accepted", "diameter"), [(2, 0.92, None), (3, 0.25, 19.1)])
def test_acceptance(dimensions, accepted, diameter, plane, volume):
    setups = plane if dimensions == 2 else volume
    prior = RestorationPrior(dimensions)
    kept = np.asarray(jax.vmap(prior.accepts)(setups))
    assert abs(kept.mean() - accepted) <= tolerance(accepted) + 0.005
    estimate = prior.check_acceptance(jax.random.key(1))
    assert abs(estimate - kept.mean()) <= 4 * np.sqrt(accepted * (1 - accepted) * (1 / 20_000 + 1 / N_DRAWS))
    nanometers = setups.particle.core_diameter * 1e9
    assert_percentiles(nanometers, {50: 21.2}, rounding=0.0025)
    if diameter is not None:
        assert_percentiles(nanometers[kept], {50: diameter}, rounding=0.003)
        assert_percentiles(setups.extent[kept].prod(axis=1), {50: 8208}, rounding=0.01)
        mean = setups.extent[kept].mean(axis=1)
        for low, p in ((12, 0.268), (18, 0.524), (24, 0.204)):
            share = np.mean((mean > low) & (mean <= low + 6))
            assert abs(share - p) <= tolerance(p, kept.sum()) + 4 * np.sqrt(p * (1 - p) / (0.25 * TABLE_DRAWS))


def test_draw_is_a_pure_function_of_the_key():
    prior, keys = RestorationPrior(2), jax.random.split(jax.random.key(7), 4)
    eager, compiled = prior.draw(keys[1]), jax.jit(prior.draw)(keys[1])
    mapped = jax.tree.map(lambda x: x[1], jax.jit(jax.vmap(prior.draw))(keys))
    for other in (compiled, mapped):
        for a, b in zip(jax.tree.leaves(eager), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-9)
    np.testing.assert_array_equal(prior.units(keys[1]), jax.jit(prior.units)(keys[1]))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(prior.units(keys[1]), np.asarray(prior.units(keys[1]), np.float32))
        assert prior.units(keys[1]).dtype == np.float32
        np.testing.assert_array_equal(jax.jit(prior.draw)(keys[1]).extent, eager.extent)


def test_ablation_shares_everything_but_the_anisotropy():
    key = jax.random.key(3)
    kinds = ("mixed", "fluid", "langevin")
    mixed, fluid, langevin = (jax.jit(RestorationPrior(2, particles=kind).draw)(key) for kind in kinds)
    for other in (fluid, langevin):
        assert other.particle.core_diameter == mixed.particle.core_diameter
        for part in ("scanner", "sequence", "extent", "fov", "center"):
            for a, b in zip(*(jax.tree.leaves(getattr(setup, part)) for setup in (mixed, other)), strict=True):
                np.testing.assert_array_equal(a, b)
    assert langevin.particle.is_langevin and not fluid.particle.is_langevin
    assert fluid.particle.resolve().spatial_modulation == mixed.particle.spatial_modulation


def test_max_alpha_changes_the_constant_alone():
    free, capped = (draw_many(RestorationPrior(2, max_alpha=limit), 2000) for limit in (None, 5.0))
    assert capped.particle.alpha.max() <= 5 * (1 + 1e-5) < free.particle.alpha.max()
    np.testing.assert_array_equal(free.extent, capped.extent)
    np.testing.assert_array_equal(free.particle.core_diameter, capped.particle.core_diameter)
    assert capped.particle.alpha_bound == 5.0 and free.particle.alpha_bound == 21.0
    with pytest.raises(ValueError, match="max_alpha = 1 leaves no anisotropy constant"):
        RestorationPrior(2, max_alpha=1.0)


def test_draw_accepted_takes_the_first():
    prior, key = RestorationPrior(3), jax.random.key(6)
    draw = jax.jit(prior.draw_accepted, static_argnames="attempts")
    setup, found = draw(key)
    extents = np.asarray(jax.jit(jax.vmap(lambda units: prior.setup(units).extent))(prior.units(key, (256,))))
    good = np.all((extents >= 12) & (extents <= 32), axis=1)
    assert found and np.flatnonzero(good)[0] > 0
    np.testing.assert_array_equal(setup.extent, extents[np.argmax(good)])
    # attempts that are all rejected give the first draw and say so
    few, found = draw(key, attempts=1)
    assert not found and not prior.accepts(few)


def test_bad_ranges_are_refused():
    narrow = RestorationPrior(2, size_range=(90, 100))
    with pytest.raises(ValueError, match=r"size_range = \(90, 100\) accepts 0\.0\d+% of the draws in 2-D"):
        narrow.check_acceptance(jax.random.key(0))
    with pytest.raises(ValueError, match="dimensions = 4"):
        RestorationPrior(4)
    with pytest.raises(ValueError, match="core_diameter = .*allowed is 1e-09"):
        RestorationPrior(core_diameter=(15.0, 25.0))
    with pytest.raises(ValueError, match="low <= high"):
        RestorationPrior(gradient=(1.5, 0.1))
    with pytest.raises(ValueError, match="size_range"):
        RestorationPrior(size_range=(64, 8))
    with pytest.raises(ValueError, match="reduced anisotropy"):
        RestorationPrior(anisotropy_constant=(1e3, 1e5))


@pytest.mark.parametrize("fluid", [True, False])
def test_mixed_particle_is_the_chosen_one(fluid):
    axis, field = np.array([0.6, 0.0, 0.8]), np.array([[1e-3, -2e-3, 5e-3], [0.0, 0.0, 0.0], [0.0, 4e-3, 0.0]])
    mixed = MixedParticle(20e-9, 474e3, 293.0, 3500.0, axis, 0.7, fluid=np.asarray(fluid))
    kind = {"spatial_modulation": 0.7} if fluid else {"easy_axis": axis}
    plain = Particle.create(20e-9, anisotropy_constant=3500.0, **kind)
    reference = 6e-3
    found = jax.jit(lambda p, h: p.local_anisotropy(h, reference))(mixed, jnp.asarray(field))
    for a, b in zip(found, plain.local_anisotropy(jnp.asarray(field), reference), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    resolved = mixed.resolve()
    assert type(resolved) is Particle and resolved.is_homogeneous is not fluid
    assert resolved.alpha == pytest.approx(3.624, abs=1e-3)
    assert mixed.with_reference(reference).reference_field == reference
    with pytest.raises(TypeError, match="fluid is traced"):
        jax.jit(lambda p: p.resolve().beta)(mixed)


def test_one_program_simulates_both_kinds():
    """Rows of a mixed draw equal those of the particle it resolves to; one trace serves fluid and immobilized draws."""
    prior = RestorationPrior(2, voxels_per_fwhm=(0.8, 1.0), size_range=(2, 6))
    bins, traces = np.array([16, 17, 33, 65]), []

    @jax.jit
    def rows(setup):
        traces.append(None)
        return simulate_rows(setup, (6, 6, 1), bins)[0]

    seen, draw = set(), jax.jit(prior.draw_accepted)
    for seed in range(12):
        setup, found = draw(jax.random.key(seed))
        kind = bool(setup.particle.fluid)
        if kind in seen:
            continue
        seen.add(kind)
        assert found
        values = np.asarray(rows(setup)).reshape(3, 4, 6, 6)
        nx, ny, _ = (int(n) for n in setup.extent)
        resolved = jax.tree.map(np.asarray, setup)
        resolved = type(setup)(
            setup.scanner, setup.sequence, resolved.particle.resolve(), *jax.tree.leaves(resolved)[-3:]
        )
        own = np.asarray(simulate_rows(resolved, (nx, ny, 1), bins)[0]).reshape(3, 4, ny, nx)
        peak = np.abs(own).max()
        np.testing.assert_allclose(values[..., :ny, :nx], own, atol=2e-5 * peak)
        assert np.all(values[..., ny:, :] == 0) and np.all(values[..., nx:] == 0)
        assert (np.abs(own[2]).max() > 1e-4 * peak) is not kind  # in the plane, only a fixed axis leaves it
    assert seen == {True, False} and len(traces) == 1


def test_describe():
    prior = RestorationPrior(3, max_alpha=8.0)
    text = prior.describe()
    for part in ("15 to 25 nm", "5 to 14 mT along x, y, z", "1 to 10 kJ/m^3", "K V/(kB T) <= 8", "12 to 32 per axis"):
        assert part in text
    setup = jax.jit(prior.draw)(jax.random.key(0))
    text, (nx, ny, nz) = describe(setup), np.asarray(setup.extent)
    assert f"grid             {nx} x {ny} x {nz} = {nx * ny * nz} voxels" in text
    assert f"alpha = K V/(kB T) = {float(setup.particle.alpha):.2f}" in text
    assert "field-free point at (0, 0, 0) mm" in text and "53856 samples" in text
    assert "none (Langevin)" in describe(SuperResolutionPrior(1).draw(jax.random.key(0)))


@pytest.mark.parametrize(
    ("scan", "kilohertz", "n_samples", "period", "diameter", "fov"),
    [(1, (26, 25, 27), 1000, 1e-3, 15.7e-9, 30e-3), (2, (30, 36, 39), 780, 1e-3 / 3, 25e-9, 45e-3)],
)
def test_super_resolution_scans(scan, kilohertz, n_samples, period, diameter, fov):
    prior = SuperResolutionPrior(scan)
    setup = jax.jit(prior.draw)(jax.random.key(0))
    sequence = setup.sequence
    frequencies = [sequence.base_frequency / d / 1e3 for d in sequence.dividers]
    np.testing.assert_allclose(frequencies, kilohertz, rtol=1e-12)
    np.testing.assert_allclose(np.array(sequence.cycles) / sequence.period / 1e3, kilohertz, rtol=1e-12)
    assert sequence.n_samples == n_samples and sequence.period == pytest.approx(period)
    assert float(setup.particle.core_diameter) == pytest.approx(diameter) and setup.particle.is_langevin
    np.testing.assert_allclose(setup.fov, fov, rtol=1e-6)
    assert abs(np.trace(setup.scanner.gradient)) == 0
    assert f"{kilohertz[0]}, {kilohertz[1]}, {kilohertz[2]} kHz" in prior.describe()


def test_super_resolution_coils():
    """Sensitivities at the center are what was drawn; the profile is that of a Biot-Savart sum over the loop."""
    prior = SuperResolutionPrior(2)
    keys = jax.random.split(jax.random.key(0), 200)
    many = jax.jit(jax.vmap(lambda key: prior.draw(key).scanner.receive_coils))(keys)
    center = np.stack([coil.sensitivity for coil in many], axis=1)
    assert stats.kstest(center.ravel(), stats.uniform(0.5, 0.5).cdf).pvalue > 1e-3
    coils, fov = prior.draw(keys[0]).scanner.receive_coils, 45e-3
    points = np.array([[0.0, 0.0, 0.0], [0.4, -0.3, 0.2], [0.0, 0.0, 0.5], [-0.5, 0.5, -0.5]], np.float32) * fov
    profile = np.asarray(coil_sensitivities(coils, jnp.asarray(points)))
    np.testing.assert_allclose(profile[:, 0], np.eye(3) * center[0], atol=1e-6)
    turn = np.linspace(0, 2 * np.pi, 513)
    loop = fov * np.stack([2 * np.cos(turn), 2 * np.sin(turn), np.ones_like(turn)], axis=1)
    expected = np.asarray(polyline_field(jnp.asarray(points), jnp.asarray(loop, jnp.float32)))
    np.testing.assert_allclose(profile[2] / center[0, 2], expected / expected[0, 2], atol=2e-4)
    assert profile[2, 2, 2] > profile[2, 0, 2]  # nearer to the loop, more sensitive
    with pytest.raises(ValueError, match="lead the wire through the field of view"):
        SuperResolutionPrior(radius=0.6, distance=0.2)


def test_z_slice():
    setup = SuperResolutionPrior(1).draw(jax.random.key(0))
    positions = Grid.create((32, 32, 32), setup.fov).positions.reshape(32, 32, 32, 3)
    for index in (0, 20):
        plane = z_slice(setup, index)
        np.testing.assert_array_equal(plane.extent, (32, 32, 1))
        np.testing.assert_allclose(plane.grid().positions, positions[index].reshape(-1, 3), atol=1e-9)
    traced, _ = jax.jit(lambda s, i: z_slice(s, i).positions((32, 32, 1)))(setup, 20)
    np.testing.assert_allclose(traced, positions[20].reshape(-1, 3), atol=1e-8)


def test_field_free_line_split():
    split = FieldFreeLineSet.create(jax.random.key(0))
    parts = (split.train, split.validation, split.extrapolation, split.interpolation)
    assert [len(part) for part in parts] == [66, 30, 19, 15] and len(split.test) == 34
    assert len({(item.gradient, item.core_diameter) for part in parts for item in part}) == 130
    train = np.array([(item.gradient, item.core_diameter) for item in split.train])
    edge = np.array([(item.gradient, item.core_diameter) for item in split.extrapolation])
    assert np.all((edge > train.max(axis=0)).any(axis=1))  # beyond all that is trained on, in one of the two
    inside = np.array([(item.gradient, item.core_diameter) for item in split.interpolation])
    assert np.all(inside < edge.max(axis=0))
    assert FieldFreeLineSet.create(jax.random.key(0)) == split
    assert FieldFreeLineSet.create(jax.random.key(1)).interpolation != split.interpolation
    amplitudes = [item.amplitude for item in split.train + split.extrapolation]
    np.testing.assert_allclose((min(amplitudes), max(amplitudes)), (6.4e-3, 16e-3))
    diameters = [item.core_diameter for item in split.train + split.extrapolation]
    np.testing.assert_allclose((min(diameters), max(diameters)), (14.10e-9, 33.40e-9), rtol=2e-4)
    assert "66 matrices" in split.describe() and "60 angles, harmonics 2 to 9" in split.train[0].describe()
    with pytest.raises(ValueError, match="n_interpolation = 82"):
        FieldFreeLineSet.create(jax.random.key(0), n_interpolation=82)


def test_field_free_line_item_is_one_dimensional_langevin():
    """Row (angle, harmonic) at a point is the harmonic of L(beta (G s + A sin wt)), s the distance from the line."""
    item = FieldFreeLineSet.create(jax.random.key(0)).extrapolation[-1]
    grid = Grid.create((3, 2, 1), (24e-3, 16e-3, 1e-3))
    matrix = item.simulate(grid)
    assert matrix.values.shape == (60, 8, 6)
    np.testing.assert_allclose(matrix.frequencies, 23.2e3 * np.arange(2, 10))
    np.testing.assert_allclose(np.rad2deg(matrix.angles), 3.0 * np.arange(60))
    angle, beta = item.angles[17], float(item.particle.beta)
    distance = grid.positions[:, :2] @ np.array([-np.sin(angle), np.cos(angle)])
    phase = 2 * np.pi * np.arange(256) / 256
    xi = beta * (item.gradient * distance[:, None] + item.amplitude * np.sin(phase))
    with np.errstate(divide="ignore", invalid="ignore"):
        moment = np.where(np.abs(xi) < 1e-4, xi / 3, 1 / np.tanh(xi) - 1 / xi)
    expected = (np.fft.rfft(moment, axis=1) * np.arange(129)).T[2:10]
    values = np.asarray(matrix.values[17])
    scale = np.vdot(expected, values) / np.vdot(expected, expected)
    np.testing.assert_allclose(values, scale * expected, atol=2e-5 * np.abs(values).max())
