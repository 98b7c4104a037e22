"""MDF as one of the file formats; what it reads and writes is imported when it does."""

from pathlib import Path
from typing import Any, ClassVar

from mpijax.io.formats import Containers, Format, register_format


@register_format
class MDF(Format):
    """The Magnetic particle imaging Data Format 2.1.0.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """

    name = "mdf"
    suffixes: ClassVar[tuple[str, ...]] = (".mdf",)
    reads = True
    writes = Containers(
        "mpijax.system.matrix:SystemMatrix",
        "mpijax.system.measurement:Measurement",
        "mpijax.io.mdf.reconstruction:Reconstruction",
    )

    def holds(self, path: Path) -> bool:
        """Whether a file is HDF5 with the groups of MDF."""
        return _generation(path) == 2

    def read(self, path: Path) -> Any:
        """What the file holds: system matrices one per period where there are several."""
        from mpijax import io

        info = io.read_info(path)
        if info.is_calibration:
            return io.read_system_matrix(path)
        return (
            io.read_measurement(path)
            if info.data_shape or info.reconstruction is None
            else io.read_reconstruction(path)
        )

    def write(self, path: Path, data: Any) -> None:
        """Write a container of any kind."""
        from mpijax import io, system

        if isinstance(data, system.SystemMatrix):
            io.write_system_matrix(path, data)
        elif isinstance(data, system.Measurement):
            io.write_measurement(path, data)
        else:
            io.write_reconstruction(path, data)


@register_format
class MDF1(MDF):
    """MDF 1 and its drafts, which are read where they lie, under the paths of MDF 2."""

    name = "mdf1"
    suffixes = ()
    writes = ()

    def holds(self, path: Path) -> bool:
        """Whether a file is HDF5 with the data, or the version, of MDF 1."""
        return _generation(path) == 1

    def as_mdf(self, path: Path, target: Path) -> None:
        """Write the header anew and name the data, which stay where they are."""
        from mpijax.io.mdf.first import write_second

        write_second(path, target)


def _generation(path: Path) -> int:
    """1 or 2 of an MDF file, 0 of anything else."""
    if not path.is_file():
        return 0
    from mpijax.io.mdf.first import generation  # which loads h5py

    return generation(path)
