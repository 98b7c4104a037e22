"""The solvers as values: what each can be told, with its defaults. ``dataclasses.fields`` is the only list of its options.

A solver is any object with ``prepare(equations)``, what depends on the matrix alone as far as possible, and
``solve(prepared, data)``, which returns a ``Solution`` with x (frames, n) and what there is to say of it by name, as "residual".
The files of settings import neither jax nor flax: ``check``, ``prepare`` and ``solve`` import what they need.
"""

from typing import Any, ClassVar


class Regularized:
    """A solver with a lambda; its default is a relative one."""

    DEFAULT: ClassVar[float]
    regularization: Any
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
