"""MDF as one of the file formats."""

from pathlib import Path
from typing import Any

from mpijax.io.formats import Format, register_format
from mpijax.io.mdf.header import read_info
from mpijax.io.mdf.measurement import read_measurement
from mpijax.io.mdf.read import read_system_matrix
from mpijax.io.mdf.reconstruction import Reconstruction, read_reconstruction, write_reconstruction
from mpijax.io.mdf.write import write_measurement, write_system_matrix
from mpijax.system.matrix import SystemMatrix
from mpijax.system.measurement import Measurement


@register_format
class MDF(Format):
    """The Magnetic particle imaging Data Format 2.1.0."""

    name = "mdf"
    suffixes = (".mdf",)
    reads = True
    writes = (SystemMatrix, Measurement, Reconstruction)

    def read(self, path: Path) -> Any:
        """What the file holds: system matrices one per period where there are several."""
        info = read_info(path)
        if info.is_calibration:
            return read_system_matrix(path)
        return read_measurement(path) if info.data_shape or info.reconstruction is None else read_reconstruction(path)

    def write(self, path: Path, data: Any) -> None:
        """Write a container of any kind."""
        if isinstance(data, SystemMatrix):
            write_system_matrix(path, data)
        elif isinstance(data, Measurement):
            write_measurement(path, data)
        else:
            write_reconstruction(path, data)
