import h5py
import numpy as np
import pytest

import mpijax as mj
from tests import DATA
from tests.reference.spherical_design import DESIGN_6_26

MEASURED = DATA / "field_tdesign_hamburg"
POINTS = 0.03 * DESIGN_6_26 + [0.01, 0.0, -0.02]
FIELDS = POINTS * [-1.0, -1.0, 2.0]


def write(path, **changes):
    fields = {
        "/fields": FIELDS[None],
        "/fieldsError": np.full((1, 26, 3), 1e-5),
        "/positions": POINTS,
        "/positionsCenter": np.array([0.01, 0.0, -0.02]),
        "/positionsTDesignRadius": 0.03,
        "/unitCoords": b"m",
        "/unitFields": b"T",
    }
    fields.update({key.replace("__", "/"): value for key, value in changes.items()})
    with h5py.File(path, "w") as file:
        for key, value in fields.items():
            if value is not None:
                file[key] = value
    return path


DESIGN = {
    "__positions": None,
    "__positionsCenter": None,
    "__positionsTDesignRadius": None,
    "__positions__tDesign__N": 26,
    "__positions__tDesign__t": np.uint64(6),
    "__positions__tDesign__center": np.array([0.01, 0.0, -0.02]),
    "__positions__tDesign__radius": 0.03,
}


def test_positions(tmp_path):
    data = mj.io.read_field_points(write(tmp_path / "a.h5"))
    np.testing.assert_array_equal(data.points, POINTS)
    np.testing.assert_array_equal(data.fields, FIELDS[None])
    np.testing.assert_array_equal(data.errors, np.full((1, 26, 3), 1e-5))
    np.testing.assert_array_equal(data.center, [0.01, 0.0, -0.02])
    assert data.radius == 0.03


def test_units(tmp_path):
    path = write(
        tmp_path / "a.h5",
        __unitCoords=b"mm",
        __unitFields=b"mT",
        __positions=POINTS * 1e3,
        __positionsCenter=np.array([10.0, 0.0, -20.0]),
        __positionsTDesignRadius=30.0,
        __fields=FIELDS * 1e3,
        __fieldsError=None,
    )
    data = mj.io.read_field_points(path)
    np.testing.assert_allclose(data.points, POINTS, rtol=1e-14)
    np.testing.assert_allclose(data.fields, FIELDS[None], rtol=1e-14)
    assert data.errors is None and data.radius == pytest.approx(0.03)


def test_a_named_design_needs_its_directions(tmp_path):
    path = write(tmp_path / "a.h5", **DESIGN)
    with pytest.raises(mj.io.MDFError, match="6-design of 26 points; give their unit vectors"):
        mj.io.read_field_points(path)
    with pytest.raises(ValueError, match="expected 26 unit vectors"):
        mj.io.read_field_points(path, directions=DESIGN_6_26[:20])
    data = mj.io.read_field_points(path, directions=DESIGN_6_26)
    np.testing.assert_allclose(data.points, POINTS, atol=1e-16)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"__fields": None}, "holds no /fields"),
        ({"__fields": FIELDS[:5]}, "shape"),
        ({"__positions": None}, "holds neither"),
        ({"__positions": POINTS[:, :2]}, "expected \\(points, 3\\)"),
        ({"__unitFields": b"G"}, "units of 'G'"),
        ({"__fields": FIELDS * np.nan}, "NaN"),
        ({"__fieldsError": np.zeros((2, 2))}, "fieldsError"),
        ({"__sensor__correctionTranslation": np.eye(3)}, "different places"),
    ],
)
def test_clear_errors(tmp_path, changes, message):
    with pytest.raises(mj.io.MDFError, match=message):
        mj.io.read_field_points(write(tmp_path / "a.h5", **changes))


def test_what_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        mj.io.read_field_points(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(mj.io.MDFError, match="not an HDF5 file"):
        mj.io.read_field_points(tmp_path / "text.h5")
    with pytest.raises(ValueError, match="leave out directions"):
        mj.io.read_field_points(write(tmp_path / "a.h5"), directions=DESIGN_6_26)


def test_measured_file():
    data = mj.io.read_field_points(MEASURED / "Gradient_2Tpm.h5")
    assert data.points.shape == (36, 3) and data.fields.shape == data.errors.shape == (1, 36, 3)
    np.testing.assert_allclose(np.linalg.norm(data.points - data.center, axis=1), data.radius, rtol=1e-6)
