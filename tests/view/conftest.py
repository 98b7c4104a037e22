"""Files to look at."""

import pytest

from tests.view.files import write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a calibration, its restoration and a measurement."""
    folder = tmp_path_factory.mktemp("view")
    write_folder(folder)
    return folder
