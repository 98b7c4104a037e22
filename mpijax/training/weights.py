"""Trained weights on disk: a flat .npz of arrays and a JSON card that says what they are."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mpijax.core.files import atomic_path, write_text
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
        checksum = _sha256(temporary)
    card = {
        "format": FORMAT,
        "version": VERSION,
        "model": model_config,
        "sha256": checksum,
        "arrays": {name: list(array.shape) for name, array in arrays.items()},
        "metadata": metadata or {},
    }
    write_text(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")


def load_weights(path: str | Path) -> tuple[dict[str, Any], Weights]:
    """Read weights and the configuration of their network; checksum, names and shapes are verified.

    Args:
        path: A ``.npz`` archive with its card beside it, or a run directory, which holds ``weights.npz``.

    Returns:
        ``model.config`` of the network and its weights.

    Raises:
        FileNotFoundError: The archive or its card is missing.
        ValueError: The card is not one, the archive does not match its checksum, or the arrays do not fit the network.
    """
    path = Path(path)
    path = path / "weights.npz" if path.is_dir() else path
    card = read_card(path)
    if _sha256(path) != card["sha256"]:
        raise ValueError(f"{path} does not match the checksum on its card; it is damaged or belongs to another card.")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    _, expected = abstract(card["model"])
    problems = _differences(arrays, by_path(expected))
    if problems:
        raise ValueError(f"{path} does not fit the network {card['model']} of its card: {'; '.join(problems)}.")
    leaves = [jax.numpy.asarray(arrays[name]) for name in by_path(expected)]
    return card["model"], jax.tree.unflatten(jax.tree.structure(expected), leaves)


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of an archive of weights.

    Raises:
        FileNotFoundError: The archive or its card is missing.
        ValueError: The card is not one, or of a version this package does not know.
    """
    path = Path(path)
    for file in (path, path.with_suffix(".json")):
        if not file.is_file():
            raise FileNotFoundError(f"{file} does not exist; weights are an .npz archive with a .json card beside it.")
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        kind, version = card["format"], card["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.with_suffix('.json')} is not a card of weights.") from error
    if (kind, version) != (FORMAT, VERSION):
        raise ValueError(
            f"{path.with_suffix('.json')} is {kind} version {version}; this package reads {FORMAT} {VERSION}."
        )
    return card


def _differences(arrays: dict[str, np.ndarray], expected: dict[str, Any]) -> list[str]:
    missing = [f"{name} is missing" for name in expected if name not in arrays]
    surplus = [f"{name} is not part of the network" for name in arrays if name not in expected]
    wrong = [
        f"{name} has shape {arrays[name].shape}, expected {leaf.shape}"
        for name, leaf in expected.items()
        if name in arrays and arrays[name].shape != leaf.shape
    ]
    return (missing + surplus + wrong)[:5]


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
