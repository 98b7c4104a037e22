"""Formats of others: which files they are; what reads them is imported when it does."""

from pathlib import Path
from typing import Any

from mpijax.io.errors import MDFError
from mpijax.io.formats import Format, register_format


@register_format
class ParaVision(Format):
    """Folders of Bruker's preclinical scanner (acqp, method, rawdata.job0, pdata/*/systemMatrix); untested on real scanners."""

    name = "paravision"
    suffixes = ()
    reads = True

    def holds(self, path: Path) -> bool:
        """Whether it is a folder with the files acqp or method."""
        return path.is_dir() and any((path / name).is_file() for name in ("acqp", "method"))

    def read(self, path: Path) -> Any:
        """The calibration or the measurement."""
        from mpijax.io.mdf.format import MDF

        return MDF().read(path)

    def as_mdf(self, path: Path, target: Path) -> None:
        """Write the parameters anew; raw frames stay where they are."""
        from mpijax.io.paravision import write_as_mdf

        write_as_mdf(path, target)


@register_format
class Matlab(Format):
    """MATLAB files of version 5 and 7.3; what their variables are must be said (:func:`mpijax.io.read_matlab`)."""

    name = "matlab"
    suffixes = (".mat",)
    reads = True

    def holds(self, path: Path) -> bool:
        """Whether a file begins as MATLAB's do."""
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            return file.read(8) in (b"MATLAB 5", b"MATLAB 7")

    def read(self, path: Path) -> Any:
        """Refuse with the names of the variables: which of them is what is not known."""
        from mpijax.io.matlab import variables

        raise MDFError(
            f"{path} is a MATLAB file, which does not say what its variables are: {variables(path)}. Say it: mpijax convert "
            f"{path.name} -o OUT.mdf --variable NAME --axes '...', or mj.io.read_matlab."
        )
