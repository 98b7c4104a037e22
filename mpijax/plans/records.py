"""The plan by which a file was made, from its own record."""

from pathlib import Path

from mpijax.io import read_info
from mpijax.io.hdf5 import small_value
from mpijax.io.mdf.fields import PLAN
from mpijax.io.mdf.opened import open_mdf
from mpijax.plans.plan import Plan
from mpijax.plans.reconstruct import ReconstructPlan


def recorded(path: str | Path) -> Plan:
    """The plan by which an image, or a simulated or restored calibration, was made.

    Raises:
        FileNotFoundError, MDFError: no such file, or no MDF file.
        ValueError: a measurement, or a file that records no plan: a measured one, or of an earlier version or another program.
    """
    info = read_info(path)
    if info.reconstruction is not None:
        return ReconstructPlan.of_image(path)
    if not info.is_calibration:
        raise ValueError(
            f"{path} is a measurement; plans are recorded in images and in simulated or restored calibrations."
        )
    with open_mdf(path) as file:
        text = small_value(file, PLAN)
    if not isinstance(text, str):
        raise ValueError(
            f"{path} records no plan: it was measured, or made by an earlier mpijax or another program. mpijax simulate and "
            "mpijax restore record theirs."
        )
    return Plan.parse(text, str(path), Path(path).absolute().parent)
