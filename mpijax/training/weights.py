"""Trained weights on disk: a flat .npz of arrays and a JSON card that says what they are."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mpijax.core.files import atomic_path, write_text
from mpijax.training.manifest import DamagedError, read_object, sha256
from mpijax.training.state import Weights, abstract, by_path

FORMAT = "mpijax-weights"
VERSION = 1


def save_weights(
    path: str | Path, weights: Weights, model_config: dict[str, Any], *, metadata: dict[str, Any] | None = None
) -> None:
    """Write ``path`` (.npz) and beside it the card (.json) with configuration, shapes and checksum.

    Args:
        path: Name of the archive; must end in ``.npz``.
        weights: Weights of the network.
        model_config: ``model.config`` of the network.
        metadata: JSON-serializable facts to keep on the card, e.g. how the weights were trained.

    Raises:
        ValueError: The name does not end in ``.npz``.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"path = {path}; weights are written to a file whose name ends in .npz.")
    arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in by_path(weights).items()}
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as stream:
            np.savez(stream, **arrays)
        checksum = sha256(temporary)
    card = {
        "format": FORMAT,
        "version": VERSION,
        "model": model_config,
        "sha256": checksum,
        "arrays": {name: list(array.shape) for name, array in arrays.items()},
        "metadata": metadata or {},
    }
    write_text(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")


def load_weights(path: str | Path, *, model_config: dict[str, Any] | None = None) -> tuple[dict[str, Any], Weights]:
    """Read weights and the configuration of their network; checksum, names and shapes are verified.

    Args:
        path: A ``.npz`` archive with its card beside it, or a run directory, which holds ``weights.npz``.
        model_config: ``model.config`` of the network that is to take the weights; None = the one on the card.

    Returns:
        ``model.config`` of the network and its weights.

    Raises:
        FileNotFoundError: The archive or its card is missing.
        ValueError: The card is not one, the archive does not match its checksum, or the arrays do not fit the network: the first
            parameters that differ are named with both shapes.
    """
    path = Path(path)
    path = path / "weights.npz" if path.is_dir() else path
    card = checked_card(path)
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    config = card["model"] if model_config is None else model_config
    try:
        _, expected = abstract(config)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: there is no network {config} ({error}).") from error
    problems = _differences(arrays, by_path(expected))
    if problems:
        made_for = " of its card" if model_config is None else f"; its card says {card['model']}"
        raise ValueError(f"{path} does not fit the network {config}{made_for}: {'; '.join(problems)}.")
    leaves = [jax.numpy.asarray(arrays[name]) for name in by_path(expected)]
    return config, jax.tree.unflatten(jax.tree.structure(expected), leaves)


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of an archive of weights.

    Raises:
        FileNotFoundError: The archive or its card is missing.
        ValueError: The card is not one, damaged, or of a version this package does not know.
    """
    path = Path(path)
    where = path.with_suffix(".json")
    for file in (path, where):
        if not file.is_file():
            raise FileNotFoundError(f"{file} does not exist; weights are an .npz archive with a .json card beside it.")
    try:
        card = read_object(where)
    except DamagedError as error:
        raise ValueError(f"{where} is not a card of weights, or damaged: {error}.") from error
    if not {"format", "version"} <= set(card):
        raise ValueError(f"{where} is not a card of weights.")
    kind, version = card["format"], card["version"]
    if (kind, version) != (FORMAT, VERSION):
        raise ValueError(f"{where} is {kind} version {version}; this package reads {FORMAT} {VERSION}.")
    parts = {"model": dict, "sha256": str, "arrays": dict, "metadata": dict}
    wrong = [name for name, kind in parts.items() if not isinstance(card.get(name), kind)]
    if not wrong and "name" not in card["model"]:
        wrong = ["the name of the network"]
    if wrong:
        raise ValueError(f"{where} is damaged: {', '.join(wrong)} missing or not what a card holds there.")
    return card


def checked_card(path: Path) -> dict[str, Any]:
    """The card of an archive of weights that matches its checksum.

    Raises:
        FileNotFoundError: The archive or its card is missing.
        ValueError: The card is not one, or the archive does not match it.
    """
    card = read_card(path)
    if sha256(path) != card["sha256"]:
        raise ValueError(f"{path} does not match the checksum on its card; it is damaged or belongs to another card.")
    return card


def _differences(arrays: dict[str, np.ndarray], expected: dict[str, Any]) -> list[str]:
    """The first parameters that differ, in the order of the network, then those that only the file has."""
    problems = []
    for name, leaf in expected.items():
        if name not in arrays:
            problems.append(f"{name} is missing, expected {leaf.shape}")
        elif arrays[name].shape != leaf.shape:
            problems.append(f"{name} has shape {arrays[name].shape}, expected {leaf.shape}")
    surplus = (name for name in arrays if name not in expected)
    problems += [f"{name} of shape {arrays[name].shape} is not part of the network" for name in surplus]
    return problems[:5]
