"""What every solver returns."""

from typing import Any, Generic, TypeVar

from mpijax.core.pytree import pytree

Stats = TypeVar("Stats")


@pytree
class Solution(Generic[Stats]):
    """The result of a solver: ``value``, and statistics by name, a mapping or a record (:mod:`mpijax.core.record`).

    A numerical outcome is data: a solver that did not converge says so in ``stats`` instead of raising.
    """

    value: Any
    stats: Stats
