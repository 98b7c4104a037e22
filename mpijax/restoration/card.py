"""What the card of a network's weights says of its training: written by `train`, read by `restore`."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpijax.core.checks import check_choice
from mpijax.rows.scaling import SCALINGS
from mpijax.rows.tasks import Complete, Denoise, Inpaint, Trained, Upsample, task_of

KEY = "trained_for"
"""Of the entry in the card's data."""


def to_card(trained: Trained) -> dict[str, Any]:
    """The entry of a card, plain values."""
    tasks = [{"name": task.name, **task.facts()} for task in trained.tasks]
    limit = None if math.isinf(trained.noise_limit) else trained.noise_limit  # JSON has no infinity
    return dataclasses.asdict(dataclasses.replace(trained, tasks=())) | {"tasks": tasks, "noise_limit": limit}


def from_card(path: Path, card: Mapping[str, Any]) -> Trained:
    """What a network was trained for, from the card of its weights, also from cards of mpijax 0.5 to 0.7.

    Raises:
        ValueError: the card does not say it.
    """
    data, model = card["metadata"].get("data", {}), card["model"]
    try:
        if not isinstance(data, Mapping):
            raise TypeError("data")
        if KEY in data:
            return _read(data[KEY])
        if isinstance(data.get("task"), Mapping):
            return _corrupted(data["task"], model)
        return _upsampling(data, model)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path.with_suffix('.json')} does not say what the network was trained for; it is damaged, or was changed by hand."
        ) from None


def _read(entry: Mapping[str, Any]) -> Trained:
    tasks = tuple(
        task_of(**{"task" if key == "name" else key: v for key, v in facts.items()}) for facts in entry["tasks"]
    )
    check_choice("scaling", entry["scaling"], ("peak", *SCALINGS))
    limit = math.inf if entry["noise_limit"] is None else float(entry["noise_limit"])
    found = Trained(tasks, int(entry["dimensions"]), entry["scaling"], limit, int(entry["members"]))
    if not tasks or found.dimensions not in (2, 3) or found.members < 1:
        raise ValueError("tasks")
    return found


def _corrupted(task: Mapping[str, Any], model: Mapping[str, Any]) -> Trained:
    """Cards of the weights that ship."""
    complete, scale, sampling = Complete(task["step"]), task["scale"], task["method"]
    known = {
        "denoise": (Denoise(),),
        "inpaint": (Inpaint(),),
        "complete": (complete,),
        "upsample": (Upsample(max(scale, 2), sampling),),
        "any": (Denoise(), Inpaint(), complete),
    }
    return Trained(known[task["task"]], model.get("dimensions", 2), "peak", float(task["noise_range"][1]), members=2)


def _upsampling(data: Mapping[str, Any], model: Mapping[str, Any]) -> Trained:
    """Cards of `mpijax train` up to version 0.7, also of weights saved without a word: block means in units of the modulus."""
    sampling = "stride" if data.get("method") == "stride" else "box"
    return Trained((Upsample(model["scale"], sampling),), 2, data.get("normalization", "modulus"))
