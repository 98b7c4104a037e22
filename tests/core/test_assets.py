import pytest

from mpijax.core.assets import asset_path


def test_shipped_files_are_found_and_others_named():
    assert asset_path("README.md").read_text().startswith("# Small files")
    with pytest.raises(FileNotFoundError, match="ships no file 'weights/none.npz'"):
        asset_path("weights/none.npz")
