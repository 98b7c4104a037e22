"""``mpijax info`` and ``mpijax inspect``: what a file holds."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.paths import check_output
from mpijax.io.formats import check_input


def info(file: Positional[Path]) -> None:
    """Say what an MDF file holds and what it lacks.

    Args:
        file: an MDF file.
    """
    check_input(file)
    print(mj.io.describe(mj.io.read_info(file)))


def inspect(
    file: Positional[Path],
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    rows: int = 6,
) -> None:
    """Draw the first look at a calibration: SNR over frequency and mixing order, strongest rows, background drift.

    Args:
        file: an MDF file with a calibration.
        output: image file; default: the file's name with -inspect.png in the current folder.
        rows: how many of the strongest rows to draw, 1 to 12.
    """
    from rich.console import Console

    from mpijax.viz import inspect_figure, save

    output = Path(f"{file.stem}-inspect.png") if output is None else output
    check_input(file)
    check_output(output)
    with Console(stderr=True).status(f"reading {file}"):
        save(inspect_figure(file, rows=rows), output)
    print(f"wrote {output}")
