"""Coarse rows to fine ones: networks and classical interpolation."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp

from mpijax.core.checks import check_choice, check_range, is_concrete
from mpijax.core.typing import Array, Complex, Float
from mpijax.rows.linear import consistent_bicubic
from mpijax.rows.resampling import bicubic
from mpijax.rows.scaling import RowScaling, channels_to_complex, complex_to_channels
from mpijax.training import load_weights, make_predict
from mpijax.training.weights import read_card


@runtime_checkable
class Upsampler(Protocol):
    """Coarse rows to fine ones, in the same unit."""

    def __call__(
        self, coarse: Complex[Array, "b h w"], sigma: Float[Array, " b"] | None = None
    ) -> Complex[Array, "b y x"]:
        """Fine rows (b, h S, w S); ``sigma`` is the complex noise standard deviation of each coarse row, None = no noise."""
        ...


CLASSICAL = ("bicubic", "consistent-bicubic")
"""Methods that need no training."""


def network_upsampler(predict: Callable[..., Any], normalization: str = "modulus", *, told: bool = True) -> Upsampler:
    """The upsampler of a network: scale each row, apply the network, undo the scaling.

    Args:
        predict: rows (b, h, w, 2) to (b, h scale, w scale, 2), from :func:`mpijax.training.make_predict`.
        normalization: that of its training, see :class:`mpijax.datasets.RecoveryTask`.
        told: whether the network takes the noise level.
    """

    def upsample(coarse: Complex[Array, "b h w"], sigma: Float[Array, " b"] | None = None) -> Complex[Array, "b y x"]:
        if sigma is not None and is_concrete(sigma):
            check_range("sigma", sigma, 0, math.inf, "")
        scaling = RowScaling.of(coarse, normalization)
        level = None if sigma is None else jnp.asarray(sigma) * scaling.gain
        inputs = {"noise_level": level} if told else {}
        fine = predict(scaling.apply(complex_to_channels(coarse)), **inputs)
        return channels_to_complex(scaling.undo(fine))

    return upsample


def load_upsampler(model: str | Path, scale: int, sampling: str = "box") -> Upsampler:
    """An upsampler by name ("bicubic", "consistent-bicubic") or from a run directory or weights file.

    Raises:
        ValueError: weights of another scale or another way of sampling.
        FileNotFoundError: there are no weights at the path.
    """
    check_choice("sampling", sampling, ("box", "stride"))
    if model == "bicubic":
        return lambda coarse, sigma=None: bicubic(coarse, scale, sampling=sampling)
    if model == "consistent-bicubic":
        if sampling != "box":
            raise ValueError(f"sampling = {sampling!r}; consistent-bicubic is defined for 'box' (block means).")
        # exact block means: without a prior, room for the noise would only bring bicubic's error back
        return lambda coarse, sigma=None: consistent_bicubic(coarse, scale)
    config, weights = load_weights(model)
    if config.get("scale") != scale:
        raise ValueError(f"{model} was trained for scale {config.get('scale')}, but scale = {scale} is asked for.")
    data = _card(model)["metadata"].get("data", {})
    trained = data.get("method", "box")
    if trained not in (sampling, *(("absmax", "maxavg") if sampling == "box" else ())):
        raise ValueError(f"{model} was trained on {trained!r} sampling, but sampling = {sampling!r} is asked for.")
    predict = make_predict(config, weights)
    told = "noise_level" in predict.network.takes
    return network_upsampler(predict, data.get("normalization", "modulus"), told=told)


def _card(model: str | Path) -> dict[str, Any]:
    path = Path(model)
    return read_card(path / "weights.npz" if path.is_dir() else path)
