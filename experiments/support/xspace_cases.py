"""Test images of the x-space experiments, the figures of every method on them, and the methods that need no training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.datasets import XSpacePrior, XSpaceTask
from mpijax.datasets.phantoms import PlanarPhantoms
from mpijax.metrics import nrmse_range, psnr, ssim
from mpijax.reconstruction import richardson_lucy, wiener_deconvolution
from mpijax.system import convolve_linear, sampled_kernel

TRAINED = ("shapes", "bars", "dots")
HELD_OUT = ("vessels", "characters")
"""Kinds of phantoms that networks are trained on, and those that they are tested on alone."""

NOISE = (15.0, 20.0)
"""Peak SNR of the input [dB]."""

SCANNERS: dict[str, dict[str, Any]] = {
    "training": {"gradient": (1.9, 2.8), "core_diameter": (19e-9, 21e-9)},
    "narrower kernel": {"gradient": (2.7, 2.8), "core_diameter": (22e-9, 23e-9)},
    "wider kernel": {"gradient": (1.8, 1.85), "core_diameter": (18e-9, 18.5e-9)},
}
"""Field-free lines [T/m] and particles [m] over 30 mm: full widths across the excitation of 6 to 12 mm in training, outside it 4.5
to 5.4 mm and 13 to 15 mm."""

WIENER = tuple(float(v) for v in np.logspace(-6, -2, 13))
"""Regularizations tried."""

LUCY = (10, 20, 40, 80, 160, 320, 640, 1280, 2560)
"""Numbers of iterations tried."""


_pairs = jax.jit(XSpaceTask.batch)


@dataclass(frozen=True)
class Cases:
    """Images of one kind to test on: scans along x with noise, and what is to come of them.

    Attributes:
        name: of the set.
        inputs: (n, y, x), over the maximum of each.
        targets: (n, y, x).
        guides: (n, y, x), the deconvolved inputs.
        pixel_xi: (n, 2), the kernel.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    guides: np.ndarray
    pixel_xi: np.ndarray

    @staticmethod
    def draw(
        name: str,
        prior: XSpacePrior,
        label: str,
        kinds: tuple[str, ...],
        count: int,
        key: jax.Array,
        noise: tuple[float, float] = NOISE,
        textures: np.ndarray | None = None,
    ) -> "Cases":
        """``count`` images; a function of the key."""
        task = XSpaceTask.create(
            label, textures=textures, noise=noise, crop=None, augment=False, extras=True, guide=True
        )
        # the batch of `xspace_batches`, in programs that other sets share
        of_phantom, of_scan, of_pair = jax.random.split(key, 3)
        source = PlanarPhantoms.create(kinds, prior.size)
        phantoms = jax.jit(jax.vmap(source))(jax.random.split(of_phantom, count))
        pixel_xi = jax.vmap(lambda k: prior.draw(k).pixel_xi)(jax.random.split(of_scan, count))
        drawn = _pairs(task, of_pair, phantoms, pixel_xi)
        inputs, targets, guides = (
            np.asarray(image)[..., 0] for image in (drawn["input"], drawn["target"], drawn["auxiliary"]["guide"])
        )
        return Cases(name, inputs, targets, guides, np.asarray(drawn["pixel_xi"]))


Method = Callable[[Cases], np.ndarray]
"""Images (n, y, x) made of the inputs."""


def prior_of(scanner: str, size: int) -> XSpacePrior:
    """One of `SCANNERS` on size x size pixels."""
    return XSpacePrior(size=size, pixels_per_width=2.0, **SCANNERS[scanner])


def split_textures(textures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recorded backgrounds for training and validation, and every fourth one for the tests.

    Raises:
        ValueError: fewer than two.
    """
    if len(textures) < 2:
        raise ValueError(f"{len(textures)} recorded background; give at least two, one of them is kept for the tests.")
    held_out = np.arange(len(textures)) % 4 == 0
    return textures[~held_out], textures[held_out]


def test_sets(label: str, size: int, count: int, textures: np.ndarray | None) -> list[Cases]:
    """Kinds held out one by one, then other phantoms, noise and scanners; ``count`` images each, with white or recorded noise."""
    tests: list[tuple[str, tuple[str, ...], str, dict[str, Any]]] = [
        *((f"{kind} (held out)", (kind,), "training", {}) for kind in HELD_OUT),
        ("kinds of the training", TRAINED, "training", {}),
        ("10 dB", HELD_OUT, "training", {"noise": (10.0, 10.0)}),
        ("without noise", HELD_OUT, "training", {"noise": (190.0, 190.0)}),
        *((scanner, HELD_OUT, scanner, {}) for scanner in SCANNERS if scanner != "training"),
    ]
    root = jax.random.key(20_000)
    return [
        Cases.draw(
            name,
            prior_of(scanner, size),
            label,
            kinds,
            count,
            jax.random.fold_in(root, i),
            textures=textures,
            **options,
        )
        for i, (name, kinds, scanner, options) in enumerate(tests)
    ]


def scores(estimate: np.ndarray, cases: Cases) -> dict[str, np.ndarray]:
    """pSNR [dB], SSIM and nRMSE of every image by the range of its reference, and the public code's nRMSE.

    The code takes 8-bit images and divides by the range of the estimate.
    """
    reference, axes = jnp.asarray(cases.targets), (1, 2)
    span = jnp.ptp(reference, axis=axes)
    bytes_ = [jnp.round(255 * jnp.clip(jnp.asarray(image), 0, 1)) for image in (cases.targets, estimate)]
    found = {
        "psnr": psnr(estimate, reference, span, axis=axes),
        "ssim": ssim(estimate, reference, span, axis=(-2, -1)),
        "nrmse": nrmse_range(estimate, reference, axis=axes),
        "nrmse_legacy": nrmse_range(*bytes_, axis=axes),
    }
    return {name: np.asarray(values) for name, values in found.items()}


def classical_methods(validation: Cases, label: str) -> tuple[dict[str, Method], dict[str, float]]:
    """The input itself, Wiener and Richardson-Lucy with the known kernel; and their parameters, those of the best mean pSNR."""
    families: dict[str, tuple[tuple[float, ...], Callable[[float], Method]]] = {
        "Wiener": (WIENER, lambda value: _known_kernel(lambda y, h: wiener_deconvolution(y, h, value), label)),
        "Richardson-Lucy": (
            LUCY,
            lambda value: _known_kernel(lambda y, h: richardson_lucy(y, h, iterations=int(value)), label),
        ),
    }
    methods: dict[str, Method] = {"input": lambda cases: cases.inputs}
    chosen = {}
    for name, (values, method) in families.items():
        chosen[name] = max(values, key=lambda v: float(np.mean(scores(method(v)(validation), validation)["psnr"])))
        methods[name] = method(chosen[name])
    return methods, chosen


def _known_kernel(deconvolve: Callable[[Any, Any], Any], label: str) -> Method:
    """Deconvolve by each image's kernel, then image isotropically, or scale to the phantom by least squares (which favors it)."""

    def one(image: jax.Array, target: jax.Array, pixel_xi: jax.Array) -> Any:
        found = deconvolve(image, sampled_kernel(image.shape, pixel_xi, 1))
        if label == "isotropic":
            return convolve_linear(found, sampled_kernel(image.shape, pixel_xi, (0, 1)))
        return found * jnp.sum(found * target) / jnp.maximum(jnp.sum(found**2), 1e-30)

    apply = jax.jit(jax.vmap(one))
    return lambda cases: np.asarray(apply(*map(jnp.asarray, (cases.inputs, cases.targets, cases.pixel_xi))))


def evaluate(methods: Mapping[str, Method], sets: list[Cases]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """One record per set, image and method; and the images of every method on the first set."""
    records, first = [], {}
    for cases in sets:
        for name, method in methods.items():
            estimate = method(cases)
            if cases is sets[0]:
                first[name] = estimate
            values = scores(estimate, cases)
            records += [
                {"set": cases.name, "image": i, "method": name, **{k: float(v[i]) for k, v in values.items()}}
                for i in range(len(estimate))
            ]
    return records, first
