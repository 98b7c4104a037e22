"""Positions of a calibration beside its grid, and in place of it: sorted, compared, or refused."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpijax import io
from mpijax.io.mdf.positions import header_order
from mpijax.system import Grid
from tests.io.mdf_files import K, calibration, random_complex

SIZE = (3, 2, 2)
GRID = Grid.create(SIZE, (0.03, 0.02, 0.01), (0.001, 0.0, -0.002))
POSITIONS = np.asarray(GRID.positions)
DATA = random_complex(0, 1, 2, K, 14)  # 12 voxels, then two background frames
NO_GRID = dict.fromkeys(("calibration__size", "calibration__fieldOfView", "calibration__fieldOfViewCenter"))


def file_of(folder, order, positions, **changes):
    """Voxel v of DATA stored at place order[v], background frames first and last."""
    stored = np.empty_like(DATA)
    stored[..., 1 + np.asarray(order)] = DATA[..., :12]
    stored[..., [0, 13]] = DATA[..., 12:]
    return calibration(folder / "a.mdf", stored, [0, 13], calibration__positions=positions, **changes)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.permutations(range(12)), st.booleans(), st.sampled_from(["xyz", "zyx", "yxz"]))
def test_voxels_are_sorted_by_their_positions(tmp_path_factory, order, with_grid, said):
    where = np.empty_like(POSITIONS)
    where[np.asarray(order)] = POSITIONS
    folder = tmp_path_factory.mktemp("positions")
    path = file_of(folder, order, where, calibration__order=said, **({} if with_grid else NO_GRID))
    found = io.read_system_matrix(path)
    np.testing.assert_array_equal(found.values, DATA[0, ..., :12])
    np.testing.assert_array_equal(found.background, DATA[0, ..., 12:].transpose(2, 0, 1))
    np.testing.assert_allclose(found.grid.positions, POSITIONS, atol=1e-9)
    told = any("sorted by /calibration/positions" in remark for remark in io.read_info(path).remarks)
    assert told != np.array_equal(order, header_order(SIZE, said, False))
    np.testing.assert_array_equal(io.open_system_matrix(path).select(channels=[1]).read().values, found.values[1:])


def test_a_missing_center_is_that_of_the_positions(tmp_path):
    path = file_of(tmp_path, range(12), POSITIONS + 0.005, calibration__fieldOfViewCenter=None)
    np.testing.assert_allclose(io.read_system_matrix(path).grid.center, [0.006, 0.005, 0.003], atol=1e-12)


@pytest.mark.parametrize(
    "positions, message",
    [
        (POSITIONS + [0.005, 0, 0], r"differ by up to 5 mm along x, where a voxel is 10 mm"),
        (POSITIONS * 1.5, "contradict"),
        (np.where(POSITIONS == POSITIONS[0, 0], np.nan, POSITIONS), "positions has 4 of 36 entries that are NaN"),
        (POSITIONS[[0, *range(11)]], "never, others twice"),
        (POSITIONS[:6], "6 entries for a grid of 12"),
        (POSITIONS.T, "expected .voxels, 3."),
    ],
)
def test_contradictions_are_refused(tmp_path, positions, message):
    with pytest.raises(io.MDFError, match=message):
        io.read_system_matrix(file_of(tmp_path, range(12), positions))


def test_jitter_within_a_tenth_of_a_voxel_is_none(tmp_path):
    shaken = POSITIONS + 0.05 * np.random.default_rng(0).uniform(-1, 1, POSITIONS.shape) * [0.01, 0.01, 0.005]
    path = file_of(tmp_path, range(12), shaken)
    np.testing.assert_array_equal(io.read_system_matrix(path).values, DATA[0, ..., :12])


def test_meander_sorted_frames_and_positions_must_agree(tmp_path):
    order = header_order(SIZE, "xyz", True)
    where = np.empty_like(POSITIONS)
    where[order] = POSITIONS
    path = file_of(tmp_path, order, where, calibration__isMeanderingGrid=np.int8(1))
    np.testing.assert_array_equal(io.read_system_matrix(path).values, DATA[0, ..., :12])
    assert not any("position" in remark for remark in io.read_info(path).remarks)
    path = file_of(tmp_path, order, POSITIONS, calibration__isMeanderingGrid=np.int8(1))
    with pytest.raises(io.MDFError, match="isMeanderingGrid"):
        io.read_system_matrix(path)
    frames = np.arange(1, 15)
    sorted_flags = {"measurement__isFramePermutation": np.int8(1), "measurement__framePermutation": frames}
    with pytest.raises(io.MDFError, match="isFramePermutation"):
        io.read_system_matrix(file_of(tmp_path, range(12), POSITIONS[::-1], **sorted_flags))


def test_flat_axes(tmp_path):
    data = random_complex(0, 1, 2, K, 6)
    grid = np.asarray(Grid.create((3, 2, 1), (0.03, 0.02, 1e-3), (0, 0, 0.5e-3)).positions)
    for fov in ([0.03, 0.02, 0.0], None):
        path = calibration(
            tmp_path / "a.mdf",
            data[..., ::-1],
            size=(3, 2, 1),
            calibration__fieldOfView=fov if fov is None else np.array(fov),
            calibration__fieldOfViewCenter=None,
            calibration__positions=grid[::-1],
        )
        if fov is None:
            with h5py.File(path, "r+") as file:
                del file["calibration/size"]
        found = io.read_system_matrix(path)
        np.testing.assert_array_equal(found.values, data[0])
        np.testing.assert_allclose(found.grid.positions, grid, atol=1e-12)
