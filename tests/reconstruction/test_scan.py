"""What matrix and measurement both say of fields and receiver is compared, and a common factor of the gradient is exact."""

from dataclasses import replace

import h5py
import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import Problem
from mpijax.reconstruction.scan import match_scan
from mpijax.system.facts.acquisition import acquisition, acquisition_metadata

PARTICLE = mj.Particle.create(25e-9)
GRADIENT, AMPLITUDE = (-2.0, -2.0, 4.0), (12e-3, 10e-3, 0.0)
GRID = mj.Grid.create((5, 4, 1), (10e-3, 8e-3, 1e-3), (1e-3, -0.5e-3, 0.0))
BINS = np.arange(20, 60)


def scanner(factor=1.0, offset=(0.0, 0.0, 0.0)):
    gradient = tuple(factor * g for g in GRADIENT)
    return mj.Scanner.create(gradient, offset, receive_coils=np.eye(3)[:2])


def sequence(**changes):
    return mj.LissajousSequence.create(**({"amplitude": AMPLITUDE, "n_samples": 400} | changes))


def simulated(fields=None, grid=GRID, **changes):
    volume = {"sample_volume": 8e-9}
    return mj.simulate_system_matrix(fields or scanner(), sequence(**changes), PARTICLE, grid, BINS, **volume)


def measurement(matrix, values=None, **changes):
    values = np.asarray(matrix.values) @ np.linspace(1, 2, GRID.size) if values is None else values
    facts = {"frequency_indices": BINS, "bandwidth": matrix.bandwidth, "sequence": matrix.sequence}
    return mj.Measurement.create(
        values[None, None], matrix.frequencies, **(facts | {"scanner": matrix.scanner} | changes)
    )


MATRIX = simulated()


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (2e-3, -1e-3, 0.0)])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_common_factor_of_the_gradient_divides_the_grid_exactly(factor, offset):
    matrix = simulated(scanner(offset=offset))
    data = measurement(matrix, scanner=scanner(factor, offset))
    with pytest.warns(UserWarning, match=f"gradient is {factor:g} times"):
        scaled, found = match_scan(matrix, data)
    assert found.gradient_ratio == pytest.approx(factor, rel=1e-12) and not found.differing
    there = simulated(scanner(factor, offset), scaled.grid)  # the same field at the divided positions
    np.testing.assert_allclose(there.values, matrix.values, rtol=0, atol=2e-5 * np.abs(matrix.values).max())
    np.testing.assert_allclose(scaled.grid.fov, np.asarray(GRID.fov) / factor, rtol=1e-12)
    iron = [m.to_concentration(np.ones(GRID.size)) * m.grid.voxel_volume for m in (matrix, scaled)]
    np.testing.assert_allclose(iron[1], iron[0], rtol=1e-12)  # a column keeps its amount of iron


def test_the_image_of_another_gradient_lies_on_the_divided_grid():
    data = measurement(MATRIX, scanner=scanner(0.5))
    plain = mj.reconstruction.reconstruct(MATRIX, measurement(MATRIX), regularization=1e-3)
    with pytest.warns(UserWarning, match="field of view is 20 x 16 x 2 mm and not 10 x 8 x 1 mm"):
        problem = Problem.create(MATRIX, data)
    assert np.asarray(problem.grid.fov)[0] == pytest.approx(20e-3)
    image = mj.reconstruction.solve(problem, regularization=1e-3).value
    np.testing.assert_allclose(image, np.asarray(plain.value) / 8, rtol=1e-4)


def test_a_patch_lies_where_its_position_says_under_another_gradient():
    matrix = simulated(scanner(offset=(2e-3, 0.0, 0.0)))  # field-free point at x = 1 mm
    data = measurement(matrix, scanner=scanner(0.5, (0.0, 0.0, 7e-3)))
    with pytest.warns(UserWarning, match="gradient is 0.5"):
        problem = mj.reconstruction.patch_problem(matrix, data, positions=[(5e-3, 0.0, 0.0)])
    np.testing.assert_allclose(problem.grid.center, [6e-3, -1e-3, 0.0], atol=1e-9)


DIFFERENT = {
    "gradient": ({"scanner": mj.Scanner.create((-1.0, -3.0, 4.0))}, "gradient -2, -2, 4 T/m and -1, -3, 4 T/m"),
    "gradient of the other sign": ({"scanner": scanner(-1.0)}, "gradient -2, -2, 4 T/m and 2, 2, -4 T/m"),
    "offset": ({"scanner": scanner(offset=(1e-3, 0, 0))}, "offset field 0, 0, 0 mT and 1, 0, 0 mT"),
    "gradient and offset": ({"scanner": scanner(0.5, (1e-3, 0, 0))}, "gradient .*; offset field"),
    "strength": ({"sequence": sequence(amplitude=(6e-3, 10e-3, 0))}, "drive strength 12, 10, 0 mT and 6, 10, 0 mT"),
    "strength by 1 %": ({"sequence": sequence(amplitude=(12.12e-3, 10e-3, 0))}, "12, 10, 0 mT and 12.12, 10, 0 mT"),
    "one axis idle": ({"sequence": sequence(amplitude=(12e-3, 0, 0), dividers=(102, 96, 99))}, "drive strength"),
    "phase": ({"sequence": sequence(waveform="sine")}, "drive phase 1.5708, 1.5708, 0 rad and 0, 0, 0 rad"),
    "divider": ({"sequence": sequence(dividers=(96, 102, 99))}, "drive frequencies 24509.8, 26041.7, 0 Hz and 26041.7"),
    "base frequency": ({"sequence": sequence(base_frequency=2e6)}, "drive frequencies"),
    "samples": ({"sequence": None, "n_samples": 402}, "samples per period 400 and 402"),
    "bandwidth": ({"bandwidth": 1e6}, "bandwidth .* Hz and 1000000 Hz"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_facts_that_differ_are_refused_with_both_values(name):
    changes, message = DIFFERENT[name]
    data = measurement(MATRIX, **changes)
    with pytest.raises(ValueError, match=f"of different scans: .*{message}"):
        Problem.create(MATRIX, data)
    forced = Problem.create(MATRIX, data, check=False)
    assert forced.comparison[0].differing and forced.comparison[0].gradient_ratio == 1
    np.testing.assert_array_equal(forced.grid.fov, GRID.fov)


@pytest.mark.parametrize("name", ["unit", "waveform"])
def test_texts_are_compared_without_case_and_blanks(name):
    path = {"unit": "/acquisition/receiver/unit", "waveform": "/acquisition/drivefield/waveform"}[name]
    texts = {"unit": ("V", " v ", "Ampere"), "waveform": ("sine", "Sine ", "triangle")}[name]

    def with_text(source, text):
        return replace(source, metadata=type(source.metadata)(dict(source.metadata) | {path: text}))

    matrix, data = with_text(MATRIX, texts[0]), measurement(MATRIX)
    Problem.create(matrix, with_text(data, texts[1]))
    with pytest.raises(ValueError, match=texts[2]):
        Problem.create(matrix, with_text(data, texts[2]))


def test_what_one_side_lacks_is_not_compared_and_the_record_says_so():
    data = measurement(MATRIX, sequence=None, scanner=None, n_samples=400)
    found = Problem.create(MATRIX, data).comparison[0]
    assert {"samples per period", "bandwidth"} == set(found.compared)
    assert {"gradient", "offset field", "drive strength", "drive phase", "drive frequencies"} <= set(found.absent)


def test_a_cosine_is_a_sine_a_quarter_period_ahead_and_phases_count_modulo_a_turn():
    for phase in ((np.pi / 2, np.pi / 2, 0.3), (-3 * np.pi / 2, np.pi / 2, 0.0)):
        Problem.create(MATRIX, measurement(MATRIX, sequence=sequence(phase=phase)))


def test_idle_dividers_and_missing_axes_are_no_difference():
    Problem.create(MATRIX, measurement(MATRIX, sequence=sequence(dividers=(102, 96, 50))))
    fields = acquisition_metadata(MATRIX.sequence, MATRIX.scanner)
    for name in ("strength", "phase"):
        fields[f"/acquisition/drivefield/{name}"] = (fields[f"/acquisition/drivefield/{name}"][0][:2],)
    fields["/acquisition/drivefield/divider"] = fields["/acquisition/drivefield/divider"][:2]
    data = measurement(MATRIX, sequence=None, scanner=None, n_samples=400, metadata=fields)
    found = Problem.create(MATRIX, data).comparison[0]
    assert found.absent == ("receiver unit",)
    del fields["/acquisition/drivefield/baseFrequency"]  # without it dividers are all there is to compare
    data = measurement(MATRIX, sequence=None, scanner=None, n_samples=400, metadata=fields)
    assert "drive dividers" in Problem.create(MATRIX, data).comparison[0].compared
    fields["/acquisition/drivefield/divider"] = ((96,), (102,))
    with pytest.raises(ValueError, match="drive dividers 102, 96, 0 and 96, 102, 0"):
        Problem.create(MATRIX, measurement(MATRIX, sequence=None, scanner=None, n_samples=400, metadata=fields))


def test_each_period_is_compared_with_its_own_fields():
    fields = acquisition_metadata(MATRIX.sequence, None)
    offsets = {"/acquisition/offsetField": (((0.0, 0.0, 0.0),), ((1e-3, 0.0, 0.0),))}
    values = np.asarray(MATRIX.values)[..., 0]
    data = measurement(MATRIX, sequence=None, scanner=None, n_samples=400, metadata=fields | offsets)
    data = replace(data, values=np.stack([values, values])[None])
    assert acquisition(data, 1).offset_field[0] == 1e-3
    np.testing.assert_array_equal(Problem.create(MATRIX, data, period=0).grid.center, GRID.center)
    with pytest.warns(UserWarning, match="period 1 puts the field-free point at 0.5, 0, 0 mm"):
        moved = Problem.create(MATRIX, data, period=1)
    np.testing.assert_allclose(moved.grid.center, np.asarray(GRID.center) + [0.5e-3, 0, 0], rtol=1e-6)
    there = simulated(scanner(offset=(1e-3, 0.0, 0.0)), moved.grid)
    np.testing.assert_allclose(there.values, MATRIX.values, rtol=0, atol=2e-5 * np.abs(MATRIX.values).max())
    with pytest.raises(ValueError, match="offset field"):  # a matrix of its own patch says where it was measured
        Problem.create(replace(MATRIX, patch=1), data)


def test_an_empty_scan_of_other_fields_is_refused():
    data = measurement(MATRIX)
    empty = measurement(MATRIX, sequence=sequence(amplitude=(6e-3, 10e-3, 0)))
    with pytest.raises(ValueError, match="the empty scan was measured otherwise than the measurement: drive strength"):
        Problem.create(MATRIX, replace(data, values=2 * data.values), empty=empty)
    Problem.create(MATRIX, replace(data, values=2 * data.values), empty=empty, check=False)


def test_a_silent_channel_is_left_out_with_a_word_and_zero_as_a_whole_is_refused():
    full = simulated(mj.Scanner.create(GRADIENT))  # with a z coil over a plane
    full = mj.add_noise(full, np.array([1e-12, 1e-12, 0.0])[:, None], key=jax.random.key(0), background_frames=5)
    data = measurement(full)
    weights = np.linspace(1, 2, 3 * len(BINS))
    expected = Problem.create(full.select(channels=[0, 1]), data, row_weights=weights[: 2 * len(BINS)])
    with pytest.warns(UserWarning, match="channel 2 of the system matrix is zero in every row and is left out"):
        found = Problem.create(full, data, row_weights=weights)
    for name in ("matrix", "data", "row_weights"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    with pytest.warns(UserWarning, match="channel 2"):
        Problem.create(full, data, row_weights="whitening")  # the silent channel saw no noise either
    dead = replace(data, values=data.values * np.array([1, 0, 1])[:, None])
    with pytest.warns(UserWarning, match="channel 1 of the measurement"):
        assert len(Problem.create(full.select(channels=[0, 1]), dead).matrix) == len(BINS)
    two = replace(data, values=np.concatenate([data.values, 0 * data.values]))  # an empty frame is a frame
    with pytest.warns(UserWarning, match="channel 2"):
        assert len(Problem.create(full, two).data) == 2
    for matrix, given in ((full, replace(data, values=0 * data.values)), (replace(full, values=0 * full.values), data)):
        with pytest.raises(ValueError, match="are zero; nothing can be reconstructed"):
            Problem.create(matrix, given)


def test_a_sample_of_unknown_concentration_counts_as_one_with_a_word(tmp_path):
    mj.io.write_system_matrix(tmp_path / "sm.mdf", simulated())
    with h5py.File(tmp_path / "sm.mdf", "r+") as file:
        file["/tracer/concentration"][...] = 0.0
    matrix = mj.io.read_system_matrix(tmp_path / "sm.mdf")
    mj.io.write_system_matrix(tmp_path / "again.mdf", matrix)  # the note stays
    for found in (matrix, mj.io.read_system_matrix(tmp_path / "again.mdf")):
        with pytest.warns(UserWarning, match="does not give the concentration of its sample"):
            assert Problem.create(found, measurement(simulated())).scale[0] == pytest.approx(8e-9 / GRID.voxel_volume)


def test_the_averages_of_both_sides_set_the_noise_where_only_the_matrix_has_background_frames():
    noisy = mj.add_noise(MATRIX, 1e-12, key=jax.random.key(0), background_frames=50)
    averages = [{"/acquisition/numAverages": count} for count in (100, 4)]
    matrix = replace(noisy, metadata=type(noisy.metadata)(dict(noisy.metadata) | averages[0]))
    data = measurement(MATRIX)
    few = replace(data, metadata=type(data.metadata)(dict(data.metadata) | averages[1]))
    norms = [Problem.create(m, d).noise_norm() for m, d in ((noisy, data), (matrix, few), (matrix, data))]
    np.testing.assert_allclose(np.divide(norms, norms[0]), [1, 5, 10], rtol=1e-6)


def test_rows_that_the_measurements_transfer_function_cannot_give_are_left_out_and_not_zero(tmp_path):
    chain = np.ones((2, len(BINS)), complex)
    chain[0, 3], chain[1, 5] = 0, np.nan
    mj.io.write_measurement(tmp_path / "m.mdf", measurement(MATRIX))
    with h5py.File(tmp_path / "m.mdf", "r+") as file:
        file["/acquisition/receiver/transferFunction"] = chain
    read = mj.io.read_measurement(tmp_path / "m.mdf")
    mj.io.write_measurement(tmp_path / "again.mdf", read)  # the mask stays
    corrected = replace(MATRIX, transfer_function_corrected=True)
    left = np.setdiff1d(np.arange(2 * len(BINS)), [3, len(BINS) + 5])
    for data in (read, mj.io.read_measurement(tmp_path / "again.mdf")):
        with pytest.warns(UserWarning, match="2 of 80 rows are left out"):
            problem = Problem.create(corrected, data, row_weights=np.arange(80.0))
        np.testing.assert_array_equal(problem.matrix, np.asarray(MATRIX.rows())[left])
        np.testing.assert_array_equal(problem.row_weights, left)


def test_gradients_pass_through_what_is_compared():
    data = measurement(MATRIX)

    def brightness(strength):
        fields = mj.Scanner.create(strength * jax.numpy.asarray(GRADIENT), receive_coils=np.eye(3)[:2])
        matrix = mj.simulate_system_matrix(fields, sequence(), PARTICLE, GRID, BINS, sample_volume=8e-9)
        found = mj.reconstruction.reconstruct(matrix, data, solver="tikhonov", regularization=1e-1)
        return jax.numpy.sum(found.value)

    traced, step = jax.jit(brightness), 1e-2  # traced fields are not known, so that they are not compared
    slope = (traced(1 + step) - traced(1 - step)) / (2 * step)
    assert float(jax.grad(brightness)(1.0)) == pytest.approx(float(slope), rel=0.02)


@pytest.mark.parametrize(
    "lacks",
    ["offsetField", "drivefield/phase", "drivefield/waveform", "drivefield/baseFrequency", "drivefield/strength"],
)
def test_what_a_file_lacks_is_no_fact_even_after_it_was_written_again(tmp_path, lacks):
    name = {"offsetField": "offset field", "drivefield/baseFrequency": "drive frequencies"}.get(
        lacks, lacks.replace("drivefield/", "drive ")
    )
    mj.io.write_system_matrix(tmp_path / "sm.mdf", MATRIX)
    with h5py.File(tmp_path / "sm.mdf", "r+") as file:
        del file[f"/acquisition/{lacks}"]
    data = measurement(MATRIX, scanner=scanner(offset=(5e-3, 0, 0)) if lacks == "offsetField" else MATRIX.scanner)
    for source in ("sm.mdf", "again.mdf"):
        matrix = mj.io.read_system_matrix(tmp_path / source)
        found = Problem.create(matrix, data).comparison[0]
        assert name not in found.compared and not found.differing, source
        mj.io.write_system_matrix(tmp_path / "again.mdf", matrix)


def test_what_was_forced_is_recorded(tmp_path):
    data = measurement(MATRIX)
    empty = measurement(MATRIX, sequence=sequence(amplitude=(6e-3, 10e-3, 0)))
    corrected = replace(MATRIX, transfer_function_corrected=True)
    forced = Problem.create(corrected, replace(data, values=2 * data.values), empty=empty, check=False).comparison[0]
    assert "the matrix is corrected for the transfer function" in forced.differing[0]
    assert forced.differing[1].startswith("empty scan: drive strength")
    for name, scan in (("m.mdf", data), ("e.mdf", empty)):
        mj.io.write_measurement(tmp_path / name, scan)
    with pytest.raises(ValueError, match="drive strength"):
        mj.io.read_measurement(tmp_path / "m.mdf", empty_scan=tmp_path / "e.mdf")
    with pytest.warns(UserWarning, match="taken as it is: drive strength"):
        mj.io.read_measurement(tmp_path / "m.mdf", empty_scan=tmp_path / "e.mdf", check=False)


def test_contrasts_of_different_channel_orders_need_numbers():
    values = np.asarray(MATRIX.values)
    one, other = (
        mj.SystemMatrix.create(v, MATRIX.frequencies, GRID, frequency_indices=BINS, n_samples=400, channels=c)
        for v, c in ((values, (3, 4)), (values[::-1], (4, 3)))
    )
    data = measurement(MATRIX, sequence=None, scanner=None, n_samples=400)
    with pytest.raises(ValueError, match="channels of different order cannot be matched by position"):
        mj.reconstruction.contrast_problem([one, other], data)
    numbered = measurement(MATRIX, sequence=None, scanner=None, n_samples=400, channels=(3, 4))
    joint = np.asarray(mj.reconstruction.contrast_problem([one, other], numbered).matrix)
    np.testing.assert_array_equal(joint[:, : GRID.size], joint[:, GRID.size :])
