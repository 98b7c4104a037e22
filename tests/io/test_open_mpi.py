"""Finding and pairing Open MPI files by content."""

import numpy as np
import pytest

from mpijax import io
from tests.io.mdf_files import calibration, measurement

SAMPLES = {1: 102, 2: 1632, 3: 53856}
DIVIDERS = np.array([[102], [96], [99]])


def sequence(driven, gradient):
    strength = np.where(np.arange(3) < driven, 0.012, 0.0)[None, :, None]
    return {
        "acquisition__drivefield__strength": strength,
        "acquisition__drivefield__divider": DIVIDERS,
        "acquisition__drivefield__phase": np.zeros((1, 3, 1)),
        "acquisition__gradient": np.diag(gradient)[None, None],
        "acquisition__receiver__numSamplingPoints": np.int64(SAMPLES[driven]),
        "acquisition__drivefield__cycle": SAMPLES[driven] / 2.5e6,
    }


def calibration_file(path, driven, size, gradient=(-1.0, -1.0, 2.0), tracer="Perimag", compressed=False, **changes):
    """A file with two of its rows and every voxel (or two kept coefficients)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = int(np.prod(size))
    fields = sequence(driven, gradient)
    if compressed:
        fields |= {
            "measurement__isSparsityTransformed": np.int8(1),
            "measurement__sparsityTransformation": "DCT-IV",
            "measurement__subsamplingIndices": np.ones((1, 3, 2, 2), np.int32) * [1, 2],
        }
    return calibration(
        path,
        np.zeros((1, 3, 2, 2 if compressed else n), np.complex64),
        size=size,
        measurement__isFrequencySelection=np.int8(1),
        measurement__frequencySelection=np.array([11, 12]),
        tracer__name=[tracer],
        **fields,
        **changes,
    )


def measurement_file(path, driven, gradient=(-1.0, -1.0, 2.0), **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.zeros((1, 1, 3, 2), np.complex64)
    selected = {"measurement__isFrequencySelection": np.int8(1), "measurement__frequencySelection": np.array([11, 12])}
    transformed = {"measurement__isFourierTransformed": np.int8(1)}
    return measurement(path, data, **selected, **transformed, **sequence(driven, gradient), **changes)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("openMPIData")
    coarse, fine, large, weak = (19, 19, 19), (37, 37, 37), (33, 33, 27), (-0.5, -0.5, 1.0)
    folder = root / "data" / "calibrations"
    for n in (1, 2, 3):
        calibration_file(folder / f"{n}.mdf", n, coarse)
    calibration_file(folder / "renamed_3.mdf", 3, fine)  # the name says 3, the content 6
    calibration_file(folder / "other.h5", 3, fine, tracer="Synomag-D")
    for n in (8, 9):
        calibration_file(folder / f"calibration_{n}.mdf", 3, large, weak)
    calibration_file(folder / "patch.mdf", 3, large, weak)
    calibration_file(folder / "13.mdf", 3, large, weak, compressed=True)
    for n in (1, 2, 3):
        measurement_file(root / "data" / "measurements" / "shapePhantom" / f"{n}.mdf", n)
    measurement_file(root / "data" / "resolution_3.mdf", 3)
    measurement_file(
        root / "data" / "scan.mdf",
        3,
        weak,
        experiment__name="rotationPhantom slow",
        calibration__deltaSampleSize=np.ones(3),
    )
    (root / "data" / "notes.h5").write_text("nothing")
    return root


@pytest.mark.parametrize("below", [".", "data"])
def test_files_are_identified_by_content(root, below):
    found = io.OpenMPIDataset(root / below)
    numbers = {entry.path.name: (entry.number, entry.identified_by) for entry in found.calibrations}
    assert numbers == {
        "1.mdf": (1, "content"),
        "2.mdf": (2, "content"),
        "3.mdf": (3, "content"),
        "renamed_3.mdf": (6, "content"),
        "other.h5": (7, "content"),
        "calibration_8.mdf": (8, "file name"),
        "calibration_9.mdf": (9, "file name"),
        "13.mdf": (13, "file name"),
        "patch.mdf": (None, ""),
    }
    assert [entry.number for entry in found.calibrations][:3] == [1, 2, 3]
    assert found.calibration(9).path.name == "calibration_9.mdf" and found.calibration(13).compressed
    with pytest.raises(io.MDFError, match="patch.mdf may be it"):
        found.calibration(10)
    assert {entry.phantom for entry in found.measurements} == {"shape", "resolution", "rotation"}
    assert [path.name for path, _ in found.skipped] == ["notes.h5"]


def test_pairs(root):
    found = io.OpenMPIDataset(root)
    pairs = {str(scan.path.relative_to(root / "data")): [e.number for e in fits] for scan, fits in found.pairs()}
    assert pairs == {
        "measurements/shapePhantom/1.mdf": [1],
        "measurements/shapePhantom/2.mdf": [2],
        "measurements/shapePhantom/3.mdf": [3, 6],
        "resolution_3.mdf": [3, 6],
        "scan.mdf": [8, 9, None, 13],
    }
    scan = next(entry for entry in found.measurements if entry.path.name == "resolution_3.mdf")
    assert found.calibration_for(scan).number == 3 and scan.dimension == 3
    text = found.summary()
    assert "9 calibrations" in text and "5 measurements" in text and "8-11?" in text
    assert "resolution  3-D" in text and "calibrations: 3 6" in text and "skipped data/notes.h5" in text


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        io.OpenMPIDataset(tmp_path / "nowhere")
    with pytest.raises(io.MDFError, match="no MDF file"):
        io.OpenMPIDataset(tmp_path)
    calibration_file(tmp_path / "1.mdf", 1, (19, 19, 19))
    calibration_file(tmp_path / "copy.mdf", 1, (19, 19, 19))
    scan = measurement_file(tmp_path / "s.mdf", 1, (-0.5, -0.5, 1.0), tracer__name=["Synomag-D"])
    found = io.OpenMPIDataset(tmp_path)
    with pytest.raises(io.MDFError, match="2 times"):
        found.calibration(1)
    assert found.measurements[0].path == scan
    with pytest.raises(io.MDFError, match="differs in gradient, tracer"):
        found.calibration_for(found.measurements[0])
