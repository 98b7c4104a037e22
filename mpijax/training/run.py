"""A run directory: its description, and the refusal to continue a different run in it."""

import dataclasses
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import jax

from mpijax.core.files import write_text
from mpijax.training.config import TrainConfig
from mpijax.training.manifest import DamagedError, read_object


def describe(model_config: dict[str, Any], config: TrainConfig, key: jax.Array, data: dict[str, Any]) -> dict[str, Any]:
    """What defines a run, as plain values: network, recipe, random key and facts about the data."""
    return {
        "model": model_config,
        "training": dataclasses.asdict(config),
        "key": jax.random.key_data(key).tolist(),
        "data": json.loads(json.dumps(data)),
    }


def claim(directory: Path, description: dict[str, Any]) -> None:
    """Write ``config.json`` into a new run directory, or check that an existing one describes the same run.

    Raises:
        ValueError: The directory holds a different run, or a damaged one.
    """
    if check(directory, description):
        return
    versions = {name: _version(name) for name in ("mpijax", "jax", "flax", "optax")}
    write_text(directory / "config.json", json.dumps(description | {"versions": versions}, indent=2) + "\n")


def check(directory: Path, description: dict[str, Any]) -> bool:
    """Whether a run directory holds this run already; nothing is written.

    Raises:
        ValueError: The directory holds a different run, or a damaged one.
    """
    path = directory / "config.json"
    if path.exists():
        try:
            present = read_object(path)
        except DamagedError as error:
            raise ValueError(
                f"{path} is damaged ({error}); choose another run directory, or delete this one."
            ) from error
        training = present.get("training")
        if isinstance(training, dict):  # settings that the run is older than
            defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
            present["training"] = defaults | training
        differences = _differences({name: present.get(name) for name in description}, description)
        if differences:
            cure = "Give the settings of its config.json to continue it, or choose another run directory."
            if any(text.startswith("training.steps ") for text in differences):
                cure += " More or fewer steps are another run: the learning rate falls otherwise."
            raise ValueError(f"{directory} holds a different run: {'; '.join(differences)}. {cure}")
        return True
    left = [name for name in ("checkpoints", "checkpoints.json", "metrics.jsonl") if (directory / name).exists()]
    if left:
        raise ValueError(
            f"{directory} is damaged: it holds {', '.join(left)} of a run, but no config.json that says of which. Choose another "
            "run directory, or delete this one."
        )
    return False


def steps_done(directory: Path) -> int:
    """Step of the newest checkpoint that a run lists; 0 where it lists none."""
    try:
        steps = read_object(directory / "checkpoints.json").get("steps")
    except (FileNotFoundError, DamagedError):
        return 0
    return max((step for step in steps if type(step) is int), default=0) if isinstance(steps, list) else 0


def _differences(present: Any, given: Any, where: str = "") -> list[str]:
    if isinstance(present, dict) and isinstance(given, dict):
        return [
            text
            for name in present | given
            for text in _differences(present.get(name), given.get(name), f"{where}.{name}" if where else name)
        ]
    return [] if present == given else [f"{where} is {present!r} there and {given!r} here"]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
