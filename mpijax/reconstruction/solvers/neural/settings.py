"""What the neural field can be told."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from mpijax.reconstruction.solvers.settings import Array, Equations, Found, Key

if TYPE_CHECKING:
    from mpijax.reconstruction.solvers.neural.steps import NeuralState
else:
    NeuralState = Any


@dataclass(frozen=True)
class NeuralImplicit:
    """A network of the coordinates, fitted to one measurement; minutes. See :func:`neural_implicit`.

    ``stats["field"].sample(shape)`` on any grid times ``stats["field_scale"]`` is in mmol(Fe)/L.

    Attributes:
        key: random key of initial weights, factors and held-out rows.
        constraint: nonnegative, real or none.
        preset: quick (minutes) or paper: steps, learning rate and width where those are not given.
        steps: of the training at most.
        learning_rate: Adam's.
        width: of the sine layers.
        depth: sine layers after the first one.
        omega: factor in the sines; larger = finer structure, and noise, is fitted sooner.
        nonnegative: whether the output passes through softplus; not given = as the constraint says.
        max_factor: how many times finer than the matrix the finest grid is.
        held_out: share of the rows kept for early stopping.
        patience: steps without a better held-out loss after which the fit ends; not given = take all steps.
        check_every: steps between two looks at the held-out rows.
        ensemble: networks of different initial weights; their mean is the image.
        progress: whether to draw a progress bar.
        state: continue from this state.
        callback: called as callback(state, loss, held-out loss) now and then.

    Source: neural implicit paper, eq. 1.
    """

    RECORDED: ClassVar = {"steps": "iterations"}
    """What a field is called in the file of a reconstruction."""

    key: Key | None = None
    constraint: str | None = "nonnegative"
    preset: str = "quick"
    steps: int | None = None
    learning_rate: float | None = None
    width: int | None = None
    depth: int = 3
    omega: float = 30.0
    nonnegative: bool | None = None
    max_factor: int = 5
    held_out: float | None = 0.1
    patience: int | None = None
    check_every: int = 100
    ensemble: int = 1
    progress: bool = False
    state: NeuralState | None = None
    callback: Callable[..., object] | None = None

    is_random = True
    """Whether a key is needed."""

    def check(self) -> None:
        """Raise ValueError for a constraint, a preset or a number of steps that cannot be."""
        from mpijax.core.checks import check_choice, check_count
        from mpijax.reconstruction.inputs import CONSTRAINTS
        from mpijax.reconstruction.solvers.neural.training import NEURAL_PRESETS

        check_choice("constraint", self.constraint, CONSTRAINTS)
        check_choice("preset", self.preset, tuple(NEURAL_PRESETS))
        if self.steps is not None:
            check_count("steps", self.steps)

    def prepare(self, equations: Equations) -> Any:
        """The equations; the network is fitted to the data.

        Raises:
            ValueError: no key.
        """
        self.check()
        if self.key is None:
            raise ValueError("solver 'neural' starts at random; give key=jax.random.key(0).")
        return equations

    def solve(self, prepared: Equations, data: Array) -> Found:
        """One fit per frame. Without weights the network's own, the rows' norms; drift rows are weighted already."""
        from mpijax.core.solution import Solution
        from mpijax.reconstruction.solvers.neural.training import neural_implicit

        options = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "constraint"}
        if self.nonnegative is None:
            options["nonnegative"] = self.constraint == "nonnegative"
        if prepared.weights_chosen:
            options["row_weights"] = prepared.row_weights
        found = neural_implicit(prepared.matrix, data, prepared.image_shape, **options)
        return Solution(found.value, {**found.stats, "field": found.field, "field_scale": prepared.problem.scale[0]})
