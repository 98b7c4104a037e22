"""Learning-rate schedule and optimizer."""

import optax

from mpijax.training.config import TrainConfig

MILESTONES = {"multistep": (0.5, 0.75, 0.9), "halving": (0.2, 0.4, 0.6, 0.8)}
"""Shares of a run after which the learning rate is halved."""


def learning_rate(config: TrainConfig) -> optax.Schedule:
    """Learning rate by step, from ``learning_rate`` at step 0 to ``final_learning_rate`` at the last step.

    exponential: r0 (r1/r0)^(t/T); cosine: r1 + (r0 - r1) (1 + cos(pi t/T)) / 2; constant: r0, with T = steps - 1;
    multistep and halving: r0, halved at `MILESTONES`.

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
    if config.schedule in MILESTONES:
        halvings = {round(at * config.steps): 0.5 for at in MILESTONES[config.schedule]}
        return optax.piecewise_constant_schedule(start, halvings)
    return optax.exponential_decay(start, last, end / start, end_value=end)


def adam(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with the schedule of `learning_rate`.

    Gradients longer than ``clip_norm`` are shortened to it, then ``weight_decay`` times the weights is added.
    """
    steps = [optax.adam(learning_rate(config))]
    if config.weight_decay:
        steps.insert(0, optax.add_decayed_weights(config.weight_decay))
    if config.clip_norm is not None:
        steps.insert(0, optax.clip_by_global_norm(config.clip_norm))
    return optax.chain(*steps) if len(steps) > 1 else steps[0]
