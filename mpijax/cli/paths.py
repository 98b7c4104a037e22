"""Files that commands read and write, and words that they say; jax is not loaded here."""

import tempfile
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

Output = Annotated[Path, arg(aliases=["-o"])]


PICTURES = (".png", ".pdf", ".svg", ".eps", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")
OTHERS = (".nii", ".gz", ".zip", ".mat", ".npy", ".npz", ".csv", ".tsv", ".txt", ".json", ".toml", ".dcm")


def check_mdf(path: Path, picture: str) -> None:
    """Raise ValueError where the name of an MDF file ends as that of another format.

    Args:
        path: to be written.
        picture: which command or option makes a picture, for those who asked for one.
    """
    suffix = path.suffix.lower()
    if suffix in PICTURES + OTHERS:
        other = picture if suffix in PICTURES else f"mpijax convert {path.stem}.mdf writes other formats"
        raise ValueError(
            f"{path} is written as MDF, and a name that ends in {suffix} says otherwise; give one that ends in .mdf ({other})."
        )


def check_output(path: Path) -> None:
    """Raise ValueError where no file can be written, before anything is computed."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of the file to write.")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} exists and is not a regular file; give the name of the file to write.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder; {path} cannot be written.")
    try:
        tempfile.TemporaryDirectory(prefix=".mpijax", dir=folder).cleanup()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: nothing can be made in {folder} ({error.strerror}).") from None


def check_outputs(outputs: list[Path], inputs: list[Path]) -> None:
    """The same for several files, which must differ from each other and from what is read."""
    for i, path in enumerate(outputs):
        check_output(path)
        if path.resolve() in {other.resolve() for other in inputs}:
            raise ValueError(f"{path} is read and would be overwritten; give another name for the output.")
        if path.resolve() in {other.resolve() for other in outputs[:i]}:
            raise ValueError(f"{path} is named for two outputs; give each its own name.")


def by(shape: tuple[int, ...]) -> str:
    """(32, 32, 1) as 32 x 32 x 1."""
    return " x ".join(map(str, shape))
