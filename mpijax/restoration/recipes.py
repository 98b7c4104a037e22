"""How each network is trained: as published, and small for two cores."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax

from mpijax import models
from mpijax.core.checks import check_choice
from mpijax.training import TrainConfig, split

PRESETS = ("quick", "published")


@dataclass(frozen=True)
class Recipe:
    """A network's options, its training and how rows are scaled and augmented.

    Attributes:
        model: registered name.
        config: of the training.
        options: of the network.
        task: values of :class:`mpijax.datasets.CoarseMeasurement` that belong to the recipe.
    """

    model: str
    config: TrainConfig
    options: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)


TRANSMS_RATES = {2: 5e-4, 4: 1e-4, 8: 5e-5}
"""Learning rates by scale, of the public code for the Open MPI data."""

_TRANSMS = dict(final_learning_rate=1e-7, schedule="halving", loss="l1", ema_decay=0.0)
_FLIPS = {"augment": "flips", "normalization": "minmax"}
_PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "transms": (dict(_TRANSMS, steps=200_000, weight_decay=1e-8), _FLIPS),
    "smrnet": (dict(_TRANSMS, steps=200_000, learning_rate=1e-4), {"method": "stride"}),
    "srcnn": (dict(_TRANSMS, steps=200_000, learning_rate=1e-4), _FLIPS),
    "vdsr": (dict(_TRANSMS, steps=200_000, learning_rate=1e-4, clip_norm=0.4), _FLIPS),
    "mdsr": (dict(_TRANSMS, steps=200_000, learning_rate=1e-4, batch_size=16), _FLIPS),
    "vrfnet": (
        dict(steps=350 * 6000 // 64, learning_rate=1e-3, final_learning_rate=1e-7, loss="mse"),
        {},
    ),
    "consistent_unet": (
        dict(steps=200_000, learning_rate=1e-3, final_learning_rate=1e-6, schedule="cosine", loss="l1"),
        {},
    ),
}
"""Training and task by network. What the papers leave open is said at :func:`recipe`."""

_QUICK: dict[str, dict[str, Any]] = {
    "transms": dict(features=12, layers=3, embed=32, heads=2, local_features=16, growth=6, blocks=3, fused_features=32),
    "vrfnet": dict(features=16, blocks=4, embed=16),
    "srcnn": {},
    "vdsr": dict(features=16, layers=8),
    "mdsr": dict(features=16, blocks=4),
    "smrnet": dict(features=16, blocks=2, growth=8),
    "consistent_unet": dict(features=(48, 64, 80), blocks=1),
}
"""Options of small variants."""


_RESTORING: dict[str, dict[str, Any]] = dict.fromkeys(
    ("wiener_unet", "unet"), dict(features=(32, 48, 64), blocks=1, patch=2)
)
"""Options of small networks that keep the grid; the others have their own."""

_QUICK_STEPS = {"transms": {2: 4500, 4: 6000}, "vrfnet": {2: 3000, 4: 3000}, "smrnet": {2: 2000}}
"""Steps of the quick preset by scale where they are not 4,000: where a step takes long."""


def recipe(model: str, scale: int = 1, preset: str = "quick", **changes: Any) -> Recipe:
    """The recipe of a network.

    "published" is the paper's, in steps: TranSMS and what it is compared with by L1 behind data consistency, Adam, a rate that
    is halved at every fifth of 200,000 steps of 64 rows, flips, rows scaled to 0.15..0.85; SMRnet on strided rows; VDSR with
    gradients clipped to 0.4; MDSR in batches of 16; VRF-Net by L2, rates from 1e-3 to 1e-7 in 350 epochs of 6,000 rows. TranSMS'
    rates are its public code's; SRCNN, VDSR and MDSR take 1e-4 where the papers searched or used another optimizer.
    Both keep the weights that are best on held-out rows, where there are such; the public code keeps the last.
    "quick" is a small variant with larger rates and batches of 16 rows that trains in minutes on two cores, with all symmetries,
    random phases and a loss in units of the noise; networks without a published recipe have this one, with their own options.
    Networks that keep the grid (denoise, inpaint, complete) train by L1 for 3,000 steps of 16 rows; none is published here.

    Args:
        model: registered name of the network.
        scale: upsampling factor; 1 for tasks that keep the grid.
        preset: "quick" or "published".
        changes: values of :class:`mpijax.training.TrainConfig` in place of the recipe's.

    Raises:
        ValueError: an unknown network or preset, or one that no paper trains for this.

    Source: restoration paper, sections 3.2 and 3.3; what differs is this project's.
    """
    models.check_name(model)
    check_choice("preset", preset, PRESETS)
    if scale == 1:
        return _restoring(model, preset, changes)
    if model not in _PUBLISHED:
        _check_upsamples(model, scale)
        if preset == "published":
            raise ValueError(f"no recipe is published for {model!r}, only for {_published()}; take preset 'quick'.")
    training, task = _PUBLISHED.get(model, ({}, {}))
    if preset == "published":
        rate = {"learning_rate": TRANSMS_RATES.get(scale, 1e-4)} if model == "transms" else {}
        return Recipe(model, replace(TrainConfig(**(rate | training)), **changes), {}, task)
    quick: dict[str, Any] = dict(
        steps=_QUICK_STEPS.get(model, {}).get(scale, 4000),
        batch_size=16,
        learning_rate=3e-3 if model == "transms" else 2e-3,
        final_learning_rate=2e-5,
        schedule="cosine",
        loss="l1",
        ema_decay=0.995,
        clip_norm=training.get("clip_norm"),
        validate_every=500,
        checkpoint_every=500,
    )
    kept = {name: value for name, value in task.items() if name == "method"}
    return Recipe(model, TrainConfig(**(quick | changes)), _QUICK.get(model, {}), {"units": "whitened"} | kept)


def _restoring(model: str, preset: str, changes: dict[str, Any]) -> Recipe:
    """Of a network that keeps the grid."""
    able = [name for name in models.names(takes="mask") if name not in _PUBLISHED]
    if model not in able:
        raise ValueError(
            f"{model!r} does not restore rows on their own grid (its forward takes no mask, or it upsamples); choose one of "
            f"{', '.join(map(repr, able))}."
        )
    if preset == "published":
        raise ValueError(f"no recipe is published for {model!r} as a network that keeps the grid; take preset 'quick'.")
    quick: dict[str, Any] = dict(
        steps=3000, batch_size=16, learning_rate=1e-3, final_learning_rate=2e-6, schedule="cosine", loss="l1",
        validate_every=500, checkpoint_every=500,
    )  # fmt: skip
    return Recipe(model, TrainConfig(**(quick | changes)), _RESTORING.get(model, {}))


def _check_upsamples(model: str, scale: int) -> None:
    try:
        jax.eval_shape(lambda: split(models.create(model, scale=scale, input_shape=(16, 16), rngs=0))[1])
    except ValueError as error:
        raise ValueError(f"{model!r} does not upsample by {scale} ({error}) Choose one of {_published()}.") from None


def _published() -> str:
    return ", ".join(map(repr, _PUBLISHED))
