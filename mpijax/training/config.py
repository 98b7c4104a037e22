"""What a training run is: a frozen record of plain values."""

import dataclasses
from typing import Any

from mpijax.core.checks import check_choice


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Recipe of a training run; all times are in optimizer steps.

    Args:
        steps: Length of the run.
        batch_size: Rows per step; the batch function must deliver as many.
        learning_rate: Learning rate of the first step.
        final_learning_rate: Learning rate of the last step, where the schedule goes there.
        schedule: How it decays, "exponential", "cosine", "constant", "multistep" (halved at 50, 75 and 90 % of the steps),
            "halving" (halved at 20, 40, 60 and 80 %), these two whatever ``final_learning_rate``, or "half-cosine" (constant for
            half of the steps, then the first 5/8 of a cosine to ``final_learning_rate``, which it does not reach).
        optimizer: "adam" or "adamw", whose weight decay is decoupled.
        loss: Pixel loss, "mse" or "l1".
        clip_norm: Largest norm of the gradient, longer ones are shortened; None = no limit.
        weight_decay: Factor of the weights that is added to the gradient before Adam (L2); with "adamw", to what Adam makes of
            it, before both are multiplied by the learning rate.
        ema_decay: Decay of the running mean of the weights; 0 keeps the current weights.
        log_every: Steps between two lines of metrics.jsonl.
        validate_every: Steps between two validations (also at step 0 and at the end).
        checkpoint_every: Steps between two checkpoints (also at the end).
        monitor: Validation metric that chooses the best weights, the smaller the better unless it starts with "-";
            None = the first one.
        seed: Seed of the run's random key where `fit` is given none.

    Raises:
        ValueError: A value is out of range.
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-7
    schedule: str = "exponential"
    optimizer: str = "adam"
    loss: str = "mse"
    clip_norm: float | None = None
    weight_decay: float = 0.0
    ema_decay: float = 0.999
    log_every: int = 50
    validate_every: int = 1000
    checkpoint_every: int = 1000
    monitor: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}; must be at least 1.")
        if not 0.0 < self.final_learning_rate <= self.learning_rate < float("inf"):
            raise ValueError(
                f"learning_rate = {self.learning_rate}, final_learning_rate = {self.final_learning_rate}; "
                "allowed is 0 < final_learning_rate <= learning_rate."
            )
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm = {self.clip_norm}; give a positive norm, or None for no limit.")
        if not 0.0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay = {self.weight_decay}; must not be negative.")
        if not 0.0 <= self.ema_decay < 1.0:
            raise ValueError(f"ema_decay = {self.ema_decay}; allowed is 0 <= ema_decay < 1.")
        schedules = ("exponential", "cosine", "constant", "multistep", "halving", "half-cosine")
        check_choice("schedule", self.schedule, schedules)
        check_choice("optimizer", self.optimizer, ("adam", "adamw"))
        check_choice("loss", self.loss, ("mse", "l1"))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """The recipe from a mapping of plain values.

        Raises:
            ValueError: A key is unknown or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = [key for key in values if key not in known]
        if unknown:
            raise ValueError(f"unknown training setting(s) {', '.join(unknown)}; known: {', '.join(known)}.")
        return cls(**values)
