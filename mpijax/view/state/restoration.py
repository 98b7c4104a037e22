"""What a restoration did to each row of a matrix, from what ``mpijax restore`` wrote: the matrix and the table beside it."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from mpijax.core.typing import Complex
from mpijax.restoration.trust import REASONS, RESTORED
from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.pair import differences

TRUSTED = REASONS[RESTORED]
UNKNOWN = "restored, or left for a reason that is not known"
HEADER = ("channel", "bin", "frequency_kHz", "noise_over_maximum", "reason")


@dataclass(frozen=True)
class Left:
    """A row that was not restored: noise over its largest modulus, and why."""

    level: float
    reason: str


class RestorationState:
    """Rows before and after a restoration.

    Args:
        after: the restored matrix.
        before: the measured one, or None where it is not shown.

    Attributes:
        text: what the file says of its restoration.
        reasons: of every row (c, f), in words; remark: what is not known, or "".
        channel, position: the row of ``after`` that is shown.

    Raises:
        ValueError: the file says nothing of a restoration.
    """

    def __init__(self, after: MatrixView, before: MatrixView | None = None):
        if after.restoration is None:
            raise ValueError(f"{after.path.name} says nothing of a restoration; mpijax restore writes it.")
        self.after, self.before, self.text = after, before, after.restoration
        self.remark = ""
        self.table = after.path.with_name(f"{after.path.stem}-left.tsv")
        self.left = self._read_table()
        shape = (len(after.channels), len(after.bins))
        self.reasons = np.full(shape, TRUSTED if not self.remark else UNKNOWN, object)
        for (channel, position), row in self.left.items():
            self.reasons[channel, position] = row.reason
        self.channel, self.position = 0, 0
        if after.strength is not None:
            self.channel, self.position = map(int, after.ranked()[0])

    def counts(self) -> dict[str, int]:
        """Reason -> rows, the most frequent first."""
        return dict(Counter(self.reasons.ravel().tolist()).most_common())

    def said(self) -> str:
        """What became of the row that is shown."""
        reason = self.reasons[self.channel, self.position]
        row = self.left.get((self.channel, self.position))
        return reason if row is None else f"left: {reason}; noise over largest value {row.level:.3g}"

    def images(self) -> dict[str, Complex[np.ndarray, "_ _ _"]]:
        """The row "before" and "after", and what was "removed" where both have one grid.

        Raises:
            FileNotFoundError, OSError, MDFError: a file is gone, or cannot be read.
        """
        after = self.after.row(self.channel, self.position)
        if self.before is None:
            return {"after": after}
        try:
            channel, position = self.after.same_row(self.before, self.channel, self.position)
            before = self.before.row(channel, position)
        except ValueError:
            return {"after": after}
        unlike = differences(self.after, self.before, (self.position, position), (0, 0))
        if unlike.kind:
            return {"after": after}
        found = {"before": before, "after": after}
        return found if unlike.grid else found | {"removed": before - after}

    def _read_table(self) -> dict[tuple[int, int], Left]:
        """Channel and position of each row that was left; the remark says where that is not known."""
        kept = re.search(r"(\d+) of (\d+) rows restored", self.text)
        if not self.table.is_file():
            if kept is None or kept[1] != kept[2]:
                self.remark = (
                    f"{self.table.name}, which says which rows were left and why, is not beside {self.after.path.name}."
                )
            return {}
        try:
            head, *lines = self.table.read_text(encoding="utf-8").splitlines()
            if tuple(head.split("\t")) != HEADER:
                raise ValueError
            return dict(filter(None, map(self._parsed, lines)))
        except (OSError, UnicodeDecodeError, ValueError):
            self.remark = f"{self.table.name} cannot be read as the table that mpijax restore writes."
            return {}

    def _parsed(self, line: str) -> tuple[tuple[int, int], Left] | None:
        number, bin_, _, level, reason = line.split("\t")
        place = self.after.find(int(number), int(bin_))
        return None if place is None else (place, Left(float(level), reason))


def of_matrices(matrices: list[MatrixView]) -> RestorationState | None:
    """The state of the matrix that was restored, beside the other one; None where none was."""
    for after in matrices:
        if after.restoration is not None:
            others = [matrix for matrix in matrices if matrix is not after]
            return RestorationState(after, others[0] if others else None)
    return None
