"""MDF as one of the file formats; what it reads and writes is imported when it does."""

from pathlib import Path
from typing import Any

from mpijax.io.formats import Containers, Format, register_format


@register_format
class MDF(Format):
    """The Magnetic particle imaging Data Format 2.1.0."""

    name = "mdf"
    suffixes = (".mdf",)
    reads = True
    writes = Containers(
        "mpijax.system.matrix:SystemMatrix",
        "mpijax.system.measurement:Measurement",
        "mpijax.io.mdf.reconstruction:Reconstruction",
    )

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
