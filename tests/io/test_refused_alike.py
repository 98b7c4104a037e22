"""What reading refuses is not written, and bins may stand in any order."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpijax import io
from mpijax.core.pytree import FrozenMapping
from mpijax.system import Grid, Measurement, SystemMatrix
from tests.io.mdf_files import random_complex

BINS = np.array([2, 3, 5, 7, 8])
GRID = Grid.create((3, 2, 1), (0.03, 0.02, 0.01))
FACTS = {"frequency_indices": BINS, "n_samples": 16, "bandwidth": 8e4}


def matrix(**changes):
    made = SystemMatrix.create(
        random_complex(0, 2, 5, 6),
        BINS * 1e4,
        GRID,
        background=random_complex(1, 4, 2, 5),
        snr=np.ones((2, 5)),
        **FACTS,
    )
    return replace(made, **changes)


def scan(seed=2, **changes):
    made = Measurement.create(
        random_complex(seed, 3, 2, 2, 5), BINS * 1e4, background=random_complex(3, 4, 2, 2, 5), **FACTS
    )
    return replace(made, **changes)


def holed(values):
    values = np.array(values)
    values.flat[7] = np.nan
    return values


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"background": holed(random_complex(1, 4, 2, 5))}, "background has 1 of 40 entries"),
        ({"bandwidth": np.nan}, "bandwidth is nan Hz"),
        ({"bandwidth": np.inf}, "bandwidth"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"frequency_indices": np.array([2, 3, 5, 7, 9])}, "reaches bin 9; 16 samples have 9"),
        ({"frequency_indices": np.array([2, 3, 5, 7, 7])}, "bin twice"),
        ({"frequency_indices": np.array([-2, 3, 5, 7, 8])}, "frequencySelection"),
        ({"grid": Grid((3, 2, 1), np.array([0.03, -0.02, 0.01]), np.zeros(3))}, "fieldOfView"),
        ({"grid": Grid((3, 2, 1), np.array([0.03, 0.02, 0.01]), np.array([0, np.nan, 0]))}, "fieldOfViewCenter"),
        ({"metadata": FrozenMapping({"/acquisition/numAverages": 0})}, "numAverages"),
        ({"metadata": FrozenMapping({"/acquisition/numAverages": 1.5})}, "numAverages"),
        ({"metadata": FrozenMapping({"/acquisition/gradient": (((np.nan,) * 3,) * 3,)})}, "gradient"),
        ({"sample_concentration": -1.0}, "concentration"),
        ({"angles": np.array([0.0, np.nan])}, "angles"),
    ],
)
def test_a_matrix_that_would_not_be_read_is_not_written(tmp_path, changes, message):
    path = tmp_path / "a.mdf"
    with pytest.raises(ValueError, match=message) as caught:
        io.write_system_matrix(path, matrix(**changes))
    assert not list(tmp_path.iterdir()) and ".part" not in str(caught.value)


def test_a_failed_position_is_written_and_read(tmp_path):
    values = random_complex(0, 2, 5, 6)
    values[..., 4] = np.nan
    io.write_system_matrix(tmp_path / "a.mdf", matrix(values=values))
    np.testing.assert_array_equal(io.read_system_matrix(tmp_path / "a.mdf").values, values)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"values": holed(random_complex(2, 3, 2, 2, 5))}, "measurement.values has 1 of 60"),
        ({"background": holed(random_complex(3, 4, 2, 2, 5))}, "measurement.background has 1 of 80"),
        ({"bandwidth": -1.0}, "bandwidth"),
        ({"frequency_indices": np.array([2, 3, 5, 7, 90])}, "reaches bin 90"),
        ({"metadata": FrozenMapping({"/acquisition/numAverages": 0})}, "numAverages"),
    ],
)
def test_a_measurement_that_would_not_be_read_is_not_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        io.write_measurement(tmp_path / "a.mdf", scan(**changes))
    assert not list(tmp_path.iterdir())


def test_images_that_would_not_be_read_are_not_written(tmp_path):
    made = io.Reconstruction.create(np.ones((2, 1, 2, 3), np.float32), GRID, scan())
    for changes, message in (
        ({"images": holed(np.ones((2, 1, 2, 3)))}, "images has 1"),
        ({"grid": Grid((3, 2, 1), np.zeros(3), np.zeros(3))}, "fov"),
    ):
        with pytest.raises(ValueError, match=message):
            io.write_reconstruction(tmp_path / "a.mdf", replace(made, **changes))
    assert not list(tmp_path.iterdir())


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.permutations(range(5)), st.permutations(range(5)), st.booleans())
def test_bins_in_any_order(tmp_path_factory, first, second, whole_snr):
    folder, first, second = tmp_path_factory.mktemp("bins"), np.asarray(first), np.asarray(second)
    plain = matrix()
    mixed = replace(
        plain._take_bins(np.arange(2), first, plain.values[:, first]), snr=np.arange(10.0).reshape(2, 5)[:, first]
    )
    io.write_system_matrix(folder / "a.mdf", mixed)
    opened = io.open_system_matrix(folder / "a.mdf")
    np.testing.assert_array_equal(opened.frequency_indices, BINS[first])  # the file's order is kept
    np.testing.assert_array_equal(opened.read().values, plain.values[:, first])
    limits = {"min_frequency": 2.5e4, "max_frequency": 7.5e4, "snr_threshold": 1.0}
    chosen, expected = (
        opened.select(**limits).read(),
        replace(plain, snr=np.arange(10.0).reshape(2, 5)).select(**limits),
    )
    order, back = np.argsort(chosen.frequency_indices), np.argsort(second)
    np.testing.assert_array_equal(chosen.values[:, order], expected.values)
    turned = replace(opened, bins=opened.bins[second], snr=opened.snr[:, second]).read()
    np.testing.assert_array_equal(turned.values[:, back], opened.read().values)
    unknown = replace(opened, snr=None).with_snr().snr
    np.testing.assert_allclose(unknown, io.system_matrix_snr(mixed.values, mixed.background), rtol=1e-6)
    data, empty = scan(), scan(5, background=None)
    take = {"frequencies": BINS[second] * 1e4, "frequency_indices": BINS[second], "background": None}
    io.write_measurement(folder / "m.mdf", data)
    io.write_measurement(folder / "e.mdf", replace(empty, values=empty.values[..., second], **take))
    found = io.read_measurement(folder / "m.mdf", empty_scan=folder / "e.mdf")
    np.testing.assert_allclose(found.values, data.values - empty.values.mean(0), atol=1e-6)


def test_an_empty_scan_that_does_not_fit_is_named(tmp_path):
    io.write_measurement(tmp_path / "m.mdf", scan())
    fewer = {"frequencies": BINS[1:] * 1e4, "frequency_indices": BINS[1:], "background": None}
    for changes, message in (
        ({"values": scan().values[..., 1:], **fewer}, r"lacks 1 of the 5 frequencies \(bins \[2\] ..\)"),
        ({"bandwidth": 9e4}, "bandwidth 80000 Hz and 90000 Hz"),
        ({"background_corrected": True}, "lost its background already"),
    ):
        io.write_measurement(tmp_path / "e.mdf", scan(**changes))
        with pytest.raises(ValueError, match=message):
            io.read_measurement(tmp_path / "m.mdf", empty_scan=tmp_path / "e.mdf")


def test_which_frames_are_read(tmp_path):
    io.write_measurement(tmp_path / "m.mdf", scan())
    read, values = io.read_measurement, scan().values
    np.testing.assert_array_equal(read(tmp_path / "m.mdf", frames=[True, False, True]).values, values[[0, 2]])
    np.testing.assert_array_equal(read(tmp_path / "m.mdf", frames=[2, 0, 2]).values, values[[2, 0, 2]])
    with pytest.warns(UserWarning, match="3 frames are averaged by 2; the last 1"):
        assert read(tmp_path / "m.mdf", average_frames=2).values.shape[0] == 1
    for frames, message in (
        ([0.0, 1.0], "whole numbers, a mask or a slice"),
        ([True, False], "the file has 3 frames"),
        ([], "whole numbers"),
        ([-4], "frames 0 to 2"),
        ("all", "whole numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "m.mdf", frames=frames)
    only = scan(values=scan().values[:0])
    io.write_measurement(tmp_path / "b.mdf", only)
    with pytest.raises(io.MDFError, match="background frames only"):
        read(tmp_path / "b.mdf")
