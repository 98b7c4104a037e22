"""What every solver returns."""

from collections.abc import Mapping
from typing import Any

from mpijax.core.pytree import pytree


@pytree
class Solution:
    """The result of a solver: ``value`` and a mapping of statistics, which may be a :class:`Record`.

    A numerical outcome is data: a solver that did not converge says so in ``stats`` instead of raising.
    """

    value: Any
    stats: Mapping[str, Any]
