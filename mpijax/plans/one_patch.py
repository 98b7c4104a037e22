"""The calibration that is restored, fitted or trained on."""

from pathlib import Path

from mpijax.io import SystemMatrixFile, open_system_matrix
from mpijax.io.formats import check_input


def one_patch(file: str | Path) -> SystemMatrixFile:
    """Open a calibration of one period.

    Raises:
        FileNotFoundError, MDFError, ValueError: no calibration, or one of several periods.
    """
    check_input(Path(file))
    source = open_system_matrix(file)
    if source.info.n_periods > 1:
        raise ValueError(f"{file} holds {source.info.n_periods} periods (patches); this command takes files of one.")
    return source
