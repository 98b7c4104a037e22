"""Learning-rate schedule and optimizer."""

import optax

from mpijax.training.config import TrainConfig

MILESTONES = {"multistep": (0.5, 0.75, 0.9), "halving": (0.2, 0.4, 0.6, 0.8)}
"""Shares of a run after which the learning rate is halved."""

COSINE_PERIOD = 0.8
"""Half a period of the cosine of "half-cosine" over the run: 80,000 steps of 100,000 in MPI-Mamba's recipe."""


def learning_rate(config: TrainConfig) -> optax.Schedule:
    """Learning rate by step, from r0 = ``learning_rate``; only exponential and cosine end at r1 = ``final_learning_rate``.

    exponential: r0 (r1/r0)^(t/T); cosine: r1 + (r0 - r1) (1 + cos(pi t/T)) / 2; constant: r0, with T = steps - 1;
    multistep and halving: r0, halved at `MILESTONES`; half-cosine: r0 for t < steps/2, then
    r1 + (r0 - r1) (1 + cos(pi (t - steps/2)/(0.8 steps))) / 2, which ends at r1 + 0.31 (r0 - r1).

    Args:
        config: Recipe of the run.

    Returns:
        Function of the step.

    Source: cosine: I. Loshchilov and F. Hutter, arXiv:1608.03983 (2017); half-cosine: the recipe of MPI-Mamba; halving: that
        of TranSMS.
    """
    start, end, last = config.learning_rate, config.final_learning_rate, max(config.steps - 1, 1)
    if config.schedule == "constant":
        return optax.constant_schedule(start)
    if config.schedule == "cosine":
        return optax.cosine_decay_schedule(start, last, alpha=end / start)
    if config.schedule == "half-cosine":
        half = config.steps // 2
        decay = optax.cosine_decay_schedule(start, COSINE_PERIOD * config.steps, alpha=end / start)
        return optax.join_schedules([optax.constant_schedule(start), decay], [half])
    if config.schedule in MILESTONES:
        halvings = {round(at * config.steps): 0.5 for at in MILESTONES[config.schedule]}
        return optax.piecewise_constant_schedule(start, halvings)
    return optax.exponential_decay(start, last, end / start, end_value=end)


def adam(config: TrainConfig) -> optax.GradientTransformation:
    """Adam or AdamW with the schedule of `learning_rate`.

    Gradients longer than ``clip_norm`` are shortened to it, then Adam adds ``weight_decay`` times the weights to them, AdamW to
    its own result.

    Source: D. P. Kingma and J. Ba, arXiv:1412.6980 (2015); with weight decay I. Loshchilov and F. Hutter, arXiv:1711.05101
        (2019).
    """
    decoupled = config.optimizer == "adamw"
    rate = learning_rate(config)
    steps = [optax.adamw(rate, weight_decay=config.weight_decay) if decoupled else optax.adam(rate)]
    if config.weight_decay and not decoupled:
        steps.insert(0, optax.add_decayed_weights(config.weight_decay))
    if config.clip_norm is not None:
        steps.insert(0, optax.clip_by_global_norm(config.clip_norm))
    return optax.chain(*steps) if len(steps) > 1 else steps[0]
