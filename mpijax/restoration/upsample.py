"""Coarse rows to fine ones: networks and classical interpolation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpijax.core.checks import check_choice
from mpijax.core.typing import Array, Complex
from mpijax.datasets.baselines import consistent_bicubic
from mpijax.datasets.normalize import channels_to_complex, complex_to_channels, denormalize, normalize
from mpijax.datasets.resample import bicubic
from mpijax.training import load_weights, make_predict
from mpijax.training.weights import read_card

Upsampler = Callable[[Complex[Array, "b h w"]], Complex[Array, "b y x"]]
"""Coarse complex rows to fine ones, in the same unit."""

CLASSICAL = ("bicubic", "consistent-bicubic")
"""Methods that need no training."""


def network_upsampler(predict: Callable[..., Any]) -> Upsampler:
    """The upsampler of a network: normalize each row by its largest modulus, apply the network, undo the scaling.

    Args:
        predict: rows (b, h, w, 2) to (b, h scale, w scale, 2), from :func:`mpijax.training.make_predict`.
    """

    def upsample(coarse: Complex[Array, "b h w"]) -> Complex[Array, "b y x"]:
        scaled, scale = normalize(coarse)
        return denormalize(channels_to_complex(predict(complex_to_channels(scaled))), scale)

    return upsample


def load_upsampler(model: str | Path, scale: int, sampling: str = "box") -> Upsampler:
    """An upsampler by name ("bicubic", "consistent-bicubic") or from a run directory or weights file.

    Raises:
        ValueError: weights of another scale or another way of sampling.
        FileNotFoundError: there are no weights at the path.
    """
    check_choice("sampling", sampling, ("box", "stride"))
    if model == "bicubic":
        return lambda coarse: bicubic(coarse, scale, sampling=sampling)
    if model == "consistent-bicubic":
        if sampling != "box":
            raise ValueError(f"sampling = {sampling!r}; consistent-bicubic is defined for 'box' (block means).")
        return lambda coarse: consistent_bicubic(coarse, scale)
    config, weights = load_weights(model)
    if config.get("scale") != scale:
        raise ValueError(f"{model} was trained for scale {config.get('scale')}, but scale = {scale} is asked for.")
    trained = _card(model)["metadata"].get("data", {}).get("method", "box")
    if trained not in (sampling, *(("absmax", "maxavg") if sampling == "box" else ())):
        raise ValueError(f"{model} was trained on {trained!r} sampling, but sampling = {sampling!r} is asked for.")
    return network_upsampler(make_predict(config, weights))


def _card(model: str | Path) -> dict[str, Any]:
    path = Path(model)
    return read_card(path / "weights.npz" if path.is_dir() else path)
