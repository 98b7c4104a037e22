"""What a calibration file says of itself, as far as a simulator needs it."""

from typing import Any

import jax
import numpy as np

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Float, Int, Matrix, Scalar, Vector3
from mpijax.identification.problem import coils_of
from mpijax.system import Grid, LissajousSequence, Scanner, SystemMatrix

POINT_SAMPLE = np.zeros((1, 3), np.float32)
"""A sample that is small beside the signal's structure."""


def box_sample(edges: tuple[float, float], nodes: int) -> Float[np.ndarray, "q 3"]:
    """Positions in a sample that fills a rectangle of the plane, whose plain mean stands for the mean over it.

    Chebyshev's rules of equal weights: nodes at +- sqrt(1/3) of half the edge, or at 0 and +- sqrt(1/2), exact up to the third
    degree.

    Args:
        edges: along x and y [m]; nodes: along each, 2 or 3.
    """
    half = {2: np.array([-1, 1]) / np.sqrt(3), 3: np.array([-1, 0, 1]) / np.sqrt(2)}[nodes]
    x, y = np.meshgrid(half * edges[0] / 2, half * edges[1] / 2)
    return np.stack([x.ravel(), y.ravel(), np.zeros(nodes**2)], axis=1).astype(np.float32)


class MissingFactsError(ValueError):
    """A calibration that does not say enough of itself to be simulated.

    Attributes:
        missing: what is missing, in words.
    """

    def __init__(self, missing: list[str]):
        self.missing = tuple(missing)
        super().__init__(f"the calibration does not say {', '.join(missing)}; its rows cannot be simulated.")


@pytree
class Told:
    """Fields, receive coils and positions of a calibration as its file gives them, in single precision.

    Attributes:
        scanner: selection field and receive coils, without transfer function: every row has a factor of its own.
        sequence: drive field and sampling.
        points: positions of the voxels [m], (n, 3).
        center: of the grid [m], (3,); half: half its field of view [m], (3,).
        reference: largest selection field on the grid [T], at which a fluid particle has its full anisotropy.
        sample: positions about a voxel [m] over which its signal is averaged, (q, 3).
        used: axes along which the grid extends, static.
    """

    scanner: Scanner
    sequence: LissajousSequence
    points: Matrix
    center: Vector3
    half: Vector3
    reference: Scalar
    sample: Matrix
    used: tuple[bool, bool, bool] = static()

    @property
    def n_channels(self) -> int:
        """Receive channels."""
        coils = self.scanner.receive_coils
        return 3 if coils is None else len(coils)

    def unit(self, points: Any = None) -> Float[np.ndarray, "3 n"]:
        """Positions over half the field of view, (3, n)."""
        points = self.points if points is None else points
        return ((np.asarray(points) - np.asarray(self.center)) / np.asarray(self.half)).T


def told(scanner: Scanner, sequence: LissajousSequence, grid: Grid, sample: Matrix = POINT_SAMPLE) -> Told:
    """The facts of a scan on a grid."""
    points = np.asarray(grid.positions, np.float32)
    field = np.asarray(scanner.field(points))
    return Told(
        scanner=_single(
            Scanner(scanner.gradient, scanner.offset_field, scanner.receive_coils, None, scanner.selection_field)
        ),
        sequence=_single(sequence),
        points=points,
        center=np.asarray(grid.center, np.float32),
        half=np.asarray(grid.fov, np.float32) / 2,
        reference=np.float32(np.linalg.norm(field, axis=1).max()),
        sample=np.asarray(sample, np.float32),
        used=(grid.shape[0] > 1, grid.shape[1] > 1, grid.shape[2] > 1),
    )


def facts_of(
    matrix: SystemMatrix, sample: Matrix = POINT_SAMPLE
) -> tuple[Told, Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """What a matrix says of itself, and receive coil and bin of each of its kept rows.

    Args:
        matrix: calibration.
        sample: see :class:`Told`; files do not tell how a sample's volume is shaped.

    Raises:
        MissingFactsError: something that a simulator needs is not said, or the rows are not of one static selection field.
    """
    missing = []
    if matrix.scanner is None:
        missing.append("the gradient of the selection field")
    elif matrix.scanner.selection_field is None and not np.any(np.asarray(matrix.scanner.gradient)):
        missing.append("the gradient of the selection field (it is zero)")
    if matrix.sequence is None:
        missing.append("drive amplitudes and dividers")
    elif not np.any(np.asarray(matrix.sequence.amplitude)[np.asarray(matrix.sequence.active)]):
        missing.append("the drive amplitudes (they are zero)")
    if matrix.angles is not None:
        missing.append("one static selection field (it turns)")
    if missing:
        raise MissingFactsError(missing)
    assert matrix.scanner is not None and matrix.sequence is not None
    if matrix.n_samples != matrix.sequence.n_samples:
        raise MissingFactsError(
            [f"a sequence of {matrix.n_samples} samples per period (it has {matrix.sequence.n_samples})"]
        )
    channel, position = matrix.kept_rows()
    try:
        coil = coils_of(matrix, matrix.scanner)[channel]
    except ValueError:
        coils = matrix.scanner.receive_coils
        count = "three coils along x, y and z" if coils is None else f"{len(coils)} coils"
        raise MissingFactsError(
            [
                f"which receive coil each channel is ({matrix.n_channels} channels, {count}; write the number of each, from 0, "
                "into the field /acquisition/receiver/_channels of the file, or give SystemMatrix.create its channels)"
            ]
        ) from None
    bins = np.asarray(matrix.frequency_indices)[position]
    return told(matrix.scanner, matrix.sequence, matrix.grid, sample), coil, bins


def _single(tree: Any) -> Any:

    def one(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        return leaf.astype(np.float32) if np.issubdtype(leaf.dtype, np.floating) else leaf

    return jax.tree.map(one, tree)
