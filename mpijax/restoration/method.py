"""A method that restores rows, and how it is applied."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.rows.tasks import RowMethod


@dataclass(frozen=True, eq=False)
class Together:
    """What a method of a whole matrix brings.

    Attributes:
        rows: restored (m, n) [unit of the matrix].
        residual: squared distance of each from its measured row; divergence: see :mod:`mpijax.restoration.trust`.
        details: what was found of the scan, in lines of text.
    """

    rows: Complex[np.ndarray, "m n"]
    residual: Float[np.ndarray, " m"]
    divergence: Float[np.ndarray, " m"]
    details: str


@dataclass(frozen=True)
class Method:
    """A method, ready to be applied to rows.

    Attributes:
        name: of the method, or the path of the weights.
        apply: see :data:`mpijax.rows.tasks.RowMethod`.
        noise_limit: largest noise over largest modulus that the method is made for.
        members: global phases to average over; 1 where the method commutes with them.
        sha256: of the weights, empty where there are none.
        classical: whether it is a classical method of the task, which stands in for others and not others for it.
        of_rows: of a method that belongs to the rows of one matrix: their numbers (b,) -> the method for them; else None.
        whole: of a method that restores the rows of a matrix together, in place of ``apply``: the matrix, the task and the
            noise of its kept rows (m,), to restored rows; also told the ``dynamics`` to try and whom to tell its ``progress``.
    """

    name: str
    apply: RowMethod
    noise_limit: float = float("inf")
    members: int = 1
    sha256: str = ""
    classical: bool = False
    of_rows: Callable[[Int[np.ndarray, " b"]], RowMethod] | None = None
    whole: Callable[..., Together] | None = None

    def at(self, numbers: Int[np.ndarray, " b"]) -> "Method":
        """The method for rows of these numbers."""
        return self if self.of_rows is None else replace(self, apply=self.of_rows(numbers), of_rows=None)

    @property
    def trained(self) -> bool:
        """Whether it is a network with a card."""
        return bool(self.sha256)

    @property
    def title(self) -> str:
        """The name without folder and ending."""
        return Path(self.name).stem

    def describe(self) -> str:
        """Name and checksum, as the record of a restored matrix gives them."""
        return f"{Path(self.name).name} (sha256 {self.sha256})" if self.trained else self.name


def phase_average(
    method: Method,
    rows: Complex[np.ndarray, " b *s"],
    known: Bool[np.ndarray, "..."],
    sigma: Float[np.ndarray, " b"],
    inside: Bool[np.ndarray, "..."] | None = None,
) -> tuple[Complex[np.ndarray, " b *t"], Complex[np.ndarray, " b *t"], Float[np.ndarray, " b"]]:
    """Restore rows under several global phases: the mean of e^{-i phi_k} f(e^{i phi_k} x) over phi_k = 2 pi k / K.

    A row's phase is a convention of the receive chain, and a restoration should not depend on it. The mean does so less than
    each member, and how far the members disagree says how sure the network is. ``inside`` are the voxels of the grid, None = all.

    Returns:
        The mean, the member of phase zero, and the root mean square deviation of the members from their mean (b,).
    """
    turns = np.exp(2j * np.pi * np.arange(method.members) / method.members).astype(np.complex64)
    inside = np.ones_like(known) if inside is None else inside
    members = [np.asarray(method.apply(rows * turn, known, inside, sigma)) / turn for turn in turns]
    mean = np.asarray(np.mean(members, axis=0, dtype=np.complex64))
    spread = np.sqrt(np.mean([np.abs(member - mean) ** 2 for member in members], axis=(0, *range(2, mean.ndim + 1))))
    return mean, members[0], spread
