"""Learning-rate schedule and optimizer."""

import optax

from mpijax.training.config import TrainConfig

MILESTONES = (0.5, 0.75, 0.9)
"""Shares of a run after which a "multistep" learning rate is halved."""


def learning_rate(config: TrainConfig) -> optax.Schedule:
    """Learning rate by step, from ``learning_rate`` at step 0 to ``final_learning_rate`` at the last step.

    exponential: r0 (r1/r0)^(t/T); cosine: r1 + (r0 - r1) (1 + cos(pi t/T)) / 2; constant: r0, with T = steps - 1;
    multistep: r0, halved at 50, 75 and 90 % of the steps.

    Args:
        config: Recipe of the run.

    Returns:
        Function of the step.
    """
    start, end, last = config.learning_rate, config.final_learning_rate, max(config.steps - 1, 1)
    if config.schedule == "constant":
        return optax.constant_schedule(start)
    if config.schedule == "cosine":
        return optax.cosine_decay_schedule(start, last, alpha=end / start)
    if config.schedule == "multistep":
        return optax.piecewise_constant_schedule(start, {round(at * config.steps): 0.5 for at in MILESTONES})
    return optax.exponential_decay(start, last, end / start, end_value=end)


def adam(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with the schedule of `learning_rate`, after gradients longer than ``clip_norm`` have been shortened to it."""
    optimizer = optax.adam(learning_rate(config))
    if config.clip_norm is None:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
