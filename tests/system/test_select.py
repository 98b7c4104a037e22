"""Row selections as values: the same rows as by single criteria, checked when they are made."""

import numpy as np
import pytest

import mpijax as mj


@pytest.fixture(scope="module")
def matrix():
    rng = np.random.default_rng(0)
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), dividers=(16, 17, 15), n_samples=544)
    values = rng.normal(size=(3, 273, 4, 2)) @ [1, 1j]
    return mj.SystemMatrix.create(
        values, sequence.frequencies, mj.Grid.create((4, 1, 1), (4e-3, 1e-3, 1e-3)), sequence=sequence,
        snr=rng.uniform(0, 10, (3, 273)), background=rng.normal(size=(3, 3, 273, 2)) @ [1, 1j],
    )  # fmt: skip


CRITERIA = {
    "snr_threshold": 4.0, "min_frequency": 80e3, "max_frequency": 2e6, "max_mixing_order": 7, "channels": [2, 0],
}  # fmt: skip


def test_the_same_rows_from_memory_and_file(matrix, tmp_path):
    selection = mj.RowSelection(**CRITERIA)
    by_name, chosen = matrix.select(**CRITERIA), matrix.select(selection)
    np.testing.assert_array_equal(chosen.values, by_name.values)
    np.testing.assert_array_equal(chosen.row_mask, by_name.row_mask)
    assert chosen.channels == (2, 0) and 0 < len(chosen.rows()) < 2 * 273
    f = chosen.row_frequencies
    assert f.min() >= 80e3 and f.max() <= 2e6 and chosen.row_values(chosen.snr).min() >= 4
    mj.io.write_system_matrix(tmp_path / "a.mdf", matrix)
    read = mj.io.read_system_matrix(tmp_path / "a.mdf", selection=selection)
    np.testing.assert_array_equal(read.rows(), chosen.rows())
    file = mj.io.open_system_matrix(tmp_path / "a.mdf")
    assert file.select(selection).n_rows == file.select(**CRITERIA).n_rows == len(chosen.rows())
    assert mj.io.read_system_matrix(tmp_path / "a.mdf", selection=mj.RowSelection()).values.shape == matrix.values.shape


def test_a_selection_is_a_value():
    assert mj.RowSelection(channels=np.array([2, 0])) == mj.RowSelection(channels=[2, 0])
    assert len({mj.RowSelection(**CRITERIA), mj.RowSelection(**CRITERIA), mj.RowSelection()}) == 2


@pytest.mark.parametrize(
    "criteria, said",
    [
        ({"snr_threshold": -1}, "snr_threshold = -1; allowed is at least 0"),
        ({"snr_threshold": np.nan}, "snr_threshold = nan"),
        ({"min_frequency": "80 kHz"}, "expected a number in Hz"),
        ({"max_frequency": [1e3, 2e3]}, "expected one number"),
        ({"max_mixing_order": 2.5}, "max_mixing_order"),
        ({"min_frequency": 2e6, "max_frequency": 1e6}, "min_frequency = 2e\\+06 Hz lies above"),
        ({"selection": mj.RowSelection(), "snr_threshold": 3.0}, "selection and snr_threshold are both given"),
    ],
)
def test_wrong_criteria(matrix, criteria, said):
    with pytest.raises(ValueError, match=said):
        matrix.select(**criteria) if "selection" in criteria else mj.RowSelection(**criteria)


def test_unknown_criteria(matrix, tmp_path):
    mj.io.write_system_matrix(tmp_path / "a.mdf", matrix)
    with pytest.raises(TypeError, match="snr_treshold"):
        mj.io.read_system_matrix(tmp_path / "a.mdf", snr_treshold=3.0)


def test_an_empty_selection_counts_many_channels():
    grid = mj.Grid.create((1, 1, 1), (1e-3, 1e-3, 1e-3))
    for count, said in ((2, "channels 0, 1:"), (20, ", 20 channels:")):
        matrix = mj.SystemMatrix.create(np.ones((count, 5, 1), complex), 1e3 * np.arange(5.0), grid)
        with pytest.raises(ValueError, match=said):
            matrix.select(min_frequency=80e3)
