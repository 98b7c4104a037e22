"""What a network was trained for: what restoring with it must know."""

from dataclasses import dataclass

from mpijax.rows.tasks.task import Task


@dataclass(frozen=True)
class Trained:
    """What a network was trained for, in training and on the card of its weights.

    Attributes:
        tasks: that it restores rows for.
        dimensions: 2 or 3.
        scaling: of a row before the network and back: "peak" (largest known modulus one) or one of
            :data:`mpijax.rows.scaling.SCALINGS`.
        noise_limit: largest noise over largest modulus that it has seen.
        members: global phases that its results are averaged over in use; 1 for none.
    """

    tasks: tuple[Task, ...]
    dimensions: int = 2
    scaling: str = "peak"
    noise_limit: float = float("inf")
    members: int = 1
