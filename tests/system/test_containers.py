import warnings
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.system.coils import coil_sensitivities


def small_matrix(**extra):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 5, 24)) + 1j * rng.normal(size=(2, 5, 24))
    grid = mj.Grid.create((4, 3, 2), (8e-3, 6e-3, 4e-3))
    return mj.SystemMatrix.create(
        values, np.arange(5) * 1e4, grid, frequency_indices=np.arange(5), n_samples=8, **extra
    )


def test_particle_derived_values():
    particle = mj.Particle.create(20e-9, anisotropy_constant=3500.0, spatial_modulation=0.8)
    assert particle.beta == pytest.approx(490.813, rel=1e-5) and particle.alpha == pytest.approx(3.624, rel=1e-3)
    assert particle.moment == pytest.approx(1.9855e-18, rel=1e-4)
    assert float(jax.jit(lambda p: p.beta**2)(mj.Particle.create(20e-9))) == pytest.approx(490.813**2, rel=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"core_diameter": 20.0}, "20 nm is 20e-9"),
        ({"core_diameter": "20nm"}, "'20nm'; expected a number in m"),
        ({"core_diameter": None}, "None; expected a number in m"),
        ({"core_diameter": (20e-9, 25e-9)}, "core_diameter has shape"),
        ({"temperature": np.array([293.0, 300.0])}, "temperature has shape"),
        ({"anisotropy_constant": "3 kJ"}, "expected a number in J/m"),
        ({"anisotropy_constant": (1e3, 2e3), "easy_axis": (1, 0, 0)}, "anisotropy_constant has shape"),
        ({"anisotropy_constant": 1e3, "easy_axis": (1, 0)}, r"easy_axis has shape \(2,\); expected \(3,\)"),
        ({"core_diameter": float("nan")}, "core_diameter"),
        ({"temperature": -3.0}, "kelvin"),
        ({"anisotropy_constant": 100.0}, "without an axis"),
        ({"easy_axis": (1, 0, 0)}, "anisotropy_constant is 0"),
        (
            {"anisotropy_constant": 1e3, "easy_axis": (1, 0, 0), "spatial_modulation": 1.0},
            "either immobilized or fluid",
        ),
        ({"anisotropy_constant": 1e3, "easy_axis": (0, 0, 0)}, "other than zero"),
        ({"anisotropy_constant": 3.5, "easy_axis": (0, 0, 1)}, "3.5 kJ/m\\^3 is 3500"),
        ({"anisotropy_constant": 3.5e4, "core_diameter": 40e-9, "easy_axis": (0, 0, 1)}, "at most 50"),
        ({"anisotropy_constant": 3e3, "spatial_modulation": -1.0}, "spatial_modulation"),
        ({"size_spread": 2.0}, "standard deviation of ln d"),
        ({"reference_field": 12e-3}, "only fluid particles"),
        (
            {"anisotropy_constant": 3e3, "spatial_modulation": 1.0, "reference_field": 12.0},
            "12 mT is 12e-3",
        ),
    ],
)
def test_bad_particles(options, message):
    with pytest.raises(ValueError, match=message):
        mj.Particle.create(**options)


def test_grid_positions_and_images():
    grid = mj.Grid.create((4, 3, 1), (8e-3, 6e-3, 1e-3), (1e-3, 0, 0))
    image = grid.to_image(np.asarray(grid.positions)[:, 0])
    assert image.shape == (1, 3, 4)
    np.testing.assert_allclose(image[0, 1], np.array([-2, 0, 2, 4]) * 1e-3, atol=1e-18)  # x fastest, cell-centered
    np.testing.assert_allclose(grid.to_image(np.asarray(grid.positions)[:, 1])[0, :, 2], [-2e-3, 0, 2e-3], atol=1e-18)
    np.testing.assert_allclose(np.asarray(grid.positions)[:, 2], 0)  # one voxel sits at the center
    assert grid.voxel_volume == pytest.approx(4e-9) and grid.coarsen((2, 3, 1)).shape == (2, 1, 1)
    fine = np.asarray(grid.refine((3, 3, 1)).positions)[:, 0].reshape(-1, 4, 3)
    np.testing.assert_allclose(fine.mean(2)[0], image[0, 0], atol=1e-15)  # sub-voxels average to the voxel's center


def coil(radius=0.04, center=(0.0, 0.0, 0.05), normal=(0.0, 0.0, 1.0)):
    return mj.LoopCoil(radius, np.array(center), np.array(normal))


def coils(coil):
    return mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=(coil,))


def test_a_list_of_coils_is_a_tuple_of_coils():
    assert isinstance(mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=[coil(), coil()]).receive_coils, tuple)
    traced = jax.jit(lambda radius: coil_sensitivities(coils(coil(radius)).receive_coils, jnp.zeros((1, 3))))
    assert np.all(np.isfinite(traced(0.04)))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: mj.Grid.create((4, 3), (1, 1, 1)), "three positive"),
        (lambda: mj.Grid.create((4, 0, 1), (1, 1, 1)), "three positive"),
        (lambda: mj.Grid.create((4, 4, 1), (30, 30, 1)), "meters"),
        (lambda: mj.Grid.create((4, 4, 1), (30e-3, 30e-3, 0)), "meters"),
        (lambda: mj.Grid.create((4, 4, 1), (1e-3, 1e-3, 1e-3)).to_image(np.zeros(15)), "15 voxels"),
        (lambda: mj.Grid.create((4, 4, 1), (1e-3, 1e-3, 1e-3)).coarsen((3, 1, 1)), "do not divide"),
        (lambda: mj.Scanner.create((1.0, 1.0, 1.0)), "zero divergence"),
        (lambda: mj.Scanner.create((-0.1, -1.0, 2.0)), "zero divergence"),
        (lambda: mj.Scanner.create((1.0, np.nan, -2.0)), "NaN"),
        (lambda: mj.Scanner.create((1.0, 1.0)), "shape"),
        (lambda: mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=np.ones(3)), "sensitivities"),
        (lambda: mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=[[1, np.nan, 0]]), "receive_coils has 1 of 3"),
        (lambda: mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=()), "at least one channel"),
        (lambda: mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=coil()), r"tuple of coils, \(coil,\)"),
        (
            lambda: mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=(coil(), [1, 0, 0])),
            r"receive_coils\[1\] is a list",
        ),
        (lambda: coils(coil(radius=40.0)), "radius = 40.0 m"),
        (lambda: coils(coil(center=(0, 0))), r"center has shape \(2,\)"),
        (lambda: coils(coil(normal=(0, 0, 0))), "other than zero"),
        (lambda: coils(mj.PolylineCoil(np.zeros((1, 3)))), "at least one segment"),
        (lambda: coils(mj.PolylineCoil(np.full((4, 3), 40.0))), "Lengths are in meters"),
        (lambda: coils(mj.SeriesCoil((coil(),), (1, 2))), "one number of turns per"),
        (lambda: coils(mj.SeriesCoil((coil(radius=np.nan),), (1,))), r"receive_coils\[0\].coils\[0\].radius"),
        (lambda: mj.LissajousSequence.create((12.0, 0, 0)), "12 mT is 12e-3"),
        (lambda: mj.LissajousSequence.create((1e-3, 0, 0), phase=(np.nan, 0, 0)), "phase"),
        (lambda: mj.LissajousSequence.create((1e-3, 0, 0), phase=(90.0, 0, 0)), "90 degrees is pi/2"),
        (lambda: mj.LissajousSequence.create((1e-3, 0, 0), active=(False, True, False)), "leaves out x"),
        (lambda: mj.LissajousSequence.create((0, 0, 0)), "drives no axis"),
        (lambda: mj.LissajousSequence.create((1e-3, 0, 0), waveform="triangle"), "triangle"),
        (lambda: mj.LissajousSequence.create((1e-3, 0, 0), dividers=(102, 96)), "three positive integers"),  # type: ignore
        (lambda: jax.jit(lambda a: mj.LissajousSequence.create(a).amplitude)(jnp.ones(3) * 1e-3), "give active"),
    ],
)
def test_bad_containers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sequence_facts():
    two = mj.LissajousSequence.create((12e-3, 12e-3, 0))
    assert two.cycles == (16, 17, 0) and two.n_samples == 1632
    assert two.period == pytest.approx(652.8e-6) and two.bandwidth == pytest.approx(1.25e6)
    assert len(two.frequencies) == 817 and two.frequencies[1] == pytest.approx(1531.8627)
    table = mj.LissajousSequence.create((12e-3,) * 3, dividers=(675, 702, 650), base_frequency=17.55e6, n_samples=1000)
    assert (
        table.period == pytest.approx(1e-3) and table.cycles == (26, 25, 27) and table.bandwidth == pytest.approx(5e5)
    )


def test_sequence_and_scanner_from_mdf():
    info = SimpleNamespace(
        divider=[[102], [96]], strength=[[12e-3], [0.0]], phase=[[0.2], [0.0]], waveform=("sine", "sine"), base_frequency=2.5e6,
        cycle=652.8e-6, n_samples=1632, gradient=(-1.0, -1.0, 2.1), offset_field=None,
    )  # fmt: skip
    sequence = mj.LissajousSequence.from_mdf(info)
    assert sequence.cycles == (16, 0, 0) and sequence.n_samples == 1632  # the file's cycle, 16 periods of the one drive
    with pytest.warns(UserWarning, match="trace of 4.8%"):
        scanner = mj.Scanner.from_mdf(info)
    np.testing.assert_allclose(np.diagonal(scanner.gradient), [-1, -1, 2.1])
    info.waveform = ("triangle",)
    with pytest.raises(ValueError, match="only sine"):
        mj.LissajousSequence.from_mdf(info)


def test_rows_and_selection_are_channel_major():
    snr = np.array([[1, 9, 2, 8, 3], [7, 1, 1, 6, 1.0]])
    matrix = small_matrix(snr=snr)
    kept = matrix.select(snr_threshold=5, max_frequency=3.5e4)
    np.testing.assert_array_equal(kept.frequency_indices, [0, 1, 3])
    index = kept.row_index()
    np.testing.assert_array_equal(index.channel, [0, 0, 1, 1])
    np.testing.assert_array_equal(index.frequency_index, [1, 3, 0, 3])
    np.testing.assert_array_equal(kept.rows(), matrix.values[[0, 0, 1, 1], [1, 3, 0, 3]])
    np.testing.assert_array_equal(kept.row_values(kept.snr), [9, 8, 7, 6])
    only = matrix.select(channels=[1], min_frequency=2e4)
    np.testing.assert_array_equal(only.rows(), matrix.values[1, 2:])
    twice = kept.select(min_frequency=1e4)  # a selection of a selection keeps the mask
    np.testing.assert_array_equal(twice.row_index().frequency_index, [1, 3, 3])
    restored = kept.with_rows(kept.rows() * 2)
    np.testing.assert_array_equal(restored.rows(), kept.rows() * 2)
    assert np.all(np.asarray(restored.values)[~np.asarray(kept.row_mask)] == 0)


def test_selection_by_mixing_order():
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0))
    grid = mj.Grid.create((2, 1, 1), (1e-3, 1e-3, 1e-3))
    matrix = mj.SystemMatrix.create(np.ones((1, 817, 2), complex), sequence.frequencies, grid, sequence=sequence)
    kept = matrix.select(max_mixing_order=2).frequency_indices
    np.testing.assert_array_equal(kept, [0, 1, 16, 17, 32, 33, 34])
    with pytest.raises(ValueError, match="drive sequence"):
        small_matrix().select(max_mixing_order=2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"snr_threshold": 100}, "largest SNR among the 10 rows that pass the other criteria is 9"),
        ({"min_frequency": 1e6}, "keeps no row"),
        ({"channels": [2]}, "there are channels 0, 1"),
        ({"channels": [0, 0]}, "named once"),
    ],
)
def test_bad_selections(options, message):
    with pytest.raises(ValueError, match=message):
        small_matrix(snr=np.array([[1, 9, 2, 8, 3], [7, 1, 1, 6, 1.0]])).select(**options)


def test_selection_under_jit_is_a_type_error_and_needs_snr():
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda m: m.select(snr_threshold=1).values)(small_matrix(snr=np.ones((2, 5))))
    with pytest.raises(ValueError, match="has no SNR"):
        small_matrix().select(snr_threshold=1)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"snr": np.ones((2, 4))}, "snr has shape"),
        ({"background": np.ones((3, 2, 4), complex)}, "background has shape"),
    ],
)
def test_bad_matrices(options, message):
    with pytest.raises(ValueError, match=message):
        small_matrix(**options)
    grid = mj.Grid.create((4, 3, 1), (8e-3, 6e-3, 4e-3))
    with pytest.raises(ValueError, match="24 voxels"):
        mj.SystemMatrix.create(np.ones((2, 5, 24), complex), np.arange(5.0), grid)
    with pytest.raises(ValueError, match="complex"):
        mj.SystemMatrix.create(np.ones((2, 5, 12)), np.arange(5.0), grid)


def test_crop_and_regrid_keep_positions():
    grid = mj.Grid.create((5, 4, 1), (10e-3, 8e-3, 1e-3), (1e-3, 2e-3, 0))
    position = np.asarray(grid.positions)
    ramp = (position[:, 0] + 1j * position[:, 1])[None, None]
    matrix = mj.SystemMatrix.create(ramp, np.ones(1), grid, frequency_indices=np.ones(1, int), n_samples=8)
    cropped = matrix.crop((3, 2, 1))
    np.testing.assert_allclose(cropped.values[0, 0].real, np.asarray(cropped.grid.positions)[:, 0], atol=1e-15)
    np.testing.assert_allclose(cropped.values[0, 0].imag, np.asarray(cropped.grid.positions)[:, 1], atol=1e-15)
    fine = mj.Grid.create((9, 7, 1), (8e-3 * 9 / 8, 6e-3 * 7 / 6, 1e-3), (1e-3, 2e-3, 0))
    regridded = matrix.regrid(fine)
    np.testing.assert_allclose(regridded.values[0, 0].real, np.asarray(fine.positions)[:, 0], atol=1e-15)
    np.testing.assert_allclose(regridded.values[0, 0].imag, np.asarray(fine.positions)[:, 1], atol=1e-15)
    with pytest.raises(ValueError, match="cannot crop"):
        matrix.crop((6, 4, 1))


def test_to_concentration_follows_sample_and_voxel():
    matrix = small_matrix(sample_concentration=100.0, sample_volume=4e-9)  # voxels of 8 mm^3 / .. = 8e-9 m^3
    np.testing.assert_allclose(matrix.to_concentration(np.ones(24)), 100 * 4e-9 / 8e-9)


def test_noise_has_the_complex_standard_deviation_asked_for():
    matrix = small_matrix()
    zero = matrix.with_rows(np.zeros((10, 24), np.complex64))
    sigma = np.array([[1.0] * 5, [3.0] * 5])
    noisy = mj.add_noise(zero, sigma, key=jax.random.key(0), background_frames=400)
    measured = np.sqrt(np.mean(np.abs(noisy.values) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(measured, [1, 3], rtol=0.15)
    np.testing.assert_allclose(noisy.noise_std, sigma, rtol=0.2)
    assert abs(np.mean(np.asarray(noisy.values).real * np.asarray(noisy.values).imag)) < 0.5
    again = mj.add_noise(zero, sigma, key=jax.random.key(0), background_frames=400)
    np.testing.assert_array_equal(again.values, noisy.values)


@pytest.mark.parametrize("options", [{"sigma": -1.0}, {"sigma": np.nan}, {"sigma": 1.0, "background_frames": -1}])
def test_bad_noise(options):
    with pytest.raises(ValueError, match="sigma|background_frames"):
        mj.add_noise(small_matrix(), key=jax.random.key(0), **options)


def test_lists_are_taken_for_arrays():
    grid = mj.Grid.create((2, 1, 1), (1e-3, 1e-3, 1e-3))
    matrix = mj.SystemMatrix.create([[[1j, 2.0], [3j, 4.0]]], [0.0, 1e3], grid, snr=[[1.0, 9.0]])
    np.testing.assert_array_equal(matrix.select(snr_threshold=5).rows(), [[3j, 4]])


def test_measurement_rows_follow_the_matrix():
    matrix = small_matrix(snr=np.array([[1, 9, 2, 8, 3], [7, 1, 1, 6, 1.0]])).select(snr_threshold=5)
    values = np.arange(2 * 1 * 2 * 4).reshape(2, 1, 2, 4).astype(complex)
    data = mj.Measurement.create(
        values, np.arange(4) * 1e4, frequency_indices=np.array([3, 0, 1, 2]), n_samples=8, bandwidth=4e4
    )
    np.testing.assert_array_equal(data.rows(matrix.row_index()), values[:, 0][:, [0, 0, 1, 1], [2, 0, 1, 0]])
    short = mj.Measurement.create(values[..., :2], np.arange(2) * 1e4, n_samples=8, bandwidth=4e4)
    with pytest.raises(ValueError, match="lacks 1"):
        short.rows(matrix.row_index())


def test_containers_are_pytrees():
    matrix = small_matrix(metadata={"/study/name": "x"})
    mapped = jax.tree.map(lambda x: x, matrix)
    assert mapped.n_samples == 8 and mapped.metadata["/study/name"] == "x"
    doubled = jax.jit(lambda m: jax.tree.map(lambda x: 2 * x, m))(matrix)
    np.testing.assert_allclose(doubled.values, 2 * matrix.values.astype(np.complex64), rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hash(matrix.metadata) == hash(mapped.metadata)


def test_axes_are_those_of_the_positions():
    grid = mj.Grid.create((2, 3, 4), (4e-3, 6e-3, 2e-3), (1e-3, 0.0, -2e-3))
    x, y, z = grid.axes
    z_, y_, x_ = np.meshgrid(z, y, x, indexing="ij")
    np.testing.assert_allclose(np.stack([x_, y_, z_], -1).reshape(-1, 3), grid.positions, rtol=1e-6, atol=1e-12)


def test_printed_they_say_facts_and_no_numbers():
    frequencies = np.arange(51) * 1e3
    matrix = mj.SystemMatrix.create(
        np.ones((2, 51, 12), np.complex64), frequencies, mj.Grid.create((4, 3, 1), (4e-3, 3e-3, 1e-3)),
        background=np.ones((5, 2, 51), np.complex64),
    )  # fmt: skip
    expected = "2 channels x 51 frequencies x 12 voxels, complex64, 0 to 50 kHz"
    assert repr(matrix) == f"<SystemMatrix: {expected}, grid 4 x 3 x 1, 5 background frames>"
    masked = replace(matrix, row_mask=np.arange(102).reshape(2, 51) < 60)
    assert repr(masked) == f"<SystemMatrix: {expected}, 60 rows kept, grid 4 x 3 x 1, 5 background frames>"
    data = matrix.as_measurement(np.ones((3, 1, 2, 51), np.complex64))
    assert repr(data) == "<Measurement: 3 frames x 1 periods x 2 channels x 51 frequencies, complex64, 0 to 50 kHz>"
    printed = []
    jax.jit(lambda m: printed.append(repr(m)))(matrix)
    assert "2 channels x 51 frequencies" in printed[0]
    assert "SystemMatrix of str" in repr(jax.tree.map(lambda leaf: "axis", matrix))
