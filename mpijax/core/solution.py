"""What every solver returns."""

from typing import Any, Generic

from typing_extensions import TypeVar

from mpijax.core.pytree import pytree

Stats = TypeVar("Stats", covariant=True, default=dict[str, Any])
Value = TypeVar("Value", covariant=True, default=Any)


@pytree
class Solution(Generic[Stats, Value]):
    """The result of a solver: ``value``, and statistics by name, a mapping or a record (:mod:`mpijax.core.record`).

    A numerical outcome is data: a solver that did not converge says so in ``stats`` instead of raising. A type checker reads
    ``Solution[stats, value]``; without them, a dictionary and anything.
    """

    value: Value
    stats: Stats
