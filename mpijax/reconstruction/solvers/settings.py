"""The solvers as values: what each can be told, with its defaults. ``dataclasses.fields`` is the only list of its options.

A solver is any object with ``prepare(equations)``, what depends on the matrix alone as far as possible, and
``solve(prepared, data)``, which returns a ``Solution`` with x (frames, n) and what there is to say of it by name, as "residual".
One with ``by_frame = True`` takes every frame for a problem of its own, to which frames of zeros beside it make no difference: its
frames can be shared out over devices and come in blocks. One whose settings are relative to all frames has ``over_blocks`` besides.
One with ``row_sums = True`` takes sums over rows alone, in compiled functions, so that each device can hold some of the rows.
The files of settings import neither jax nor flax: ``check``, ``prepare`` and ``solve`` import what they need.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from mpijax.core.solution import Solution
    from mpijax.core.typing import Array, Key, Values
    from mpijax.reconstruction.equations import Equations
    from mpijax.reconstruction.solvers.admm.settings import L1, TV

    Found: TypeAlias = Solution[dict[str, Any], Array]
    """x (frames, n), and what there is to say of it by name."""
    Penalties: TypeAlias = tuple["L1 | TV | Penalty", ...]
    SolverClass: TypeAlias = type["Solver"]
    SolverChoice: TypeAlias = "Solver | str"
else:  # the command line holds of a field what stands beside Any; what else is given is checked by value
    Array = Equations = Found = Key = Penalties = SolverChoice = SolverClass = Values = Any

__all__ = ["Array", "Equations", "Found", "Key", "Penalties", "Penalty", "Regularized"]
__all__ += ["Solver", "SolverChoice", "SolverClass", "Values"]


@runtime_checkable
class Solver(Protocol):
    """What :func:`reconstruct` asks of a solver."""

    def prepare(self, equations: Equations) -> Any:
        """What depends on the matrix alone, as far as possible."""
        ...

    def solve(self, prepared: Any, data: Array) -> Found:
        """The images x of all frames of the data (frames, m)."""
        ...


class Penalty(Protocol):
    """What :class:`Admm` asks of a penalty; one that acts on K x has ``operator`` besides, see :func:`admm`."""

    def prox(self, x: Any, step: Any) -> Any:
        """argmin over z of step f(z) + |z - x|^2/2."""
        ...


class Regularized:
    """A solver with a lambda; its default is a relative one."""

    DEFAULT: ClassVar[float]
    regularization: float | Array | None
    relative: bool

    def __post_init__(self) -> None:
        if self.regularization is None:
            if not self.relative:
                raise ValueError("an absolute lambda has no default; give regularization, or leave out relative=False.")
            object.__setattr__(self, "regularization", self.DEFAULT)

    def check(self) -> None:
        """Raise ValueError for settings that no equations can take, before anything is read or prepared."""
        from mpijax.reconstruction.inputs import check_regularization

        if not hasattr(self.regularization, "__len__"):  # one per voxel: the equations know how many there are
            check_regularization(self.regularization)
