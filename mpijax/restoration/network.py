"""Methods that restore rows: the weights that ship, a user's own network, or a classical method by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mpijax.core.assets import asset_path
from mpijax.core.checks import check_choice
from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.restoration.upsample import CLASSICAL as UPSAMPLERS
from mpijax.restoration.upsample import load_upsampler
from mpijax.rows.filters import dct_filter
from mpijax.rows.inpainting import biharmonic_inpaint, compressed_sensing, inpaint_denoise, wiener_inpaint
from mpijax.rows.scaling import channels_to_complex, complex_to_channels, denormalize, normalize, row_scale
from mpijax.rows.splines import spline_upsample
from mpijax.training.predict import predict_rows
from mpijax.training.state import abstract
from mpijax.training.weights import load_weights, read_card

TASKS = ("denoise", "inpaint", "upsample", "complete")

SHIPPED = {
    ("denoise", 2, 1): "denoise_2d",
    ("upsample", 2, 2): "upsample_2d",
    ("inpaint", 2, 1): "restore_2d",
    ("complete", 2, 2): "restore_2d",
    ("denoise", 3, 1): "restore_3d",
    ("inpaint", 3, 1): "restore_3d",
    ("complete", 3, 2): "restore_3d",
}
"""Task, dimensions and scale -> the weights that ship."""

METHODS = {
    "denoise": ("dct-soft", "dct-hard", "dct-garrote", "wiener"),
    "inpaint": ("wiener", "biharmonic", "biharmonic-garrote", "compressed-sensing"),
    "upsample": (*UPSAMPLERS, "spline"),
    "complete": ("spline", "wiener"),
}
"""Task -> the classical methods that it knows; they need no training."""

MEMBERS = 2
"""Global phases that a network's result is averaged over: the networks that ship turn every row to its main phase, which leaves
its sign open."""

VOXELS = 1 << 17
"""Voxels of the restored grid that a network sees at once."""


@dataclass(frozen=True)
class Restorer:
    """A method, ready to be applied.

    Attributes:
        name: of the method, or the path of the weights.
        apply: rows (b, *s), known voxels (*s) and noise (b,) to restored rows (b, *t), in the unit of the rows.
        sampling: of "upsample": "box" or "stride".
        noise_limit: largest noise over largest modulus that the method was trained for.
        members: global phases to average over; 1 where the method commutes with them.
        sha256: of the weights, empty for a classical method.
    """

    name: str
    apply: Callable[..., Complex[Array, " b *t"]]
    sampling: str = "stride"
    noise_limit: float = float("inf")
    members: int = 1
    sha256: str = ""

    @property
    def trained(self) -> bool:
        """Whether it is a network."""
        return bool(self.sha256)


def find_restorer(
    task: str, dimensions: int, scale: int, *, sampling: str | None = None, model: str | Path | None = None
) -> Restorer:
    """The method for a task.

    Args:
        task: one of ``TASKS``.
        dimensions: of the rows, 2 or 3.
        scale: of "upsample" and "complete", else 1.
        sampling: of "upsample": "box" or "stride"; None = what the method is made for.
        model: None = the weights that ship; a run directory or weights file; or one of ``METHODS[task]``.

    Raises:
        ValueError: no weights ship for this, or the given ones were trained for something else.
        FileNotFoundError: there is neither a method nor a file of this name.
    """
    check_choice("task", task, TASKS)
    check_choice("sampling", sampling, (None, "box", "stride"))
    if str(model) in METHODS[task]:
        return classical(str(model), task, scale, sampling)
    if model is not None:
        if any(str(model) in methods for methods in METHODS.values()):
            raise ValueError(f"model = {model} is no method of {task}, which knows {', '.join(METHODS[task])}.")
        if not Path(model).exists():
            raise FileNotFoundError(
                f"model = {model}: no run directory or weights file of this name, and no method; {task} knows the methods "
                f"{', '.join(METHODS[task])}."
            )
        return load_network(model, task, dimensions, scale, sampling)
    name = SHIPPED.get((task, dimensions, scale))
    if name is None or sampling == "box":
        there = "; ".join(f"{t} {d}-D{f' x{s}' if s > 1 else ''}" for t, d, s in SHIPPED)
        wanted = (
            f"{task} {dimensions}-D{f' x{scale}' if scale > 1 else ''}{' of box means' if sampling == 'box' else ''}"
        )
        raise ValueError(
            f"no weights ship for {wanted}; there are some for {there} (small samples at every n-th position). Use model= to "
            f"name a run directory, a weights file, or one of {', '.join(METHODS[task])}."
        )
    return load_network(asset_path(f"weights/{name}.npz"), task, dimensions, scale, sampling)


def load_network(model: str | Path, task: str, dimensions: int, scale: int, sampling: str | None = None) -> Restorer:
    """A trained network from a run directory or weights file, once its card says that it was trained for this.

    Raises:
        ValueError: weights for another task, dimension, scale or way of sampling, or damaged ones.
        FileNotFoundError: there are no weights at the path.
    """
    path = Path(model) / "weights.npz" if Path(model).is_dir() else Path(model)
    card = read_card(path)
    data = card["metadata"].get("data", {})
    trained: Any = data.get("task") if isinstance(data, dict) else data
    if isinstance(data, dict) and not isinstance(trained, dict):  # of `mpijax train`: upsampling without noise
        check_trained(model, "task", task, ("upsample",))
        sampling = sampling or ("stride" if data.get("method") == "stride" else "box")
        upsampler = load_upsampler(model, scale, sampling)
        return Restorer(str(model), lambda rows, known, sigma: upsampler(rows, sigma), sampling, sha256=card["sha256"])
    own, method, noise_limit = _training(path, trained)
    check_trained(model, "task", task, ("denoise", "inpaint", "complete") if own == "any" else (own,))
    check_trained(model, "dimensions", dimensions, (card["model"].get("dimensions", 2),))
    if task in ("upsample", "complete"):
        check_trained(model, "scale", scale, (trained.get("scale" if task == "upsample" else "step"),))
    if task == "upsample":
        check_trained(model, "sampling", sampling or method, (method,))
    config, weights = load_weights(path)
    network, _ = abstract(config)
    evaluate = jax.jit(network.evaluate)

    def apply(
        rows: Complex[Array, " b *s"], known: Bool[Array, " *s"], sigma: Float[Array, " b"]
    ) -> Complex[jax.Array, " b *t"]:
        scaled, unit = normalize(jax.numpy.where(known, rows, 0), row_scale(rows, mask=known))
        mask = np.stack([known, np.ones_like(known)], -1).astype(np.float32)
        inputs = {
            "mask": np.broadcast_to(mask, (len(rows), *mask.shape)),
            "noise_level": jax.numpy.asarray(sigma) / unit,
        }
        out = predict_rows(
            evaluate,
            weights,
            batch_rows(rows.shape[1:], scale if task == "upsample" else 1),
            complex_to_channels(scaled),
            **network.told(inputs),
        )
        return denormalize(channels_to_complex(out), unit)

    return Restorer(str(model), apply, method, noise_limit, MEMBERS, card["sha256"])


def _training(path: Path, trained: Any) -> tuple[str, str, float]:
    """Task, sampling and largest noise that the card of a network names."""
    try:
        _, high = trained["noise_range"]
        return str(trained["task"]), str(trained["method"]), float(high)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path.with_suffix('.json')} does not say what the network was trained for; it is damaged, or was changed by hand."
        ) from None


def check_trained(model: str | Path, name: str, asked: Any, trained: tuple) -> None:
    """Raise ValueError where a network is asked for what it was not trained for."""
    if asked not in trained:
        own = " or ".join(map(str, trained))
        raise ValueError(f"{model} was trained for {name} {own}, but {name} = {asked} is asked for.")


def classical(name: str, task: str, scale: int, sampling: str | None) -> Restorer:
    """A method of ``METHODS[task]``."""
    if task == "upsample":
        sampling = sampling or ("stride" if name == "spline" else "box")
        if name == "spline":
            if sampling != "stride":
                raise ValueError(
                    f"sampling = {sampling!r}; spline is defined for 'stride' (a small sample at every n-th position)."
                )
            return Restorer(name, lambda rows, known, sigma: spline_upsample(rows, scale), sampling)
        upsampler = load_upsampler(name, scale, sampling)
        return Restorer(name, lambda rows, known, sigma: upsampler(rows), sampling)
    if name == "spline":
        return Restorer(name, lambda rows, known, sigma: spline_upsample(coarse(rows, scale), rows.shape[1:]))
    if name == "biharmonic":
        return Restorer(name, lambda rows, known, sigma: biharmonic_inpaint(rows, known))
    if name == "biharmonic-garrote":
        return Restorer(name, inpaint_denoise)
    if name == "compressed-sensing":
        return Restorer(name, compressed_sensing)
    if name == "wiener":
        return Restorer(name, wiener_inpaint)
    rule = name.removeprefix("dct-")
    return Restorer(name, lambda rows, known, sigma: dct_filter(rows, sigma, rule=rule))


def coarse(rows: Array, scale: int) -> Array:
    """Every scale-th voxel per axis in use, from the first."""
    return rows[(slice(None), *(slice(None, None, scale if n > 1 else 1) for n in rows.shape[1:]))]


def batch_rows(shape: tuple[int, ...], scale: int = 1) -> int:
    """How many rows of a grid are restored at once."""
    return int(max(1, min(256, VOXELS // (np.prod(shape) * scale ** len(shape)))))


def phase_average(
    restorer: Restorer, rows: Complex[Array, " b *s"], known: Bool[Array, " *s"], sigma: Float[Array, " b"]
) -> tuple[Complex[np.ndarray, " b *t"], Complex[np.ndarray, " b *t"], Float[np.ndarray, " b"]]:
    """Restore rows under several global phases: the mean of e^{-i phi_k} f(e^{i phi_k} x) over phi_k = 2 pi k / K.

    A row's phase is a convention of the receive chain, and a restoration should not depend on it. The mean does so less than
    each member, and how far the members disagree says how sure the network is.

    Returns:
        The mean, the member of phase zero, and the root mean square deviation of the members from their mean (b,).
    """
    turns = np.exp(2j * np.pi * np.arange(restorer.members) / restorer.members).astype(np.complex64)
    members = [np.asarray(restorer.apply(rows * turn, known, sigma)) / turn for turn in turns]
    mean = np.asarray(np.mean(members, axis=0, dtype=np.complex64))
    spread = np.sqrt(np.mean([np.abs(member - mean) ** 2 for member in members], axis=(0, *range(2, mean.ndim + 1))))
    return mean, members[0], spread


def describe(restorer: Restorer) -> str:
    """Name and checksum, as the record of a restored matrix gives them."""
    if not restorer.trained:
        return restorer.name
    return f"{Path(restorer.name).name} (sha256 {restorer.sha256})"
