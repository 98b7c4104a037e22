"""What is shown of a matrix that ``mpijax restore`` wrote."""

import h5py
import numpy as np
import pytest

from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.restoration import HEADER, TRUSTED, UNKNOWN, RestorationState, of_matrices
from tests.view.files import write_folder
from tests.view.session import OwnPage


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path)
    lines = [
        "\t".join(HEADER),
        "2\t150\t229.8\t0.31\tnot above the noise",
        "0\t16\t24.5\t0.02\tthe check of the residual fails",
    ]
    (tmp_path / "restored-left.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_every_row_has_its_reason_and_its_images(folder):
    before, after = (MatrixView(folder / f"{name}.mdf") for name in ("sm", "restored"))
    state = of_matrices([before, after])
    assert state.after is after and state.before is before and state.remark == ""
    assert state.counts() == {TRUSTED: 448, "not above the noise": 1, "the check of the residual fails": 1}
    assert state.reasons[2, 149] == "not above the noise" and state.reasons[0, 15] == "the check of the residual fails"
    state.channel, state.position = 2, 149
    assert state.said() == "left: not above the noise; noise over largest value 0.31"
    images = state.images()
    np.testing.assert_allclose(images["removed"], images["before"] - images["after"], atol=1e-12)
    assert list(RestorationState(after).images()) == ["after"]


def test_matrices_that_were_not_restored(folder):
    before = MatrixView(folder / "sm.mdf")
    assert of_matrices([before]) is None
    with pytest.raises(ValueError, match="sm.mdf says nothing of a restoration"):
        RestorationState(before)


def test_a_table_that_is_missing_or_another_one_is_one_sentence(folder):
    after = MatrixView(folder / "restored.mdf")
    (folder / "restored-left.tsv").write_text("hello\n")
    assert "cannot be read as the table" in RestorationState(after).remark
    (folder / "restored-left.tsv").unlink()
    state = RestorationState(after)
    assert "restored-left.tsv, which says which rows were left and why, is not beside" in state.remark
    assert state.counts() == {UNKNOWN: 450}


def test_the_tab_steps_through_rows_of_a_reason(folder):
    page = OwnPage([folder / "sm.mdf", folder / "restored.mdf"])
    page.enter("Restoration")
    assert "448 restored" in page.texts
    page.titled("rows").value = "not above the noise"
    assert "left: not above the noise" in page.texts
    page.titled("rows").value = "every row"
    page.titled("place among them, the strongest first").value = 3
    assert f"<br>{TRUSTED}" in page.texts


def test_a_matrix_that_does_not_belong_to_the_restored_one_is_not_taken_for_the_one_before(folder, tmp_path):
    other = tmp_path / "other.mdf"
    other.write_bytes((folder / "sm.mdf").read_bytes())
    with h5py.File(other, "r+") as file:
        file["/tracer/concentration"][...] = 10 * file["/tracer/concentration"][()]
    after = MatrixView(folder / "restored.mdf")
    assert list(RestorationState(after, MatrixView(folder / "sm.mdf")).images()) == ["before", "after", "removed"]
    assert list(RestorationState(after, MatrixView(other)).images()) == ["after"]
